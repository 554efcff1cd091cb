package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sarn/internal/api"
	"sarn/internal/intent"
)

const (
	perChange = 5000 // ports, while the fleet is filled
	patience  = 4 * time.Minute

	portChanges = 100
	moves       = 20
	others      = 10 // subnets and nodes created
)

// fleet is one fleet that is measured.
type fleet struct {
	*plan
	server *server
	agents *agents
	found  figures
}

// measureFleet makes the fleet and measures it.
func measureFleet(ctx context.Context, program string, p *plan) (figures, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it takes longer than %s", patience))
	defer cancel()
	s, err := newServer(program)
	if err != nil {
		return nil, err
	}
	f := &fleet{plan: p, server: s, agents: newAgents(s.socket()), found: figures{}}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	defer s.remove()
	defer f.agents.cut()
	for _, step := range []func(context.Context) error{
		f.fill, f.storms, f.list, f.createPorts, f.movePorts, f.createSubnets, f.createNodes,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return f.found, f.memory(peak)
}

// memory notes what the server has.
func (f *fleet) memory(as measure) error {
	now, most, err := f.server.memory()
	f.found[as] = now
	if as == peak {
		f.found[as] = most
	}
	return err
}

// cost notes the processor time, in ms, that the server needs for each of n things.
func (f *fleet) cost(as measure, n int, do func() error) error {
	before, err := f.server.cpu()
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	after, err := f.server.cpu()
	f.found[as] = ms(after-before) / float64(n)
	return err
}

// fill posts the fleet, which nobody follows yet.
func (f *fleet) fill(ctx context.Context) error {
	begun := time.Now()
	err := f.cost(fillCPU, 1, func() error {
		_, err := f.server.client.Apply(ctx, api.Change{Set: intent.Set{Nodes: f.nodes, VPCs: f.vpcs, Subnets: f.subnets}})
		for some := range slices.Chunk(f.ports, perChange) {
			if err == nil {
				_, err = f.server.client.Apply(ctx, api.Change{Set: intent.Set{Ports: some}})
			}
		}
		return err
	})
	f.found[fillTime] = ms(time.Since(begun))
	return err
}

// storms lets all agents come at once: with nothing; with all that they should have;
// and so again after the server was killed.
func (f *fleet) storms(ctx context.Context) error {
	var all []string
	for _, n := range f.nodes {
		all = append(all, n.Name)
	}
	storm := func(duration, cpu, sent measure, forget bool) error {
		begun := time.Now()
		f.agents.take()
		err := f.cost(cpu, 1, func() error {
			f.agents.start(ctx, forget, all...)
			return f.agents.synced(ctx)
		})
		f.found[duration] = ms(time.Since(begun))
		f.found[sent] = float64(f.agents.take()) / 1e6
		return err
	}
	if err := storm(nothingTime, nothingCPU, nothingSent, true); err != nil {
		return err
	}
	f.agents.cut()
	if err := storm(stateTime, stateCPU, stateSent, false); err != nil {
		return err
	}
	f.server.kill()
	f.agents.failed = nil
	f.agents.cut()
	f.agents.failed = nil
	begun := time.Now()
	if err := f.server.start(ctx); err != nil {
		return err
	}
	f.found[startTime] = ms(time.Since(begun))
	if err := storm(restartTime, restartCPU, restartSent, false); err != nil {
		return err
	}
	return f.memory(rest)
}

// list asks for every port.
func (f *fleet) list(ctx context.Context) error {
	begun := time.Now()
	return f.cost(listCPU, 1, func() error {
		_, err := f.server.client.List(ctx, intent.KindPort)
		f.found[listTime] = ms(time.Since(begun))
		return err
	})
}

// change makes one change and awaits that the nodes are told and that all have it.
func (f *fleet) change(ctx context.Context, c api.Change, tell []string, t *times) error {
	begun := time.Now()
	r, err := f.server.client.Apply(ctx, c)
	if err != nil {
		return err
	}
	t.answered = append(t.answered, ms(time.Since(begun)))
	if err := f.agents.told(ctx, r.Revision, tell); err != nil {
		return err
	}
	t.told = append(t.told, ms(time.Since(begun)))
	err = f.server.client.Wait(ctx, r.Revision, patience)
	t.done = append(t.done, ms(time.Since(begun)))
	return err
}

func (f *fleet) createPorts(ctx context.Context) error {
	var t times
	err := f.cost(portCPU, portChanges, func() error {
		for i := range portChanges {
			o := f.port(len(f.ports) + i)
			if err := f.change(ctx, api.Change{Set: intent.Set{Ports: []*intent.Port{o}}}, f.concerned(o), &t); err != nil {
				return err
			}
		}
		return nil
	})
	f.found[portAnswered], f.found[portAnsweredTail] = quantile(t.answered, 0.5), quantile(t.answered, 0.99)
	f.found[portTold], f.found[portToldTail] = quantile(t.told, 0.5), quantile(t.told, 0.99)
	f.found[portDone], f.found[portDoneTail] = quantile(t.done, 0.5), quantile(t.done, 0.99)
	return err
}

// movePorts moves ports to the next host of their VPC.
func (f *fleet) movePorts(ctx context.Context) error {
	var t times
	err := f.cost(moveCPU, moves, func() error {
		for i := range moves {
			o := *f.ports[i]
			if o.Node = f.hosts[(i+len(f.vpcs))%len(f.hosts)]; o.Node == f.ports[i].Node {
				o.Node = f.hosts[(i+1)%len(f.hosts)]
			}
			if err := f.change(ctx, api.Change{Set: intent.Set{Ports: []*intent.Port{&o}}}, nil, &t); err != nil {
				return err
			}
		}
		return nil
	})
	f.found[moveDone] = quantile(t.done, 0.5)
	return err
}

func (f *fleet) createSubnets(ctx context.Context) error {
	var t times
	f.agents.take()
	err := f.cost(subnetCPU, others, func() error {
		for i := range others {
			o := f.subnet(i%len(f.vpcs), f.blocks+i/len(f.vpcs))
			if err := f.change(ctx, api.Change{Set: intent.Set{Subnets: []*intent.Subnet{o}}}, f.hosts, &t); err != nil {
				return err
			}
		}
		return nil
	})
	f.found[subnetSent] = float64(f.agents.take()) / 1e6 / others
	f.found[subnetDone] = quantile(t.done, 0.5)
	return err
}

// createNodes creates hosts, whose agents come as soon as they may.
func (f *fleet) createNodes(ctx context.Context) error {
	var all []float64
	err := f.cost(nodeCPU, others, func() error {
		for i := range others {
			o := node(fmt.Sprintf("new%d", i), intent.RoleHost, len(f.nodes)+i)
			begun := time.Now()
			r, err := f.server.client.Apply(ctx, api.Change{Set: intent.Set{Nodes: []*intent.Node{o}}})
			if err != nil {
				return err
			}
			f.agents.start(ctx, true, o.Name)
			if err := f.server.client.Wait(ctx, r.Revision, patience); err != nil {
				return err
			}
			all = append(all, ms(time.Since(begun)))
		}
		return nil
	})
	f.found[nodeDone] = quantile(all, 0.5)
	return err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// times are those of changes, in ms from their beginning.
type times struct{ answered, told, done []float64 }
