package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"sarn/internal/api"
	"sarn/internal/intent"
	"sarn/internal/netstate"
	"sarn/internal/reach"
)

// traceReport is what trace prints as JSON and YAML.
type traceReport struct {
	*reach.Trace
	// Revisions are those of the states that the packet was walked over, by node.
	Revisions map[string]int64 `json:"revisions"`
	// Live is what became of a real packet, if one was sent.
	Live *liveReport `json:"live,omitempty"`
}

// tracing is one run of trace.
type tracing struct {
	protocol string
	port     uint16
	live     bool

	client    *api.Client
	world     *intent.World
	revisions map[string]int64
}

func (a *app) traceCommand() *cobra.Command {
	var t tracing
	cmd := &cobra.Command{
		Use:   "trace FROM TO",
		Short: "Say where a packet goes, and what decides it",
		Long: `FROM and TO are ports, nodes or IPv4 addresses; where a port and a node have one name,
write port/NAME or node/NAME. An address that is neither a port's nor a node's is outside
the fabric, if it is FROM, and may be anything, if it is TO.

Nothing is sent. The packet is walked over what the nodes' kernels should hold: for each
machine that it meets, trace shows which rules, routes, ARP answers, settings and nft
rules decide. Then the answer is walked back.

With --live a real packet is sent too, and its path measured, and what became of it is
held against what was foretold. That works in a lab that is up, as root.

The exit code is 5 if the packet does not arrive or is not answered, or if --live shows
something else than what was foretold, and 1 if there is something on the way of which
nobody can tell what it does.`,
		Example: `  sarn trace vm1 vm3
  sarn trace vm1 8.8.8.8 --protocol tcp --port 443
  sarn trace 203.0.113.1 vm1 -o json
  sarn trace vm1 vm3 --live`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) < 2:
				return fmt.Errorf("name where the packet begins and where it goes")
			case len(args) > 2:
				return fmt.Errorf("%q is too much: a packet has one FROM and one TO", args[2])
			}
			return nil
		},
		ValidArgsFunction: a.endNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.check(cmd); err != nil {
				return err
			}
			var err error
			if t.client, err = a.connect(); err != nil {
				return err
			}
			return a.trace(cmd.Context(), &t, args[0], args[1])
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.protocol, "protocol", string(reach.ICMP), "`icmp`, tcp or udp")
	f.Uint16Var(&t.port, "port", 0, "destination `port` of tcp or udp")
	f.BoolVar(&t.live, "live", false, "send a real packet too")
	complete(cmd, "protocol", string(reach.ICMP), string(reach.TCP), string(reach.UDP))
	return cmd
}

func (t *tracing) check(cmd *cobra.Command) error {
	switch reach.Protocol(t.protocol) {
	case reach.ICMP:
		if cmd.Flags().Changed("port") {
			return usageError("--port belongs to --protocol tcp or udp; this is icmp")
		}
	case reach.TCP, reach.UDP:
		if t.port == 0 {
			return usageError("--protocol %s needs --port, from 1 to 65535", t.protocol)
		}
	default:
		return usageError("--protocol %q is not a protocol; use icmp, tcp or udp", t.protocol)
	}
	return nil
}

func (a *app) trace(ctx context.Context, t *tracing, from, to string) error {
	start, foretold, err := a.foretell(ctx, t, from, to)
	if err != nil {
		return err
	}
	r := &traceReport{Trace: foretold, Revisions: t.revisions}
	if t.live {
		if r.Live, err = a.sendLive(ctx, t, start, r.Trace); err != nil {
			return err
		}
	}
	if err := a.warnStale(ctx, t); err != nil {
		return err
	}
	if err := a.print(r, func() error { return a.printTrace(r, to) }); err != nil {
		return err
	}
	return r.verdict()
}

// foretell walks the packet, and says where it begins.
func (a *app) foretell(ctx context.Context, t *tracing, from, to string) (reach.Start, *reach.Trace, error) {
	defer a.patience("the controller")()
	if err := t.load(ctx); err != nil {
		return reach.Start{}, nil, err
	}
	start, err := t.start(from)
	if err != nil {
		return start, nil, err
	}
	p := reach.Packet{Protocol: reach.Protocol(t.protocol), Port: t.port}
	if p.Destination, err = t.target(to); err != nil {
		return start, nil, err
	}
	network := reach.New(t.world, func(node string) (netstate.Machine, error) {
		now, err := t.client.Compiled(ctx, node)
		t.revisions[node] = now.Revision
		return now.State, err
	})
	foretold, err := network.Trace(start, p)
	if errors.Is(err, reach.ErrNoStart) || errors.Is(err, reach.ErrNoTarget) {
		err = usageError("%w", err)
	}
	return start, foretold, err
}

// load asks for all intent. What the nodes should hold is asked node by node, for those
// that the packet meets.
func (t *tracing) load(ctx context.Context) error {
	t.world, t.revisions = intent.NewWorld(), map[string]int64{}
	for _, k := range intent.Kinds {
		objects, err := t.client.List(ctx, k)
		if err != nil {
			return err
		}
		for _, o := range objects {
			t.world.Put(o)
		}
	}
	return nil
}

// find returns the port and the node that a word names: one of them, or neither if it is
// an address of nobody's.
func (t *tracing) find(word string) (*intent.Port, *intent.Node, error) {
	if a, err := netip.ParseAddr(word); err == nil {
		if !a.Is4() {
			return nil, nil, usageError("%s is not an IPv4 address, and the fabric carries nothing else", word)
		}
		for _, p := range t.world.Ports {
			if p.Address.Addr == a {
				return p, nil, nil
			}
		}
		for _, n := range t.world.Nodes {
			if n.Address.Addr == a {
				return nil, n, nil
			}
		}
		return nil, nil, nil
	}
	kind, name, qualified := strings.Cut(word, "/")
	if !qualified {
		kind, name = "", word
	}
	port, node := t.world.Ports[name], t.world.Nodes[name]
	if kind == intent.KindNode.Noun() {
		port = nil
	}
	if kind == intent.KindPort.Noun() {
		node = nil
	}
	switch {
	case port != nil && node != nil:
		return nil, nil, usageError("%q is a port and a node; write port/%s or node/%s", name, name, name)
	case port == nil && node == nil:
		return nil, nil, usageError("%q is neither a port, nor a node, nor an IPv4 address%s", word, suggest(name, t.names()))
	}
	return port, node, nil
}

func (t *tracing) names() []string {
	var all []string
	for _, p := range t.world.List(intent.KindPort) {
		all = append(all, p.Head().Name)
	}
	for _, n := range t.world.AllNodes() {
		all = append(all, n.Name)
	}
	return all
}

func (t *tracing) start(word string) (reach.Start, error) {
	port, node, err := t.find(word)
	switch {
	case err != nil:
		return reach.Start{}, err
	case port != nil:
		return reach.Start{Port: port.Name}, nil
	case node != nil:
		return reach.Start{Node: node.Name}, nil
	}
	a := netip.MustParseAddr(word)
	for _, v := range t.world.AllVPCs() {
		for _, c := range v.CIDRs {
			if c.Contains(a) {
				return reach.Start{}, usageError("%s is VPC %s's, and no port has it: nothing can be sent from there", a, v.Name)
			}
		}
	}
	return reach.Start{Outside: a}, nil
}

func (t *tracing) target(word string) (netip.Addr, error) {
	port, node, err := t.find(word)
	switch {
	case err != nil:
		return netip.Addr{}, err
	case port != nil:
		return port.Address.Addr, nil
	case node != nil:
		return node.Address.Addr, nil
	}
	return netip.MustParseAddr(word), nil
}

// endNames completes what a packet can begin at or go to.
func (a *app) endNames(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ports, _ := a.objectNames(intent.KindPort, true)(cmd, args, prefix)
	nodes, done := a.objectNames(intent.KindNode, true)(cmd, args, prefix)
	return append(ports, nodes...), done
}
