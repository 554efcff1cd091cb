package netload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of what strangers can ask of a server.
const (
	mostUnread  = 32               // connections whose preface has not come
	mostWaiting = 32               // connections that wait for their session, or for their place
	idleTime    = 15 * time.Second // a client that asks for no test is shown the door after this
	placeTime   = time.Second      // how long a client may wait for the one before it to leave
	backlog     = 128
)

// Server answers one client at a time.
type Server struct {
	address netip.AddrPort
	tcp     int
	udp     *net.UDPConn
	// unread bounds the connections that have not said what they are: they take no
	// room from those that waiting bounds.
	unread, waiting chan struct{}
	// think is how long it takes for an answer; tests set it.
	think time.Duration
	// ended follows Run's context, for those who look at it between system calls.
	ended atomic.Bool

	// place is taken by the client that is served.
	place   chan struct{}
	mu      sync.Mutex
	current *session
	wg      sync.WaitGroup
	// thread is the one that accepts connections.
	thread int
}

// Listen makes a server that listens on the TCP port, and the UDP port of the same
// number; 0 is any. Run makes it answer; one that never runs needs no Close.
func Listen(at netip.AddrPort) (*Server, error) {
	s := &Server{unread: make(chan struct{}, mostUnread), waiting: make(chan struct{}, mostWaiting), place: make(chan struct{}, 1)}
	var err error
	if s.tcp, err = open(at.Addr(), unix.SOCK_STREAM); err != nil {
		return nil, err
	}
	err = unix.SetsockoptInt(s.tcp, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		// A connection is seen when its preface is there, so that one look at it is
		// enough (tcp(7)).
		err = unix.SetsockoptInt(s.tcp, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 2)
	}
	if err == nil {
		err = unix.Bind(s.tcp, sockaddr(at))
	}
	if err == nil {
		err = unix.Listen(s.tcp, backlog)
	}
	if err == nil {
		s.address, err = localAddress(s.tcp)
	}
	if err == nil {
		s.udp, err = s.listenUDP()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", at, wordsOf(err)), unix.Close(s.tcp))
	}
	return s, nil
}

func localAddress(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	return addrPort(sa), err
}

func (s *Server) listenUDP() (*net.UDPConn, error) {
	fd, err := s.openUDP(s.address)
	if err != nil {
		return nil, err
	}
	conn, err := goConn(fd)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// openUDP opens a socket on the server's port. Each test has one of its own, connected to
// its client; the kernel gives it what comes from there, and the others the rest. Only
// sockets of the same user can share a port so (SO_REUSEPORT).
func (s *Server) openUDP(at netip.AddrPort) (int, error) {
	fd, err := open(at.Addr(), unix.SOCK_DGRAM)
	if err != nil {
		return -1, err
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if err == nil {
		err = unix.Bind(fd, sockaddr(at))
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// Address is where the server listens.
func (s *Server) Address() netip.AddrPort { return s.address }

// Run answers until ctx ends, which is no error, and returns after all that it started.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	unhook := context.AfterFunc(ctx, func() {
		s.ended.Store(true)
		s.udp.Close() //nolint:errcheck // nothing is kept
	})
	defer unhook()
	s.wg.Go(func() { s.meet() })
	err := pinned(-1, func() error {
		s.thread = unix.Gettid()
		return s.accept(ctx)
	})
	cancel()
	s.wg.Wait()
	unix.Close(s.tcp) //nolint:errcheck // nothing is kept
	return err
}

// accept takes connections. Those of a tcp-crr test it serves itself: a thread more would
// cost more than the answer.
func (s *Server) accept(ctx context.Context) error {
	var head preface
	for !s.ended.Load() {
		fd, err := acceptBare(s.tcp)
		switch {
		case err == nil:
		case again(err) || errors.Is(err, unix.ECONNABORTED):
			continue
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM):
			time.Sleep(glance) // until some are closed
			continue
		default:
			return fmt.Errorf("accept connections: %w", err)
		}
		n, err := readNow(fd, head[:])
		if err == nil && n == len(head) {
			if s.answerCRR(fd, &head) {
				continue
			}
		} else if err != nil {
			n = 0
		}
		s.welcome(ctx, fd, head, n)
	}
	return nil
}

// welcome finds out what the connection is, aside, since it may never say.
func (s *Server) welcome(ctx context.Context, fd int, head preface, have int) {
	room := s.unread
	if have == len(head) {
		room = s.waiting
	}
	select {
	case room <- struct{}{}:
	default:
		unix.Close(fd) //nolint:errcheck // there are too many
		return
	}
	s.wg.Go(func() {
		leave := sync.OnceFunc(func() { <-room })
		defer leave()
		var p part
		release := p.limit(ctx, silence)
		// There may be many of these, and so the scheduler is to know that they wait.
		err := p.readBy(unix.Read, fd, head[have:], time.Time{})
		release()
		var ch channel
		var c cookie
		if err == nil {
			ch, c, err = head.read()
		}
		if err != nil {
			unix.Close(fd) //nolint:errcheck // a stranger
			return
		}
		if ch == controlChannel {
			s.serve(ctx, fd, leave)
			return
		}
		if one := s.session(c); one == nil || !one.join(fd) {
			unix.Close(fd) //nolint:errcheck // a stranger
		}
	})
}

// session returns the session whose cookie that is.
func (s *Server) session(c cookie) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.cookie != c {
		return nil
	}
	return s.current
}

// meet hears from which ports clients will send datagrams, and answers nobody.
func (s *Server) meet() {
	var head [prefaceSize + 1]byte
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(head[:])
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n != prefaceSize {
			continue
		}
		p := preface(head[:prefaceSize])
		ch, c, err := p.read()
		if err != nil || ch != dataChannel {
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if one := s.session(c); one != nil && one.peer.Addr() == from.Addr() {
			one.meet(from)
		}
	}
}

// serve is a control channel's whole life. It calls seated when it has its place.
func (s *Server) serve(ctx context.Context, fd int, seated func()) {
	local, err := localAddress(fd)
	remote, peerErr := unix.Getpeername(fd)
	conn, connErr := goConn(fd)
	if connErr != nil {
		return
	}
	defer conn.Close() //nolint:errcheck // nothing is kept
	if err != nil || peerErr != nil {
		return
	}
	one := &session{
		server: s, control: newControl(conn), cookie: newCookie(), local: local, peer: addrPort(remote),
		data: make(chan int), datagrams: make(chan netip.AddrPort, 1),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	unhook := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer unhook()
	select {
	case s.place <- struct{}{}:
	case <-time.After(placeTime):
		_ = one.control.send(message{Error: "it measures with another client; try again when that is done"})
		return
	}
	seated()
	s.seat(one)
	one.run(ctx)
	s.seat(nil)
	<-s.place
}

// seat makes the session the one that data channels are for.
func (s *Server) seat(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = one
}

// acceptOn lets connections be accepted, and so answered, where the test wants it, until
// the part stops.
func (s *Server) acceptOn(p *part) error {
	if p.cpu >= 0 {
		var before, only unix.CPUSet
		only.Set(p.cpu)
		err := unix.SchedGetaffinity(s.thread, &before)
		if err == nil {
			err = unix.SchedSetaffinity(s.thread, &only)
		}
		if err != nil {
			return fmt.Errorf("this machine lets nothing run on a CPU %d: %w", p.cpu, err)
		}
		defer unix.SchedSetaffinity(s.thread, &before) //nolint:errcheck // it had that before
	}
	for !p.stop.Load() {
		p.sleep(glance)
	}
	return nil
}

// answerCRR serves a connection of a tcp-crr test, if it is one, and closes it.
func (s *Server) answerCRR(fd int, head *preface) bool {
	ch, c, err := head.read()
	if err != nil || ch != dataChannel {
		return false
	}
	one := s.session(c)
	if one == nil {
		return false
	}
	p := one.crr.Load()
	if p == nil {
		return false
	}
	defer unix.Close(fd) //nolint:errcheck // nothing is kept
	// A request of several segments takes its time, and the longer if one is lost.
	late := time.Now().Add(silence)
	if p.readFull(fd, p.answer[prefaceSize:], late) != nil {
		return true
	}
	if p.think > 0 {
		time.Sleep(p.think)
		late = late.Add(p.think)
	}
	_ = writeAll(fd, p.answer, late) // the client sees what it misses
	return true
}
