package fleet

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sarn/internal/keys"
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

// File is a file of hosts that is read again when it changes.
type File struct {
	held  *keys.Fresh[listing]
	wrong error // with the file as it is now
}

// listing is what a file of hosts says.
type listing struct {
	hosts    []Host
	defaults remote.Config
}

// OpenFile reads a file of hosts. otherwise is what they use that neither the host nor
// the file's defaults say. All that is wrong is reported together, as problem.Problems.
func OpenFile(file string, otherwise remote.Config) (*File, error) {
	f := &File{}
	read := func() (listing, error) { return readFile(file, otherwise) }
	var err error
	if f.held, err = keys.NewFresh(read, func(err error) { f.wrong = err }, file); err != nil {
		return nil, err
	}
	return f, nil
}

// Hosts are those of the file, and Defaults what those use that say nothing else.
func (f *File) Hosts() []Host { return f.held.Now().hosts }

// Defaults is how to identify to hosts that the file does not name.
func (f *File) Defaults() remote.Config { return f.held.Now().defaults }

// Again is for Config.Again.
func (f *File) Again() ([]Host, error) {
	f.wrong = nil
	l, changed := f.held.Changed()
	if !changed {
		return nil, f.wrong
	}
	return l.hosts, nil
}

func readFile(file string, otherwise remote.Config) (listing, error) {
	info, err := os.Stat(file)
	if err != nil {
		return listing{}, fmt.Errorf("read the hosts: %w", err)
	}
	if info.Size() > mostFile {
		return listing{}, fmt.Errorf("%s is larger than %d MiB: that is no list of hosts", file, mostFile>>20)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return listing{}, fmt.Errorf("read the hosts: %w", err)
	}
	return parse(file, data, otherwise)
}

func parse(file string, data []byte, otherwise remote.Config) (listing, error) {
	l := &list{}
	d, err := strict.Read(file, data, strict.Kind{Name: "a file of hosts", First: "hosts"}, l)
	if err != nil {
		return listing{}, err
	}
	p := &parsing{dir: filepath.Dir(file)}
	all := listing{hosts: p.hosts(l, otherwise)}
	ofDefaults := &parsing{dir: p.dir}
	all.defaults = ofDefaults.config("defaults", listed{}.or(l.Defaults), otherwise)
	if len(l.Hosts) == 0 { // otherwise those have told what is wrong
		p.wrong = append(p.wrong, ofDefaults.wrong...)
	}
	return all, d.Check(p.wrong)
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
	if len(l.Hosts) == 0 && l.Defaults == (defaults{}) { // which are of use for hosts that are found
		p.fail("hosts", "is a list with a host at least: `- address: hyper1`")
	}
	if len(l.Hosts) > mostHosts {
		p.fail("hosts", "has %d hosts, which are more than %d", len(l.Hosts), mostHosts)
		return nil
	}
	names := map[string]int{}
	all := make([]Host, 0, len(l.Hosts))
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
	h := Host{Name: l.Name, Config: p.config(field, l, otherwise)}
	h.Address = l.Address
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
	if _, err := remote.New(h.Config); err != nil {
		p.fail(field, "%v", err)
	}
	return h
}

// config is how to identify to a host.
func (p *parsing) config(field string, l listed, otherwise remote.Config) remote.Config {
	c := otherwise
	for _, f := range []struct {
		from string
		to   *string
	}{{l.CA, &c.CA}, {l.Cert, &c.Cert}, {l.Key, &c.Key}} {
		if f.from != "" {
			*f.to = p.path(f.from)
		}
	}
	if l.TokenFile != "" {
		token, err := keys.ReadToken(p.path(l.TokenFile))
		if err != nil {
			p.fail(field+".token_file", "%v", err)
			return c
		}
		c.Token, c.TokenFile = token, p.path(l.TokenFile)
	}
	return c
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
