package serve

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"sarn/internal/keys"
)

// Config is a server of one machine's monitor.
type Config struct {
	// Listen is HOST:PORT.
	Listen string
	// Interval is the time from one pass to the next.
	Interval time.Duration
	// TLSCert and TLSKey are PEM files of the server's certificate.
	TLSCert, TLSKey string
	// Token is what a client must show. It is never logged or sent. TokenFile holds it
	// instead.
	Token, TokenFile string
	// ClientCA is a PEM file: who signs the certificates of clients that need no token.
	// Without both this and a token, Listen is a loopback address.
	//
	// These files are read again when they change.
	ClientCA string
	// Admit says whether a certificate that ClientCA signed may come in; nil for all.
	Admit func(*x509.Certificate) error
	// Names are further names that a client may call this machine by.
	Names []string
	// Viewers is how many may look on at a time.
	Viewers int
	// Version is the program's.
	Version string

	// Web has the pages, and Hosts the API of other machines, below /api/v1/hosts. nil
	// for none.
	Web   Site
	Hosts http.Handler
}

// Site is the pages.
type Site interface {
	http.Handler
	// Login asks for the token. It sends the form's status too.
	Login(w http.ResponseWriter, message string)
}

// DefaultPort is Glances' port.
const DefaultPort = "61208"

// DefaultListen is this machine alone.
const DefaultListen = "127.0.0.1:" + DefaultPort

// minToken is the least length of a token: 128 bits in base64.
const minToken = 22

// MostViewers is how many viewers a config may allow.
const MostViewers = 10_000

// Validate says what is wrong, and sets what was left out.
func (c *Config) Validate() error {
	if c.TokenFile != "" {
		var err error
		if c.Token, err = readToken(c.TokenFile); err != nil {
			return err
		}
	}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Viewers == 0 {
		c.Viewers = 200
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address to listen on; write HOST:PORT, such as %s", c.Listen, DefaultListen)
	}
	switch {
	case c.Interval < 100*time.Millisecond || c.Interval > time.Hour:
		return fmt.Errorf("the interval is from 100ms to 1h, such as 1s, and not %s", c.Interval)
	case c.Viewers < 1 || c.Viewers > MostViewers:
		return fmt.Errorf("%d viewers: from 1 to %d may look on, such as 200", c.Viewers, MostViewers)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("a certificate and its key belong together: give both (--tls-cert, --tls-key)")
	case c.ClientCA != "" && c.TLSCert == "":
		return errors.New("who signs the clients' certificates is of no use without a certificate and key of the server's own (--tls-cert, --tls-key)")
	case c.Token != "" && checkToken(c.Token) != nil:
		return checkToken(c.Token)
	case !loopback(host) && (c.TLSCert == "" || c.Token == "" && c.ClientCA == ""):
		return fmt.Errorf("%s can be reached from other machines: that takes a certificate (--tls-cert, --tls-key), and a file with a token or an authority for the clients' certificates (--tls-ca); or listen on %s and come by SSH", c.Listen, DefaultListen)
	}
	return nil
}

func checkToken(token string) error {
	if len(token) < minToken {
		return fmt.Errorf("the token is too short to be safe; take at least %d characters by chance, such as from `openssl rand -base64 18`", minToken)
	}
	return nil
}

// readToken is the token that clients must show as a file has it.
func readToken(file string) (string, error) {
	token, err := keys.ReadToken(file)
	if err != nil {
		return "", err
	}
	return token, checkToken(token)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
