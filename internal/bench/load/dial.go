package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// dialer opens connections to the server, all to one address, so that one server is
// measured and not two.
type dialer struct {
	address netip.AddrPort
	tls     *tls.Config // nil without TLS
	spoken  string      // version and cipher suite, once there is a connection

	received, sent atomic.Int64 // bytes over all connections that are closed
}

// connection is one that can be used.
type connection struct {
	net.Conn               // with TLS, if there is any
	took     time.Duration // from dialling on
}

// counted counts the bytes of a TCP connection, TLS's own included.
type counted struct {
	net.Conn
	dialer         *dialer
	received, sent atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// Close may be called more than once.
func (c *counted) Close() error {
	c.dialer.received.Add(c.received.Swap(0))
	c.dialer.sent.Add(c.sent.Swap(0))
	return c.Conn.Close()
}

// newDialer looks the server up and opens the first connection: to the first of its
// addresses that takes one.
func newDialer(ctx context.Context, c *Config) (*dialer, *connection, error) {
	d := &dialer{}
	if c.URL.Scheme == "https" {
		d.tls = c.tlsConfig()
	}
	end := time.Now().Add(c.Timeout)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	addresses, err := lookUp(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	first, err := d.choose(ctx, addresses, end)
	switch {
	case err == nil:
		return d, first, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, nil, context.Canceled
	}
	return nil, nil, errors.New(faultOf(err).Words)
}

// choose takes the first of the addresses to which there is a connection. Its error is
// that of the first address of all.
func (d *dialer) choose(ctx context.Context, addresses []netip.AddrPort, end time.Time) (*connection, error) {
	var failed error
	for i, a := range addresses {
		d.address = a
		// One that does not answer leaves the others their share of the time.
		share := time.Until(end) / time.Duration(len(addresses)-i)
		first, err := d.dial(ctx, time.Now().Add(share))
		if err == nil {
			if secure, ok := first.Conn.(*tls.Conn); ok {
				s := secure.ConnectionState()
				d.spoken = tls.VersionName(s.Version) + " " + tls.CipherSuiteName(s.CipherSuite)
			}
			return first, nil
		}
		if failed == nil {
			failed = err
		}
	}
	return nil, failed
}

func lookUp(ctx context.Context, c *Config) ([]netip.AddrPort, error) {
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", portOf(c))
	if err != nil {
		return nil, fmt.Errorf("%q is not a port", c.URL.Port())
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", c.URL.Hostname())
	if err != nil {
		return nil, lookUpError(c.URL.Hostname(), err)
	}
	addresses := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		addresses[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return addresses, nil
}

func lookUpError(host string, err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case !errors.As(err, &dns):
		return fmt.Errorf("%q cannot be looked up: %w", host, err)
	case dns.IsNotFound:
		return fmt.Errorf("there is no host named %q; check the URL, or /etc/hosts and the name server", host)
	case dns.IsTimeout:
		return fmt.Errorf("no name server said in time where %q is; check /etc/resolv.conf", host)
	}
	return fmt.Errorf("%q cannot be looked up: the name server says: %s", host, dns.Err)
}

func portOf(c *Config) string {
	if p := c.URL.Port(); p != "" {
		return p
	}
	return c.URL.Scheme
}

func (c *Config) tlsConfig() *tls.Config {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		conf = c.TLS.Clone()
	}
	if conf.ServerName == "" {
		conf.ServerName = c.URL.Hostname()
	}
	conf.NextProtos = []string{"http/1.1"}
	if c.HTTP2 {
		conf.NextProtos = []string{"h2"}
	}
	return conf
}

// dial opens a connection, with TLS if the URL asks for it.
func (d *dialer) dial(ctx context.Context, end time.Time) (*connection, error) {
	start := time.Now()
	opened, err := connect(ctx, d.address, end)
	if err != nil {
		return nil, &dialError{d.address, err}
	}
	var conn net.Conn = &counted{Conn: opened, dialer: d}
	if d.tls != nil {
		secure := tls.Client(conn, d.tls)
		if err := conn.SetDeadline(end); err != nil {
			conn.Close() //nolint:errcheck // err says more
			return nil, &ioError{"set the connection's deadline", err}
		}
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close() //nolint:errcheck // err says more
			return nil, &tlsError{err}
		}
		conn = secure
	}
	return &connection{Conn: conn, took: time.Since(start)}, nil
}
