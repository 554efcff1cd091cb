package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"sarn/internal/monitor/sample"
)

// A server is read no faster than this: one that sends without end costs no more.
const (
	eventsASecond = 20
	eventsAtOnce  = 50
	bytesASecond  = 8 << 20
)

var errSilent = fmt.Errorf("it has said nothing for %s", silence)

// Run follows the server's stream until ctx ends, and connects again when it breaks.
func (c *Client) Run(ctx context.Context) {
	wait := backoff.NewExponentialBackOff() // half a second at first, by chance up to half more or less
	wait.MaxInterval = 15 * time.Second
	for {
		began := time.Now()
		err := c.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if c.down(err, began) {
			wait.Reset()
		}
		again := time.NewTimer(wait.NextBackOff())
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

// down says that there is no connection, and whether there was one since began.
func (c *Client) down(err error, began time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.status.State == Up && !c.status.Since.Before(began)
	if c.status.State != Down {
		c.status = Status{State: Down, Since: time.Now()}
	}
	c.status.Error = Why(err)
	return was
}

// follow reads one stream to its end, which is always an error.
func (c *Client) follow(ctx context.Context) error {
	var at *sample.Sample
	return c.Stream(ctx, func(e Event) error {
		switch e.Name {
		case "sample":
			s := &sample.Sample{}
			if err := decode(e.Data, s); err != nil {
				return err
			}
			at = s
		case "delta":
			d := &sample.Delta{}
			if err := decode(e.Data, d); err != nil {
				return err
			}
			if at == nil || d.Sample == nil {
				return errNoSample
			}
			s, err := d.Apply(at)
			if err != nil {
				return fmt.Errorf("it sends what does not follow from what it sent before: %w", err)
			}
			at = s
		case "alerts":
			return c.takeAlerts(e.Data)
		default:
			return nil // of a later version
		}
		if err := fit(at); err != nil {
			return err
		}
		shown := *at
		tellSkew(&shown, time.Now())
		c.take(&shown)
		return nil
	})
}

// Stream calls take for each event of the server's stream until that ends, or take fails,
// or ctx ends. It always returns an error. Events come no faster than a monitor may send.
func (c *Client) Stream(ctx context.Context, take func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(c.quiet, func() { cancel(errSilent) })
	defer watchdog.Stop()
	res, err := c.open(ctx, "stream", nil) //nolint:bodyclose // closed below
	if err != nil {
		return c.ended(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return c.refused(res)
	}
	number, size := rate.NewLimiter(eventsASecond, eventsAtOnce), rate.NewLimiter(bytesASecond, mostEvent)
	in := newEvents(readerFunc(func(p []byte) (int, error) {
		watchdog.Reset(c.quiet)
		n, err := res.Body.Read(p)
		watchdog.Stop() // who is read slowly is not silent
		if n > 0 {
			if err := size.WaitN(ctx, n); err != nil {
				return 0, err
			}
		}
		return n, err
	}), mostEvent)
	for {
		e, err := in.next()
		if err == nil {
			err = number.Wait(ctx)
		}
		if err == nil {
			err = take(e)
		}
		if err != nil {
			return c.ended(ctx, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// ended says why a stream did.
func (c *Client) ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return c.fail(err)
}

// take keeps a sample for who asks.
func (c *Client) take(s *sample.Sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.State != Up {
		c.status = Status{State: Up, Since: time.Now()}
	}
	c.now = s
	close(c.fresh)
	c.fresh = make(chan struct{})
}

func (c *Client) takeAlerts(data []byte) error {
	var a Alerts
	if err := decode(data, &a); err != nil {
		return err
	}
	if err := fitAlerts(&a); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alerts = a
	return nil
}

// Next waits for a sample that it has not given yet. Its error is ctx's.
func (c *Client) Next(ctx context.Context) (*sample.Sample, error) {
	for {
		c.mu.Lock()
		s, fresh := c.now, c.fresh
		if s != c.given {
			c.given = s
			c.mu.Unlock()
			return s, nil
		}
		c.mu.Unlock()
		select {
		case <-fresh:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Status is how the connection is.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Alerts are the latest that the server told of.
func (c *Client) Alerts() Alerts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alerts
}
