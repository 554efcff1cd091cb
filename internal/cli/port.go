package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
)

func (a *app) portCommand() *cobra.Command {
	cmd := a.command(noun{
		kind:    intent.KindPort,
		short:   "Attachments of VMs and containers to subnets",
		columns: []string{"NAME", "SUBNET", "NODE", "ADDRESS", "MAC", "ATTACH"},
		row: func(o intent.Object) []string {
			p := o.(*intent.Port)
			node := p.Node
			if p.Move != nil {
				node = p.Move.From + " > " + p.Node
			}
			return []string{p.Name, p.Subnet, node, p.Address.String(), string(p.MAC), attachWords(p)}
		},
		describe: describePort,
		create: func() creation {
			p := &intent.Port{}
			return creation{
				object:   p,
				required: []string{"subnet", "node"},
				example: `  sarn port create vm7 --subnet net1 --node host1 --wait
  sarn port create vm8 --subnet net1 --node host2 --address 10.10.10.20 --attach tap --owner 64055`,
				flags: func(cmd *cobra.Command) { a.portFlags(cmd, p) },
			}
		},
	})
	cmd.AddCommand(a.portMoveCommand())
	return cmd
}

func (a *app) portMoveCommand() *cobra.Command {
	var to string
	var w waiting
	cmd := &cobra.Command{
		Use:   "move NAME --to HOST",
		Short: "Move a port to another host, with its address",
		Long: `The new host makes the port first; when it has, packets are switched to it, and when
every connected node sends them there, the old host lets go. Connections stay as they
are. A move that is under way is turned around by moving the port back.`,
		Example:           "  sarn port move vm1 --to host2 --wait",
		Args:              names("port", false),
		ValidArgsFunction: a.objectNames(intent.KindPort, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := required(cmd, "to"); err != nil {
				return err
			}
			return a.revise(cmd, intent.Ref{Kind: intent.KindPort, Name: args[0]}, w, func(o intent.Object) {
				o.(*intent.Port).Node = to
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "host `node` to move it to")
	a.nameFlag(cmd, "to", intent.KindNode)
	w.flags(cmd)
	return cmd
}

// revise changes one object as it is now, or fails if somebody else changes it meanwhile.
func (a *app) revise(cmd *cobra.Command, ref intent.Ref, w waiting, edit func(intent.Object)) error {
	if err := w.check(cmd); err != nil {
		return err
	}
	client, err := a.connect()
	if err != nil {
		return err
	}
	o, err := client.Get(cmd.Context(), ref)
	if err != nil {
		return err
	}
	if p, ok := o.(*intent.Port); ok {
		p.Move = nil // the controller's to write
	}
	edit(o)
	var change api.Change
	change.Add(o)
	return a.change(cmd.Context(), change, nil, w, func(r api.Result) error { return a.printResult(r, false) })
}

func (a *app) portFlags(cmd *cobra.Command, p *intent.Port) {
	f := cmd.Flags()
	f.StringVar(&p.Subnet, "subnet", "", "`subnet` that the port is in")
	f.StringVar(&p.Node, "node", "", "host `node` that carries the port")
	f.TextVar(&p.Address, "address", intent.Addr{}, "`address` (default: the lowest free one)")
	f.TextVar(&p.MAC, "mac", intent.MAC(""), "link-layer `address` (default: derived from the address)")
	f.StringVar((*string)(&p.Attach.Type), "attach", "", "`how` it meets its VM: netns, a namespace; tap, a device made for it; interface, one that is there (default: netns)")
	f.StringVar(&p.Attach.Namespace, "namespace", "", "for netns: the `namespace` (default: the port's name)")
	f.StringVar(&p.Attach.Interface, "interface", "", "for netns: the `interface` in the namespace (default: eth0); for interface: the one on the host")
	f.Uint32Var(&p.Attach.Owner, "owner", 0, "for tap: user `ID` that may open the device (default: root only)")
	a.nameFlag(cmd, "subnet", intent.KindSubnet)
	a.nameFlag(cmd, "node", intent.KindNode)
	complete(cmd, "attach", string(intent.AttachNetns), string(intent.AttachTap), string(intent.AttachInterface))
}

func attachWords(p *intent.Port) string {
	switch p.Attach.Type {
	case intent.AttachTap:
		return "tap"
	case intent.AttachInterface:
		return "interface " + p.Attach.Interface
	}
	return fmt.Sprintf("netns %s %s", p.Attach.Namespace, p.Attach.Interface)
}

func describePort(ctx context.Context, client *api.Client, o intent.Object, s *sheet) error {
	p := o.(*intent.Port)
	got, err := client.Get(ctx, intent.Ref{Kind: intent.KindSubnet, Name: p.Subnet})
	if err != nil {
		return err
	}
	subnet := got.(*intent.Subnet)
	if got, err = client.Get(ctx, intent.Ref{Kind: intent.KindNode, Name: p.Node}); err != nil {
		return err
	}
	node := got.(*intent.Node)
	status, err := statusOf(ctx, client, p.Node)
	if err != nil {
		return err
	}
	s.line("Subnet", "%s %s of VPC %s", subnet.Name, subnet.CIDR, subnet.VPC)
	s.line("Address", "%s", p.Address)
	s.line("MAC", "%s", p.MAC)
	s.line("Gateway", "%s at %s", subnet.Gateway, subnet.Router)
	s.line("Node", "%s %s", node.Name, node.Address)
	if p.Move != nil {
		s.line("Moving", "from %s; packets go to %s", p.Move.From, p.Serving())
	}
	switch p.Attach.Type {
	case intent.AttachInterface:
		s.line("Attach", "interface %s, which somebody else makes", p.Attach.Interface)
	case intent.AttachTap:
		s.line("Attach", "tap for a VM, opened by user ID %d", p.Attach.Owner)
	default:
		s.line("Attach", "interface %s in namespace %s", p.Attach.Interface, p.Attach.Namespace)
	}
	s.line("Device", "%s on %s", compile.Device(p), node.Name)
	s.line("Bridge", "%s %s", compile.BridgeDevice(subnet.Name), subnet.Bridge)
	s.line("Routing table", "%d", subnet.Table)
	s.line("State", "%s", syncWords(status))
	return nil
}
