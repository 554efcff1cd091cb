package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"

	"sarn/internal/keys"
)

// spare is how many may be connected besides those who look on.
const spare = 100

func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	if c := &s.config; c.TLSCert != "" {
		var err error
		if s.tls, err = keys.NewFresh(c.tls, s.unread, c.TLSCert, c.TLSKey, c.ClientCA); err != nil {
			return nil, err
		}
	}
	sockets := net.ListenConfig{Control: bounded}
	l, err := sockets.Listen(ctx, "tcp", s.config.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another program listens on %s already: an agent's monitor, Glances? End that one, or choose another port", s.config.Listen)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", s.config.Listen, err)
	}
	most := s.config.Viewers + spare
	if s.config.Hosts != nil { // whose streams are bounded by themselves
		most += s.config.Viewers
	}
	l = netutil.LimitListener(l, most)
	if s.tls == nil {
		return l, nil
	}
	return tls.NewListener(l, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.tls.Now(), nil }}), nil
}

// unread is told of files that have changed and cannot be read.
func (s *Server) unread(err error) {
	s.Log.Warn("a file has changed and cannot be read; what it held before is used", "error", err)
}

// bounded keeps the kernel from taking up megabytes for each who does not read, as it does
// by itself (tcp_wmem of tcp(7)). Those who are accepted inherit it.
func bounded(_, _ string, raw syscall.RawConn) error {
	const most = 128 << 10
	var set error
	err := raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, most)
	})
	return errors.Join(err, set)
}

// tls reads the certificates.
func (c *Config) tls() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if c.ClientCA == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read who signs the clients' certificates: %w", err)
	}
	conf.ClientCAs = x509.NewCertPool()
	if !conf.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", c.ClientCA)
	}
	// Who shows none may still have a token, or is told in words what is missing.
	conf.ClientAuth = tls.VerifyClientCertIfGiven
	// A session that is taken up again would come in by the authority of its beginning.
	conf.SessionTicketsDisabled = true
	return conf, nil
}
