package netload

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// session is a client at the server, from its control channel's beginning to its end.
type session struct {
	server      *Server
	control     *control
	cookie      cookie
	local, peer netip.AddrPort

	data      chan int            // the data channels of the test
	datagrams chan netip.AddrPort // where the test's datagrams come from
	crr       atomic.Pointer[part]

	mu       sync.Mutex
	expected int // data channels that are still to come
}

// joinTime is how long a test's data channels may take.
const joinTime = 5 * time.Second

// join hands a data channel to the test that waits for it, if one does.
func (s *session) join(fd int) bool {
	s.mu.Lock()
	wanted := s.expected > 0
	if wanted {
		s.expected--
	}
	s.mu.Unlock()
	if !wanted {
		return false
	}
	select {
	case s.data <- fd:
		return true
	case <-time.After(joinTime):
		return false
	}
}

func (s *session) meet(from netip.AddrPort) {
	select {
	case s.datagrams <- from:
	default: // it has been told
	}
}

// run serves tests until the client leaves.
func (s *session) run(ctx context.Context) {
	if s.control.send(message{Hello: &hello{version, fmt.Sprintf("%x", s.cookie[:])}}) != nil {
		return
	}
	for {
		m, err := s.control.receive(idleTime)
		if err != nil || m.Test == nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = errors.New("no test was asked for in " + idleTime.String())
			} else if err == nil || errors.Is(err, errForeign) {
				err = errForeign
			} else {
				return // it has left
			}
			_ = s.control.send(message{Error: err.Error()})
			return
		}
		m.Test.fill()
		if err = m.Test.Validate(); err == nil && m.Test.Size == 0 {
			err = errors.New("a udp-stream needs a size")
		}
		if err == nil {
			err = s.test(ctx, *m.Test)
		}
		if err != nil {
			_ = s.control.send(message{Error: wordsOf(err).Error()})
			return
		}
	}
}

// slack is what a test may take in all beyond the time that its data flows.
const slack = 15 * time.Second

// test runs the server's part of one test.
func (s *session) test(ctx context.Context, t Test) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &part{test: t, cpu: t.PeerCPU, think: s.server.think}
	release := p.limit(ctx, t.length()+slack)
	defer release()
	select {
	case <-s.datagrams: // an old test's
	default:
	}
	if t.Kind == TCPCRR {
		p.answer = make([]byte, t.Size)
		s.crr.Store(p)
		defer s.crr.Store(nil)
	} else if !t.Kind.packets() {
		s.expect(t.Streams)
		defer s.expect(0)
	}
	if err := s.control.send(message{Ready: &signal{}}); err != nil {
		return err
	}
	said := s.listen(joinTime+t.length()+slack, cancel)
	work, err := s.prepare(ctx, p)
	if err != nil {
		s.control.deafen()
		<-said
		return err
	}
	return s.conduct(p, work, said)
}

// lastWord is a client's last message in a test.
type lastWord struct {
	message
	err error
}

// listen waits for the client's last word aside, from a test's beginning on, and calls
// gone if it leaves without one.
func (s *session) listen(within time.Duration, gone func()) <-chan lastWord {
	said := make(chan lastWord, 1)
	go func() {
		m, err := s.control.receive(within)
		if err == nil && m.Finish == nil {
			err = errForeign
		}
		if err != nil {
			gone()
		}
		said <- lastWord{m, err}
	}()
	return said
}

func (s *session) expect(channels int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = channels
}

// work is the server's part once the data channels are there. The client's last word
// sets finished to how many packets it has sent.
type work func(finished *atomic.Int64) (*Outcome, error)

// conduct runs the work and ends the test with the client: its last word, then ours.
func (s *session) conduct(p *part, do work, said <-chan lastWord) error {
	var sent atomic.Int64
	sent.Store(-1)
	type ended struct {
		outcome *Outcome
		err     error
	}
	done := make(chan ended, 1)
	go func() {
		o, err := do(&sent)
		if err != nil {
			s.control.deafen() // or we would wait for the client's last word
		}
		done <- ended{o, err}
	}()
	err := s.control.send(message{Go: &signal{}})
	if err != nil {
		s.control.deafen()
	}
	last := <-said
	if err == nil {
		err = last.err
	}
	if err == nil {
		sent.Store(last.Finish.Sent)
	}
	if receiver := p.test.Kind.stream() && !p.test.Reverse; err != nil || !receiver {
		p.stop.Store(true)
	}
	e := <-done
	if e.err != nil {
		return e.err
	}
	if err != nil {
		return err
	}
	return s.control.send(message{Result: e.outcome})
}

// prepare waits for the test's data channels and returns what to do with them.
func (s *session) prepare(ctx context.Context, p *part) (work, error) {
	switch {
	case p.test.Kind == TCPCRR:
		return func(*atomic.Int64) (*Outcome, error) { return &Outcome{}, s.server.acceptOn(p) }, nil
	case p.test.Kind.packets():
		return s.preparePackets(ctx, p)
	}
	fds, err := s.gather(ctx, p.test.Streams)
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	return func(*atomic.Int64) (o *Outcome, err error) {
		defer closeAll(fds)
		switch {
		case p.test.Kind == TCPRR:
			return &Outcome{}, p.threads(fds, func(_, fd int) error { return p.answerTCP(fd) })
		case p.test.Reverse:
			return p.sendStreams(fds)
		}
		return p.receiveStreams(fds)
	}, nil
}

// gather collects the test's data channels.
func (s *session) gather(ctx context.Context, n int) (fds []int, err error) {
	late := time.After(joinTime)
	for len(fds) < n {
		select {
		case fd := <-s.data:
			fds = append(fds, fd)
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
				return fds, err
			}
		case <-late:
			return fds, fmt.Errorf("%d of %d data connections have come", len(fds), n)
		case <-ctx.Done():
			return fds, ctx.Err()
		}
	}
	return fds, nil
}

// preparePackets waits until the client has shown its cookie in a datagram, and answers it.
func (s *session) preparePackets(ctx context.Context, p *part) (work, error) {
	var from netip.AddrPort
	select {
	case from = <-s.datagrams:
	case <-time.After(joinTime):
		return nil, errors.New("no datagram has come")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	fd, err := s.server.openUDP(s.local)
	if err != nil {
		return nil, err
	}
	head := newPreface(dataChannel, s.cookie)
	err = connect(fd, sockaddr(from))
	if err == nil && p.test.Kind == UDPStream {
		err = prepareUDP(fd, from.Addr())
	}
	if err == nil {
		_, err = unix.Write(fd, head[:])
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return func(sent *atomic.Int64) (*Outcome, error) {
		if p.test.Kind == UDPStream {
			return p.runPackets(fd, p.test.Reverse, sent)
		}
		defer closeAll([]int{fd})
		return &Outcome{}, pinned(p.cpu, func() error { return p.answerUDP(fd) })
	}, nil
}

// prepareUDP gives the socket of a udp-stream what it needs.
func prepareUDP(fd int, peer netip.Addr) error {
	// What the system allows, and root is allowed: a receiver that is put aside for a
	// while is not the network's loss.
	const room = 8 << 20
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, room)
	}
	return neverFragment(fd, peer)
}

// runPackets sends or receives on the socket, and closes it.
func (p *part) runPackets(fd int, send bool, sent *atomic.Int64) (*Outcome, error) {
	defer closeAll([]int{fd})
	var o *Outcome
	err := pinned(p.cpu, func() (err error) {
		if send {
			o, err = p.sendPackets(fd)
		} else {
			o, err = p.receivePackets(fd, sent)
		}
		return err
	})
	return o, err
}
