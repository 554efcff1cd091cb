package fleet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"sarn/internal/monitor/remote"
	"sarn/internal/problem"
)

// listed is a host as a file has it. Paths are from where the file is.
type listed struct {
	Name      string `yaml:"name"`
	Address   string `yaml:"address"`
	TokenFile string `yaml:"token_file"`
	CA        string `yaml:"tls_ca"`
	Cert      string `yaml:"tls_cert"`
	Key       string `yaml:"tls_key"`
}

// list is a file of hosts. What a host does not say itself is as in Defaults.
type list struct {
	Defaults listed   `yaml:"defaults"`
	Hosts    []listed `yaml:"hosts"`
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
	p := &parsing{file: file}
	top := p.document(data)
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	var defaults listed
	var hosts ast.Node
	for _, v := range top {
		switch v.Key.String() {
		case "defaults":
			p.decode(v.Value, "defaults", &defaults)
		case "hosts":
			hosts = v.Value
		default:
			p.fail(v.Key, "", "%s is not a field; use one of defaults, hosts", v.Key)
		}
	}
	if defaults.Name != "" || defaults.Address != "" {
		p.problems = append(p.problems, problem.Problem{File: file, Line: 1, Field: "defaults", Message: "a name and an address are one host's, not all hosts'"})
	}
	nodes, ok := hosts.(*ast.SequenceNode)
	if !ok || len(nodes.Values) == 0 {
		p.problems = append(p.problems, problem.Problem{File: file, Line: 1, Field: "hosts", Message: "is a list with a host at least: `- address: hyper1`"})
		return nil, p.sorted()
	}
	lines := map[string]int{}
	var all []Host
	for i, n := range nodes.Values {
		field := fmt.Sprintf("hosts.%d", i)
		var l listed
		if !p.decode(n, field, &l) {
			continue
		}
		h, ok := p.host(n, field, l.or(defaults), otherwise)
		if line, twice := lines[h.Name]; twice && ok {
			p.fail(n, field+".name", "%s is on line %d already", h.Name, line)
		}
		lines[h.Name] = lineOf(n)
		all = append(all, h)
	}
	if len(p.problems) > 0 {
		return nil, p.sorted()
	}
	return all, nil
}

// or takes from defaults what is not said. A certificate and its key go together.
func (l listed) or(defaults listed) listed {
	if l.TokenFile == "" {
		l.TokenFile = defaults.TokenFile
	}
	if l.CA == "" {
		l.CA = defaults.CA
	}
	if l.Cert == "" && l.Key == "" {
		l.Cert, l.Key = defaults.Cert, defaults.Key
	}
	return l
}

// parsing is a file on its way to hosts.
type parsing struct {
	file     string
	problems problem.Problems
}

func (p *parsing) sorted() error {
	slices.SortStableFunc(p.problems, func(a, b problem.Problem) int { return a.Line - b.Line })
	return p.problems
}

func (p *parsing) fail(n ast.Node, field, format string, args ...any) {
	p.problems = append(p.problems, problem.Problem{File: p.file, Line: lineOf(n), Field: field, Message: fmt.Sprintf(format, args...)})
}

// broken takes the YAML library's error.
func (p *parsing) broken(err error, line int, field string) {
	text := err.Error()
	var ye yaml.Error
	if errors.As(err, &ye) {
		text = ye.GetMessage()
		if t := ye.GetToken(); t != nil {
			line = t.Position.Line
		}
	}
	text, _, _ = strings.Cut(text, "\n")
	p.problems = append(p.problems, problem.Problem{File: p.file, Line: line, Field: field, Message: text})
}

// document is the file's only one. The library panics on some tags and anchors that make
// no sense; a user gets a sentence all the same.
func (p *parsing) document(data []byte) (values []*ast.MappingValueNode) {
	defer func() {
		if recover() != nil {
			p.problems = append(p.problems, problem.Problem{File: p.file, Line: 1, Message: "is not YAML that can be read; look for a stray '!', '&' or '*'"})
		}
	}()
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		p.broken(err, 1, "")
		return nil
	}
	docs := slices.DeleteFunc(tree.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	if len(docs) > 1 {
		p.fail(docs[1].Body, "", "is a second document; put all hosts under one `hosts:`")
		return nil
	}
	if len(docs) == 1 {
		switch body := docs[0].Body.(type) {
		case *ast.MappingNode:
			return body.Values
		case *ast.MappingValueNode:
			return []*ast.MappingValueNode{body}
		}
	}
	p.problems = append(p.problems, problem.Problem{File: p.file, Line: 1, Message: "is no list of hosts, which begins with `hosts:`"})
	return nil
}

// decode reads a host strictly.
func (p *parsing) decode(n ast.Node, field string, into *listed) (ok bool) {
	defer func() {
		if recover() != nil {
			p.fail(n, field, "cannot be read; look for a stray '!', '&' or '*'")
			ok = false
		}
	}()
	if err := yaml.NodeToValue(n, into, yaml.Strict()); err != nil {
		p.broken(err, lineOf(n), field)
		return false
	}
	return true
}

func (p *parsing) host(n ast.Node, field string, l listed, otherwise remote.Config) (Host, bool) {
	before := len(p.problems)
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
		h.Name = HostOf(h.Address)
	}
	switch {
	case l.Address == "":
		p.fail(n, field+".address", "is missing; write HOST, HOST:PORT or https://HOST:PORT")
		return h, false
	case !nameRE.MatchString(h.Name) && l.Name == "":
		p.fail(n, field+".name", "is missing, and %q would be none", h.Name)
	case !nameRE.MatchString(h.Name):
		p.fail(n, field+".name", "%q is not a name; use letters, digits, '-', '.' and '_'", h.Name)
	}
	if l.TokenFile != "" {
		var err error
		if h.Token, err = remote.ReadToken(p.path(l.TokenFile)); err != nil {
			p.fail(n, field+".token_file", "%v", err)
		}
	}
	if _, err := remote.New(h.Config); err != nil {
		p.fail(n, field, "%v", err)
	}
	return h, len(p.problems) == before
}

func (p *parsing) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(p.file), name)
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

func lineOf(n ast.Node) int {
	switch v := n.(type) {
	case *ast.MappingNode:
		if len(v.Values) > 0 {
			n = v.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = v.Key
	}
	if n == nil || n.GetToken() == nil {
		return 1
	}
	return n.GetToken().Position.Line
}
