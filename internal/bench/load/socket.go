package load

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a TCP connection as a net.Conn. Without keep-alive a load test opens one for
// every request; package net asks the kernel for more each time than that needs (names
// of both ends, options) and watches the context from a goroutine, which halves the rate.
type socket struct {
	*os.File // not blocking, and in the hands of Go's poller
	to       netip.AddrPort
}

// LocalAddr implements net.Conn. Nobody asks for it.
func (s *socket) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (s *socket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.to) }

// connect opens a connection. Its errors are the kernel's.
func connect(ctx context.Context, to netip.AddrPort, end time.Time) (*socket, error) {
	family, address := socketAddress(to)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	// HTTP/2 and TLS write in pieces: without this each would wait for the answer to the one
	// before it (tcp(7), RFC 896). An error would cost speed, no more.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	err = unix.Connect(fd, address)
	s := &socket{os.NewFile(uintptr(fd), "connection"), to}
	if errors.Is(err, unix.EINPROGRESS) {
		err = s.await(ctx, end)
	}
	if err != nil {
		s.Close() //nolint:errcheck // err says more
		return nil, err
	}
	return s, nil
}

// await waits until the other end has taken the connection or refused it: connect(2) says
// how to tell.
func (s *socket) await(ctx context.Context, end time.Time) error {
	if err := s.SetDeadline(end); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })()
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var refused error
	err = raw.Write(func(fd uintptr) bool {
		var code int
		if code, refused = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); refused == nil && code != 0 {
			refused = syscall.Errno(code)
		}
		if refused != nil {
			return true
		}
		_, pending := unix.Getpeername(int(fd))
		return pending == nil
	})
	return errors.Join(err, refused)
}

func socketAddress(to netip.AddrPort) (family int, address unix.Sockaddr) {
	if to.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16(), ZoneId: zone(to.Addr())}
}

// zone is the interface that an address of one link belongs to.
func zone(a netip.Addr) uint32 {
	if i, err := net.InterfaceByName(a.Zone()); err == nil {
		return uint32(i.Index)
	}
	return 0
}
