package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sarn/internal/monitor/remote"
	"sarn/internal/pki"
	"sarn/internal/problem"
)

// files are a directory with a token.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"token": token + "\n", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFile(t *testing.T) {
	dir := files(t)
	text := `# the machines
defaults:
  token_file: token
hosts:
  - name: hyper1
    address: 10.0.0.1
  - address: hyper2.example:99
  - name: tunnel
    address: http://127.0.0.1:7001
`
	file := filepath.Join(dir, "hosts.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := OpenFile(file, remote.Config{})
	if err != nil {
		t.Fatal(err)
	}
	hosts := read.Hosts()
	var got []string
	for _, h := range hosts {
		got = append(got, fmt.Sprintf("%s=%s(%s)", h.Name, h.Address, h.Token))
	}
	want := strings.ReplaceAll("hyper1=10.0.0.1(T) hyper2.example=hyper2.example:99(T) tunnel=http://127.0.0.1:7001(T)", "T", token)
	if strings.Join(got, " ") != want {
		t.Errorf("got %s\nnot %s", got, want)
	}
}

// TestNames of hosts that have none.
func TestNames(t *testing.T) {
	for address, want := range map[string]string{
		"hyper1": "hyper1", "https://hyper1:99/": "hyper1", "10.0.0.1:5": "10.0.0.1", "fd00::5": "fd00--5", "[fd00::5]:7": "fd00--5", "[fd00::5]": "fd00--5",
	} {
		if got := NameOf(address); got != want || !nameRE.MatchString(got) {
			t.Errorf("%s is called %q, not %q", address, got, want)
		}
	}
}

// TestMistakes in a file are told together, each with its line.
func TestMistakes(t *testing.T) {
	dir := files(t)
	file := filepath.Join(dir, "hosts.yaml")
	for text, want := range map[string][]string{
		"":                      {":1: is empty; a file of hosts has at least `hosts:`"},
		"- a\n- b\n":            {":1: a file of hosts is a list of `field: value` lines"},
		"hosts:\n":              {":1: hosts: is a list"},
		"hosts: []\n":           {":1: hosts: is a list with a host at least"},
		"hosts:\n  - a\n":       {":2: hosts.0: is `field: value` lines"},
		"host:\n  - name: a\n":  {":1: host: is not a field; use one of defaults, hosts", "hosts: is a list"},
		"hosts: {a: b\n":        {":1: "},
		"hosts:\n\t- name: a\n": {":2: "},
		"hosts: &x [*x]\n":      {":1: "},
		"hosts:\n  - name: a\n    adress: b\n  - address: b c\n  - address: h\n    name: a/b\n": {":3: hosts.0.adress: is not a field", ":4: hosts.1", `:6: hosts.2.name: "a/b" is not a name`},
		"hosts:\n  - address: h1\n  - address: h1\n":                                            {":3: hosts.1: h1 is the name of hosts.0 already"},
		"hosts:\n  - name: a\n":                                   {":2: hosts.0.address: is missing"},
		"hosts:\n  - address: http://h1\n":                        {":2: hosts.0: http://h1 is plain HTTP to another machine"},
		"hosts:\n  - address: h1\n    token_file: none\n":         {":3: hosts.0.token_file: read the token: open " + dir + "/none: no such file"},
		"hosts:\n  - address: h1\n    token_file: empty\n":        {":3: hosts.0.token_file: " + dir + "/empty is empty"},
		"hosts:\n  - address: h1\n    tls_ca: token\n":            {":2: hosts.0: " + dir + "/token holds no PEM certificate"},
		"hosts:\n  - address: h1\n    tls_cert: token\n":          {":2: hosts.0: a certificate and its key belong together"},
		"defaults:\n  address: a\nhosts:\n  - address: h1\n":      {":2: defaults.address: is not a field; use one of token_file, tls_ca"},
		"hosts:\n  - address: h1\n---\nhosts:\n  - address: h2\n": {":4: is a second document"},
		"hosts:\n  - name: \"\\e[31m\"\n    address: h1\n":        {`"\x1b[31m" is not a name`},
		"hosts:\n  - address: [h1]\n":                             {":2: hosts.0.address: is one value"},
		"hosts:\n  - address: \"-\"\n":                            {":2: hosts.0.name: is missing, and \"\" would be none"},
	} {
		_, err := parse(file, []byte(text), remote.Config{})
		ps, ok := err.(problem.Problems)
		if !ok {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %v; not %q", text, err, w)
			}
		}
		for _, p := range ps {
			if p.Line < 1 || strings.Contains(p.Message, "\n") {
				t.Errorf("%q: %+v", text, p)
			}
		}
	}
}

// FuzzParse: any file is hosts or problems with lines.
func FuzzParse(f *testing.F) {
	f.Add("hosts:\n  - name: a\n    address: b\n")
	f.Add("defaults: {}\nhosts: [{address: x}]\n")
	f.Add("hosts: &a [*a, !!x y]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "_file") || strings.Contains(text, "tls_") {
			return // names of files of this machine
		}
		l, err := parse("f", []byte(text), remote.Config{})
		hosts := l.hosts
		if err == nil && len(hosts) == 0 {
			t.Errorf("%q is neither", text)
		}
		if err == nil {
			if c := (Config{Hosts: hosts}); c.Validate() != nil {
				t.Errorf("%q is taken, and its hosts %v are not", text, hosts)
			}
		}
	})
}

// TestDocumented: the files of hosts in the documentation can be read.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/monitor-hosts.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := files(t)
	if _, err := pki.Init(filepath.Join(dir, "pki")); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Issue(filepath.Join(dir, "pki"), pki.Request{Role: pki.Admin, Name: "ann", Lifetime: time.Hour}); err != nil {
		t.Fatal(err)
	}
	_, first, _ := strings.Cut(string(text), "```yaml\n")
	first, _, _ = strings.Cut(first, "```")
	_, second, _ := strings.Cut(string(text), "## The file of hosts\n")
	second, _, _ = strings.Cut(second, "| field")
	second = strings.ReplaceAll(second, "\n    ", "\n")
	for _, part := range []string{first, second} {
		l, err := parse(filepath.Join(dir, "hosts.yaml"), []byte(part), remote.Config{})
		hosts := l.hosts
		if err != nil || len(hosts) != 3 || hosts[0].Name != "hyper1" || hosts[0].Token != token {
			t.Errorf("%+v, %v, of\n%s", hosts, err, part)
		}
	}
}
