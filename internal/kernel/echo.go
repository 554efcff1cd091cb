package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// sizeofEcho is what an IPv4 and an ICMP header take.
const sizeofEcho = 28

// Fragments says what may become of a packet that is too large for its way.
type Fragments int

// Whole packets arrive in one piece or not at all; Pieces is the usual way.
const (
	Whole  Fragments = unix.IP_PMTUDISC_PROBE
	Pieces Fragments = unix.IP_PMTUDISC_DONT
)

// Echo sends each address an ICMP echo request of each of the sizes (of the whole
// packet, in bytes) out of the device. It returns, by address, the largest size that
// was answered within wait; an address without an answer is not in it. It ends early
// when all are answered.
func Echo(ctx context.Context, link string, addresses []netip.Addr, sizes []int, f Fragments, wait time.Duration) (map[netip.Addr]int, error) {
	e, err := openEcho(link, f)
	if err != nil {
		return nil, fmt.Errorf("open a socket for ICMP on %s: %w", link, err)
	}
	defer unix.Close(e.fd) //nolint:errcheck // nothing is kept in it
	e.sizes, e.answered = sizes, map[echo]bool{}
	began := time.Now()
	const questions = 3 // one may get lost
	for asked := 0; time.Since(began) < wait && len(e.answered) < len(addresses)*len(sizes); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if asked < questions && time.Since(began) >= wait*time.Duration(asked)/(questions+1) {
			asked++
			if err := e.ask(addresses); err != nil {
				return nil, fmt.Errorf("send ICMP on %s: %w", link, err)
			}
		}
		e.hear(0)
	}
	largest := map[netip.Addr]int{}
	for a := range e.answered {
		largest[a.from] = max(largest[a.from], sizes[a.size])
	}
	return largest, nil
}

// echo is one question: an address and the index of a size.
type echo struct {
	from netip.Addr
	size int
}

type echoes struct {
	fd       int
	id       uint16
	sizes    []int
	answered map[echo]bool
}

func openEcho(link string, f Fragments) (*echoes, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return nil, err
	}
	patience := unix.NsecToTimeval(glance.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience),
		unix.BindToDevice(fd, link),
		// With either value the kernel pays no heed to what it learned about the path.
		unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, int(f)),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20),
	)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &echoes{fd: fd, id: uint16(rand.Uint32())}, nil
}

// ask sends what has no answer yet.
func (e *echoes) ask(addresses []netip.Addr) error {
	for _, a := range addresses {
		for i, size := range e.sizes {
			if e.answered[echo{a, i}] {
				continue
			}
			err := unix.Sendto(e.fd, echoRequest(e.id, uint16(i), size), 0, &unix.SockaddrInet4{Addr: a.As4()})
			switch {
			case err == nil, errors.Is(err, unix.EMSGSIZE), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
			case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EPERM): // lost, or refused by a filter
			default:
				return err
			}
			e.hear(unix.MSG_DONTWAIT)
		}
	}
	return nil
}

// hear notes the answers that have come, or waits for one if there is none yet.
func (e *echoes) hear(flags int) {
	packet := make([]byte, 128) // the rest of each is cut off
	for {
		n, from, err := unix.Recvfrom(e.fd, packet, flags)
		if err != nil { // a timeout, or word that a host cannot be reached
			return
		}
		flags = unix.MSG_DONTWAIT
		header := int(packet[0]&0x0f) * 4
		sender, ok := from.(*unix.SockaddrInet4)
		if !ok || n < header+8 || packet[header] != 0 || binary.BigEndian.Uint16(packet[header+4:]) != e.id {
			continue
		}
		if i := int(binary.BigEndian.Uint16(packet[header+6:])); i < len(e.sizes) {
			e.answered[echo{netip.AddrFrom4(sender.Addr), i}] = true
		}
	}
}

// echoRequest returns an ICMP message that makes a packet of the size: RFC 792.
func echoRequest(id, sequence uint16, size int) []byte {
	p := make([]byte, max(size-sizeofEcho, 0)+8)
	p[0] = 8
	binary.BigEndian.PutUint16(p[4:], id)
	binary.BigEndian.PutUint16(p[6:], sequence)
	sum := uint32(8<<8) + uint32(id) + uint32(sequence)
	sum = sum>>16 + sum&0xffff
	sum += sum >> 16
	binary.BigEndian.PutUint16(p[2:], ^uint16(sum))
	return p
}
