package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Config is one load test.
type Config struct {
	// URL is what is asked: http or https.
	URL *url.URL
	// Method is the request's method; empty is GET, or POST if there is a body.
	Method string
	// Header goes with every request. A Host in it takes the URL's place.
	Header http.Header
	Body   []byte

	// KeepAlive sends further requests on a connection that an answer left open.
	// HTTP/2 always does.
	KeepAlive bool
	// HTTP2 speaks HTTP/2: negotiated over TLS, with prior knowledge without (RFC 9113
	// section 3.3).
	HTTP2 bool
	// Streams is how many requests at a time share one HTTP/2 connection; 0 is 1.
	Streams int
	// TLS is how to speak TLS with an https URL; nil is the system's trust.
	TLS *tls.Config

	// Concurrency is how many requests are under way at a time, at most.
	Concurrency int
	// Rate is how many requests fall due a second, in an open loop; 0 is a closed loop.
	Rate float64
	// Requests and Duration bound the test, whichever comes first; 0 does not.
	Requests int64
	Duration time.Duration
	// Timeout is how long a request may take, with its connection: an hour at most.
	Timeout time.Duration
}

// MaxConcurrency bounds Config.Concurrency: a client has some 28,000 local ports for
// one server (net.ipv4.ip_local_port_range).
const MaxConcurrency = 20_000

// maxRate bounds Config.Rate, far above what one machine can send.
const maxRate = 10_000_000

// Validate says what cannot be run.
func (c *Config) Validate() error {
	if err := checkURL(c.URL); err != nil {
		return err
	}
	if c.Method != "" && !httpguts.ValidHeaderFieldName(c.Method) { // both are tokens: RFC 9110 section 5.6.2
		return fmt.Errorf("%q is not a method, such as GET", c.Method)
	}
	for name, values := range c.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("%q is not the name of a header", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("the header %s has a value that HTTP does not allow", name) // it may be a secret
			}
		}
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length", "Transfer-Encoding", "Connection":
			return fmt.Errorf("the header %s is the load test's own to set", name)
		}
	}
	switch {
	case c.Concurrency < 1 || c.Concurrency > MaxConcurrency:
		return fmt.Errorf("the concurrency is from 1 to %d", MaxConcurrency)
	case !(c.Rate >= 0 && c.Rate <= maxRate): // nor not a number
		return fmt.Errorf("the rate is from 0 to %d requests a second", maxRate)
	case c.Requests < 0 || c.Duration < 0:
		return errors.New("a test's length is not negative")
	case c.Requests == 0 && c.Duration == 0:
		return errors.New("a test needs an end: a number of requests or a duration")
	case c.Timeout <= 0 || c.Timeout > longest:
		return fmt.Errorf("a request's timeout is more than nothing, and at most %s", longest)
	case c.Streams < 0 || c.Streams > 1 && !c.HTTP2:
		return errors.New("only HTTP/2 has streams that share a connection")
	}
	return nil
}

// fill sets what was left out.
func (c *Config) fill() {
	if c.Method == "" {
		c.Method = http.MethodGet
		if len(c.Body) > 0 {
			c.Method = http.MethodPost
		}
	}
	c.Streams = max(c.Streams, 1)
	if c.Requests > 0 { // more would find nothing to do, and falsify the time per request
		c.Concurrency = int(min(int64(c.Concurrency), c.Requests))
	}
	c.KeepAlive = c.KeepAlive || c.HTTP2
}

// host is the request's Host.
func (c *Config) host() string {
	if h := c.Header.Get("Host"); h != "" {
		return h
	}
	host := c.URL.Host
	if zone := strings.IndexByte(host, '%'); zone >= 0 && strings.HasPrefix(host, "[") {
		// RFC 6874 section 1: what it is called here means nothing to the server.
		host = host[:zone] + host[strings.IndexByte(host, ']'):]
	}
	return host
}

// header is the request's header without Host.
func (c *Config) header() http.Header {
	h := c.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Del("Host")
	for name, value := range map[string]string{"User-Agent": "sarn-bench", "Accept": "*/*"} {
		if _, set := h[name]; !set {
			h.Set(name, value)
		}
	}
	return h
}

func checkURL(u *url.URL) error {
	switch {
	case u == nil || u.Scheme == "":
		return errors.New("the URL begins with http:// or https://")
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is not a scheme that can be tested; use http or https", u.Scheme)
	case u.User != nil:
		return errors.New("the URL holds a password; give it with -A user:password")
	case u.Hostname() == "":
		return fmt.Errorf("%s names no host", u)
	case strings.ContainsAny(u.Host, " \t\r\n"):
		return fmt.Errorf("%q is not a host", u.Host)
	case strings.Contains(u.RawQuery, " "):
		return errors.New("the URL's query holds a space; write it as %20")
	}
	return nil
}
