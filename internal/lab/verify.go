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
	ears := &listeners{heard: map[string]bool{}}
	defer ears.close()
	for _, p := range probes {
		if err := ears.open(p); err != nil {
			return nil, fmt.Errorf("listen on %s in %s: %w", p.what(), p.to.Name, err)
		}
	}
	verdicts := each(probes, func(p probe) Verdict { return p.check(ctx, d, ears, wait) })
	return verdicts, ctx.Err()
}

func (p probe) check(ctx context.Context, d *Directory, ears *listeners, wait time.Duration) Verdict {
	v := Verdict{From: p.From, To: p.To, What: p.what(), Expected: p.expected(), Line: p.line}
	if p.allowed() {
		wait *= patience
	}
	rtt, err := p.send(ctx, ears, wait)
	if v.OK = err == nil; !p.allowed() {
		v.OK = keptOut(err)
	}
	if err != nil {
		v.Seen = d.tell(err, p.from)
		return v
	}
	v.Seen = milliseconds(rtt) + " ms"
	if p.Hops == nil {
		return v
	}
	path, err := p.path(ctx, wait)
	v.Seen += " " + d.via(path, p.from)
	if err != nil {
		v.Seen += ", then " + d.tell(err, p.from)
	}
	v.OK = v.OK && err == nil && d.sameHops(p.Hops, path, p.from)
	return v
}

// keptOut reports whether err says that a packet was refused or got lost. Other errors
// say that it was not sent at all, or that it arrived and only its answer got lost.
func keptOut(err error) bool {
	var r *refusal
	return errors.Is(err, errSilent) || errors.As(err, &r)
}

func (p probe) send(ctx context.Context, ears *listeners, wait time.Duration) (time.Duration, error) {
	switch p.Protocol {
	case TCP:
		return p.connect(ctx, wait)
	case UDP:
		return p.datagram(ctx, ears, wait)
	}
	s, err := newPinger(p.from.Netns)
	if err != nil {
		return 0, err
	}
	defer s.close()
	_, rtt, err := s.ping(ctx, p.address, wait)
	return rtt, err
}

func (p probe) path(ctx context.Context, wait time.Duration) ([]netip.Addr, error) {
	s, err := newPinger(p.from.Netns)
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
	key := string(p.Protocol) + " " + p.target()
	if p.Port == 0 || p.to.Netns == "" || slices.Contains(s.keys, key) {
		return nil
	}
	s.keys = append(s.keys, key)
	return kernel.Enter(p.to.Netns, func() error {
		if p.Protocol == TCP {
			return s.tcp(p.target())
		}
		return s.udp(p.target())
	})
}

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
