package fleet

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/sample"
)

// Host is one to look at.
type Host struct {
	Name string
	remote.Config
}

// Status is what is known of a host.
type Status struct {
	Name    string       `json:"name"`
	Address string       `json:"address"`
	State   remote.State `json:"state"`
	// Since is when the state began; of one that is down, when it last answered, if it did.
	Since time.Time `json:"since"`
	Error string    `json:"error,omitempty"`
	// Summary is nil unless the host is up.
	Summary *sample.Summary `json:"summary,omitempty"`
}

// mostPasses bounds what answers of one host take up while they are handed on.
const mostPasses = 2

// watcher looks at one host.
type watcher struct {
	host   Host
	client *remote.Client // nil if the host's config is wrong
	passes chan struct{}  // what others ask of it through the fleet, at a time

	mu      sync.Mutex
	status  Status
	answers time.Time // the last one
}

func newWatcher(h Host) *watcher {
	w := &watcher{host: h, passes: make(chan struct{}, mostPasses), status: Status{Name: h.Name, Address: h.Address, State: remote.Connecting, Since: time.Now()}}
	client, err := remote.New(h.Config)
	if err != nil {
		w.status.State, w.status.Error = remote.Down, err.Error()
		return w
	}
	w.client, w.status.Address = client, client.Where()
	return w
}

// run asks until ctx ends: each interval as long as there are answers, and less and less
// often while there are none.
func (w *watcher) run(ctx context.Context, interval time.Duration) {
	if w.client == nil {
		return
	}
	defer w.client.Close()
	again := backoff.NewExponentialBackOff()
	again.InitialInterval, again.MaxInterval = min(interval, time.Second), 15*time.Second
	// Not all hosts of a fleet in the same moment.
	wait := rand.N(min(interval, time.Second))
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		s, err := w.client.Summary(ctx)
		if ctx.Err() != nil {
			return
		}
		w.take(s, err)
		if err == nil {
			again.Reset()
			wait = interval
		} else {
			wait = again.NextBackOff()
		}
	}
}

func (w *watcher) take(s *sample.Summary, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	st := &w.status
	switch {
	case err == nil:
		if st.State != remote.Up {
			st.State, st.Since = remote.Up, now
		}
		w.answers = now
		st.Error, st.Summary = "", s
		return
	case st.State == remote.Up:
		st.Since = w.answers
	case st.State == remote.Connecting:
		st.Since = now
	}
	st.State, st.Error, st.Summary = remote.Down, remote.Why(err), nil
}

func (w *watcher) now() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}
