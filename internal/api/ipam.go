package api

import (
	"context"
	"net/http"

	"sarn/internal/intent"
)

// IPAM is how the subnets' addresses are used, and what is wrong with what the store
// holds.
type IPAM struct {
	Revision int64       `json:"revision" doc:"Store revision that was looked at."`
	Subnets  []SubnetUse `json:"subnets" doc:"How the addresses of each subnet are used, ordered by name." nullable:"false"`
	Findings []Finding   `json:"findings" doc:"What is wrong with the objects in the store and with the controller's record of who holds what; empty if all is well." nullable:"false"`
}

// SubnetUse is how the addresses of one subnet are used.
type SubnetUse struct {
	Subnet   string      `json:"subnet" doc:"Name of the subnet."`
	VPC      string      `json:"vpc" doc:"Name of the subnet's VPC."`
	CIDR     intent.CIDR `json:"cidr" doc:"The subnet's address block."`
	Size     int         `json:"size" doc:"How many addresses the block holds."`
	Reserved int         `json:"reserved" doc:"How many of them no port can have: the network's own, the broadcast address, the gateway and the bridge."`
	Used     int         `json:"used" doc:"How many of them ports have."`
	Free     int         `json:"free" doc:"How many of them a port can still have."`
	Percent  float64     `json:"percent" doc:"Used, in hundredths of all that ports can have."`
	Next     intent.Addr `json:"next,omitzero" doc:"Address that the next port gets if it asks for none; absent if none is free."`
}

// Finding is one thing that is wrong with what the store holds, or with the
// controller's record of it.
type Finding struct {
	intent.Ref
	Field   string `json:"field,omitempty" doc:"Field that is wrong, as a path of names, or empty for the whole object."`
	Message string `json:"message" doc:"What is wrong."`
	Mend    string `json:"mend" doc:"How to mend it."`
}

// IPAM says how the subnets' addresses are used, and looks for what is wrong.
func (c *Client) IPAM(ctx context.Context) (IPAM, error) {
	var i IPAM
	err := c.call(ctx, http.MethodGet, "/v1/ipam", nil, &i)
	return i, err
}
