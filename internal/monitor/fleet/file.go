package fleet

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sarn/internal/monitor/remote"
	"sarn/internal/problem"
	"sarn/internal/strict"
)

// list is a file of hosts. Paths in it are from where the file is.
type list struct {
	Defaults defaults `json:"defaults"`
	Hosts    []listed `json:"hosts"`
}

// defaults are what hosts use that do not say otherwise.
type defaults struct {
	TokenFile string `json:"token_file"`
	CA        string `json:"tls_ca"`
	Cert      string `json:"tls_cert"`
	Key       string `json:"tls_key"`
}

// listed is a host as a file has it.
type listed struct {
	Name      string `json:"name"`
	Address   string `json:"address"`
	TokenFile string `json:"token_file"`
	CA        string `json:"tls_ca"`
	Cert      string `json:"tls_cert"`
	Key       string `json:"tls_key"`
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
	l := &list{}
	d, err := strict.Read(file, data, strict.Kind{Name: "a file of hosts", First: "hosts"}, l)
	if err != nil {
		return nil, err
	}
	p := &parsing{dir: filepath.Dir(file)}
	hosts := p.hosts(l, otherwise)
	if err := d.Check(p.wrong); err != nil {
		return nil, err
	}
	return hosts, nil
}

// parsing is a file on its way to hosts.
type parsing struct {
	dir   string
	wrong problem.Problems
}

func (p *parsing) fail(field, format string, args ...any) {
	p.wrong = append(p.wrong, problem.Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (p *parsing) hosts(l *list, otherwise remote.Config) []Host {
	if len(l.Hosts) == 0 {
		p.fail("hosts", "is a list with a host at least: `- address: hyper1`")
	}
	if len(l.Hosts) > mostHosts {
		p.fail("hosts", "has %d hosts, which are more than %d", len(l.Hosts), mostHosts)
		return nil
	}
	names := map[string]int{}
	var all []Host
	for i, one := range l.Hosts {
		field := "hosts." + strconv.Itoa(i)
		h := p.host(field, one.or(l.Defaults), otherwise)
		if first, twice := names[h.Name]; twice && h.Name != "" {
			p.fail(field, "%s is the name of hosts.%d already", h.Name, first)
		} else {
			names[h.Name] = i
		}
		all = append(all, h)
	}
	return all
}

// or takes from the defaults what is not said. A certificate and its key go together.
func (l listed) or(d defaults) listed {
	if l.TokenFile == "" {
		l.TokenFile = d.TokenFile
	}
	if l.CA == "" {
		l.CA = d.CA
	}
	if l.Cert == "" && l.Key == "" {
		l.Cert, l.Key = d.Cert, d.Key
	}
	return l
}

func (p *parsing) host(field string, l listed, otherwise remote.Config) Host {
	h := Host{Name: l.Name, Config: otherwise}
	h.Address = l.Address
	for _, f := range []struct {
		from string
		to   *string
	}{{l.CA, &h.CA}, {l.Cert, &h.Cert}, {l.Key, &h.Key}} {
		if f.from != "" {
			*f.to = p.path(f.from)
		}
	}
	if h.Name == "" {
		h.Name = NameOf(h.Address)
	}
	switch {
	case l.Address == "":
		p.fail(field+".address", "is missing; write HOST, HOST:PORT or https://HOST:PORT")
		return h
	case !nameRE.MatchString(h.Name) && l.Name == "":
		p.fail(field+".name", "is missing, and %q would be none", h.Name)
	case !nameRE.MatchString(h.Name):
		p.fail(field+".name", "%q is not a name; use letters, digits, '-', '.' and '_'", h.Name)
	}
	if l.TokenFile != "" {
		var err error
		if h.Token, err = remote.ReadToken(p.path(l.TokenFile)); err != nil {
			p.fail(field+".token_file", "%v", err)
		}
	}
	if _, err := remote.New(h.Config); err != nil {
		p.fail(field, "%v", err)
	}
	return h
}

func (p *parsing) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.dir, name)
}

// NameOf is a name for the host at an address: that without scheme and port, with a
// dash for what no name may have.
func NameOf(address string) string {
	if _, after, ok := strings.Cut(address, "://"); ok {
		address = after
	}
	address = strings.TrimSuffix(address, "/")
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	return strings.Trim(strings.NewReplacer(":", "-", "%", "-", "[", "", "]", "").Replace(address), "-")
}
