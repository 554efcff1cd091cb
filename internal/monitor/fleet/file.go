package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sarn/internal/monitor/remote"
	"sarn/internal/problem"
	"sarn/internal/strict"
)

// list is a file of hosts. What a host does not say itself is as in Defaults.
type list struct {
	Defaults access `json:"defaults"`
	Hosts    []struct {
		Name      string `json:"name"`
		Address   string `json:"address"`
		TokenFile string `json:"token_file"`
		CA        string `json:"tls_ca"`
		Cert      string `json:"tls_cert"`
		Key       string `json:"tls_key"`
	} `json:"hosts"`
}

// access is what a client shows, and whom it trusts. Paths are from where the file is.
type access struct {
	TokenFile string `json:"token_file"`
	CA        string `json:"tls_ca"`
	Cert      string `json:"tls_cert"`
	Key       string `json:"tls_key"`
}

// or takes from defaults what is not said. A certificate and its key go together.
func (a access) or(defaults access) access {
	if a.TokenFile == "" {
		a.TokenFile = defaults.TokenFile
	}
	if a.CA == "" {
		a.CA = defaults.CA
	}
	if a.Cert == "" && a.Key == "" {
		a.Cert, a.Key = defaults.Cert, defaults.Key
	}
	return a
}

// mostFile is the size of a file of hosts, in bytes.
const mostFile = 4 << 20

// ReadFile reads a file of hosts. otherwise is what they use that neither the host nor
// the file's defaults say. All that is wrong is reported together, as problem.Problems.
func ReadFile(file string, otherwise remote.Config) ([]Host, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read the hosts: %w", err)
	}
	if info.Size() > mostFile {
		return nil, fmt.Errorf("%s is larger than %d MiB: that is no list of hosts", file, mostFile>>20)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the hosts: %w", err)
	}
	return Parse(file, data, otherwise)
}

// Parse is ReadFile of what a file holds.
func Parse(file string, data []byte, otherwise remote.Config) ([]Host, error) {
	var l list
	d, err := strict.Read(file, data, strict.Kind{Name: "a list of hosts", First: "hosts"}, &l)
	if err != nil {
		return nil, err
	}
	var ps problem.Problems
	if len(l.Hosts) == 0 {
		ps.Add("hosts", "is a list with a host at least: `- address: hyper1`")
	}
	first := map[string]int{}
	all := make([]Host, 0, len(l.Hosts))
	for i, h := range l.Hosts {
		r := reading{field: fmt.Sprintf("hosts.%d", i), dir: filepath.Dir(file)}
		one := r.host(h.Name, h.Address, access{h.TokenFile, h.CA, h.Cert, h.Key}.or(l.Defaults), otherwise)
		if other, twice := first[one.Name]; twice && len(r.wrong) == 0 {
			r.wrong.Add(r.field+".name", "%s is hosts.%d already", one.Name, other)
		}
		first[one.Name] = i
		ps, all = append(ps, r.wrong...), append(all, one)
	}
	if err := d.Check(ps); err != nil {
		return nil, err
	}
	return all, nil
}

// reading is one host of a file on its way.
type reading struct {
	field, dir string
	wrong      problem.Problems
}

func (r *reading) host(name, address string, a access, otherwise remote.Config) Host {
	h := Host{Name: name, Config: otherwise}
	h.Address = address
	for _, f := range []struct {
		from string
		to   *string
	}{{a.CA, &h.CA}, {a.Cert, &h.Cert}, {a.Key, &h.Key}} {
		if f.from != "" {
			*f.to = r.path(f.from)
		}
	}
	if h.Name == "" {
		h.Name = HostOf(address)
	}
	switch {
	case address == "":
		r.wrong.Add(r.field+".address", "is missing; write HOST, HOST:PORT or https://HOST:PORT")
		return h
	case !nameRE.MatchString(h.Name) && name == "":
		r.wrong.Add(r.field+".name", "is missing, and %q would be none", h.Name)
	case !nameRE.MatchString(h.Name):
		r.wrong.Add(r.field+".name", "%q is not a name; use letters, digits, '-', '.' and '_'", h.Name)
	}
	if a.TokenFile != "" {
		var err error
		if h.Token, err = remote.ReadToken(r.path(a.TokenFile)); err != nil {
			r.wrong.Add(r.field+".token_file", "%v", err)
		}
	}
	if _, err := remote.New(h.Config); err != nil {
		r.wrong.Add(r.field, "%v", err)
	}
	return h
}

func (r *reading) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.dir, name)
}

// HostOf is the name of an address, without scheme and port.
func HostOf(address string) string {
	if _, after, ok := strings.Cut(address, "://"); ok {
		address = after
	}
	address = strings.TrimSuffix(address, "/")
	if i := strings.LastIndex(address, ":"); i >= 0 && strings.Count(address, ":") == 1 {
		address = address[:i]
	}
	return address
}
