package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sarn/internal/api"
	"sarn/internal/intent"
	"sarn/internal/store"
	"sarn/internal/timetest"
)

func TestMain(m *testing.M) { timetest.Main(m) }

// running is a controller with its API on a real socket.
type running struct {
	*Controller
	client *api.Client
	socket string
	stop   func() // and wait for its end
}

// run runs a controller on the data directory until the test ends or stop is called.
func run(t *testing.T, dir string, set ...func(*Config)) *running {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r := runOn(t, st, set...)
	stop := r.stop
	r.stop = sync.OnceFunc(func() {
		stop()
		if err := st.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func runOn(t *testing.T, st *store.Store, set ...func(*Config)) *running {
	t.Helper()
	cfg := Config{Socket: filepath.Join(shortDir(t), "api.sock"), Version: "test"}
	for _, f := range set {
		f(&cfg)
	}
	c, err := New(cfg, Deps{Store: st, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c.absence = 100 * time.Millisecond // most tests have few nodes that ever come
	client, err := api.New(api.Endpoint{Address: "unix://" + cfg.Socket})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("controller ended: %v", err)
		}
		client.Close()
	})
	t.Cleanup(stop)
	select {
	case <-c.Ready():
	case err := <-ended:
		ended <- nil
		t.Fatalf("controller did not start: %v", err)
	}
	return &running{c, client, cfg.Socket, stop}
}

// runPair runs two controllers on one etcd.
func runPair(t *testing.T) []*running {
	t.Helper()
	endpoint := etcd(t)
	var pair []*running
	for range 2 {
		st, err := store.Open(t.Context(), store.Config{Endpoints: []string{endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		pair = append(pair, runOn(t, st))
	}
	return pair
}

// shortDir is a directory whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sarn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (r *running) apply(t *testing.T, c api.Change) api.Result {
	t.Helper()
	result, err := r.client.Apply(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (r *running) status(t *testing.T, node string) api.NodeStatus {
	t.Helper()
	all, err := r.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Node == node {
			return s
		}
	}
	t.Fatalf("no status of node %s in %v", node, all)
	return api.NodeStatus{}
}

// follow follows the node until the test ends or quit is called.
func (r *running) follow(t *testing.T, node, have string) (events <-chan api.NodeEvent, quit func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, done := make(chan api.NodeEvent), make(chan struct{})
	go func() {
		defer close(done)
		defer close(out)
		_ = r.client.Follow(ctx, node, have, func(e api.NodeEvent) error {
			select {
			case out <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	quit = func() { cancel(); <-done }
	t.Cleanup(quit)
	return out, quit
}

func next(t *testing.T, events <-chan api.NodeEvent) api.NodeEvent {
	t.Helper()
	select {
	case e, open := <-events:
		if !open {
			t.Fatal("the stream ended")
		}
		return e
	case <-time.After(time.Minute):
		t.Fatal("no event came")
	}
	return api.NodeEvent{}
}

func TestApplyListGetDelete(t *testing.T) {
	r := run(t, t.TempDir())
	result := r.apply(t, change(t, base))
	if len(result.Outcomes) != 7 || result.Outcomes[0].Action != api.Created {
		t.Errorf("outcomes are %v, want seven created", result.Outcomes)
	}
	vm2 := result.Objects.Ports[1]
	if vm2.Address != intent.MustAddr("10.10.10.3") || vm2.Revision != result.Revision {
		t.Errorf("vm2 is answered as %+v, want its address and revision %d", vm2, result.Revision)
	}
	for kind, want := range map[intent.Kind]string{
		intent.KindNode: "host1 host2 router", intent.KindVPC: "main", intent.KindSubnet: "net1", intent.KindPort: "vm1 vm2",
	} {
		all, err := r.client.List(t.Context(), kind)
		var names []string
		for _, o := range all {
			names = append(names, o.Head().Name)
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%s list is %v, %v; want %s", kind, names, err, want)
		}
	}
	got, err := r.client.Get(t.Context(), intent.RefOf(vm2))
	if err != nil || *got.(*intent.Port) != *vm2 {
		t.Errorf("Get = %+v, %v; want what apply answered: %+v", got, err, vm2)
	}

	again := r.apply(t, change(t, base))
	if again.Revision != result.Revision || again.Outcomes[6].Action != api.Unchanged {
		t.Errorf("the same again gives %+v, want nothing changed at revision %d", again, result.Revision)
	}
	r.apply(t, api.Change{Delete: []intent.Ref{intent.RefOf(vm2)}})
	var problems intent.Problems
	if _, err := r.client.Get(t.Context(), intent.RefOf(vm2)); !errors.As(err, &problems) || problems[0].Ref != intent.RefOf(vm2) {
		t.Errorf("Get of the deleted = %v, want a problem of it", err)
	}
	if _, err := r.client.Apply(t.Context(), api.Change{Delete: []intent.Ref{intent.RefOf(vm2)}}); !errors.As(err, &problems) {
		t.Errorf("deleting it again = %v, want a problem", err)
	}
}

func TestRefusalTravels(t *testing.T) {
	r := run(t, t.TempDir())
	result := r.apply(t, change(t, base))
	_, err := r.client.Apply(t.Context(), change(t, `
kind: Port
name: vm3
subnet: net1
node: host1
address: 10.10.10.10
attach: {namespace: vm1}
`))
	var problems intent.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("Apply = %v, want problems", err)
	}
	fields := []string{problems[0].Field, problems[len(problems)-1].Field}
	if problems[0].Ref != (intent.Ref{Kind: intent.KindPort, Name: "vm3"}) || !slices.Equal(fields, []string{"address", "attach"}) {
		t.Errorf("problems are %v, want the address and the attachment of port vm3", problems)
	}
	stale := change(t, "{kind: Port, name: vm1, subnet: net1, node: host2}")
	stale.Ports[0].Revision = result.Revision - 1
	if _, err := r.client.Apply(t.Context(), stale); !errors.As(err, &problems) || problems[0].Field != "revision" {
		t.Errorf("stale change = %v, want a problem with its revision", err)
	}
	stale.Ports[0].Revision = result.Revision
	r.apply(t, stale)
}

func TestDryRunWritesNothing(t *testing.T) {
	r := run(t, t.TempDir())
	c := change(t, base)
	c.DryRun = true
	if result := r.apply(t, c); result.Outcomes[6].Action != api.Created || result.Objects.Ports[1].Address != intent.MustAddr("10.10.10.3") {
		t.Errorf("dry run answers %+v, want what would be", result)
	}
	if all, err := r.client.List(t.Context(), intent.KindPort); err != nil || len(all) != 0 {
		t.Errorf("after a dry run there are %v, %v", all, err)
	}
}

func TestReportAndWait(t *testing.T) {
	r := run(t, t.TempDir())
	result := r.apply(t, change(t, base))
	var late *api.WaitError
	err := r.client.Wait(t.Context(), result.Revision, time.Millisecond)
	if !errors.As(err, &late) || len(late.Statuses) != 3 || !strings.Contains(err.Error(), "host1 (its agent is not connected)") {
		t.Fatalf("Wait = %v; want that time ran out for three nodes", err)
	}

	now := time.Now().UTC().Truncate(time.Millisecond)
	report := func(node string, revision int64, failure string) {
		t.Helper()
		err := r.client.Report(t.Context(), node, api.NodeReport{Revision: revision, AppliedAt: now, Error: failure, Version: "1"})
		if err != nil {
			t.Fatal(err)
		}
	}
	waited := make(chan error, 1)
	go func() {
		err := r.client.Wait(context.Background(), result.Revision, time.Minute)
		waited <- err
	}()
	for _, n := range []string{"router", "host1"} {
		report(n, result.Revision, "")
	}
	report("host2", result.Revision, "no such device")
	if s := r.status(t, "host2"); s.Error != "no such device" || s.Applied != 0 || s.InSync() {
		t.Errorf("status after a failed pass is %+v", s)
	}
	select {
	case err := <-waited:
		t.Fatalf("Wait = %v while a node has failed", err)
	default:
	}
	report("host2", result.Revision, "")
	if err := <-waited; err != nil {
		t.Errorf("Wait = %v, want that all is applied", err)
	}
	if s := r.status(t, "host2"); !s.InSync() || !s.AppliedAt.Equal(now) || s.Version != "1" {
		t.Errorf("status is %+v, want in sync at %s", s, now)
	}
	if err := r.client.Report(t.Context(), "nobody", api.NodeReport{Version: "1"}); err == nil {
		t.Error("a report for a node that is not there was taken")
	}
	report("host1", result.Revision, strings.Repeat("é", maxError))
	if s := r.status(t, "host1"); len(s.Error) > maxError+len(" …") || !strings.HasSuffix(s.Error, "é …") {
		t.Errorf("an endless error is kept as %d bytes that end in %q", len(s.Error), s.Error[len(s.Error)-10:])
	}
}

// TestBadChangesHoldUpNobody: what is wrong with a change alone is found while the
// World is somebody else's, and told within reason.
func TestBadChangesHoldUpNobody(t *testing.T) {
	r := run(t, t.TempDir())
	var bad api.Change
	for i := range 5000 {
		bad.Add(&intent.VPC{Header: intent.Header{Name: fmt.Sprint("V", i)}, CIDRs: []intent.CIDR{intent.MustCIDR("10.0.0.0/16")}})
	}
	refused := make(chan error, 1)
	r.mu.Lock()
	go func() {
		_, err := r.Change(context.Background(), bad)
		refused <- err
	}()
	var err error
	select {
	case err = <-refused:
	case <-time.After(time.Minute):
		t.Error("a bad change waits for the World")
	}
	r.mu.Unlock()
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Total != 5000 || len(refusal.Problems) != maxProblems+1 {
		t.Fatalf("Change = %.100v, want a refusal of 5000 problems that lists %d", err, maxProblems)
	}
	_, err = r.client.Apply(t.Context(), bad)
	var ps intent.Problems
	if !errors.As(err, &ps) || len(ps) != maxProblems+1 || ps[maxProblems].String() != "and 4900 problems more; mend these first" {
		t.Errorf("Apply = %.100v, want the first %d problems and how many more there are", err, maxProblems)
	}
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	r := run(t, dir)
	r.apply(t, change(t, base))
	before := map[string]api.NodeEvent{}
	for _, n := range []string{"host1", "host2", "router"} {
		events, quit := r.follow(t, n, "")
		before[n] = next(t, events)
		quit()
	}
	r.stop()
	r = run(t, dir)
	for n, e := range before {
		events, _ := r.follow(t, n, fingerprint(e))
		if after := next(t, events); after.Whole || len(after.Parts) > 0 {
			t.Errorf("after a restart %s should be %+v, want what it was", n, after)
		}
	}
}

func TestConcurrentCreators(t *testing.T) {
	const creators = 100
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	createAll(t, creators, func(int) *api.Client { return r.client })
}

// TestTwoControllers creates ports through two controllers on one etcd.
func TestTwoControllers(t *testing.T) {
	pair := runPair(t)
	result := pair[0].apply(t, change(t, base))
	// The other one has it as soon as its watch does.
	if err := pair[1].await(t.Context(), func() bool { return pair[1].revision >= result.Revision }); err != nil {
		t.Fatal(err)
	}
	createAll(t, 40, func(i int) *api.Client { return pair[i%2].client })
}

func createAll(t *testing.T, n int, client func(i int) *api.Client) {
	t.Helper()
	var mu sync.Mutex
	holders := map[netip.Addr]string{}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var c api.Change
			c.Add(&intent.Port{Header: intent.Header{Name: fmt.Sprint("c", i)}, Subnet: "net1", Node: "host2"})
			result, err := client(i).Apply(context.Background(), c)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			p := result.Objects.Ports[0]
			if other, held := holders[p.Address.Addr]; held {
				t.Errorf("%s and %s both got %s", p.Name, other, p.Address)
			}
			holders[p.Address.Addr] = p.Name
		})
	}
	wg.Wait()
	if len(holders) != n {
		t.Errorf("%d addresses for %d ports", len(holders), n)
	}
}

func TestStoreReloaded(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	wanted := r.status(t, "host1").Wanted
	if err := r.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The next change is told by itself.
	if err := r.await(t.Context(), func() bool { return len(r.concern.Whole) == 0 }); err != nil {
		t.Fatal(err)
	}
	result := r.apply(t, change(t, "{kind: Port, name: vm9, subnet: net1, node: host2}"))
	if s := r.status(t, "host1"); s.Wanted != wanted {
		t.Errorf("loading the same again moved host1 from %d to %d", wanted, s.Wanted)
	}
	if s := r.status(t, "host2"); s.Wanted != result.Revision {
		t.Errorf("host2 is at %d, want %d", s.Wanted, result.Revision)
	}
}
