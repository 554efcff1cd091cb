package serve

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Config is a server of one machine's monitor.
type Config struct {
	// Listen is HOST:PORT.
	Listen string
	// Interval is the time from one pass to the next.
	Interval time.Duration
	// Token is what a client must show, and TLSCert and TLSKey are files of the server's
	// certificate. Without all three Listen is a loopback address.
	Token           string
	TLSCert, TLSKey string
	// Names are further names that a client may call this machine by.
	Names []string
	// Streams is how many may look on at a time.
	Streams int
}

// DefaultListen is Glances' port on this machine alone.
const DefaultListen = "127.0.0.1:61208"

// minToken is the least length of a token: 128 bits in base64.
const minToken = 22

// Validate says what is wrong, and sets what was left out.
func (c *Config) Validate() error {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Streams == 0 {
		c.Streams = 200
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("%q is not an address to listen on; write HOST:PORT, such as %s", c.Listen, DefaultListen)
	}
	switch {
	case c.Interval < 100*time.Millisecond || c.Interval > time.Hour:
		return errors.New("the interval is from 100ms to 1h")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("a certificate and its key belong together")
	case c.Token != "" && len(c.Token) < minToken:
		return fmt.Errorf("the token is too short to be safe; take at least %d characters by chance, such as from `openssl rand -base64 18`", minToken)
	case !loopback(host) && (c.Token == "" || c.TLSCert == ""):
		return fmt.Errorf("%s can be reached from other machines: that takes a token and a certificate; or listen on %s and come by SSH", c.Listen, DefaultListen)
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
