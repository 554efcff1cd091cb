package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sarn/internal/api"
	"sarn/internal/intent"
)

const (
	creators = 100
	rounds   = 5
	// narrow has 28 addresses for them all.
	narrow = "{kind: Subnet, name: narrow, vpc: main, cidr: 10.10.99.0/27}"
)

// TestCreatorsOnOneController has 100 of them at one subnet that is too small for all,
// some of whom go away in the middle of what they ask for.
func TestCreatorsOnOneController(t *testing.T) {
	dir := t.TempDir()
	r := run(t, dir)
	r.apply(t, change(t, base))
	r.apply(t, change(t, narrow))
	c := &churn{T: t, holders: map[netip.Addr]string{}}
	c.run(r)
	r.stop()
	// What another controller makes of the store is the same.
	r = run(t, dir)
	c.empty(r)
}

// TestCreatorsOnTwoControllers is the same with two controllers on one etcd.
func TestCreatorsOnTwoControllers(t *testing.T) {
	pair := runPair(t)
	pair[0].apply(t, change(t, base))
	result := pair[0].apply(t, change(t, narrow))
	if err := pair[1].await(t.Context(), func() bool { return pair[1].revision >= result.Revision }); err != nil {
		t.Fatal(err)
	}
	c := &churn{T: t, holders: map[netip.Addr]string{}}
	c.run(pair...)
}

// churn is creators at work. A port has its holder from the answer to its creation
// until its deletion is asked for.
type churn struct {
	*testing.T
	mu                            sync.Mutex
	holders                       map[netip.Addr]string
	created, exhausted, abandoned int
	// asked is done when all who do not go away have asked for their first port, which
	// they keep till then: that is more than there is room for.
	asked sync.WaitGroup
}

// run has all creators create and delete, and then nothing be left.
func (c *churn) run(controllers ...*running) {
	for i := range creators {
		if stays(i) {
			c.asked.Add(1)
		}
	}
	var wg sync.WaitGroup
	for i := range creators {
		r := controllers[i%len(controllers)]
		client, err := api.New(api.Endpoint{Address: "unix://" + r.socket}) // a connection of its own
		if err != nil {
			c.Fatal(err)
		}
		wg.Go(func() {
			defer client.Close()
			for round := range rounds {
				c.one(r, client, i, round)
			}
		})
	}
	stop, looked := make(chan struct{}), sync.WaitGroup{}
	for _, r := range controllers {
		looked.Go(func() { c.look(r, stop) })
	}
	wg.Wait()
	close(stop)
	looked.Wait()
	c.Logf("%d created, %d found no address, %d went away", c.created, c.exhausted, c.abandoned)
	if c.created == 0 || c.exhausted == 0 || c.abandoned == 0 {
		c.Error("one of the three did not happen, so nothing is shown about it")
	}
	for _, r := range controllers {
		c.empty(r)
	}
}

// stays reports whether the creator is one of those who do not go away.
func stays(creator int) bool { return creator%4 > 1 }

// one creates a port and deletes it, or goes away in the middle: with its context, or
// by cutting its connection after all or a half of the request.
func (c *churn) one(r *running, client *api.Client, creator, round int) {
	name := fmt.Sprintf("c%d-%d", creator, round)
	port := api.Change{Create: true}
	port.Add(&intent.Port{Header: intent.Header{Name: name}, Subnet: "narrow", Node: "host2"})
	switch creator % 4 {
	case 0:
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(int(100*time.Millisecond))))
		defer cancel()
		if _, err := client.Apply(ctx, port); err != nil {
			c.abandon(client, name)
			return
		}
	case 1:
		c.cut(r, port, rand.IntN(2) == 0)
		c.abandon(client, name)
		return
	default:
		created := c.create(client, port)
		if round == 0 {
			c.asked.Done()
			c.asked.Wait()
		}
		if !created {
			return
		}
		c.unique(r)
	}
	c.release(name)
	_, err := client.Apply(context.Background(), api.Change{Delete: []intent.Ref{{Kind: intent.KindPort, Name: name}}})
	if err != nil {
		c.Errorf("delete %s: %v; %s", name, err, c.whereabouts(r, name))
	}
}

// whereabouts says where a port is that should be there.
func (c *churn) whereabouts(r *running, name string) string {
	ref := intent.Ref{Kind: intent.KindPort, Name: name}
	r.mu.RLock()
	at, inside, outside := r.revision, r.ledger.world.Get(ref) != nil, r.ledger.outside[ref] != nil
	r.mu.RUnlock()
	all, newest, err := r.store.Load(context.Background())
	stored := slices.ContainsFunc(all, func(o intent.Object) bool { return intent.RefOf(o) == ref })
	return fmt.Sprintf("at revision %d it is in the World: %v, outside: %v; at %d in the store: %v, %v", at, inside, outside, newest, stored, err)
}

// abandon makes room after a creator that went away, if it has left a port already.
func (c *churn) abandon(client *api.Client, name string) {
	c.count(&c.abandoned)
	_, err := client.Apply(context.Background(), api.Change{Delete: []intent.Ref{{Kind: intent.KindPort, Name: name}}})
	var none intent.Problems
	if err != nil && !errors.As(err, &none) {
		c.Errorf("delete %s: %v", name, err)
	}
}

func (c *churn) count(what *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*what++
}

// create creates the port, notes its holder and reports whether there was an address.
func (c *churn) create(client *api.Client, port api.Change) bool {
	result, err := client.Apply(context.Background(), port)
	var problems intent.Problems
	switch {
	case errors.As(err, &problems) && problems[0].Field == "address" && strings.Contains(problems[0].Message, "none is free"):
		c.count(&c.exhausted)
		return false
	case err != nil:
		c.Errorf("create: %v", err)
		return false
	}
	p := result.Objects.Ports[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.created++
	if other, held := c.holders[p.Address.Addr]; held {
		c.Errorf("%s got %s, which %s has", p.Name, p.Address, other)
	}
	c.holders[p.Address.Addr] = p.Name
	return true
}

// unique looks into the store, meanwhile, for an address that two ports have.
func (c *churn) unique(r *running) {
	all, at, err := r.store.Load(context.Background())
	if err != nil {
		c.Error(err)
	}
	holders := map[netip.Addr]string{}
	for _, o := range all {
		p, ok := o.(*intent.Port)
		if !ok {
			continue
		}
		if other, held := holders[p.Address.Addr]; held {
			c.Errorf("at revision %d %s and %s both have %s", at, p.Name, other, p.Address)
		}
		holders[p.Address.Addr] = p.Name
	}
}

// release forgets what the port holds, before its deletion is asked for.
func (c *churn) release(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a, holder := range c.holders {
		if holder == name {
			delete(c.holders, a)
		}
	}
}

// cut asks for the port, or for half of it, and hangs up.
func (c *churn) cut(r *running, port api.Change, half bool) {
	text, err := json.Marshal(port)
	if err != nil {
		c.Error(err)
		return
	}
	conn, err := net.Dial("unix", r.socket)
	if err != nil {
		c.Error(err)
		return
	}
	defer conn.Close()
	request := fmt.Sprintf("POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	if half {
		request = request[:len(request)-len(text)/2]
	}
	if _, err := io.WriteString(conn, request); err != nil {
		c.Error(err)
	}
}

// look checks the addresses, until it is told to stop, and expects that nothing is wrong
// at any time.
func (c *churn) look(r *running, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		i, err := r.client.IPAM(context.Background())
		if err != nil || len(i.Findings) > 0 {
			c.Errorf("amid the changes: %v, %v", found(i), err)
		}
	}
}

// settle deletes what those who went away have left, until nothing is left, and returns
// how the addresses are used then. What they asked for may still be on its way through
// the controllers when they are gone.
func (c *churn) settle(r *running) api.IPAM {
	c.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		left, err := r.client.List(c.Context(), intent.KindPort)
		if err != nil {
			c.Fatal(err)
		}
		var deletion api.Change
		for _, o := range left {
			if o.(*intent.Port).Subnet == "narrow" {
				deletion.Delete = append(deletion.Delete, intent.RefOf(o))
			}
		}
		if len(deletion.Delete) > 0 {
			// Of what another controller has deleted this one may not have heard.
			_, err := r.client.Apply(c.Context(), deletion)
			var gone intent.Problems
			if err != nil && !errors.As(err, &gone) {
				c.Fatal(err)
			}
			continue
		}
		if i := r.ipam(c.T); i.Subnets[0].Subnet == "narrow" && i.Subnets[0].Used == 0 {
			return i
		}
	}
	c.Fatal("ports keep coming from creators that are gone")
	return api.IPAM{}
}

// empty expects every address of the subnet to be free and nothing to be wrong.
func (c *churn) empty(r *running) {
	c.Helper()
	i := c.settle(r)
	if len(i.Findings) > 0 {
		c.Errorf("in the end there is\n%s", strings.Join(found(i), "\n"))
	}
	if n := i.Subnets[0]; n.Free != 28 || n.Next != intent.MustAddr("10.10.99.3") {
		c.Errorf("in the end the subnet is used as %+v", n)
	}
}
