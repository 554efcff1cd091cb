package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// batch is how many route messages are sent to the kernel at once. Together they must
// fit into a socket's send buffer, and their errors into its receive buffer.
const batch = 500

// routes applies ops, all about routes, many at a time: the kernel takes any number of
// messages in one go and answers to the last, and to those that fail.
func (p *pass) routes(ops []netstate.Op) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing is left to write
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	for len(ops) > 0 {
		n := min(len(ops), batch)
		refused, err := p.routeBatch(fd, ops[:n])
		if err != nil {
			return err
		}
		for _, r := range refused {
			if err := p.forgive(r); err != nil {
				return p.kernel.failedOp(r.op, err)
			}
		}
		ops = ops[n:]
	}
	return nil
}

// refusal is an op that the kernel did not do, and why.
type refusal struct {
	op  netstate.Op
	err unix.Errno
}

// forgive returns the refusal's error unless all is as the op wants it.
func (p *pass) forgive(r refusal) error {
	switch {
	case r.op.Verb == netstate.Delete:
		return ignoreGone(r.err)
	case r.op.Verb == netstate.Add && r.err == unix.EEXIST:
		return p.unlessRouted(r.op.Object.(netstate.Route), r.err)
	}
	return r.err
}

// routeBatch sends one message for each op and returns what the kernel refused.
func (p *pass) routeBatch(fd int, ops []netstate.Op) (refused []refusal, err error) {
	var out []byte
	for i, op := range ops {
		out, err = p.routeMessage(out, op, uint32(i+1), i == len(ops)-1)
		if err != nil {
			return nil, p.kernel.failedOp(op, err)
		}
	}
	if err := unix.Sendto(fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("send routes to the kernel: %w", err)
	}
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the kernel's answer about routes: %w", err)
		}
		for m := range messages(buf[:n]) {
			if m.kind != unix.NLMSG_ERROR || len(m.body) < unix.SizeofNlMsghdr+4 {
				continue
			}
			seq := int(binary.NativeEndian.Uint32(m.body[4+8:])) // of the header that it repeats
			if seq < 1 || seq > len(ops) {
				continue
			}
			if errno := -int32(binary.NativeEndian.Uint32(m.body)); errno != 0 {
				refused = append(refused, refusal{ops[seq-1], unix.Errno(errno)})
			}
			if seq == len(ops) {
				return refused, nil
			}
		}
	}
}

// routeMessage appends the message that does the op: rtnetlink(7).
func (p *pass) routeMessage(b []byte, op netstate.Op, seq uint32, last bool) ([]byte, error) {
	r := op.Object.(netstate.Route)
	if _, known := routeTypes[r.Type]; !known && op.Verb != netstate.Delete {
		return nil, fmt.Errorf("this version of Sarn makes no routes of type %q", r.Type)
	}
	kind, flags := uint16(unix.RTM_NEWROUTE), uint16(unix.NLM_F_REQUEST)
	rt := unix.RtMsg{
		Family: unix.AF_INET, Dst_len: uint8(r.Dst.Bits()), Table: unix.RT_TABLE_UNSPEC,
		Protocol: p.kernel.owner.Protocol, Type: routeTypes[r.Type], Scope: unix.RT_SCOPE_UNIVERSE,
	}
	switch op.Verb {
	case netstate.Delete:
		// Table, destination and protocol name it. Its link may be gone by now, and
		// any scope will do.
		kind, rt.Type, rt.Scope = unix.RTM_DELROUTE, unix.RTN_UNSPEC, unix.RT_SCOPE_NOWHERE
	case netstate.Change:
		flags |= unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	default:
		flags |= unix.NLM_F_CREATE | unix.NLM_F_EXCL
	}
	if last {
		flags |= unix.NLM_F_ACK
	}
	begin := len(b)
	b = binary.NativeEndian.AppendUint32(b, 0) // the length, when it is known
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	header := len(b)
	b = append(b, make([]byte, unix.SizeofRtMsg)...)
	dst := r.Dst.Addr().As4()
	b = appendAttribute(b, unix.RTA_DST, dst[:])
	b = appendAttribute(b, unix.RTA_TABLE, binary.NativeEndian.AppendUint32(nil, r.Table))
	if op.Verb != netstate.Delete {
		switch {
		case r.Via.IsValid():
			via := r.Via.As4()
			b = appendAttribute(b, unix.RTA_GATEWAY, via[:])
		case r.Type == netstate.Unicast:
			rt.Scope = unix.RT_SCOPE_LINK
		}
		if r.Link != "" {
			index, err := p.find(r.Link)
			if err != nil {
				return nil, err
			}
			b = appendAttribute(b, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(index)))
		}
		if r.Src.IsValid() {
			src := r.Src.As4()
			b = appendAttribute(b, unix.RTA_PREFSRC, src[:])
		}
	}
	copy(b[header:], []byte{rt.Family, rt.Dst_len, 0, 0, rt.Table, rt.Protocol, rt.Scope, rt.Type})
	binary.NativeEndian.PutUint32(b[begin:], uint32(len(b)-begin))
	return b, nil
}

// appendAttribute appends one attribute, whose value is as long as attributes are aligned to.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, value...)
}
