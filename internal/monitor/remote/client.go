package remote

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"sarn/internal/keys"
	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/sample"
)

// Client is one server's. Its requests can be made without Run; what it follows, only
// Run brings.
type Client struct {
	config Config
	url    *url.URL
	where  string // the address for people
	http   *http.Client
	token  func() string
	quiet  time.Duration // how long a stream may say nothing

	mu     sync.Mutex
	now    *sample.Sample
	alerts Alerts
	status Status
	fresh  chan struct{} // closed when now is another
	given  *sample.Sample
}

// State is whether there is a connection.
type State string

// The states.
const (
	Connecting State = "connecting" // never was one yet
	Up         State = "up"
	Down       State = "down"
)

// Status is the state, since when, and of Down why.
type Status struct {
	State State
	Since time.Time
	Error string
}

// Alerts are a server's alerts: Past has those that are over, the latest first.
type Alerts struct {
	Rules      int              `json:"rules"`
	Active     []alert.Alert    `json:"active"`
	Pending    []alert.Alert    `json:"pending"`
	Past       []alert.Alert    `json:"past"`
	Deliveries []alert.Delivery `json:"deliveries"`
}

const (
	// patience is how long a server may take for an answer.
	patience = 10 * time.Second
	// silence is how long a stream may say nothing: servers send a comment more often.
	silence = 30 * time.Second
)

// New returns a client, or says what is wrong with the config. It does not connect yet.
func New(c Config) (*Client, error) {
	u, err := c.base()
	if err != nil {
		return nil, err
	}
	// HTTP/1.1 alone: of a certificate that a server refuses, Go's HTTP/2 says only that
	// there is no connection. No proxy: a monitor is in one's own network.
	dialer := &net.Dialer{Timeout: patience, KeepAlive: 15 * time.Second}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		ResponseHeaderTimeout:  patience,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if u.Scheme == "https" {
		conf, err := keys.NewFresh(func() (*tls.Config, error) { return c.tls(u.Hostname()) }, c.Wrong, c.files()...)
		if err != nil {
			return nil, err
		}
		transport.DialTLSContext = keys.DialTLS(dialer, patience, conf.Now)
	}
	token := func() string { return c.Token }
	if c.TokenFile != "" {
		held, err := keys.NewFresh(func() (string, error) { return keys.ReadToken(c.TokenFile) }, c.Wrong, c.TokenFile)
		if err != nil {
			return nil, err
		}
		token = held.Now
	}
	return &Client{
		config: c, url: u, where: u.Host, token: token, quiet: silence, fresh: make(chan struct{}),
		status: Status{State: Connecting, Since: time.Now()},
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // nobody else gets the token, or is asked in one's name
		}},
	}, nil
}

// Where is the server's HOST:PORT.
func (c *Client) Where() string { return c.where }

// Close closes connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// open asks for a path below /api/v1. The caller closes the body.
func (c *Client) open(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	u := *c.url
	u.Path, u.RawQuery = "/api/v1/"+path, query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.where, err)
	}
	if token := c.token(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err // without the URL
		}
		return nil, c.fail(err)
	}
	return res, nil
}

// Body asks for a path below /api/v1 and returns the JSON that comes, whatever it says,
// of up to most bytes. An answer other than 200 is an *Error with its status.
func (c *Client) Body(ctx context.Context, path string, query url.Values, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	res, err := c.open(ctx, path, query)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, c.refused(res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	switch {
	case err != nil:
		return nil, c.fail(err)
	case int64(len(body)) > most:
		return nil, c.fail(errTooLarge)
	}
	return body, nil
}

// get decodes the answer into v.
func (c *Client) get(ctx context.Context, path string, query url.Values, most int64, v any) error {
	body, err := c.Body(ctx, path, query, most)
	if err != nil {
		return err
	}
	return c.fail(decode(body, v))
}

// decode reads JSON of others.
func decode(data []byte, v any) error {
	if err := weigh(data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("it sends what a monitor does not: %w", err)
	}
	return nil
}

// Sample asks for the latest sample.
func (c *Client) Sample(ctx context.Context) (*sample.Sample, error) {
	s := &sample.Sample{}
	if err := c.get(ctx, "sample", nil, mostEvent, s); err != nil {
		return nil, err
	}
	if err := fit(s); err != nil {
		return nil, c.fail(err)
	}
	tellSkew(s, time.Now())
	return s, nil
}

// mostSummary is the size of a summary, in bytes.
const mostSummary = 4 << 20

// Summary asks for the latest sample in short.
func (c *Client) Summary(ctx context.Context) (*sample.Summary, error) {
	s := &sample.Summary{}
	if err := c.get(ctx, "summary", nil, mostSummary, s); err != nil {
		return nil, err
	}
	if err := fitSummary(s); err != nil {
		return nil, c.fail(err)
	}
	return s, nil
}
