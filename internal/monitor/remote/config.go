package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// Config says where a monitor server is and how to identify to it.
type Config struct {
	// Address is HOST, HOST:PORT or a URL: http://127.0.0.1:61208, https://hyper1. Without
	// a scheme it is https, but for this machine without CA and Cert.
	Address string
	// Token is shown to the server; empty for none. TokenFile holds it instead, and is
	// read again when it changes.
	Token, TokenFile string
	// CA, Cert and Key are PEM files: who signed the server's certificate (the system's
	// authorities without), and the client's own. They are read again when they change.
	CA, Cert, Key string
	// Names are further names that the server's certificate may be for, where an address
	// was found in another way than by its name.
	Names []string
	// Wrong is told when files that have changed cannot be read, and what was before is
	// used; nil for nobody.
	Wrong func(error)
}

// files are those that the config names.
func (c *Config) files() []string {
	var files []string
	for _, file := range []string{c.CA, c.Cert, c.Key} {
		if file != "" {
			files = append(files, file)
		}
	}
	return files
}

// DefaultPort is where a monitor listens.
const DefaultPort = "61208"

var hostRE = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?$`)

// base is the server's URL without a path.
func (c *Config) base() (*url.URL, error) {
	bad := func(why string) error {
		return fmt.Errorf("%q is not the address of a monitor: %s; write HOST, HOST:PORT or https://HOST:PORT", c.Address, why)
	}
	text, scheme := c.Address, ""
	if before, after, ok := strings.Cut(text, "://"); ok {
		scheme, text = strings.ToLower(before), strings.TrimSuffix(after, "/")
	}
	host, port, err := splitHost(text)
	if err != nil {
		return nil, bad(err.Error())
	}
	local := loopback(host)
	switch scheme {
	case "":
		scheme = "https"
		if local && c.CA == "" && c.Cert == "" {
			scheme = "http"
		}
	case "http", "https":
	default:
		return nil, bad("its scheme is " + scheme)
	}
	switch {
	case scheme == "http" && !local:
		return nil, fmt.Errorf("%s is plain HTTP to another machine, which anybody on the way can read and change; use https://, or come by SSH: ssh -L %s:127.0.0.1:%s %s", c.Address, port, port, host)
	case scheme == "http" && (c.CA != "" || c.Cert != "" || c.Key != ""):
		return nil, fmt.Errorf("certificates have no use with %s, which is not https://", c.Address)
	}
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}, nil
}

// splitHost takes HOST, HOST:PORT, an IPv6 address with or without brackets.
func splitHost(text string) (host, port string, err error) {
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a.String(), DefaultPort, nil
	}
	host, port = text, DefaultPort
	if strings.Contains(text, ":") {
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", "", errors.New("it is neither a name nor an address")
		}
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostRE.MatchString(host) {
		return "", "", fmt.Errorf("%q is neither a name nor an address", host)
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 || strings.Trim(port, "0123456789") != "" {
		return "", "", fmt.Errorf("%q is not a port", port)
	}
	return host, port, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// tls reads the certificates.
func (c *Config) tls(host string) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read the authority's certificate: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", c.CA)
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("a certificate and its key belong together: give both or neither")
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate to show: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if len(c.Names) > 0 {
		conf.InsecureSkipVerify = true // crypto/tls knows one name only: verified does it for several
		conf.VerifyConnection = verified(conf.RootCAs, append([]string{host}, c.Names...))
	}
	return conf, nil
}

// verified checks a server's certificate as crypto/tls does, for any of the names.
func verified(roots *x509.CertPool, names []string) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		var err error
		for _, name := range names {
			if _, err = s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: name}); err == nil {
				return nil
			}
		}
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
}
