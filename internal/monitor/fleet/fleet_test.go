package fleet

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/sample"
	"sarn/internal/monitor/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a Source of a host with a name, a process and a VM.
type machine struct {
	name string
	cpu  float64
	n    atomic.Int64
}

func (m *machine) Pass() (*sample.Sample, error) {
	return &sample.Sample{
		Time: time.Now(), Interval: 1, Host: sample.Host{Name: m.name}, Load: [3]float64{float64(m.n.Add(1))},
		Processes: []sample.Process{{PID: 1, Name: "idle"}, {PID: 7, Name: "of-" + m.name, CPU: m.cpu, Resident: 5 << 20}},
		Machines:  []sample.Machine{{ID: "vm/" + m.name, Kind: sample.VM, Name: "vm-" + m.name, CPU: m.cpu}},
	}, nil
}

const token = "a-token-that-nobody-may-ever-see"

// server is a real monitor of a machine until stop.
func server(t *testing.T, m *machine, c serve.Config) (address string, stop func()) {
	t.Helper()
	if c.Interval == 0 {
		c.Interval = 100 * time.Millisecond
	}
	s, err := serve.New(c, serve.Deps{Source: m, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return s.Address(), stop
}

func local(t *testing.T, name string, cpu float64) (Host, func()) {
	t.Helper()
	address, stop := server(t, &machine{name: name, cpu: cpu}, serve.Config{Listen: "127.0.0.1:0", Token: token})
	return Host{Name: name, Config: remote.Config{Address: address, Token: token}}, stop
}

// looking is a fleet until the test ends.
func looking(t *testing.T, c Config) *Fleet {
	t.Helper()
	if c.Interval == 0 {
		c.Interval = 100 * time.Millisecond
	}
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { f.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

func host(f *Fleet, name string) Status {
	for _, h := range f.Hosts() {
		if h.Name == name {
			return h
		}
	}
	return Status{}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("still not so: %s", what)
}

// hanging accepts connections and never answers.
func hanging(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestOneBrokenHost slows no other: the good ones are asked on as before while one hangs,
// one is away and one lies.
func TestOneBrokenHost(t *testing.T) {
	a, _ := local(t, "a", 1)
	b, _ := local(t, "b", 2)
	lies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for piece := []byte(strings.Repeat("[", 1<<16)); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	defer lies.Close()
	f := looking(t, Config{Hosts: []Host{a, b, {"hangs", remote.Config{Address: hanging(t)}}, {"away", remote.Config{Address: "127.0.0.1:1"}}, {"lies", remote.Config{Address: lies.URL}}}})
	eventually(t, "the good are up, the bad are known", func() bool {
		return host(f, "a").State == remote.Up && host(f, "b").State == remote.Up && host(f, "away").State == remote.Down && host(f, "lies").State == remote.Down
	})
	if h := host(f, "hangs"); h.State != remote.Connecting || f.Settled() {
		t.Errorf("one that hangs is %+v, settled is %v", h, f.Settled())
	}
	for what, want := range map[string]string{"away": "nobody listens there", "lies": "sends more than a monitor"} {
		if h := host(f, what); !strings.Contains(h.Error, want) || h.Summary != nil || h.Since.IsZero() {
			t.Errorf("%s is %+v", what, h)
		}
	}
	// Ten further answers of each of the good ones.
	first := [2]float64{host(f, "a").Summary.Load[0], host(f, "b").Summary.Load[0]}
	eventually(t, "the good ones go on", func() bool {
		return host(f, "a").Summary.Load[0] > first[0]+10 && host(f, "b").Summary.Load[0] > first[1]+10
	})
	if h := host(f, "hangs"); h.State != remote.Connecting {
		t.Errorf("the good ones waited until the one that hangs was given up: %+v", h)
	}
}

// TestDownAndUp says since when a host is away, and goes on by itself.
func TestDownAndUp(t *testing.T) {
	h, stop := local(t, "a", 1)
	f := looking(t, Config{Hosts: []Host{h}})
	eventually(t, "it is up", func() bool { return host(f, "a").State == remote.Up })
	up := host(f, "a")
	stop()
	eventually(t, "it is down", func() bool { return host(f, "a").State == remote.Down })
	down := host(f, "a")
	if down.Since.Before(up.Since) || down.Summary != nil || down.Error == "" || len(f.Top("cpu", 10)) != 0 || len(f.Machines("cpu", 10)) != 0 {
		t.Errorf("up was %+v; down is %+v", up, down)
	}
	server(t, &machine{name: "a"}, serve.Config{Listen: h.Address, Token: token})
	eventually(t, "it is up again", func() bool { return host(f, "a").State == remote.Up })
	if again := host(f, "a"); again.Error != "" || !again.Since.After(down.Since) {
		t.Errorf("up again is %+v", again)
	}
}

// TestFleetWide orders processes and machines of all hosts.
func TestFleetWide(t *testing.T) {
	var all []Host
	for name, cpu := range map[string]float64{"a": 0.5, "b": 3, "c": 2} {
		h, _ := local(t, name, cpu)
		all = append(all, h)
	}
	f := looking(t, Config{Hosts: all})
	eventually(t, "all are up", func() bool { return len(f.Machines("cpu", 10)) == 3 })
	var top, machines []string
	for _, p := range f.Top("cpu", 2) {
		top = append(top, p.Host+" "+p.Process.Name)
	}
	for _, m := range f.Machines("cpu", 10) {
		machines = append(machines, m.Host+" "+m.Machine.Name)
	}
	if got := strings.Join(top, ", "); got != "b of-b, c of-c" {
		t.Errorf("the first two are %s", got)
	}
	if got := strings.Join(machines, ", "); got != "b vm-b, c vm-c, a vm-a" {
		t.Errorf("the machines are %s", got)
	}
}

// told is a Finder whose findings a test makes.
type told chan found

type found struct {
	hosts []Host
	err   error
}

func (told) String() string { return "told" }

func (c told) Find(ctx context.Context, tell func([]Host, error)) {
	for {
		select {
		case f := <-c:
			tell(f.hosts, f.err)
		case <-ctx.Done():
			return
		}
	}
}

// TestFinders: hosts come and go as they are found, those of the file stay, and who finds
// nobody because he cannot look leaves all as they were.
func TestFinders(t *testing.T) {
	names := func(f *Fleet) string {
		var all []string
		for _, h := range f.Hosts() {
			all = append(all, h.Name+"@"+h.Address)
		}
		return strings.Join(all, " ")
	}
	one := func(name, address string) Host { return Host{name, remote.Config{Address: address}} }
	c := make(told)
	f := looking(t, Config{Hosts: []Host{one("mine", "127.0.0.1:1")}, Finders: []Finder{c}})
	for _, step := range []struct {
		tell  found
		want  string
		notes string
	}{
		{found{hosts: []Host{one("x", "127.0.0.1:2"), one("mine", "127.0.0.1:3")}}, "mine@127.0.0.1:1 x@127.0.0.1:2", ""},
		{found{err: errors.New("the controller is away")}, "mine@127.0.0.1:1 x@127.0.0.1:2", "told: the controller is away"},
		{found{hosts: []Host{one("x", "127.0.0.1:4"), one("y", "127.0.0.1:5"), one("../z", "127.0.0.1:6"), one("y", "127.0.0.1:7")}}, "mine@127.0.0.1:1 x@127.0.0.1:4 y@127.0.0.1:5", ""},
		{found{}, "mine@127.0.0.1:1", ""},
	} {
		c <- step.tell
		eventually(t, step.want+" and not "+names(f), func() bool { return names(f) == step.want && strings.Join(f.Notes(), "; ") == step.notes })
	}
}
