package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"sarn/internal/api"
)

// config is the user's file of contexts.
type config struct {
	Current  string           `yaml:"current,omitempty"`
	Contexts map[string]entry `yaml:"contexts"`
}

// entry is one context: a controller and the files to identify to it with.
type entry struct {
	Server string `yaml:"server"`
	CA     string `yaml:"ca,omitempty"`
	Cert   string `yaml:"cert,omitempty"`
	Key    string `yaml:"key,omitempty"`
}

func (e entry) endpoint() api.Endpoint {
	return api.Endpoint{Address: e.Server, CA: e.CA, Cert: e.Cert, Key: e.Key}
}

// configFile returns where the contexts are, or "" if there is no home to look in.
func (a *app) configFile() string {
	dir := a.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := a.Getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "sarn", "config.yaml")
}

// loadConfig returns the contexts; no file is no context.
func (a *app) loadConfig() (config, error) {
	c := config{Contexts: map[string]entry{}}
	path := a.configFile()
	if path == "" {
		return c, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read contexts: %w", err)
	}
	err = yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&c)
	if err != nil && !errors.Is(err, io.EOF) {
		var ye yaml.Error
		if errors.As(err, &ye) && ye.GetToken() != nil {
			return c, usageError("%s:%d: %s", path, ye.GetToken().Position.Line, ye.GetMessage())
		}
		return c, usageError("%s: %w", path, err)
	}
	return c, nil
}

// saveConfig replaces the file of contexts in one step. It names keys, so it is its
// owner's alone.
func (a *app) saveConfig(c config) error {
	path := a.configFile()
	if path == "" {
		return errors.New("no place for contexts: neither XDG_CONFIG_HOME nor HOME is set")
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode contexts: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save contexts: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*") // mode 0600
	if err != nil {
		return fmt.Errorf("save contexts: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save contexts: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
