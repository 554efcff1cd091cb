package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"sarn/internal/api"
	"sarn/internal/netstate"
)

// again is how long an agent that finds no server waits before it asks again.
const again = 20 * time.Millisecond

// agents follow the fleet's nodes as real ones do, each over connections of its own,
// and report at once that all is applied.
type agents struct {
	socket string

	mu     sync.Mutex
	news   *sync.Cond
	all    map[string]*agent
	bytes  int64 // received since it was last taken
	failed error
}

// agent is one simulated agent. Of what it gets it keeps the fingerprint alone, and that
// is right only until the first change after a whole state.
type agent struct {
	node   string
	have   string
	stop   context.CancelFunc
	ended  chan struct{}
	synced bool  // since its stream opened it has had a complete state, and reported it
	seen   int64 // revision
}

func newAgents(socket string) *agents {
	a := &agents{socket: socket, all: map[string]*agent{}}
	a.news = sync.NewCond(&a.mu)
	return a
}

// start lets agents follow these nodes. forget says that those that were here before
// have lost what they had.
func (as *agents) start(ctx context.Context, forget bool, nodes ...string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	for _, name := range nodes {
		a := as.all[name]
		if a == nil {
			a = &agent{node: name}
			as.all[name] = a
		}
		if forget {
			a.have = ""
		}
		a.synced, a.ended = false, make(chan struct{})
		var own context.Context
		own, a.stop = context.WithCancel(ctx)
		go func() {
			defer close(a.ended)
			if err := as.follow(own, a); err != nil && own.Err() == nil {
				as.fail(err)
			}
		}()
	}
}

// cut ends all streams at once.
func (as *agents) cut() {
	for _, a := range as.all {
		a.stop()
	}
	for _, a := range as.all {
		<-a.ended
	}
}

func (as *agents) fail(err error) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.failed = err
	as.news.Broadcast()
}

// take returns how many bytes have come since it was last called.
func (as *agents) take() int64 {
	as.mu.Lock()
	defer as.mu.Unlock()
	n := as.bytes
	as.bytes = 0
	return n
}

// await returns when done, which is called under mu, says so.
func (as *agents) await(ctx context.Context, done func() bool) error {
	defer context.AfterFunc(ctx, func() { as.fail(context.Cause(ctx)) })()
	as.mu.Lock()
	defer as.mu.Unlock()
	for as.failed == nil && !done() {
		as.news.Wait()
	}
	return as.failed
}

// told returns when the nodes have been sent the revision.
func (as *agents) told(ctx context.Context, revision int64, nodes []string) error {
	return as.await(ctx, func() bool {
		for len(nodes) > 0 && as.all[nodes[0]].seen >= revision {
			nodes = nodes[1:]
		}
		return len(nodes) == 0
	})
}

// synced returns when all have what they should, and have said so.
func (as *agents) synced(ctx context.Context) error {
	left := make([]*agent, 0, len(as.all))
	for _, a := range as.all {
		left = append(left, a)
	}
	return as.await(ctx, func() bool {
		for len(left) > 0 && left[0].synced {
			left = left[1:]
		}
		return len(left) == 0
	})
}

// event is an api.NodeEvent whose parts are not looked into: the machine that is
// measured has better things to do than to play a thousand kernels.
type event struct {
	Revision int64                      `json:"revision"`
	Whole    bool                       `json:"whole"`
	Parts    map[string]json.RawMessage `json:"parts"`
	More     bool                       `json:"more"`
}

// follow follows one node until ctx ends.
func (as *agents) follow(ctx context.Context, a *agent) error {
	reports, err := api.New(api.Endpoint{Address: "unix://" + as.socket})
	if err != nil {
		return err
	}
	defer reports.Close()
	body, err := as.open(ctx, a)
	if err != nil {
		return fmt.Errorf("follow %s: %w", a.node, err)
	}
	defer body.Close()
	lines := json.NewDecoder(bufio.NewReaderSize(body, 64<<10))
	var hash netstate.Fingerprint
	read, whole := int64(0), false
	for {
		var e event
		if err := lines.Decode(&e); err != nil {
			return fmt.Errorf("follow %s: %w", a.node, err)
		}
		as.count(lines.InputOffset() - read)
		read = lines.InputOffset()
		if e.Whole {
			whole, hash = true, netstate.Fingerprint{}
		}
		if whole {
			for key, text := range e.Parts {
				hash.AddText(key, text)
			}
		}
		if e.More {
			continue
		}
		if whole {
			a.have, whole = hash.String(), false
		}
		as.saw(a, e.Revision, false)
		err := reports.Report(ctx, a.node, api.NodeReport{Revision: e.Revision, AppliedAt: time.Now(), Version: "simulated"})
		if err != nil {
			return err
		}
		as.saw(a, e.Revision, true)
	}
}

func (as *agents) count(bytes int64) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.bytes += bytes
}

func (as *agents) saw(a *agent, revision int64, reported bool) {
	as.mu.Lock()
	defer as.mu.Unlock()
	a.seen, a.synced = revision, a.synced || reported
	as.news.Broadcast()
}

// open opens the node's stream, as soon as there is a server.
func (as *agents) open(ctx context.Context, a *agent) (io.ReadCloser, error) {
	c := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", as.socket)
		},
		DisableKeepAlives: true,
	}}
	path := "http://localhost/v1/nodes/" + a.node + "/state?have=" + url.QueryEscape(a.have)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		res, err := c.Do(req)
		var unreachable *net.OpError
		switch {
		case err == nil && res.StatusCode == http.StatusOK:
			return res.Body, nil
		case err == nil:
			_ = res.Body.Close()
			return nil, fmt.Errorf("the server answers %s", res.Status)
		case !errors.As(err, &unreachable):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(again):
		}
	}
}
