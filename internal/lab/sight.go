package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Sighting is what became of a real packet.
type Sighting struct {
	Answered bool          `json:"answered"`
	RTT      time.Duration `json:"rttNanoseconds,omitempty"`
	// Fate says why there is no answer.
	Fate string `json:"fate,omitempty"`
	// Path is who forwards an ICMP echo request on that way, as traceroute finds out. One
	// that says nothing is not valid.
	Path []netip.Addr `json:"path"`
}

// Send sends a packet as the expectation describes it, and measures its path. An error
// says that it could not be sent at all. wait is how long to wait for each answer.
func (l *Lab) Send(ctx context.Context, d *Directory, e Expectation, wait time.Duration) (*Sighting, error) {
	if err := requireRoot(); err != nil {
		return nil, err
	}
	probes, err := d.resolve([]Expectation{e})
	if err != nil {
		return nil, err
	}
	p := probes[0]
	t := &trial{directory: d, pingers: newPingers(), ears: &listeners{heard: map[string]bool{}}, wait: wait}
	defer t.ears.close()
	if err := t.ears.open(p); err != nil {
		return nil, fmt.Errorf("listen on %s in %s: %w", p.what(), p.to.Name, err)
	}
	s := &Sighting{Path: []netip.Addr{}}
	s.RTT, err = t.send(ctx, p, wait)
	s.Answered = err == nil || errors.Is(err, errClosed)
	if err != nil {
		s.Fate = d.tell(err, p.from)
	}
	// Where the path ends in silence is told already.
	path, err := t.path(ctx, p, wait)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for err != nil && len(path) > 0 && !path[len(path)-1].IsValid() {
		path = path[:len(path)-1]
	}
	s.Path = append(s.Path, path...)
	return s, nil
}
