package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"sarn/internal/kernel"
)

// Verdict is what became of an expectation.
type Verdict struct {
	From     string `json:"from"`
	To       string `json:"to"`
	What     string `json:"what"`
	Expected string `json:"expected"`
	Seen     string `json:"seen"`
	OK       bool   `json:"ok"`
	Line     int    `json:"line"`
}

const (
	// patience is how many waits a packet that is expected has to arrive. What must
	// not arrive is waited for once.
	patience = 3
	udpTries = 3
)

// Test checks expectations with real packets. wait is how long to wait before
// concluding that nothing comes. An error says that it could not be tried at all.
func (l *Lab) Test(ctx context.Context, d *Directory, all []Expectation, wait time.Duration) ([]Verdict, error) {
	if err := requireRoot(); err != nil {
		return nil, err
	}
	probes, err := d.resolve(all)
	if err != nil {
		return nil, err
	}
	t := &trial{directory: d, pingers: newPingers(), ears: &listeners{heard: map[string]bool{}}, wait: wait}
	defer t.ears.close()
	for _, p := range probes {
		if err := t.ears.open(p); err != nil {
			return nil, fmt.Errorf("listen on %s in %s: %w", p.what(), p.to.Name, err)
		}
	}
	verdicts := each(probes, func(p probe) Verdict { return t.check(ctx, p) })
	return verdicts, ctx.Err()
}

// trial is what the probes of one Test share.
type trial struct {
	directory *Directory
	pingers   *pingers
	ears      *listeners
	wait      time.Duration
}

func (t *trial) check(ctx context.Context, p probe) Verdict {
	v := Verdict{From: p.From, To: p.To, What: p.what(), Expected: p.expected(), Line: p.line}
	wait := t.wait
	if p.allowed() {
		wait *= patience
	}
	rtt, err := t.send(ctx, p, wait)
	if !p.allowed() {
		v.OK = keptOut(err)
	} else {
		v.OK = err == nil || errors.Is(err, errClosed)
	}
	v.Seen = milliseconds(rtt) + " ms"
	if err != nil {
		v.Seen = t.directory.tell(err, p.from)
	}
	if !v.OK || p.Hops == nil {
		return v
	}
	path, err := t.path(ctx, p, wait)
	v.Seen += " " + t.directory.via(path, p.from)
	if err != nil {
		v.Seen += ", then " + t.directory.tell(err, p.from)
	}
	v.OK = err == nil && t.directory.sameHops(p.Hops, path, p.from)
	return v
}

// errClosed says that a packet arrived where nobody listens. The lab could not place a
// listener there, and nothing that Sarn builds refuses on behalf of the target, so
// "refused" is the target's own word, and the way to it is open.
var errClosed = errors.New("it arrives, and nobody listens there")

// keptOut reports whether err says that a packet was refused or got lost. Other errors
// say that it was not sent at all, or that it arrived and only its answer got lost, or
// that it went round in circles: a fault, not a denial.
func keptOut(err error) bool {
	var r *refusal
	return errors.Is(err, errSilent) || errors.As(err, &r) && r.denial()
}

func (t *trial) send(ctx context.Context, p probe, wait time.Duration) (rtt time.Duration, err error) {
	switch p.Protocol {
	case TCP:
		rtt, err = p.connect(ctx, wait)
	case UDP:
		rtt, err = p.datagram(ctx, t.ears, wait)
	default:
		var s *pinger
		if s, err = t.pingers.open(p.from.Netns); err != nil {
			return 0, err
		}
		defer s.close()
		_, rtt, err = s.ping(ctx, p.address, wait)
	}
	var r *refusal
	if errors.As(err, &r) && r.What == portRefused && !t.ears.at(p) {
		err = errClosed
	}
	return rtt, err
}

func (t *trial) path(ctx context.Context, p probe, wait time.Duration) ([]netip.Addr, error) {
	s, err := t.pingers.open(p.from.Netns)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.hops(ctx, p.address, wait)
}

func (p probe) target() string { return netip.AddrPortFrom(p.address, uint16(p.Port)).String() }

func (p probe) connect(ctx context.Context, wait time.Duration) (time.Duration, error) {
	began := time.Now()
	err := kernel.Enter(p.from.Netns, func() error {
		c, err := (&net.Dialer{Timeout: wait}).DialContext(ctx, "tcp4", p.target())
		if err != nil {
			return err
		}
		return c.Close()
	})
	took := time.Since(began)
	var late net.Error
	switch {
	case err == nil:
		return took, nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.As(err, &late) && late.Timeout():
		return 0, errSilent
	}
	return 0, refused(err)
}

// onewayError says that a datagram arrived and its answer did not.
type onewayError struct{}

func (*onewayError) Error() string { return "it arrives, but no answer comes back" }

func (p probe) datagram(ctx context.Context, ears *listeners, wait time.Duration) (time.Duration, error) {
	var c net.Conn
	err := kernel.Enter(p.from.Netns, func() (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, "udp4", p.target())
		return err
	})
	if err != nil {
		return 0, refused(err)
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	// The local address makes the words of this probe unlike those of others.
	word := []byte(fmt.Sprintf("%s %s %d", p.From, c.LocalAddr(), time.Now().UnixNano()))
	buf := make([]byte, 1500)
	for range udpTries {
		sent := time.Now()
		if _, err := c.Write(word); err != nil {
			return 0, refused(err)
		}
		if err := c.SetReadDeadline(sent.Add(wait / udpTries)); err != nil {
			return 0, fmt.Errorf("set a deadline: %w", err)
		}
		switch _, err := c.Read(buf); {
		case err == nil:
			return time.Since(sent), nil
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, refused(err)
		}
	}
	if ears.has(string(word)) {
		return 0, &onewayError{}
	}
	return 0, errSilent
}

// listeners stand at the ends of tcp and udp expectations: they accept connections
// and send datagrams back.
type listeners struct {
	keys []string
	all  []interface{ Close() error }
	wg   sync.WaitGroup

	mu    sync.Mutex
	heard map[string]bool
}

// open opens the listener that the probe needs, unless there is one. A member that
// has no namespace has to have its own.
func (s *listeners) open(p probe) error {
	if p.Port == 0 || p.to.Netns == "" || s.at(p) {
		return nil
	}
	s.keys = append(s.keys, p.key())
	return kernel.Enter(p.to.Netns, func() error {
		if p.Protocol == TCP {
			return s.tcp(p.target())
		}
		return s.udp(p.target())
	})
}

// at reports whether there is a listener for the probe.
func (s *listeners) at(p probe) bool { return slices.Contains(s.keys, p.key()) }

func (p probe) key() string { return string(p.Protocol) + " " + p.target() }

func (s *listeners) tcp(address string) error {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), "tcp4", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil // somebody listens already: as good as ours
	}
	if err != nil {
		return err
	}
	s.all = append(s.all, l)
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				c.Close() //nolint:errcheck // only that it came counts
			}
		}
	})
	return nil
}

// udp answers from the very address that was asked: a socket for any address would
// answer from the one nearest to who asks, which is another where there are several.
func (s *listeners) udp(address string) error {
	c, err := net.ListenPacket("udp4", address)
	if err != nil {
		return err
	}
	s.all = append(s.all, c)
	s.wg.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			s.mu.Lock()
			s.heard[string(buf[:n])] = true
			s.mu.Unlock()
			c.WriteTo(buf[:n], from) //nolint:errcheck // who asked finds out
		}
	})
	return nil
}

func (s *listeners) has(word string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard[word]
}

func (s *listeners) close() {
	for _, c := range s.all {
		c.Close() //nolint:errcheck // nothing is lost
	}
	s.wg.Wait()
}
