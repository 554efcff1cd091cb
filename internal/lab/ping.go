package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"sarn/internal/kernel"
)

// errSilent says that nothing came back in time.
var errSilent = errors.New("no answer")

// refusal is an ICMP error, or a packet that tells of one.
type refusal struct {
	From netip.Addr // who refuses; not valid if the sender's own kernel does
	What string     // "unreachable", "prohibited", "TTL exceeded"
}

// Error tells it without the name of who refuses; see Directory.tell.
func (r *refusal) Error() string { return r.What }

const (
	ttlExceeded = "TTL exceeded"
	tooBig      = "too big"
	portRefused = "refused"
	// mostHops is how many routers a path may have.
	mostHops = 30
)

// denial reports whether somebody does not want the packet, or knows no way for it.
func (r *refusal) denial() bool { return r.What != ttlExceeded && r.What != tooBig }

// pingers opens pingers. Each in a namespace sees the answers to all of them, so they
// have identities, of which no two are alike.
type pingers struct{ last atomic.Uint32 }

// newPingers begins anywhere, lest another process have the same identities.
func newPingers() *pingers {
	s := &pingers{}
	s.last.Store(rand.Uint32())
	return s
}

// pinger is an ICMP socket in one network namespace. Many may wait on it at once.
type pinger struct {
	conn *net.IPConn
	id   uint16
	done chan struct{}

	mu      sync.Mutex
	next    uint16
	waiting map[echo]chan<- reply
}

// echo is what tells an echo request from others.
type echo struct {
	id, seq uint16
	to      netip.Addr
}

type reply struct {
	from netip.Addr
	at   time.Time
	err  error
}

// open opens a pinger in the namespace at netns. Close it.
func (s *pingers) open(netns string) (*pinger, error) {
	p := &pinger{id: uint16(s.last.Add(1)), done: make(chan struct{}), waiting: map[echo]chan<- reply{}}
	err := kernel.Enter(netns, func() (err error) {
		p.conn, err = net.ListenIP("ip4:icmp", nil)
		return err
	})
	if err == nil {
		err = stampArrivals(p.conn)
	}
	if err != nil {
		return nil, fmt.Errorf("open an ICMP socket: %w", err)
	}
	go p.receive()
	return p, nil
}

func (p *pinger) close() {
	p.conn.Close() //nolint:errcheck // nothing is lost
	<-p.done
}

// ping sends one echo request and waits for what comes back. It returns who answered,
// and how long that took; a refusal is an error.
func (p *pinger) ping(ctx context.Context, to netip.Addr, wait time.Duration) (netip.Addr, time.Duration, error) {
	answer := make(chan reply, 1)
	p.mu.Lock()
	p.next++
	asked := echo{p.id, p.next, to}
	p.waiting[asked] = answer
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.waiting, asked)
		p.mu.Unlock()
	}()
	request := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: int(asked.id), Seq: int(asked.seq), Data: make([]byte, 48)}}
	packet, err := request.Marshal(nil)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("make an echo request: %w", err)
	}
	sent := time.Now().Round(0) // without the monotonic reading: the kernel's clock has none
	if _, err := p.conn.WriteTo(packet, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return netip.Addr{}, 0, refused(err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case r := <-answer:
		return r.from, max(r.at.Sub(sent), 0), r.err
	case <-timer.C:
		return netip.Addr{}, 0, errSilent
	case <-ctx.Done():
		return netip.Addr{}, 0, ctx.Err()
	}
}

// receive hands out what arrives until the socket is closed.
func (p *pinger) receive() {
	defer close(p.done)
	buf, control := make([]byte, 1<<16), make([]byte, 256)
	for {
		n, nc, _, from, err := p.conn.ReadMsgIP(buf, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < ipv4.HeaderLen {
			continue // the socket reports an earlier packet's fate
		}
		at := arrival(control[:nc])
		r := reply{from: addrOf(from.IP), at: at}
		asked, what, ok := parseICMP(r.from, buf[min(n, int(buf[0]&0x0f)*4):n])
		if !ok {
			continue
		}
		if what != "" {
			r.err = &refusal{From: r.from, What: what}
		}
		p.mu.Lock()
		if answer := p.waiting[asked]; answer != nil {
			answer <- r
			delete(p.waiting, asked)
		}
		p.mu.Unlock()
	}
}

// stampArrivals makes the kernel note when each packet came in. Where many probes are
// under way, the time at which a goroutine gets to read one says more about goroutines.
func stampArrivals(c *net.IPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}); err != nil {
		return err
	}
	return set
}

// arrival returns when a packet with these control messages came in.
func arrival(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now().Round(0)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) == 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now().Round(0)
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// parseICMP returns the echo request that a message of from's answers or is about, and
// what an error says. It is not ok if there is no such request.
func parseICMP(from netip.Addr, b []byte) (asked echo, what string, ok bool) {
	const header = 8
	if len(b) < header {
		return echo{}, "", false
	}
	switch ipv4.ICMPType(b[0]) {
	case ipv4.ICMPTypeEchoReply:
		return echoOf(b, from), "", true
	case ipv4.ICMPTypeDestinationUnreachable:
		what = unreachable(int(b[1]))
	case ipv4.ICMPTypeTimeExceeded:
		what = ttlExceeded
	default:
		return echo{}, "", false
	}
	// An error quotes the packet that it is about: its IP header and 8 bytes.
	inner := b[header:]
	if len(inner) < ipv4.HeaderLen || inner[9] != unix.IPPROTO_ICMP {
		return echo{}, "", false
	}
	skip := int(inner[0]&0x0f) * 4
	if len(inner) < skip+header || ipv4.ICMPType(inner[skip]) != ipv4.ICMPTypeEcho {
		return echo{}, "", false
	}
	return echoOf(inner[skip:], addrOf(inner[16:20])), what, true
}

func echoOf(b []byte, to netip.Addr) echo {
	return echo{binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), to}
}

// unreachable puts a code of RFC 792 and RFC 1812, 5.2.7.1 into a word.
func unreachable(code int) string {
	switch code {
	case 9, 10, 13:
		return "prohibited"
	case 3:
		return "port unreachable"
	case 4:
		return tooBig
	}
	return "unreachable"
}

// refused turns what the socket says into a refusal where it is one.
func refused(err error) error {
	switch {
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return &refusal{What: "unreachable"}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return &refusal{What: "prohibited"}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return &refusal{What: portRefused}
	}
	return err
}

// tell puts the fate of a packet of from's into words.
func (d *Directory) tell(err error, from Member) string {
	var r *refusal
	if errors.As(err, &r) && r.From.IsValid() {
		return r.What + ", says " + d.NameOf(r.From, from)
	}
	return err.Error()
}

// hops returns who lies between the pinger's namespace and to: probes with a growing
// time to live die at one after the other. A hop that says nothing is not valid.
func (p *pinger) hops(ctx context.Context, to netip.Addr, wait time.Duration) ([]netip.Addr, error) {
	const mostSilent = 3
	var path []netip.Addr
	silent := 0
	for ttl := 1; ttl <= mostHops && silent < mostSilent; ttl++ {
		if err := ipv4.NewPacketConn(p.conn).SetTTL(ttl); err != nil {
			return nil, fmt.Errorf("set TTL: %w", err)
		}
		_, _, err := p.ping(ctx, to, wait)
		var r *refusal
		switch {
		case err == nil:
			return path, nil
		case errors.As(err, &r) && r.What == ttlExceeded:
			path, silent = append(path, r.From), 0
		case errors.Is(err, errSilent):
			path, silent = append(path, netip.Addr{}), silent+1
		default:
			return path, err
		}
	}
	return path, errSilent
}
