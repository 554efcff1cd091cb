package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"sarn/internal/keys"
)

// Endpoint says where a controller listens and how to identify to it.
type Endpoint struct {
	// Address is unix:///path/of/socket, http://127.0.0.1:port or https://host:port.
	Address string
	// CA, Cert and Key are PEM files, for https: who signed the controller's
	// certificate, and the client's own. They are read again when they change.
	CA, Cert, Key string
	// Wrong is told when files that have changed cannot be read, and what was before is
	// used; nil for nobody.
	Wrong func(error)
}

// patienceToConnect bounds a connection's beginning, and its handshake.
const patienceToConnect = 10 * time.Second

// New returns a client of the controller at the endpoint. It does not connect yet.
func New(e Endpoint) (*Client, error) {
	// HTTP/1.1 alone: of a certificate that the controller refuses, Go's HTTP/2 says
	// only that there is no connection.
	dialer := &net.Dialer{Timeout: patienceToConnect, KeepAlive: 15 * time.Second}
	transport := &http.Transport{DialContext: dialer.DialContext, IdleConnTimeout: time.Minute}
	c := &Client{http: &http.Client{Transport: transport}, endpoint: e, silence: silence}
	if path, ok := strings.CutPrefix(e.Address, "unix://"); ok {
		if path == "" {
			return nil, errors.New("controller address unix:// has no path; write it like unix:///run/sarn/api.sock")
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
		c.base = "http://localhost"
		return c, e.noFiles()
	}
	u, err := url.Parse(e.Address)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("controller address %q is not one; write it like unix:///run/sarn/api.sock or https://host:7470", e.Address)
	}
	c.base = u.Scheme + "://" + u.Host
	switch u.Scheme {
	case "http":
		if host := u.Hostname(); host != "localhost" && !isLoopback(host) {
			return nil, fmt.Errorf("controller address %s is plain HTTP to another machine; use https:// with --tls-ca, --tls-cert and --tls-key", e.Address)
		}
		return c, e.noFiles()
	case "https":
		conf, err := keys.NewFresh(func() (*tls.Config, error) { return e.tls(u.Hostname()) }, e.Wrong, e.CA, e.Cert, e.Key)
		if err != nil {
			return nil, err
		}
		transport.DialTLSContext = keys.DialTLS(dialer, patienceToConnect, conf.Now)
		return c, nil
	}
	return nil, fmt.Errorf("controller address %s has scheme %q; use unix, http or https", e.Address, u.Scheme)
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func (e Endpoint) noFiles() error {
	for _, f := range []struct{ flag, file string }{{"--tls-ca", e.CA}, {"--tls-cert", e.Cert}, {"--tls-key", e.Key}} {
		if f.file != "" {
			return fmt.Errorf("%s %s has no use with controller address %s, which is not https://", f.flag, f.file, e.Address)
		}
	}
	return nil
}

func (e Endpoint) tls(host string) (*tls.Config, error) {
	if e.CA == "" || e.Cert == "" || e.Key == "" {
		return nil, fmt.Errorf("controller address %s needs --tls-ca, --tls-cert and --tls-key", e.Address)
	}
	pem, err := os.ReadFile(e.CA)
	if err != nil {
		return nil, fmt.Errorf("read --tls-ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-ca %s holds no PEM certificate", e.CA)
	}
	pair, err := tls.LoadX509KeyPair(e.Cert, e.Key)
	if err != nil {
		return nil, fmt.Errorf("read --tls-cert and --tls-key: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, ServerName: host, RootCAs: roots, Certificates: []tls.Certificate{pair}}, nil
}
