package api

import (
	"context"
	"net/http"
)

// Plan is what a Change would do: what it would answer as a dry run, and what the nodes
// would do then.
type Plan struct {
	Result
	Nodes []NodePlan `json:"nodes" doc:"The nodes that would have something to do, ordered by name." nullable:"false"`
}

// NodePlan is what one node would do because of a Change.
type NodePlan struct {
	Node     string   `json:"node" doc:"Name of the node."`
	Role     string   `json:"role" doc:"Role of the node after the change, or before it if the change deletes the node: host or router."`
	InSync   bool     `json:"inSync" doc:"Whether the node holds now what it should. Otherwise what it will really do depends on what it finds."`
	Note     string   `json:"note,omitempty" doc:"Why the node may do something else, if it may."`
	Commands []string `json:"commands" doc:"What the node would do, in order, as commands of ip, bridge, sysctl and nft." nullable:"false"`
}

// Plan says what a change would do on which node. If the change would be refused, the
// error is intent.Problems.
func (c *Client) Plan(ctx context.Context, change Change) (Plan, error) {
	var p Plan
	for _, ref := range change.Delete {
		if err := CheckName(ref); err != nil {
			return p, err
		}
	}
	err := c.call(ctx, http.MethodPost, "/v1/plan", change, &p)
	return p, err
}
