package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sarn/internal/intent"
)

const (
	// patience bounds a request that should be answered at once.
	patience = 2 * time.Minute
	// silence is how long a stream may be still: three heartbeats.
	silence = 45 * time.Second
)

// Client speaks to a controller. It is safe for concurrent use.
type Client struct {
	http     *http.Client
	base     string // URL without the path
	endpoint Endpoint
	silence  time.Duration
}

// Close ends the client's idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Apply makes a change. If it is refused, the error is intent.Problems.
func (c *Client) Apply(ctx context.Context, change Change) (Result, error) {
	var r Result
	for _, ref := range change.Delete {
		if err := CheckName(ref); err != nil {
			return r, err
		}
	}
	err := c.call(ctx, http.MethodPost, "/v1/changes", change, &r)
	return r, err
}

// List returns the objects of a kind, ordered by name.
func (c *Client) List(ctx context.Context, kind intent.Kind) ([]intent.Object, error) {
	var raw []json.RawMessage
	if err := c.call(ctx, http.MethodGet, "/v1/"+kind.Noun()+"s", nil, &raw); err != nil {
		return nil, err
	}
	all := make([]intent.Object, len(raw))
	for i, text := range raw {
		all[i] = intent.New(kind)
		if err := json.Unmarshal(text, all[i]); err != nil {
			return nil, fmt.Errorf("decode %s: %w", kind.Noun(), err)
		}
	}
	return all, nil
}

// Get returns one object. If it is not there, the error is intent.Problems.
func (c *Client) Get(ctx context.Context, ref intent.Ref) (intent.Object, error) {
	if err := CheckName(ref); err != nil {
		return nil, err
	}
	o := intent.New(ref.Kind)
	path := "/v1/" + ref.Kind.Noun() + "s/" + url.PathEscape(ref.Name)
	if err := c.call(ctx, http.MethodGet, path, nil, o); err != nil {
		return nil, err
	}
	return o, nil
}

// Status says how far each node is.
func (c *Client) Status(ctx context.Context) ([]NodeStatus, error) {
	var all []NodeStatus
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &all)
	return all, err
}

// Wait returns when every node has applied and verified what it should hold at the
// revision, or a *WaitError when the time has run out.
func (c *Client) Wait(ctx context.Context, revision int64, timeout time.Duration) error {
	timeout = max(timeout, time.Millisecond)
	q := url.Values{"revision": {strconv.FormatInt(revision, 10)}, "timeout": {timeout.String()}}
	err := c.callWithin(ctx, timeout+patience, http.MethodGet, "/v1/wait?"+q.Encode(), nil, nil)
	var refused *refusal
	if errors.As(err, &refused) && refused.Status == http.StatusGatewayTimeout {
		return &WaitError{Revision: revision, Statuses: refused.Statuses}
	}
	return err
}

// Compiled returns what the node should hold now.
func (c *Client) Compiled(ctx context.Context, node string) (Compiled, error) {
	var now Compiled
	if err := CheckName(intent.Ref{Kind: intent.KindNode, Name: node}); err != nil {
		return now, err
	}
	err := c.call(ctx, http.MethodGet, "/v1/nodes/"+url.PathEscape(node)+"/compiled", nil, &now)
	return now, err
}

// Report says what came of an agent's pass.
func (c *Client) Report(ctx context.Context, node string, r NodeReport) error {
	if err := CheckName(intent.Ref{Kind: intent.KindNode, Name: node}); err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, "/v1/nodes/"+url.PathEscape(node)+"/report", r, nil)
}

// call makes a request that should be answered at once.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.callWithin(ctx, patience, method, path, in, out)
}

func (c *Client) callWithin(ctx context.Context, limit time.Duration, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	res, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if out == nil {
		return nil
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return c.unreachable(err)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("read answer of %s: %w", c.endpoint.Address, err)
	}
	return nil
}

// send makes a request and returns its answer if it is a good one.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, c.unreachable(err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	return nil, c.refusal(res)
}
