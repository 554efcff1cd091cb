package controller

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// grace is how long changes under way may take when the controller stops.
const grace = 5 * time.Second

// door is one way in: a listener and the server behind it.
type door struct {
	listener net.Listener
	server   *http.Server
}

type doors []door

// listen opens every door of the configuration, or none.
func (c *Controller) listen() (opened doors, err error) {
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	handler := c.handler()
	open := func(l net.Listener, h http.Handler) {
		opened = append(opened, door{l, &http.Server{
			Handler:           h,
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
		}})
		c.addresses = append(c.addresses, l.Addr().String())
	}
	if c.cfg.Socket != "" {
		l, err := listenUnix(c.cfg.Socket)
		if err != nil {
			return opened, err
		}
		open(l, handler)
	}
	if c.cfg.Listen == "" {
		return opened, nil
	}
	l, err := c.listenTCP()
	if err != nil {
		return opened, fmt.Errorf("listen on %s: %w", c.cfg.Listen, err)
	}
	if c.cfg.TLSCert == "" {
		open(l, onlyLocal(handler))
		return opened, nil
	}
	conf, err := c.cfg.tls()
	if err != nil {
		_ = l.Close()
		return opened, err
	}
	open(l, onlyCertified(handler))
	opened[len(opened)-1].server.TLSConfig = conf
	return opened, nil
}

// listenTCP listens for other machines. One that acknowledges nothing for three heartbeats
// is gone: the kernel itself would wait a quarter of an hour (tcp_retries2 of tcp(7)), and
// a move from a host without power as long.
func (c *Controller) listenTCP() (net.Listener, error) {
	patience := int(3 * c.heartbeat / time.Millisecond)
	conf := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var set error
		err := raw.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, patience)
		})
		return errors.Join(err, set)
	}}
	return conf.Listen(context.Background(), "tcp", c.cfg.Listen)
}

// listenUnix listens on a socket that only the user may write to. It replaces one
// that a killed controller left, but not one that somebody listens on.
func listenUnix(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make directory of socket: %w", err)
	}
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("look at socket: %w", err)
	case info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("%s is there and is not a socket; remove it or name another path", path)
	default:
		if conn, err := net.Dial("unix", path); err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("another process listens on %s; stop it or name another path", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove stale socket: %w", err)
		}
	}
	// The mask is the whole process's: a file that it makes at this moment gets
	// fewer permissions than usual, never more.
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on socket: %w", err)
	}
	return l, nil
}

// serve answers until the door is shut.
func (d door) serve() error {
	var err error
	if d.server.TLSConfig != nil {
		err = d.server.ServeTLS(d.listener, "", "")
	} else {
		err = d.server.Serve(d.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", d.listener.Addr(), err)
}

// shutdown lets no more requests in and waits a little for those that are.
func (ds doors) shutdown(ctx context.Context, grace time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for _, d := range ds {
		if d.server.Shutdown(ctx) != nil {
			_ = d.server.Close()
		}
	}
}

func (ds doors) close() {
	for _, d := range ds {
		_ = d.listener.Close()
	}
}
