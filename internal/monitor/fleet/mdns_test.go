package fleet

import (
	"context"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/mdns"

	"sarn/internal/kernel"
	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/serve"
	"sarn/internal/netnstest"
	"sarn/internal/pki"
)

func ip(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
}

// TestMDNS has two hosts on a bridge that announce themselves: both are found and asked
// over TLS, one without a right certificate is not believed, and one that goes stays in
// the list as down until it is forgotten.
func TestMDNS(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		ip(t, "link add br0 type bridge", "link set br0 up", "address add 10.9.0.1/24 dev br0", "route add 224.0.0.0/4 dev br0")
		dir, other := t.TempDir(), t.TempDir()
		for _, d := range []string{dir, other} {
			if _, err := pki.Init(d); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		announced := make(chan error, 3)
		announcing := map[string]context.CancelFunc{}
		for name, h := range map[string]struct{ address, pki string }{"hyper1": {"10.9.0.11", dir}, "hyper2": {"10.9.0.12", dir}, "evil": {"10.9.0.13", other}} {
			ip(t, "netns add "+name, "link add v-"+name+" type veth peer eth0 netns "+name, "link set v-"+name+" master br0 up",
				"-n "+name+" link set eth0 up", "-n "+name+" link set lo up", "-n "+name+" address add "+h.address+"/24 dev eth0")
			pair, err := pki.Issue(h.pki, pki.Request{Role: pki.Server, Name: name, Addresses: []string{"elsewhere"}, Lifetime: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			s, err := serve.New(serve.Config{Listen: "0.0.0.0:61208", Token: token, TLSCert: pair.Cert, TLSKey: pair.Key},
				serve.Deps{Source: &machine{name: name}, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			go inside(name, func() error { return s.Run(ctx) })
			<-s.Ready()
			one, stop := context.WithCancel(ctx)
			announcing[name] = stop
			go func() {
				announced <- inside(name, func() error { return Announce(one, Announcement{Name: name, Listen: "0.0.0.0:61208"}) })
			}()
		}

		ask := &MDNS{Config: remote.Config{Token: token, CA: dir + "/ca.crt"}}
		f := looking(t, Config{Finders: []Finder{&often{ask}}})
		eventually(t, "all three are known", func() bool { return len(f.Hosts()) == 3 && f.Settled() })
		// Where answers are late a host is forgotten, and found again.
		for name, want := range map[string]string{"hyper1": "10.9.0.11:61208", "hyper2": "10.9.0.12:61208"} {
			eventually(t, name+" is up at "+want, func() bool {
				h := host(f, name)
				return h.State == remote.Up && h.Address == want && h.Summary.Host.Name == name
			})
		}
		eventually(t, "evil is not believed", func() bool {
			h := host(f, "evil")
			return h.State == remote.Down && strings.Contains(h.Error, "is not signed by")
		})
		announcing["hyper2"]()
		if err := <-announced; err != nil {
			t.Error(err)
		}
		eventually(t, "hyper2 is forgotten", func() bool { return host(f, "hyper2").Name == "" })
		eventually(t, "hyper1 is up still", func() bool { return host(f, "hyper1").State == remote.Up })
		cancel()
		for range 2 {
			if err := <-announced; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestMDNSByIPv6 has a host on a network without IPv4, which is found and asked.
func TestMDNSByIPv6(t *testing.T) { testIPv6(t, "[::]:61208") }

// TestMDNSOfIPv6 has a host that listens on IPv6 alone where there is IPv4 too.
func TestMDNSOfIPv6(t *testing.T) {
	testIPv6(t, "[fd09::11]:61208", "address add 10.9.0.1/24 dev v0", "route add 224.0.0.0/4 dev v0",
		"-n hyper1 address add 10.9.0.11/24 dev eth0", "-n hyper1 route add 224.0.0.0/4 dev eth0")
}

func testIPv6(t *testing.T, announced string, more ...string) {
	netnstest.Run(t, func(t *testing.T) {
		ip(t, "netns add hyper1", "link add v0 type veth peer eth0 netns hyper1", "link set v0 up", "-n hyper1 link set eth0 up", "-n hyper1 link set lo up",
			"address add fd09::1/64 dev v0 nodad", "-n hyper1 address add fd09::11/64 dev eth0 nodad")
		ip(t, more...)
		dir := t.TempDir()
		if _, err := pki.Init(dir); err != nil {
			t.Fatal(err)
		}
		pair, err := pki.Issue(dir, pki.Request{Role: pki.Server, Name: "hyper1", Addresses: []string{"elsewhere"}, Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		s, err := serve.New(serve.Config{Listen: "[fd09::11]:61208", Token: token, TLSCert: pair.Cert, TLSKey: pair.Key},
			serve.Deps{Source: &machine{name: "hyper1"}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 2)
		go func() { ended <- inside("hyper1", func() error { return s.Run(ctx) }) }()
		go func() {
			ended <- inside("hyper1", func() error { return Announce(ctx, Announcement{Name: "hyper1", Listen: announced}) })
		}()
		t.Cleanup(func() {
			cancel()
			for range 2 {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		})
		f := looking(t, Config{Finders: []Finder{&often{&MDNS{Config: remote.Config{Token: token, CA: dir + "/ca.crt"}}}}})
		eventually(t, "it is found and up", func() bool {
			h := host(f, "hyper1")
			return h.State == remote.Up && h.Address == "[fd09::11]:61208" && h.Summary.Host.Name == "hyper1"
		})
	})
}

// inside runs fn in a namespace by name; what it opens there stays there.
func inside(name string, fn func() error) error { return kernel.Enter("/run/netns/"+name, fn) }

// often is an MDNS that asks without pauses.
type often struct{ *MDNS }

func (o *often) Find(ctx context.Context, tell func([]Host, error)) {
	defer o.asking.Wait()
	o.find(ctx, time.Millisecond, 500*time.Millisecond, tell)
}

// TestAnswers: of what answers, only what can be a host is taken, and the token is shown
// to none whose certificate nobody could judge.
func TestAnswers(t *testing.T) {
	m := &MDNS{Config: remote.Config{Token: token}}
	good := func() *mdns.ServiceEntry {
		return &mdns.ServiceEntry{Name: "hyper1._sarn-monitor._tcp.local.", Host: "hyper1.local.", AddrV4: net.IPv4(10, 0, 0, 1), Port: 61208}
	}
	h, ok := m.host(good(), true)
	if !ok || h.Name != "hyper1" || h.Address != "https://10.0.0.1:61208" || h.Token != "" {
		t.Errorf("%+v, %v", h, ok)
	}
	m.Config.CA = "ca.crt"
	if h, _ := m.host(good(), true); h.Token != token {
		t.Errorf("one that the authority vouches for gets no token: %+v", h)
	}
	six, link := &net.IPAddr{IP: net.ParseIP("fd00::1")}, &net.IPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}
	for _, c := range []struct {
		four net.IP
		six  *net.IPAddr
		v4   bool
		want string
	}{
		{net.IPv4(10, 0, 0, 1), six, true, "https://10.0.0.1:61208"}, {net.IPv4(10, 0, 0, 1), six, false, "https://[fd00::1]:61208"},
		{net.IPv4(10, 0, 0, 1), link, false, "https://10.0.0.1:61208"}, {nil, six, true, "https://[fd00::1]:61208"}, {nil, link, true, ""},
	} {
		e := good()
		e.AddrV4, e.AddrV6IPAddr = c.four, c.six
		if h, _ := m.host(e, c.v4); h.Address != c.want {
			t.Errorf("%+v: %q", c, h.Address)
		}
	}
	for what, change := range map[string]func(*mdns.ServiceEntry){
		"other service": func(e *mdns.ServiceEntry) { e.Name = "hyper1._http._tcp.local." },
		"escape":        func(e *mdns.ServiceEntry) { e.Name = "a\x1b[2J._sarn-monitor._tcp.local." },
		"path":          func(e *mdns.ServiceEntry) { e.Name = "a/b._sarn-monitor._tcp.local." },
		"no name":       func(e *mdns.ServiceEntry) { e.Name = "_sarn-monitor._tcp.local." },
		"no address":    func(e *mdns.ServiceEntry) { e.AddrV4 = nil },
		"this machine":  func(e *mdns.ServiceEntry) { e.AddrV4 = net.IPv4(127, 0, 0, 1) },
		"multicast":     func(e *mdns.ServiceEntry) { e.AddrV4 = net.IPv4(224, 0, 0, 1) },
		"nobody":        func(e *mdns.ServiceEntry) { e.AddrV4 = net.IPv4zero },
		"port":          func(e *mdns.ServiceEntry) { e.Port = 0 },
	} {
		e := good()
		change(e)
		if h, ok := m.host(e, true); ok {
			t.Errorf("%s is taken: %+v", what, h)
		}
	}
}

// TestAnnouncements that nobody could follow are refused.
func TestAnnouncements(t *testing.T) {
	for _, a := range []Announcement{
		{Name: "a", Listen: "127.0.0.1:61208"}, {Name: "a", Listen: "localhost:61208"}, {Name: "a", Listen: "[::1]:61208"},
		{Name: "a", Listen: "0.0.0.0:0"}, {Name: "a", Listen: "x"}, {Name: "a b", Listen: ":61208"},
	} {
		if err := a.Validate(); err == nil {
			t.Errorf("%+v is taken", a)
		}
	}
	for _, listen := range []string{":61208", "10.0.0.1:61208", "[fd00::1]:61208", "[::]:61208"} {
		if err := (&Announcement{Name: "a", Listen: listen}).Validate(); err != nil {
			t.Error(err)
		}
	}
}
