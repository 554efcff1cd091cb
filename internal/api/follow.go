package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// Follow calls fn with the node's wanted state, now and at each change, until ctx or
// the stream ends or fn fails; it always returns an error. If the state's fingerprint is
// have still, the first event comes without parts.
func (c *Client) Follow(ctx context.Context, node, have string, fn func(NodeEvent) error) error {
	if err := CheckName(intent.Ref{Kind: intent.KindNode, Name: node}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	still := fmt.Errorf("controller at %s has said nothing for %s", c.endpoint.Address, c.silence)
	watchdog := time.AfterFunc(c.silence, func() { cancel(still) })
	defer watchdog.Stop()

	path := "/v1/nodes/" + url.PathEscape(node) + "/state?have=" + url.QueryEscape(have)
	res, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	// Any byte is a sign of life: a large state may take long.
	events := json.NewDecoder(readerFunc(func(p []byte) (int, error) {
		n, err := res.Body.Read(p)
		watchdog.Reset(c.silence)
		return n, err
	}))
	for {
		var e NodeEvent
		if err := events.Decode(&e); err != nil {
			return c.ended(ctx, err)
		}
		watchdog.Stop() // fn may take its time
		if err := fn(e); err != nil {
			return err
		}
		watchdog.Reset(c.silence)
	}
}

var errEnough = errors.New("all is there")

// State returns what the node should hold now. It asks as the node's agent does.
func (c *Client) State(ctx context.Context, node string) (netstate.Machine, error) {
	parts := map[string]netstate.Machine{}
	err := c.Follow(ctx, node, "", func(e NodeEvent) error {
		if e.Whole {
			clear(parts)
		}
		maps.Copy(parts, e.Parts) // a part that changes meanwhile comes again
		if e.More {
			return nil
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		return nil, err
	}
	all := make([]netstate.Machine, 0, len(parts))
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		all = append(all, parts[key])
	}
	return netstate.Merge(all...), nil
}

// ended says why the stream is over.
func (c *Client) ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("controller at %s ended the stream: %w", c.endpoint.Address, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("read stream of %s: %w", c.endpoint.Address, err)
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
