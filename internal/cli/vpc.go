package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sarn/internal/api"
	"sarn/internal/intent"
)

func (a *app) vpcCommand() *cobra.Command {
	cmd := a.command(noun{
		kind:    intent.KindVPC,
		short:   "Private networks: address blocks that subnets are cut from",
		columns: []string{"NAME", "CIDRS", "MODE", "TABLE"},
		row: func(o intent.Object) []string {
			v := o.(*intent.VPC)
			return []string{v.Name, cidrWords(v.CIDRs), string(v.Mode), fmt.Sprint(v.Table)}
		},
		describe: describeVPC,
		create: func() creation {
			v := &intent.VPC{}
			return creation{
				object:   v,
				required: []string{"cidr"},
				example:  "  sarn vpc create main --cidr 10.10.0.0/16 --cidr 10.20.0.0/16",
				flags: func(cmd *cobra.Command) {
					cmd.Flags().Var((*cidrList)(&v.CIDRs), "cidr", "address `block` of the VPC (repeatable)")
					cmd.Flags().StringVar((*string)(&v.Mode), "mode", "", "how packets between hosts go: `router` or direct (default: router)")
					complete(cmd, "mode", modes...)
				},
			}
		},
	})
	cmd.AddCommand(a.vpcModeCommand())
	return cmd
}

var modes = []string{string(intent.ModeRouter), string(intent.ModeDirect)}

func (a *app) vpcModeCommand() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:   "mode NAME router|direct",
		Short: "Switch the way that packets between hosts go",
		Long: `router: hosts know their own ports and send the rest to the subnet's router, as in
the beginning. direct: hosts know every port of the VPC and send to its host; the router
keeps the gateways, NAT, and what a host has not learned. Switching loses no packet.`,
		Example: "  sarn vpc mode main direct --wait",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("name the vpc and its mode: router or direct")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return modes, cobra.ShellCompDirectiveNoFileComp
			}
			return a.objectNames(intent.KindVPC, false)(cmd, args, prefix)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.revise(cmd, intent.Ref{Kind: intent.KindVPC, Name: args[0]}, w, func(o intent.Object) {
				o.(*intent.VPC).Mode = intent.Mode(args[1])
			})
		},
	}
	w.flags(cmd)
	return cmd
}

func describeVPC(ctx context.Context, client *api.Client, o intent.Object, s *sheet) error {
	v := o.(*intent.VPC)
	s.line("Address blocks", "%s", cidrWords(v.CIDRs))
	s.line("Mode", "%s", v.Mode)
	s.line("Routing table", "%d, before those of its subnets", v.Table)
	subnets, err := listOf[*intent.Subnet](ctx, client, intent.KindSubnet, func(n *intent.Subnet) bool { return n.VPC == v.Name })
	if err != nil {
		return err
	}
	var items []string
	for _, n := range subnets {
		items = append(items, fmt.Sprintf("%s %s", n.Name, n.CIDR))
	}
	s.list("Subnets", items)
	return nil
}

// listOf returns the objects of a kind that keep keeps.
func listOf[T intent.Object](ctx context.Context, client *api.Client, k intent.Kind, keep func(T) bool) ([]T, error) {
	objects, err := client.List(ctx, k)
	if err != nil {
		return nil, err
	}
	var kept []T
	for _, o := range objects {
		if t, ok := o.(T); ok && keep(t) {
			kept = append(kept, t)
		}
	}
	return kept, nil
}

func cidrWords(cidrs []intent.CIDR) string {
	words := make([]string, len(cidrs))
	for i, c := range cidrs {
		words[i] = c.String()
	}
	return join(words)
}

// cidrList is a flag that adds an address block each time it is given.
type cidrList []intent.CIDR

var _ pflag.Value = (*cidrList)(nil)

// String implements pflag.Value.
func (l *cidrList) String() string {
	if len(*l) == 0 {
		return ""
	}
	return cidrWords(*l)
}

// Type implements pflag.Value.
func (l *cidrList) Type() string { return "cidr" }

// Set implements pflag.Value.
func (l *cidrList) Set(s string) error {
	var c intent.CIDR
	if err := c.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	*l = append(*l, c)
	return nil
}
