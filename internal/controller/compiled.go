package controller

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
)

// serveCompiled serves what a node should hold, once and not as a stream: who asks is
// not the node's agent, and does not count as one.
func (c *Controller) serveCompiled(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "compiled-node", Method: http.MethodGet, Path: "/v1/nodes/{name}/compiled", Tags: []string{"node"},
		Summary:     "What a node should hold",
		Description: "Returns the state that the node's kernel should hold now, with all changes that were made before the request.",
		Errors:      []int{http.StatusNotFound},
	}, func(ctx context.Context, in *named) (*body[api.Compiled], error) {
		ctx, cancel := c.whileServing(ctx)
		defer cancel()
		now, err := c.Compiled(ctx, in.Name)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return &body[api.Compiled]{now}, problem(err)
	})
}

// Compiled returns what the node should hold now. It waits until what has changed so
// far is told to the nodes.
func (c *Controller) Compiled(ctx context.Context, name string) (api.Compiled, error) {
	c.mu.RLock()
	revision := c.revision
	c.mu.RUnlock()
	if err := c.await(ctx, func() bool { return c.told >= revision }); err != nil {
		return api.Compiled{}, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, state := c.nodes[name], compile.Node(c.ledger.world, name)
	if n == nil || state == nil {
		return api.Compiled{}, notThere(intent.Ref{Kind: intent.KindNode, Name: name})
	}
	return api.Compiled{Revision: n.wanted, State: state}, nil
}
