// Package storetest holds what every kind of store must do, as one suite of tests.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sarn/internal/intent"
	"sarn/internal/store"
)

// Run runs the suite. Each call of open returns a store that holds nothing.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *store.Store)
	}{
		{"an empty store loads", emptyLoads},
		{"what is committed loads", committedLoads},
		{"a commit on an old revision is refused whole", staleRefused},
		{"a watch gives each revision once and whole", watchWhole},
		{"a watch resumes where another ended", watchResumes},
		{"a watch ends with its context", watchEnds},
		{"of many writers one wins each round", writersSerialised},
		{"ten thousand ports are one transaction", largeChange},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func emptyLoads(t *testing.T, s *store.Store) {
	objects, _, err := s.Load(t.Context())
	if err != nil || len(objects) != 0 {
		t.Fatalf("Load = %v, %v; want nothing", objects, err)
	}
}

func committedLoads(t *testing.T, s *store.Store) {
	put := everyKind()
	rev := commit(t, s, put, nil)
	got := load(t, s, rev)
	if len(got) != len(put) {
		t.Fatalf("%d objects loaded, want %d", len(got), len(put))
	}
	for _, o := range put {
		ref := intent.RefOf(o)
		back := got[ref]
		if back == nil {
			t.Fatalf("%s is not there", ref)
		}
		if r := back.Head().Revision; r != rev {
			t.Errorf("%s has revision %d, want %d", ref, r, rev)
		}
	}
	port := got[intent.Ref{Kind: intent.KindPort, Name: "vm1"}].(*intent.Port)
	if port.Address != intent.MustAddr("10.10.10.10") || port.MAC != "0a:5a:0a:0a:0a:0a" || port.Attach.Interface != "eth0" {
		t.Errorf("port came back as %+v", port)
	}

	second := commit(t, s, []intent.Object{node("host2")}, []intent.Ref{intent.RefOf(port)})
	got = load(t, s, second)
	if got[intent.RefOf(port)] != nil {
		t.Error("the deleted port is still there")
	}
	if r := got[intent.RefOf(node("host1"))].Head().Revision; r != rev {
		t.Errorf("an object that did not change has revision %d, want %d", r, rev)
	}
}

func staleRefused(t *testing.T, s *store.Store) {
	old := commit(t, s, []intent.Object{node("host1")}, nil)
	newer := commit(t, s, []intent.Object{node("host2")}, nil)
	_, err := s.Commit(t.Context(), old, []intent.Object{node("host3")}, []intent.Ref{intent.RefOf(node("host1"))})
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || conflict.Revision != newer {
		t.Fatalf("Commit = %v, want a conflict with revision %d", err, newer)
	}
	got := load(t, s, newer)
	if got[intent.RefOf(node("host1"))] == nil || got[intent.RefOf(node("host3"))] != nil {
		t.Errorf("a refused commit left its mark: %v", got)
	}
}

func watchWhole(t *testing.T, s *store.Store) {
	first := commit(t, s, everyKind(), nil)
	second := commit(t, s, []intent.Object{node("host2"), node("host3")}, []intent.Ref{{Kind: intent.KindPort, Name: "vm1"}})
	third := commit(t, s, nil, []intent.Ref{{Kind: intent.KindNode, Name: "host2"}})

	got := collect(t, s, first-1, 3)
	for i, want := range []struct {
		revision      int64
		puts, deletes int
	}{{first, 4, 0}, {second, 2, 1}, {third, 0, 1}} {
		b := got[i]
		if b.Revision != want.revision || len(b.Puts) != want.puts || len(b.Deletes) != want.deletes {
			t.Errorf("batch %d = %+v, want %+v", i, b, want)
		}
		for _, o := range b.Puts {
			if o.Head().Revision != b.Revision {
				t.Errorf("%s has revision %d in the batch of %d", intent.RefOf(o), o.Head().Revision, b.Revision)
			}
		}
	}
	if got[1].Deletes[0] != (intent.Ref{Kind: intent.KindPort, Name: "vm1"}) {
		t.Errorf("deleted %v, want port vm1", got[1].Deletes)
	}
}

func watchResumes(t *testing.T, s *store.Store) {
	_, start, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, []intent.Object{node("host1")}, nil)
	seen := collect(t, s, start, 1)
	commit(t, s, []intent.Object{node("host2")}, nil)
	commit(t, s, []intent.Object{node("host3")}, nil)
	rest := collect(t, s, seen[0].Revision, 2)
	if rest[0].Puts[0].Head().Name != "host2" || rest[1].Puts[0].Head().Name != "host3" {
		t.Errorf("after host1 came %v, want host2 and host3", rest)
	}
}

func watchEnds(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	rev := commit(t, s, []intent.Object{node("host1")}, nil)
	err := s.Watch(ctx, rev-1, func(store.Batch) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Watch = %v, want %v", err, context.Canceled)
	}
	stop := errors.New("enough")
	if err := s.Watch(t.Context(), rev-1, func(store.Batch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Watch = %v, want what apply returned", err)
	}
}

func writersSerialised(t *testing.T, s *store.Store) {
	const writers = 8
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for {
				_, at, err := s.Load(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.Commit(t.Context(), at, []intent.Object{node(fmt.Sprintf("host%d", i))}, nil)
				var conflict *store.ConflictError
				if errors.As(err, &conflict) {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	wg.Wait()
	objects, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	revs := map[int64]bool{}
	for _, o := range objects {
		revs[o.Head().Revision] = true
	}
	if len(revs) != writers {
		t.Errorf("%d writers made %d revisions", writers, len(revs))
	}
}

func largeChange(t *testing.T, s *store.Store) {
	const n = 10_000
	puts := make([]intent.Object, n)
	for i := range puts {
		a := intent.MustAddr(fmt.Sprintf("10.10.%d.%d", i/250, 1+i%250))
		puts[i] = &intent.Port{
			Header: intent.Header{Name: fmt.Sprintf("vm%d", i)}, Subnet: "net1", Node: "host1",
			Address: a, MAC: intent.PortMAC(a),
			Attach: intent.Attach{Type: intent.AttachNetns, Namespace: fmt.Sprintf("vm%d", i), Interface: "eth0"},
		}
	}
	rev := commit(t, s, puts, nil)
	if got := load(t, s, rev); len(got) != n {
		t.Errorf("%d ports loaded, want %d", len(got), n)
	}
	if b := collect(t, s, rev-1, 1)[0]; len(b.Puts) != n {
		t.Errorf("one batch holds %d ports, want %d", len(b.Puts), n)
	}
}

func commit(t *testing.T, s *store.Store, puts []intent.Object, deletes []intent.Ref) int64 {
	t.Helper()
	_, at, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rev, err := s.Commit(t.Context(), at, puts, deletes)
	if err != nil {
		t.Fatal(err)
	}
	if rev <= at {
		t.Fatalf("revision went from %d to %d", at, rev)
	}
	return rev
}

func load(t *testing.T, s *store.Store, rev int64) map[intent.Ref]intent.Object {
	t.Helper()
	objects, at, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if at != rev {
		t.Fatalf("store is at revision %d, want %d", at, rev)
	}
	byRef := map[intent.Ref]intent.Object{}
	for _, o := range objects {
		byRef[intent.RefOf(o)] = o
	}
	return byRef
}

// collect returns the next n batches after a revision.
func collect(t *testing.T, s *store.Store, after int64, n int) []store.Batch {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []store.Batch
	enough := errors.New("enough")
	err := s.Watch(ctx, after, func(b store.Batch) error {
		got = append(got, b)
		if len(got) == n {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("watch ended after %d batches: %v", len(got), err)
	}
	if !slices.IsSortedFunc(got, func(a, b store.Batch) int { return int(a.Revision - b.Revision) }) {
		t.Errorf("batches are out of order: %v", got)
	}
	return got
}

func node(name string) *intent.Node {
	return &intent.Node{
		Header: intent.Header{Name: name}, Role: intent.RoleHost,
		Address: intent.MustAddr("192.168.56.103"), Interface: "enp0s8",
	}
}

func everyKind() []intent.Object {
	return []intent.Object{
		node("host1"),
		&intent.VPC{Header: intent.Header{Name: "main"}, CIDRs: []intent.CIDR{intent.MustCIDR("10.10.0.0/16")}},
		&intent.Subnet{
			Header: intent.Header{Name: "net1"}, VPC: "main", CIDR: intent.MustCIDR("10.10.10.0/24"),
			Gateway: intent.MustAddr("10.10.10.1"), Bridge: intent.MustAddr("10.10.10.2"), Router: "router", NAT: true, Table: 10001,
		},
		&intent.Port{
			Header: intent.Header{Name: "vm1"}, Subnet: "net1", Node: "host1",
			Address: intent.MustAddr("10.10.10.10"), MAC: "0a:5a:0a:0a:0a:0a",
			Attach: intent.Attach{Type: intent.AttachNetns, Namespace: "vm1", Interface: "eth0"},
		},
	}
}
