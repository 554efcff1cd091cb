package api

import (
	"time"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// Change is one all-or-nothing change of intent: objects to create or update, and
// objects to delete.
type Change struct {
	intent.Set
	Delete []intent.Ref `json:"delete,omitempty" doc:"Objects to delete. One that is not there is an error." nullable:"false"`
	Create bool         `json:"create,omitempty" doc:"Whether every object given must be new: one that is there already is an error."`
	DryRun bool         `json:"dryRun,omitempty" doc:"Whether to say what would change and write nothing."`
}

// Action says what became of one object of a Change.
type Action string

// The actions.
const (
	Created   Action = "created"
	Updated   Action = "updated"
	Unchanged Action = "unchanged"
	Deleted   Action = "deleted"
)

// Outcome is what a Change did to one object.
type Outcome struct {
	intent.Ref
	Action Action `json:"action" doc:"What became of the object." enum:"created,updated,unchanged,deleted"`
}

// Result is what a Change did.
type Result struct {
	Revision int64      `json:"revision" doc:"Store revision that holds the change. Waiting for it waits for the change."`
	Outcomes []Outcome  `json:"outcomes" doc:"What became of each object, in the order of the change." nullable:"false"`
	Objects  intent.Set `json:"objects" doc:"The created, updated and unchanged objects as stored, with their defaults and allocated addresses."`
}

// NodeStatus says how far one node is.
type NodeStatus struct {
	Node      string    `json:"node" doc:"Name of the node."`
	Role      string    `json:"role" doc:"Role of the node: host or router."`
	Connected bool      `json:"connected" doc:"Whether the node's agent follows the controller now."`
	Wanted    int64     `json:"wanted" doc:"Revision at which the node's wanted state last changed."`
	Applied   int64     `json:"applied" doc:"Wanted revision that the node last applied and verified; 0 if none yet."`
	AppliedAt time.Time `json:"appliedAt,omitzero" doc:"When the node last applied a revision."`
	Ports     int       `json:"ports" doc:"How many ports the node carries."`
	Error     string    `json:"error,omitempty" doc:"Why the node's last pass failed, if it did."`
	Version   string    `json:"version,omitempty" doc:"Version of the node's agent."`
	Repairs   int64     `json:"repairs" doc:"How many commands the agent has run since its start to undo what others had changed."`
}

// InSync reports whether the node holds what it should.
func (s NodeStatus) InSync() bool { return s.Applied >= s.Wanted && s.Error == "" }

// NodeEvent is one line of a node's stream. What the node should hold comes in parts by
// name: a line brings those that are new or changed, and null for those that are gone.
// When the node is deleted, a last line leaves nothing of it.
type NodeEvent struct {
	Revision int64                       `json:"revision" doc:"Revision of the wanted state."`
	Whole    bool                        `json:"whole,omitempty" doc:"Whether the state begins anew: parts from before this line are gone."`
	Parts    map[string]netstate.Machine `json:"parts,omitempty" doc:"Parts of what the node's kernel should hold, by network namespace; null for one that is gone. Together they are the wanted state."`
	More     bool                        `json:"more,omitempty" doc:"Whether the next line belongs to the same change, so that there is nothing to act on yet."`
}

// Compiled is what a node should hold at a revision.
type Compiled struct {
	Revision int64            `json:"revision" doc:"Revision at which the state last changed."`
	State    netstate.Machine `json:"state" doc:"What the node's kernel should hold, by network namespace."`
}

// NodeReport is what an agent says after each pass.
type NodeReport struct {
	Revision  int64     `json:"revision" doc:"Wanted revision that the pass was for."`
	AppliedAt time.Time `json:"appliedAt" doc:"When the pass ended."`
	Error     string    `json:"error,omitempty" doc:"Why the pass failed; empty if the second diff was empty."`
	Version   string    `json:"version" doc:"Version of the agent."`
	Repairs   int64     `json:"repairs,omitempty" doc:"How many commands the agent has run since its start to undo what others had changed." minimum:"0"`
}
