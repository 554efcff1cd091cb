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
	"strings"
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
	http    *http.Client
	base    string // URL without the path
	where   string // for errors
	silence time.Duration
}

// WaitError says that the time ran out before every node held the revision.
type WaitError struct {
	Revision int64
	Statuses []NodeStatus
}

// Error names the nodes that are behind.
func (e *WaitError) Error() string {
	var late []string
	for _, s := range e.Statuses {
		switch {
		case s.Error != "":
			late = append(late, s.Node+" (failed: "+s.Error+")")
		case s.InSync():
		case !s.Connected:
			late = append(late, s.Node+" (its agent is not connected)")
		default:
			late = append(late, fmt.Sprintf("%s (at revision %d of %d)", s.Node, s.Applied, s.Wanted))
		}
	}
	if len(late) == 0 {
		return fmt.Sprintf("time ran out before revision %d reached the nodes", e.Revision)
	}
	return fmt.Sprintf("time ran out before revision %d was applied on %s", e.Revision, strings.Join(late, ", "))
}

// Close ends the client's idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Apply makes a change. If it is refused, the error is intent.Problems.
func (c *Client) Apply(ctx context.Context, change Change) (Result, error) {
	var r Result
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
func (c *Client) Wait(ctx context.Context, revision int64, timeout time.Duration) ([]NodeStatus, error) {
	var all []NodeStatus
	q := url.Values{"revision": {strconv.FormatInt(revision, 10)}, "timeout": {timeout.String()}}
	err := c.callWithin(ctx, timeout+patience, http.MethodGet, "/v1/wait?"+q.Encode(), nil, &all)
	var refused *refusal
	if errors.As(err, &refused) && refused.Status == http.StatusGatewayTimeout {
		return refused.Statuses, &WaitError{Revision: revision, Statuses: refused.Statuses}
	}
	return all, err
}

// Report says what came of an agent's pass.
func (c *Client) Report(ctx context.Context, node string, r NodeReport) error {
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
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("read answer of %s: %w", c.where, err)
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
		return nil, fmt.Errorf("controller at %s does not answer; is `sarn server` running? %w", c.where, err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	return nil, c.refusal(res)
}

// refusal is an answer that is a problem, in the form of RFC 9457.
type refusal struct {
	Status   int          `json:"status"`
	Detail   string       `json:"detail"`
	Statuses []NodeStatus `json:"statuses"`
	Errors   []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// Error implements error.
func (r *refusal) Error() string {
	text := r.Detail
	for _, e := range r.Errors {
		text += "; " + strings.TrimSpace(e.Location+" "+e.Message)
	}
	return text
}

func (c *Client) refusal(res *http.Response) error {
	r := &refusal{}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(r); err != nil || r.Detail == "" {
		return fmt.Errorf("what listens at %s is no controller: it answered %s", c.where, res.Status)
	}
	r.Status = res.StatusCode
	if ps := r.problems(); ps != nil {
		return ps
	}
	return fmt.Errorf("controller at %s: %w", c.where, r)
}

// problems returns the problems of the change that was refused, or nil if the refusal
// is not about objects.
func (r *refusal) problems() error {
	var ps intent.Problems
	for _, e := range r.Errors {
		parts := strings.SplitN(e.Location, "/", 3)
		if len(parts) != 3 {
			return nil
		}
		p := intent.Problem{FieldError: intent.FieldError{Field: parts[2], Message: e.Message}}
		p.Kind, p.Name = intent.Kind(parts[0]), parts[1]
		for _, k := range intent.Kinds {
			if k.Noun() == parts[0] {
				p.Kind = k
			}
		}
		ps = append(ps, p)
	}
	if len(ps) == 0 {
		return nil
	}
	return ps
}
