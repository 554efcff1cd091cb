package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"sarn/internal/bench/http1"
)

// http1Client asks over one HTTP/1.1 connection at a time.
type http1Client struct {
	dialer    *dialer
	request   []byte
	reader    *http1.Reader
	keepAlive bool
	toHEAD    bool
	again     bool // a request may be sent twice: its method is idempotent
	timeout   time.Duration

	open    *connection                // or nil
	fresh   bool                       // nothing was asked on it yet
	early   time.Duration              // what it took, if it was opened before the test
	current atomic.Pointer[connection] // what abort interrupts
	until   time.Time                  // the connection's deadline

	location, server string // what answers said of them last
}

func newHTTP1(c *Config, d *dialer, request []byte) *http1Client {
	return &http1Client{
		dialer: d, request: request, reader: http1.NewReader(nil), keepAlive: c.KeepAlive,
		toHEAD: c.Method == http.MethodHead, again: idempotent(c.Method), timeout: c.Timeout,
	}
}

// idempotent are the methods of RFC 9110 section 9.2.2.
func idempotent(method string) bool {
	return slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}, method)
}

// request is what goes to the server each time.
func (c *Config) request() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", c.Method, c.URL.RequestURI(), c.host())
	if !c.KeepAlive {
		b.WriteString("Connection: close\r\n")
	}
	if err := c.header().Write(&b); err != nil {
		return nil, err
	}
	if len(c.Body) > 0 || needsLength(c.Method) {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(c.Body))
	}
	b.WriteString("\r\n")
	b.Write(c.Body)
	return b.Bytes(), nil
}

// needsLength are the methods that say that a body is empty (RFC 9110 section 8.6).
func needsLength(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// adopt takes a connection over that is counted already.
func (h *http1Client) adopt(c *connection) {
	h.use(c)
	h.early = c.took
}

func (h *http1Client) use(c *connection) {
	h.open, h.fresh, h.until = c, true, time.Time{}
	h.reader.Reset(c)
	h.current.Store(c)
}

func (h *http1Client) close() {
	if h.open != nil {
		h.open.Close() //nolint:errcheck // nothing is lost
		h.open = nil
		h.current.Store(nil)
	}
}

func (h *http1Client) abort() {
	if c := h.current.Load(); c != nil {
		// An error means that it is closed, which is as good.
		_ = c.SetDeadline(time.Unix(1, 0))
	}
}

// ask implements client.
func (h *http1Client) ask(ctx context.Context, start time.Time, a *answer) error {
	err := h.try(ctx, start, a)
	if err != nil {
		h.close()
	}
	if h.again && closedIdle(err) {
		// RFC 9110 section 9.2.2: the server had closed the connection before the
		// request reached it.
		a.resent = true
		if err = h.try(ctx, start, a); err != nil {
			h.close()
		}
	}
	return err
}

// errIdle is in an error of a request that was the second or a later one on its
// connection, and to which nothing came back.
var errIdle = errors.New("on a connection that had been idle")

func closedIdle(err error) bool { return errors.Is(err, errIdle) }

// try sends the request once.
func (h *http1Client) try(ctx context.Context, start time.Time, a *answer) error {
	if h.open == nil {
		c, err := h.dialer.dial(ctx, start.Add(h.timeout))
		if err != nil {
			return err
		}
		h.use(c)
	}
	fresh := h.fresh
	if fresh {
		h.fresh = false
		if a.early, h.early = h.early, 0; a.early == 0 {
			a.opened++
			a.connect = h.open.took
		}
	}
	if err := h.extend(ctx, start); err != nil {
		return err
	}
	_, sendErr := h.open.Write(h.request)
	if sendErr != nil && !hungUp(sendErr) {
		return &ioError{"send the request", sendErr}
	}
	// A server that refuses a request may answer before it has read all of it.
	r, err := h.reader.Read(h.toHEAD)
	if err != nil {
		var failed *http1.ReadError
		if !fresh && errors.As(err, &failed) && failed.Stage == http1.Silent && hungUp(failed.Err) {
			return errors.Join(errIdle, err)
		}
		return err
	}
	a.status, a.interim, a.body = r.Status, r.Interim, r.Body
	h.note(r, a)
	switch {
	case h.reader.Buffered() > 0:
		return http1.ErrExcess
	case !h.keepAlive || r.Close || sendErr != nil:
		h.close()
	}
	return nil
}

// note keeps what an answer says in words. It is the same nearly always.
func (h *http1Client) note(r *http1.Response, a *answer) {
	if a.status >= 300 && a.status < 400 {
		if string(r.Location) != h.location {
			h.location = string(r.Location)
		}
		a.location = h.location
	}
	if string(r.Server) != h.server {
		h.server = string(r.Server)
	}
	a.server = h.server
}

// extend lets the connection live until the request's time is over. To set a deadline
// costs time, so it is set for a little longer and seldom.
func (h *http1Client) extend(ctx context.Context, start time.Time) error {
	if h.until.Sub(start) < h.timeout {
		h.until = start.Add(h.timeout + min(h.timeout/10, time.Second))
		if err := h.open.SetDeadline(h.until); err != nil {
			return &ioError{"set the connection's deadline", err}
		}
		if err := ctx.Err(); err != nil { // abort may have set its own before
			return err
		}
	}
	return nil
}

// hungUp reports whether the error says that the other end has closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
