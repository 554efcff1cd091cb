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

const ttlExceeded = "TTL exceeded"

// pinger is an ICMP socket in one network namespace. Many may wait on it at once.
type pinger struct {
	conn *net.IPConn
	id   int
	done chan struct{}

	mu      sync.Mutex
	next    uint16
	waiting map[uint16]chan<- reply
}

type reply struct {
	from netip.Addr
	at   time.Time
	err  error
}

// newPinger opens a socket in the namespace at netns. Close it.
func newPinger(netns string) (*pinger, error) {
	p := &pinger{
		id: int(rand.Uint32N(1 << 16)), done: make(chan struct{}), waiting: map[uint16]chan<- reply{},
	}
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
	seq := p.next
	p.waiting[seq] = answer
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.waiting, seq)
		p.mu.Unlock()
	}()
	request := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: p.id, Seq: int(seq), Data: make([]byte, 48)}}
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
		id, seq, what := parseICMP(buf[min(n, int(buf[0]&0x0f)*4):n])
		if id != p.id {
			continue
		}
		r := reply{from: addrOf(from.IP), at: at}
		if what != "" {
			r.err = &refusal{From: r.from, What: what}
		}
		p.mu.Lock()
		if answer := p.waiting[seq]; answer != nil {
			answer <- r
			delete(p.waiting, seq)
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

// parseICMP returns the identity of the echo request that a message answers or is
// about, and what an error says. An identity of -1 is that of no request.
func parseICMP(b []byte) (id int, seq uint16, what string) {
	const none, header = -1, 8
	if len(b) < header {
		return none, 0, ""
	}
	switch ipv4.ICMPType(b[0]) {
	case ipv4.ICMPTypeEchoReply:
		return int(binary.BigEndian.Uint16(b[4:])), binary.BigEndian.Uint16(b[6:]), ""
	case ipv4.ICMPTypeDestinationUnreachable:
		what = unreachable(int(b[1]))
	case ipv4.ICMPTypeTimeExceeded:
		what = ttlExceeded
	default:
		return none, 0, ""
	}
	// An error quotes the packet that it is about: its IP header and 8 bytes.
	inner := b[header:]
	if len(inner) < ipv4.HeaderLen || inner[9] != unix.IPPROTO_ICMP {
		return none, 0, ""
	}
	skip := int(inner[0]&0x0f) * 4
	if len(inner) < skip+header || ipv4.ICMPType(inner[skip]) != ipv4.ICMPTypeEcho {
		return none, 0, ""
	}
	return int(binary.BigEndian.Uint16(inner[skip+4:])), binary.BigEndian.Uint16(inner[skip+6:]), what
}

// unreachable puts a code of RFC 792 and RFC 1812, 5.2.7.1 into a word.
func unreachable(code int) string {
	switch code {
	case 9, 10, 13:
		return "prohibited"
	case 3:
		return "port unreachable"
	case 4:
		return "too big"
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
		return &refusal{What: "refused"}
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
	const most, mostSilent = 30, 3
	var path []netip.Addr
	silent := 0
	for ttl := 1; ttl <= most && silent < mostSilent; ttl++ {
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
