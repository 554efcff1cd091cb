package controller

import (
	"context"
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/netstate"
)

func (c *Controller) servePlan(h huma.API) {
	serveChange(h, huma.Operation{
		OperationID: "plan", Path: "/v1/plan", Summary: "Say what a change would do",
		Description: "Judges a change as posting it would, writes nothing, and answers what would become of its objects and which commands each node would run. " +
			"Each problem names its object and field as kind/name/field.",
	}, c.Plan)
}

// Plan says what the change would do, or returns a *Refusal. It changes nothing, and
// holds up others no longer than a dry run and a look at what it concerns.
func (c *Controller) Plan(ctx context.Context, change api.Change) (api.Plan, error) {
	if err := wellFormed(change); err != nil {
		return api.Plan{}, err
	}
	c.mu.Lock()
	at := c.revision
	p, err := c.ledger.admit(change)
	var objects []intent.Object
	if err == nil {
		objects = c.ledger.world.All()
	}
	c.mu.Unlock()
	if err != nil {
		return api.Plan{}, err
	}

	status := map[string]api.NodeStatus{}
	for _, n := range c.Status() {
		status[n.Node] = n
	}
	answer := api.Plan{Result: p.result(at), Nodes: []api.NodePlan{}}
	before, after := intent.NewWorld(objects...), intent.NewWorld(objects...)
	for _, ref := range p.deletes {
		after.Delete(ref)
	}
	for _, o := range p.puts {
		after.Put(o)
	}
	concern := p.concern(before, after)
	for _, name := range slices.Sorted(maps.Keys(concern)) {
		if err := ctx.Err(); err != nil {
			return api.Plan{}, err
		}
		ops, err := steps(parts(before, name, concern[name]), parts(after, name, concern[name]))
		if len(ops) == 0 && err == nil {
			continue
		}
		n := nodePlan(name, before, after, status[name], ops)
		if err != nil {
			n.Note = "it could not do all of it: " + err.Error()
		}
		answer.Nodes = append(answer.Nodes, n)
	}
	return answer, nil
}

// concern returns the parts of nodes that the plan may change; nil stands for all.
func (p plan) concern(before, after *intent.World) map[string]map[compile.Key]bool {
	var c compile.Concern
	for _, w := range []*intent.World{before, after} {
		for _, ref := range p.deletes {
			c.Touch(w, before.Get(ref), nil)
		}
		for _, o := range p.puts {
			c.Touch(w, before.Get(intent.RefOf(o)), o)
		}
	}
	if c.Parts == nil {
		c.Parts = map[string]map[compile.Key]bool{}
	}
	for name := range c.Whole {
		c.Parts[name] = nil
	}
	return c.Parts
}

// parts returns those parts of what a node should hold, or all, and the base, which
// the others are to be seen with.
func parts(w *intent.World, name string, keys map[compile.Key]bool) netstate.Machine {
	if keys == nil {
		return compile.Node(w, name)
	}
	base := compile.Part(w, name, compile.Base)
	if base == nil {
		return nil
	}
	all := []netstate.Machine{base}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if k != compile.Base {
			all = append(all, compile.Part(w, name, k))
		}
	}
	return netstate.Merge(all...)
}

// steps returns the ops that a node takes from one state, which it is taken to hold, to
// another. A state is nil before the node is created and after it is deleted.
func steps(from, to netstate.Machine) ([]netstate.Op, error) {
	if to == nil {
		to = netstate.Machine{"": {}} // what the agent of a deleted node is told
	}
	have := netstate.Assume(from)
	if have[""] == nil {
		have[""] = &netstate.State{}
	}
	// The devices that others make are there, or the node says that they are not.
	own := have[""]
	for _, l := range to[""].Links {
		if l.Kind == netstate.Existing && !slices.ContainsFunc(own.Links, func(h netstate.Link) bool { return h.Name == l.Name }) {
			own.Links = append(own.Links, netstate.Link{Name: l.Name, Up: true})
		}
	}
	return netstate.Diff(to, have)
}

func nodePlan(name string, before, after *intent.World, now api.NodeStatus, ops []netstate.Op) api.NodePlan {
	n := api.NodePlan{Node: name, InSync: now.InSync() && now.Connected, Commands: make([]string, len(ops))}
	for i, op := range ops {
		n.Commands[i] = op.Command()
	}
	is := after.Nodes[name]
	if is == nil {
		is = before.Nodes[name]
	}
	n.Role = string(is.Role)
	switch {
	case before.Nodes[name] == nil:
		n.InSync, n.Note = false, "it is new, and taken to have nothing of Sarn's yet"
	case !now.Connected:
		n.Note = "its agent is not connected: what it will really do depends on what it finds when it is"
	case !n.InSync:
		n.Note = "it is not in sync: what it will really do depends on what it finds"
	}
	return n
}
