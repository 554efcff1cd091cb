package fleet

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/serve"
	"sarn/internal/pki"
)

// issued is a server's certificate and key of a new authority, and the authority's own.
func issued(t *testing.T) (ca string, pair pki.Pair) {
	t.Helper()
	dir := t.TempDir()
	if _, err := pki.Init(dir); err != nil {
		t.Fatal(err)
	}
	pair, err := pki.Issue(dir, pki.Request{Role: pki.Server, Name: "a", Addresses: []string{"127.0.0.1"}, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "ca.crt"), pair
}

// door is an address behind which another server can come.
type door struct {
	net.Listener
	mu    sync.Mutex
	to    string
	conns []net.Conn
}

func newDoor(t *testing.T, to string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{Listener: l, to: to}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { d.pass(in) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		d.leads("127.0.0.1:1")
		all.Wait()
	})
	return d
}

func (d *door) pass(in net.Conn) {
	defer in.Close()
	d.mu.Lock()
	out, err := net.Dial("tcp", d.to)
	if err != nil {
		d.mu.Unlock()
		return
	}
	d.conns = append(d.conns, in, out)
	d.mu.Unlock()
	defer out.Close()
	back := make(chan struct{})
	go func() {
		defer close(back)
		io.Copy(in, out)
		in.Close()
	}()
	io.Copy(out, in)
	out.Close()
	<-back
}

// leads ends the connections; those that come are to another server.
func (d *door) leads(to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.to = to
	for _, c := range d.conns {
		c.Close()
	}
	d.conns = nil
}

// TestFoundWhileRenewed: a host that is found while its authority's certificate is not there
// is asked once that is.
func TestFoundWhileRenewed(t *testing.T) {
	ca, pair := issued(t)
	address, _ := server(t, &machine{name: "a"}, serve.Config{Listen: "127.0.0.1:0", Token: token, TLSCert: pair.Cert, TLSKey: pair.Key})
	file := filepath.Join(t.TempDir(), "ca.crt")
	c := make(told)
	f := looking(t, Config{Finders: []Finder{c}})
	a := found{hosts: []Host{{"a", remote.Config{Address: "https://" + address, Token: token, CA: file}}}}
	c <- a
	eventually(t, "it cannot be read", func() bool { return strings.Contains(host(f, "a").Error, file) })
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c <- a
	eventually(t, "a is up", func() bool { return host(f, "a").State == remote.Up })
}

// TestRenewed: a file of hosts, a token and an authority's certificate that have changed
// are those that count; a file of hosts that is wrong leaves the hosts that there were.
func TestRenewed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust := func(file string) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write("ca.crt", string(text))
	}
	ca, pair := issued(t)
	trust(ca)
	write("token", token)
	address, _ := server(t, &machine{name: "a"}, serve.Config{Listen: "127.0.0.1:0", Token: token, TLSCert: pair.Cert, TLSKey: pair.Key})
	d := newDoor(t, address)
	hosts := "defaults: {tls_ca: ca.crt, token_file: token}\nhosts:\n  - {name: a, address: \"https://" + d.Addr().String() + "\"}\n"
	write("hosts.yaml", hosts)

	file, err := OpenFile(filepath.Join(dir, "hosts.yaml"), remote.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := looking(t, Config{Hosts: file.Hosts(), Again: file.Again})
	up := func(name string) bool { return host(f, name).State == remote.Up }
	eventually(t, "a is up", func() bool { return up("a") })

	write("hosts.yaml", "hosts:\n  - {nam: b}\n")
	eventually(t, "the mistake is told of", func() bool {
		return strings.Contains(strings.Join(f.Notes(), ""), "hosts.yaml:2: hosts.0.nam: is not a field")
	})
	if len(f.Hosts()) != 1 || host(f, "a").Name == "" {
		t.Errorf("a file that is wrong changes the hosts: %+v", f.Hosts())
	}
	// What is wrong may be another file, which then changes alone.
	write("hosts.yaml", hosts+"  - {name: b, address: \"https://"+address+"\", token_file: token-of-b}\n")
	eventually(t, "a token that is not there is told of", func() bool { return strings.Contains(strings.Join(f.Notes(), ""), "token-of-b") })
	write("token-of-b", token)
	eventually(t, "b is up too", func() bool { return up("a") && up("b") && len(f.Notes()) == 0 })

	const other = "another-token-that-nobody-may-see"
	ca, pair = issued(t)
	renewed, _ := server(t, &machine{name: "a"}, serve.Config{Listen: "127.0.0.1:0", Token: other, TLSCert: pair.Cert, TLSKey: pair.Key})
	d.leads(renewed)
	eventually(t, "its certificate is not believed", func() bool { return strings.Contains(host(f, "a").Error, "is not signed by") })
	trust(ca)
	eventually(t, "its authority is, and it refuses the token", func() bool { return strings.Contains(host(f, "a").Error, "refuses the token") })
	write("token", other)
	eventually(t, "a is up again", func() bool { return up("a") })
}
