package netload

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// glance bounds each blocking call of a thread, which then looks whether to go on.
const glance = 100 * time.Millisecond

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	zone := uint32(0)
	if i, err := net.InterfaceByName(a.Addr().Zone()); err == nil {
		zone = uint32(i.Index)
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zone}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a := netip.AddrFrom16(sa.Addr).Unmap()
		if i, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil && sa.ZoneId != 0 {
			a = a.WithZone(i.Name)
		}
		return netip.AddrPortFrom(a, uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// open makes a blocking socket whose calls last a glance at most.
func open(a netip.Addr, kind int) (int, error) {
	fd, err := unix.Socket(family(a), kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket: %w", err)
	}
	if err := patience(fd, glance); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// patience bounds the socket's blocking calls, connecting included.
func patience(fd int, d time.Duration) error {
	tv := unix.NsecToTimeval(int64(d))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return err
	}
	return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
}

// dial connects a TCP socket.
func dial(to netip.AddrPort, within time.Duration) (int, error) {
	fd, err := open(to.Addr(), unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	err = patience(fd, within)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = connect(fd, sockaddr(to))
	}
	if err == nil {
		err = patience(fd, glance)
	}
	if err != nil {
		unix.Close(fd) //nolint:errcheck // it never was of use
		return -1, err
	}
	return fd, nil
}

// connect is connect(2), which a signal does not undo.
func connect(fd int, to unix.Sockaddr) error {
	for {
		err := unix.Connect(fd, to)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EALREADY):
			continue
		case errors.Is(err, unix.EISCONN):
			return nil
		}
		return err
	}
}

// again reports whether a call has only to be made once more: a signal came, or its time
// ran out. Signals are the Go scheduler's.
func again(err error) bool {
	return err == unix.EINTR || err == unix.EAGAIN //nolint:errorlint // a bare number; and a hot path
}

// goConn makes a net.Conn of the socket, which it takes over.
func goConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close() //nolint:errcheck // the connection has a duplicate
	return net.FileConn(f)
}

// writeAll writes, on a socket whose calls last a glance, until all is written or the
// time is up.
func writeAll(fd int, b []byte, end time.Time) error {
	for len(b) > 0 {
		n, err := rawWrite(fd, b)
		switch {
		case err == nil:
			b = b[n:]
		case !again(err):
			return err
		case time.Now().After(end):
			return os.ErrDeadlineExceeded
		}
	}
	return nil
}

// pathMTU is what the kernel knows of the way that a connected socket's packets go.
func pathMTU(fd int, a netip.Addr) int {
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	if a.Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	mtu, err := unix.GetsockoptInt(fd, level, option)
	if err != nil {
		return 0
	}
	return mtu
}

// payloadOf is what of a packet of the MTU is left to a datagram.
func payloadOf(mtu int, a netip.Addr) int {
	if a.Is6() {
		return mtu - 40 - 8
	}
	return mtu - 20 - 8
}

func neverFragment(fd int, a netip.Addr) error {
	if a.Is6() {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
}

// retransmits counts the segments that the sockets have sent again.
func retransmits(fds []int) int64 {
	var n int64
	for _, fd := range fds {
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n += int64(info.Total_retrans)
		}
	}
	return n
}

// pinned runs f on a thread of its own, on the CPU if that is not -1.
func pinned(cpu int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cpu < 0 {
		return f()
	}
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	only.Set(cpu)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("this machine lets nothing run on a CPU %d: %w", cpu, err)
	}
	defer unix.SchedSetaffinity(0, &before) //nolint:errcheck // it had that before
	return f()
}
