package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sarn/internal/api"
	"sarn/internal/intent"
)

// DefaultRunDir is where labs live unless Config says otherwise.
const DefaultRunDir = "/run/sarn"

// Config says where labs live and what they run.
type Config struct {
	// RunDir holds the labs, in its directory "labs".
	RunDir string
	// Binary is the sarn program that controllers and agents are started from.
	// Default: the running one.
	Binary string
	// GuestKernel is a directory with the boot/ and lib/modules/ of a kernel package, for
	// VMs that name no other. Default: where one is usually found.
	GuestKernel string
}

// Labs is every lab of a run directory.
type Labs struct {
	dir    string
	binary string
	kernel string // Config.GuestKernel
}

// New returns the labs of a run directory.
func New(config Config) (*Labs, error) {
	if config.RunDir == "" {
		config.RunDir = DefaultRunDir
	}
	dir, err := filepath.Abs(filepath.Join(config.RunDir, "labs"))
	if err == nil {
		dir, err = realPath(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	if config.Binary == "" {
		if config.Binary, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find the running program: %w", err)
		}
	}
	return &Labs{dir: dir, binary: config.Binary, kernel: config.GuestKernel}, nil
}

// realPath resolves the symbolic links of a path whose end need not be there yet: the
// kernel lists mounts by their real paths.
func realPath(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return resolved, err
	}
	parent, err := realPath(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// Lab is one lab: its name and its directory.
type Lab struct {
	Name   string
	dir    string
	binary string
}

func (l *Labs) named(name string) *Lab {
	return &Lab{Name: name, dir: filepath.Join(l.dir, name), binary: l.binary}
}

func (l *Lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.dir}, elem...)...)
}

// netns returns the file of the network namespace of a machine or network.
func (l *Lab) netns(name string) string { return l.path("netns", name) }

// guests returns the directory in which a host's agent keeps its namespaces.
func (l *Lab) guests(host string) string { return l.path("guests", host) }

// Socket returns the path of the controller's socket.
func (l *Lab) Socket() string { return l.path("api.sock") }

// Address returns the address of the controller's API.
func (l *Lab) Address() string { return "unix://" + l.Socket() }

// Client returns a client of the lab's controller.
func (l *Lab) Client() (*api.Client, error) { return api.New(api.Endpoint{Address: l.Address()}) }

// mark is the file that makes a directory a lab: the first that Up puts there, and the
// last that Down removes.
const mark = "lab.yaml"

// there reports whether the lab's directory is there and is Sarn's.
func (l *Lab) there() bool {
	_, err := os.Lstat(l.path(mark))
	return err == nil
}

// All returns every lab that has a directory, also those that are not quite up.
func (l *Labs) All() ([]*Lab, error) {
	entries, err := os.ReadDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var all []*Lab
	for _, e := range entries {
		if one := l.named(e.Name()); e.IsDir() && one.there() {
			all = append(all, one)
		}
	}
	return all, nil
}

// Find returns the named lab, or the only one if name is empty.
func (l *Labs) Find(name string) (*Lab, error) {
	all, err := l.All()
	if err != nil {
		return nil, err
	}
	if name != "" {
		for _, one := range all {
			if one.Name == name {
				return one, nil
			}
		}
		return nil, fmt.Errorf("there is no lab %q; see sarn lab list", name)
	}
	switch len(all) {
	case 0:
		return nil, errors.New("no lab is up; build one with: sarn lab up FILE")
	case 1:
		return all[0], nil
	}
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.Name
	}
	return nil, fmt.Errorf("%d labs are up: say which one: %s", len(all), strings.Join(names, ", "))
}

// plan reads the lab's file again.
func (l *Lab) plan() (*Plan, error) {
	file := l.path(mark)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("lab %s is half built (%w); clear it with: sarn lab down %s", l.Name, err, l.Name)
	}
	return Parse(file, data, l.Name)
}

// Info is what a list tells of a lab.
type Info struct {
	Name   string    `json:"name"`
	Nodes  int       `json:"nodes"`
	VMs    int       `json:"vms"`
	Since  time.Time `json:"since,omitzero"`
	State  string    `json:"state"`
	Socket string    `json:"socket"`
}

// StateOK is the state of a lab whose processes all run.
const StateOK = "ok"

// Running returns the labs that have, or should have, a controller: that one which has
// ended does not answer is for the connection to say. It asks no controller anything,
// so that every command can afford it.
func (l *Labs) Running() ([]Info, error) {
	all, err := l.All()
	if err != nil {
		return nil, err
	}
	running := make([]Info, len(all))
	for i, one := range all {
		running[i] = Info{Name: one.Name, Socket: one.Socket()}
	}
	return running, nil
}

// List describes every lab.
func (l *Labs) List(ctx context.Context) ([]Info, error) {
	all, err := l.All()
	if err != nil {
		return nil, err
	}
	infos := make([]Info, len(all))
	for i, one := range all {
		if infos[i], err = one.Info(ctx); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

// Info describes the lab.
func (l *Lab) Info(ctx context.Context) (Info, error) {
	info := Info{Name: l.Name, Socket: l.Socket(), State: StateOK}
	ps, err := l.processes()
	if err != nil {
		return info, err
	}
	if s, err := os.Stat(l.path(mark)); err == nil {
		info.Since = s.ModTime()
	}
	var dead []string
	for _, p := range ps {
		if !p.alive() {
			dead = append(dead, p.name)
		}
		if strings.HasPrefix(p.name, agentName("")) {
			info.Nodes++
		}
	}
	switch {
	case len(dead) > 0:
		info.State = "degraded: " + strings.Join(dead, ", ") + " died"
	case len(ps) == 0:
		info.State = "half built"
	}
	info.VMs = l.countVMs(ctx)
	return info, nil
}

// countVMs asks the controller, and the lab's file if there is no answer.
func (l *Lab) countVMs(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if c, err := l.Client(); err == nil {
		defer c.Close()
		if ports, err := c.List(ctx, intent.KindPort); err == nil {
			return len(ports)
		}
	}
	if p, err := l.plan(); err == nil {
		return len(p.Intent.Ports)
	}
	return 0
}
