package agent_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sarn/internal/agent"
	"sarn/internal/api"
	"sarn/internal/netstate"
	"sarn/internal/netstate/netstatetest"
	"sarn/internal/timetest"
)

func TestMain(m *testing.M) { timetest.Main(m) }

// These tests run in synctest's time, which goes on when everybody waits: no machine is
// too slow for them, and what is to take no time takes none.

// source is a controller of one node. Each Follow hands out what is on events until
// the test breaks the stream.
type source struct {
	events  chan api.NodeEvent
	breaks  chan error
	haves   chan string // what each Follow said it has
	reports chan api.NodeReport
}

func newSource() *source {
	return &source{make(chan api.NodeEvent), make(chan error), make(chan string, 10), make(chan api.NodeReport, 100)}
}

func (s *source) Follow(ctx context.Context, _, have string, fn func(api.NodeEvent) error) error {
	s.haves <- have
	for {
		select {
		case e := <-s.events:
			if err := fn(e); err != nil {
				return err
			}
		case err := <-s.breaks:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *source) Report(_ context.Context, _ string, r api.NodeReport) error {
	s.reports <- r
	return nil
}

func state(routes ...string) netstate.Machine {
	s := &netstate.State{Links: []netstate.Link{{Name: "eth0"}}}
	for _, dst := range routes {
		s.Routes = append(s.Routes, netstate.Route{Table: netstate.MainTable, Dst: netip.MustParsePrefix(dst), Type: netstate.Unreachable})
	}
	return netstate.Machine{"": s}
}

func event(rev int64, m netstate.Machine) api.NodeEvent {
	return api.NodeEvent{Revision: rev, Whole: true, Parts: map[string]netstate.Machine{"node": m}}
}

// start runs an agent until the test ends.
func start(t *testing.T, src agent.Source, k agent.Kernel, log io.Writer) *agent.Agent {
	t.Helper()
	a, err := agent.New(agent.Config{Node: "n", Version: "v1"}, agent.Deps{Source: src, Kernel: k, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); wg.Wait() })
	return a
}

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case x := <-c:
		return x
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func routes(k *netstatetest.Kernel) (all []string) {
	m, _ := k.Read(context.Background(), nil)
	for _, r := range m[""].Routes {
		all = append(all, r.Dst.String())
	}
	return all
}

func TestAppliesReportsAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := newSource(), netstatetest.New("eth0")
		a := start(t, src, k, io.Discard)
		if have := next(t, src.haves); have != "" {
			t.Errorf("a new agent has %q", have)
		}
		src.events <- event(7, state("10.0.0.0/24"))
		if r := next(t, src.reports); r.Revision != 7 || r.Error != "" || r.Version != "v1" || r.AppliedAt.IsZero() {
			t.Errorf("got %+v", r)
		}
		next(t, a.Ready())
		src.events <- event(9, state("10.0.1.0/24"))
		if r := next(t, src.reports); r.Revision != 9 {
			t.Errorf("got %+v", r)
		}
		if got := routes(k); len(got) != 1 || got[0] != "10.0.1.0/24" {
			t.Errorf("got %v", got)
		}

		healed := make(chan struct{})
		k.Edit(func(m netstate.Machine) {
			k.Fail = func(netstate.Op) error { close(healed); k.Fail = nil; return nil }
			m[""].Routes = nil
		})
		next(t, healed)
	})
}

func TestResumesWithWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := newSource(), netstatetest.New("eth0")
		start(t, src, k, io.Discard)
		next(t, src.haves)
		e := event(7, state("10.0.0.0/24"))
		src.events <- e
		next(t, src.reports)
		applied := len(k.Applied())

		src.breaks <- io.ErrUnexpectedEOF
		var hash netstate.Fingerprint
		hash.Add("node", e.Parts["node"])
		if have := next(t, src.haves); have != hash.String() {
			t.Errorf("the agent says it has %q, not %q", have, hash)
		}
		src.events <- api.NodeEvent{Revision: 8}
		if r := next(t, src.reports); r.Revision != 8 || r.Error != "" {
			t.Errorf("got %+v", r)
		}
		if n := len(k.Applied()); n != applied {
			t.Errorf("%d ops for no change", n-applied)
		}
	})
}

func TestNoStateNoWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := newSource(), netstatetest.New("eth0")
		k.Edit(func(m netstate.Machine) {
			m[""].Routes = []netstate.Route{{Table: 254, Dst: netip.MustParsePrefix("10.9.0.0/24"), Type: netstate.Unreachable}}
		})
		start(t, src, k, io.Discard)
		next(t, src.haves)
		// A change of a state which the agent does not have breaks the stream.
		src.events <- api.NodeEvent{Revision: 1, Parts: map[string]netstate.Machine{"port vm1": state("10.0.0.0/24")}}
		if have := next(t, src.haves); have != "" {
			t.Errorf("the agent says it has %q", have)
		}
		// Nor is half a state one.
		half := event(1, state("10.0.0.0/24"))
		half.More = true
		src.events <- half
		k.Edit(func(netstate.Machine) {}) // wakes it
		src.breaks <- io.EOF
		if have := next(t, src.haves); have != "" {
			t.Errorf("the agent says it has %q", have)
		}
		if ops := k.Applied(); len(ops) > 0 {
			t.Errorf("written without a state: %v", ops)
		}
	})
}

// part is a line that brings or, without routes, takes away one part.
func part(rev int64, key string, dst ...string) api.NodeEvent {
	e := api.NodeEvent{Revision: rev, Parts: map[string]netstate.Machine{key: nil}}
	if len(dst) > 0 {
		m := state(dst...)
		m[""].Links = nil
		e.Parts[key] = m
	}
	return e
}

// TestAChangeOfRoutesReadsNothing has parts of routes come and go: the kernel is told
// just that, and what it says of it in its events is no cause to look again.
func TestAChangeOfRoutesReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := atRest(t, state("10.0.0.0/24"))
		reads, applied := len(k.Reads()), len(k.Applied())
		for i, e := range []api.NodeEvent{
			part(2, "port a", "10.1.0.1/32"), part(3, "port b", "10.1.0.2/32", "10.1.0.3/32"),
			part(4, "port a"), part(5, "port b", "10.1.0.3/32"),
		} {
			src.events <- e
			if r := next(t, src.reports); r.Revision != int64(2+i) || r.Error != "" {
				t.Errorf("got %+v", r)
			}
			quiet(t)
		}
		if got := strings.Join(routes(k), " "); got != "10.0.0.0/24 10.1.0.3/32" {
			t.Errorf("got %s", got)
		}
		if ops := k.Applied()[applied:]; len(ops) != 5 {
			t.Errorf("got %v", ops)
		}
		if n := len(k.Reads()) - reads - 1; n != 0 { // one is this test's own
			t.Errorf("the kernel was read %d times", n)
		}
	})
}

// atRest runs an agent that has applied m at revision 1 and has nothing more to do.
func atRest(t *testing.T, m netstate.Machine) (*source, *netstatetest.Kernel) {
	t.Helper()
	src, k := newSource(), netstatetest.New("eth0")
	start(t, src, k, io.Discard)
	next(t, src.haves)
	src.events <- event(1, m)
	next(t, src.reports)
	quiet(t)
	return src, k
}

// quiet waits until the agent has looked at what its own pass has changed.
func quiet(t *testing.T) {
	t.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
}

// TestALocalChangeReadsNoRoutes has a part with a link come beside many routes.
func TestALocalChangeReadsNoRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := atRest(t, state("10.0.0.0/24"))
		reads := len(k.Reads())
		e := part(2, "port a", "10.1.0.1/32")
		e.Parts["port a"][""].Links = []netstate.Link{{Name: "br_a", Kind: netstate.Bridge, Alias: "sarn a", Up: true}}
		src.events <- e
		if r := next(t, src.reports); r.Revision != 2 || r.Error != "" {
			t.Errorf("got %+v", r)
		}
		quiet(t)
		src.events <- part(3, "port a")
		if r := next(t, src.reports); r.Revision != 3 || r.Error != "" || r.Repairs != 0 {
			t.Errorf("got %+v", r)
		}
		quiet(t)
		for _, everything := range k.Reads()[reads:] {
			if everything {
				t.Error("all routes were read for the sake of one")
			}
		}
		if got := strings.Join(routes(k), " "); got != "10.0.0.0/24" {
			t.Errorf("got %s", got)
		}
	})
}

// TestCountsAndSlowsRepairs has somebody delete a route again and again.
func TestCountsAndSlowsRepairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := atRest(t, state("10.0.0.0/24"))
		steal := func() { k.Edit(func(m netstate.Machine) { m[""].Routes = nil }) }
		for i := range 5 {
			steal()
			if r := next(t, src.reports); r.Revision != 1 || r.Repairs != int64(i+1) {
				t.Fatalf("repair %d: %+v", i+1, r)
			}
		}
		steal()
		select {
		case r := <-src.reports:
			t.Errorf("the sixth repair in a row came at once: %+v", r)
		case <-time.After(time.Second):
		}
		// A new wish does not wait for that.
		src.events <- event(2, state("10.0.1.0/24"))
		if r := next(t, src.reports); r.Revision != 2 || r.Repairs != 5 {
			t.Errorf("got %+v", r)
		}
	})
}

// TestNoticesSettings changes a setting, of which no event tells.
func TestNoticesSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := state("10.0.0.0/24")
		m[""].Sysctls = []netstate.Sysctl{{Name: "net/ipv4/neigh/br/proxy_delay", Value: "0"}}
		src, k := atRest(t, m)
		k.EditQuietly(func(m netstate.Machine) { m[""].Sysctls[0].Value = "80" })
		if r := next(t, src.reports); r.Repairs != 1 {
			t.Errorf("got %+v", r)
		}
	})
}

func TestReportsFailureAndTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := newSource(), netstatetest.New("eth0")
		fail := errors.New("no buffer space")
		tries := 0 // only Apply asks, one op after the other
		k.Fail = func(netstate.Op) error {
			if tries++; tries <= 2 {
				return fail
			}
			return nil
		}
		start(t, src, k, io.Discard)
		next(t, src.haves)
		src.events <- event(3, state("10.0.0.0/24"))
		r := next(t, src.reports)
		if !strings.Contains(r.Error, "ip route add unreachable 10.0.0.0/24") || !strings.Contains(r.Error, "no buffer space") {
			t.Errorf("got %q", r.Error)
		}
		if r = next(t, src.reports); r.Error != "" || r.Revision != 3 {
			t.Errorf("the same failure was told twice, or it never healed: %+v", r)
		}
	})
}

// TestAFailedPassWaits has a pass that changes the kernel and then fails: its own
// change must not start the next one.
func TestAFailedPassWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := newSource(), netstatetest.New("eth0")
		tries := make(chan time.Time, 100)
		k.Fail = func(op netstate.Op) error {
			if r, ok := op.Object.(netstate.Route); ok && r.Dst.String() == "10.0.1.0/24" {
				tries <- time.Now()
				// Somebody undoes the half that worked, as the kernel itself does with
				// what hangs on a link that is made anew.
				go k.Edit(func(m netstate.Machine) { m[""].Routes = nil })
				return errors.New("cannot")
			}
			return nil
		}
		start(t, src, k, io.Discard)
		next(t, src.haves)
		src.events <- event(3, state("10.0.0.0/24", "10.0.1.0/24"))
		first := next(t, tries)
		var last time.Time
		const more = 3
		for range more {
			last = next(t, tries)
		}
		// 200, 400 and 800 ms of waiting, against 50 each if changes counted.
		if took := last.Sub(first); took < time.Second {
			t.Errorf("%d more tries within %s", more, took)
		}
	})
}

// TestAHungControllerHoldsUpNothing has reports that never end: passes go on.
func TestAHungControllerHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := newSource(), netstatetest.New("eth0")
		src.reports = make(chan api.NodeReport) // nobody takes them
		start(t, hung{src}, k, io.Discard)
		next(t, src.haves)
		src.events <- event(3, state("10.0.0.0/24"))
		synctest.Wait() // its report is under way
		src.events <- event(4, state("10.0.1.0/24"))
		deadline := time.After(10 * time.Second)
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-tick.C:
				if got := routes(k); len(got) == 1 && got[0] == "10.0.1.0/24" {
					return
				}
			case <-deadline:
				t.Fatal("the second state never came into force")
			}
		}
	})
}

type hung struct{ *source }

func (hung) Report(ctx context.Context, _ string, _ api.NodeReport) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestConflictChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, k := newSource(), netstatetest.New("eth0")
		start(t, src, k, io.Discard)
		next(t, src.haves)
		m := state("10.0.0.0/24")
		m[""].Links = append(m[""].Links, netstate.Link{Name: "eth7"})
		src.events <- event(3, m)
		if r := next(t, src.reports); !strings.Contains(r.Error, `no link "eth7"`) {
			t.Errorf("got %+v", r)
		}
		if ops := k.Applied(); len(ops) > 0 {
			t.Errorf("written in spite of the conflict: %v", ops)
		}
	})
}

func TestAgentNeedsANode(t *testing.T) {
	if _, err := agent.New(agent.Config{}, agent.Deps{}); err == nil {
		t.Error("no error")
	}
}
