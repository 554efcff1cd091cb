package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sarn/internal/api"
	"sarn/internal/intent"
)

func (a *app) nodeCommand() *cobra.Command {
	return a.command(noun{
		kind:    intent.KindNode,
		short:   "Machines that run an agent: hosts and routers",
		columns: []string{"NAME", "ROLE", "ADDRESS", "INTERFACE", "UPLINK"},
		row: func(o intent.Object) []string {
			n := o.(*intent.Node)
			return []string{n.Name, string(n.Role), n.Address.String(), n.Interface, n.Uplink}
		},
		describe: describeNode,
		create: func() creation {
			n := &intent.Node{}
			return creation{
				object:   n,
				required: []string{"role", "address", "interface"},
				example: `  sarn node create host3 --role host --address 192.168.56.105 --interface enp0s8
  sarn node create router2 --role router --address 192.168.56.102 --interface enp0s8 --uplink enp0s3`,
				flags: func(cmd *cobra.Command) {
					f := cmd.Flags()
					f.StringVar((*string)(&n.Role), "role", "", "`host`: carries ports, or router: holds gateways")
					f.TextVar(&n.Address, "address", intent.Addr{}, "`address` on the network that connects all nodes")
					f.StringVar(&n.Interface, "interface", "", "`interface` on that network")
					f.StringVar(&n.Uplink, "uplink", "", "a router's `interface` towards the internet, if it is not --interface")
					complete(cmd, "role", string(intent.RoleHost), string(intent.RoleRouter))
				},
			}
		},
	})
}

func describeNode(ctx context.Context, client *api.Client, o intent.Object, s *sheet) error {
	n := o.(*intent.Node)
	status, err := statusOf(ctx, client, n.Name)
	if err != nil {
		return err
	}
	s.line("Role", "%s", n.Role)
	s.line("Underlay", "%s on %s", n.Address, n.Interface)
	if n.Uplink != "" {
		s.line("Uplink", "%s", n.Uplink)
	}
	s.line("Agent", "%s", agentWords(status))
	s.line("State", "%s", syncWords(status))
	if n.Role == intent.RoleRouter {
		subnets, err := listOf[*intent.Subnet](ctx, client, intent.KindSubnet, func(s *intent.Subnet) bool { return s.Router == n.Name })
		if err != nil {
			return err
		}
		var items []string
		for _, net := range subnets {
			items = append(items, fmt.Sprintf("%s of %s", net.Gateway, net.Name))
		}
		s.list("Gateways", items)
		return nil
	}
	ports, err := listOf[*intent.Port](ctx, client, intent.KindPort, func(p *intent.Port) bool { return p.Node == n.Name })
	if err != nil {
		return err
	}
	var items []string
	for _, p := range ports {
		items = append(items, fmt.Sprintf("%s %s in %s", p.Name, p.Address, p.Subnet))
	}
	s.list("Ports", items)
	return nil
}
