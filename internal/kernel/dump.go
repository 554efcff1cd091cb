package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The netlink library makes a few objects of every attribute that it reads. The
// dumps that can be long (routes), and those that it has no call for, are read here.

// tries is how often an interrupted dump is begun again: the kernel interrupts one
// when its list changes, which on a busy machine may happen a few times in a row.
const tries = 20

// retry calls list until the kernel was not interrupted.
func retry[T any](list func() (T, error)) (T, error) {
	for i := 1; ; i++ {
		all, err := list()
		if i == tries || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
}

// dump sends a dump request in the namespace of this thread and hands each answer's
// body to visit, which must not keep it.
func dump(protocol int, kind uint16, header []byte, visit func(body []byte) error) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	// With strict checking the kernel itself leaves out what the header does not
	// ask for. Kernels before 4.20 do not know it; then all is sent and visit sorts.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)

	request := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(header)))
	request = binary.NativeEndian.AppendUint16(request, kind)
	request = binary.NativeEndian.AppendUint16(request, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	request = append(request, 1, 0, 0, 0, 0, 0, 0, 0) // sequence, port
	request = append(request, header...)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("netlink request: %w", err)
	}
	interrupted := false
	buf := make([]byte, 1<<16)
	for {
		n, _, flags, _, err := unix.Recvmsg(fd, buf, nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("netlink answer: %w", err)
		case flags&unix.MSG_TRUNC != 0:
			return errors.New("netlink answer is longer than any should be")
		}
		done := false
		for m := range messages(buf[:n]) {
			interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
			switch m.kind {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				if len(m.body) >= 4 {
					if errno := -int32(binary.NativeEndian.Uint32(m.body)); errno != 0 {
						return unix.Errno(errno)
					}
				}
				done = true
			case unix.NLMSG_NOOP:
			default:
				if err := visit(m.body); err != nil {
					return err
				}
			}
		}
		if done && interrupted {
			return netlink.ErrDumpInterrupted
		}
		if done {
			return nil
		}
	}
}

// message is one netlink message without its header.
type message struct {
	kind, flags uint16
	body        []byte
}

func messages(b []byte) iter.Seq[message] {
	return func(yield func(message) bool) {
		for len(b) >= unix.NLMSG_HDRLEN {
			length := int(binary.NativeEndian.Uint32(b))
			if length < unix.NLMSG_HDRLEN || length > len(b) {
				return
			}
			m := message{binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:]), b[unix.NLMSG_HDRLEN:length]}
			if !yield(m) {
				return
			}
			b = b[min(align(length), len(b)):]
		}
	}
}

// attributes walks over the attributes in b: their type without flags, their value.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofNlAttr || length > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofNlAttr:length]) {
				return
			}
			b = b[min(align(length), len(b)):]
		}
	}
}

// align rounds up to the 4 bytes that netlink messages and attributes begin at.
func align(n int) int { return (n + 3) &^ 3 }
