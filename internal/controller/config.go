package controller

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// Config says where a controller listens: on a unix socket, on TCP, or on both.
type Config struct {
	// Socket is the path of a unix socket, which only its owner may use.
	Socket string

	// Listen is a TCP address, such as 127.0.0.1:7470. One that other machines can
	// reach needs the three files that follow.
	Listen string
	// TLSCert and TLSKey are what the controller identifies with, TLSClientCA is
	// who signs its clients' certificates; PEM files. A client's organization
	// sarn:admin may do everything; sarn:node may follow and report for the one
	// node that its common name names.
	TLSCert, TLSKey, TLSClientCA string

	// Version is the program's, for the API's description.
	Version string
}

// Validate reports the first thing that is wrong with the configuration or with the
// files that it names.
func (c Config) Validate() error {
	if c.Socket == "" && c.Listen == "" {
		return errors.New("nowhere to listen: give --listen a unix socket, a TCP address or both")
	}
	// sun_path of unix(7), with its closing zero.
	if most := len(syscall.RawSockaddrUnix{}.Path) - 1; len(c.Socket) > most {
		return fmt.Errorf("socket path %s is longer than the %d characters that Linux takes", c.Socket, most)
	}
	files := 0
	for _, f := range []string{c.TLSCert, c.TLSKey, c.TLSClientCA} {
		if f != "" {
			files++
		}
	}
	const flags = "--tls-cert, --tls-key and --tls-ca"
	switch {
	case files > 0 && c.Listen == "":
		return fmt.Errorf("%s are for --listen, which is not given", flags)
	case files > 0 && files < 3:
		return fmt.Errorf("%s go together: give all three or none", flags)
	case c.Listen == "":
		return nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("--listen %s is not an address and port; write it like 127.0.0.1:7470", c.Listen)
	}
	if files == 0 && !isLoopback(host) {
		return fmt.Errorf("--listen %s can be reached by other machines: give %s, or listen on 127.0.0.1", c.Listen, flags)
	}
	if files > 0 {
		_, err = c.tls()
	}
	return err
}

func (c Config) tls() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("read --tls-cert and --tls-key: %w", err)
	}
	pem, err := os.ReadFile(c.TLSClientCA)
	if err != nil {
		return nil, fmt.Errorf("read --tls-ca: %w", err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-ca %s holds no PEM certificate", c.TLSClientCA)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
	}, nil
}

// isLoopback reports whether the host of an address or URL can only mean this machine.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
