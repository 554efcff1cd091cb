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
	return a.command(noun{
		kind:    intent.KindPort,
		short:   "Attachments of VMs and containers to subnets",
		columns: []string{"NAME", "SUBNET", "NODE", "ADDRESS", "MAC", "ATTACH"},
		row: func(o intent.Object) []string {
			p := o.(*intent.Port)
			return []string{p.Name, p.Subnet, p.Node, p.Address.String(), string(p.MAC), attachWords(p)}
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
}

func (a *app) portFlags(cmd *cobra.Command, p *intent.Port) {
	f := cmd.Flags()
	f.StringVar(&p.Subnet, "subnet", "", "`subnet` that the port is in")
	f.StringVar(&p.Node, "node", "", "host `node` that carries the port")
	f.TextVar(&p.Address, "address", intent.Addr{}, "`address` (default: the lowest free one)")
	f.TextVar(&p.MAC, "mac", intent.MAC(""), "link-layer `address` (default: derived from the address)")
	f.StringVar((*string)(&p.Attach.Type), "attach", "", "`netns`: a namespace, or tap: a VM (default: netns)")
	f.StringVar(&p.Attach.Namespace, "namespace", "", "for netns: the `namespace` (default: the port's name)")
	f.StringVar(&p.Attach.Interface, "interface", "", "for netns: the `interface` in the namespace (default: eth0)")
	f.Uint32Var(&p.Attach.Owner, "owner", 0, "for tap: user `ID` that may open the device (default: root only)")
	a.nameFlag(cmd, "subnet", intent.KindSubnet)
	a.nameFlag(cmd, "node", intent.KindNode)
	complete(cmd, "attach", string(intent.AttachNetns), string(intent.AttachTap))
}

func attachWords(p *intent.Port) string {
	if p.Attach.Type == intent.AttachTap {
		return "tap"
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
	switch p.Attach.Type {
	case intent.AttachTap:
		s.line("Attach", "tap for a VM, opened by user ID %d", p.Attach.Owner)
	default:
		s.line("Attach", "interface %s in namespace %s", p.Attach.Interface, p.Attach.Namespace)
	}
	s.line("Device", "%s on %s", compile.PortDevice(p.Name), node.Name)
	s.line("Bridge", "%s %s", compile.BridgeDevice(subnet.Name), subnet.Bridge)
	s.line("Routing table", "%d", subnet.Table)
	s.line("State", "%s", syncWords(status))
	return nil
}
