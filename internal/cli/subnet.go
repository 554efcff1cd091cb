package cli

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"sarn/internal/api"
	"sarn/internal/compile"
	"sarn/internal/intent"
)

func (a *app) subnetCommand() *cobra.Command {
	return a.command(noun{
		kind:    intent.KindSubnet,
		short:   "Networks that ports attach to, each with a gateway",
		columns: []string{"NAME", "VPC", "CIDR", "GATEWAY", "BRIDGE", "ROUTER", "NAT", "TABLE"},
		row: func(o intent.Object) []string {
			s := o.(*intent.Subnet)
			return []string{s.Name, s.VPC, s.CIDR.String(), s.Gateway.String(), s.Bridge.String(), s.Router, yes(s.NAT), fmt.Sprint(s.Table)}
		},
		describe: describeSubnet,
		create: func() creation {
			s := &intent.Subnet{}
			return creation{
				object:   s,
				required: []string{"vpc", "cidr"},
				example:  "  sarn subnet create net3 --vpc main --cidr 10.10.30.0/24 --nat --wait",
				flags: func(cmd *cobra.Command) {
					f := cmd.Flags()
					f.StringVar(&s.VPC, "vpc", "", "`VPC` that the subnet belongs to")
					f.TextVar(&s.CIDR, "cidr", intent.CIDR{}, "address `block`, inside one of the VPC's")
					f.TextVar(&s.Gateway, "gateway", intent.Addr{}, "`address` of the default gateway, held by the router (default: the first usable address)")
					f.TextVar(&s.Bridge, "bridge", intent.Addr{}, "`address` of the bridge on every host (default: the next one)")
					f.StringVar(&s.Router, "router", "", "router `node` that holds the gateway (default: the only one)")
					f.BoolVar(&s.NAT, "nat", false, "translate the subnet's addresses towards the internet")
					a.nameFlag(cmd, "vpc", intent.KindVPC)
					a.nameFlag(cmd, "router", intent.KindNode)
				},
			}
		},
	})
}

func describeSubnet(ctx context.Context, client *api.Client, o intent.Object, s *sheet) error {
	n := o.(*intent.Subnet)
	s.line("VPC", "%s", n.VPC)
	s.line("Address block", "%s", n.CIDR)
	s.line("Gateway", "%s at %s", n.Gateway, n.Router)
	s.line("Bridge", "%s, %s, %s on every host with its ports", compile.BridgeDevice(n.Name), n.Bridge, intent.BridgeMAC(n.Bridge))
	s.line("Routing table", "%d, for what comes in by the bridge", n.Table)
	s.line("NAT", "%s", yes(n.NAT))
	ports, err := listOf[*intent.Port](ctx, client, intent.KindPort, func(p *intent.Port) bool { return p.Subnet == n.Name })
	if err != nil {
		return err
	}
	taken := reserved(n)
	var items []string
	for _, p := range ports {
		taken[p.Address.Addr] = true
		items = append(items, fmt.Sprintf("%s %s on %s", p.Name, p.Address, p.Node))
	}
	s.line("Addresses", "%s", freeWords(n.CIDR, taken))
	s.list("Ports", items)
	return nil
}

// reserved returns the addresses of the subnet that no port can have.
func reserved(n *intent.Subnet) map[netip.Addr]bool {
	return map[netip.Addr]bool{n.CIDR.First(): true, n.CIDR.Last(): true, n.Gateway.Addr: true, n.Bridge.Addr: true}
}

// freeWords says how many addresses of the block are free, and which comes next.
func freeWords(c intent.CIDR, taken map[netip.Addr]bool) string {
	free := c.Size() - len(taken)
	if free <= 0 {
		return "none free"
	}
	next := c.First()
	for taken[next] {
		next = next.Next()
	}
	return fmt.Sprintf("%d of %d free, next %s", free, c.Size(), next)
}
