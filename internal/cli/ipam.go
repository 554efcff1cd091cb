package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sarn/internal/api"
	"sarn/internal/intent"
)

func (a *app) ipamCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ipam",
		Short:   "Addresses: who has which, how many are left, is all of it right",
		Example: "  sarn ipam show\n  sarn ipam check",
	}
	cmd.AddCommand(a.ipamShowCommand(), a.ipamCheckCommand())
	return cmd
}

func (a *app) ipamShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [SUBNET...]",
		Short: "Show how the addresses of subnets are used",
		Long: `RESERVED are the addresses that no port can have (the network's own, the broadcast
address, the gateway and the bridge), USED those that ports have, NEXT the one that the
next port gets.`,
		Example:           "  sarn ipam show\n  sarn ipam show net1 -o json",
		ValidArgsFunction: a.objectNames(intent.KindSubnet, true),
		RunE: func(cmd *cobra.Command, args []string) error {
			i, err := a.ipam(cmd)
			if err != nil {
				return err
			}
			subnets, err := chosen(i.Subnets, args)
			if err != nil {
				return err
			}
			t := newTable("SUBNET", "VPC", "CIDR", "SIZE", "RESERVED", "USED", "FREE", "PERCENT", "NEXT")
			t.alarm = func(column, cell string) bool { return column == "FREE" && cell == "0" }
			for _, s := range subnets {
				next := ""
				if s.Next.IsValid() {
					next = s.Next.String()
				}
				t.add(s.Subnet, s.VPC, s.CIDR.String(), fmt.Sprint(s.Size), fmt.Sprint(s.Reserved),
					fmt.Sprint(s.Used), fmt.Sprint(s.Free), fmt.Sprintf("%.1f%%", s.Percent), next)
			}
			return a.print(subnets, func() error { return a.printTable(t) })
		},
	}
}

// chosen returns the named subnets as they are named, or all if none is.
func chosen(all []api.SubnetUse, names []string) ([]api.SubnetUse, error) {
	if len(names) == 0 {
		return all, nil
	}
	var unknown intent.Problems
	some := make([]api.SubnetUse, len(names))
	for i, name := range names {
		at := slices.IndexFunc(all, func(s api.SubnetUse) bool { return s.Subnet == name })
		if at < 0 {
			unknown = append(unknown, intent.Problem{
				Ref:        intent.Ref{Kind: intent.KindSubnet, Name: name},
				FieldError: intent.FieldError{Message: "there is no such subnet"},
			})
			continue
		}
		some[i] = all[at]
	}
	if len(unknown) > 0 {
		return nil, unknown
	}
	return some, nil
}

func (a *app) ipamCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Look for addresses that are wrong, held twice or lost",
		Long: `The controller reads its store anew and looks for what its API never makes, but
somebody who wrote to etcd by hand, a backup or a fault of Sarn's may: addresses, MACs or
tables that two objects have, addresses outside their subnet, ports without their subnet
or node, subnets that overlap, and addresses that the controller itself keeps for nobody
or does not know to be taken. The exit code is 5 if it finds anything.`,
		Example: "  sarn ipam check\n  sarn ipam check -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i, err := a.ipam(cmd)
			if err != nil {
				return err
			}
			if err := a.print(i, func() error { return a.printFindings(i) }); err != nil {
				return err
			}
			if len(i.Findings) > 0 {
				return errMissed()
			}
			return nil
		},
	}
}

func (a *app) ipam(cmd *cobra.Command) (api.IPAM, error) {
	client, err := a.connect()
	if err != nil {
		return api.IPAM{}, err
	}
	defer a.patience("the controller")()
	return client.IPAM(cmd.Context())
}

func (a *app) printFindings(i api.IPAM) error {
	var b strings.Builder
	for _, f := range i.Findings {
		what := intent.Problem{Ref: f.Ref, FieldError: intent.FieldError{Field: f.Field, Message: f.Message}}
		fmt.Fprintf(&b, "%s\n    mend: %s\n", printable(what.String()), printable(f.Mend))
	}
	used, words := 0, "nothing is wrong"
	for _, s := range i.Subnets {
		used += s.Used
	}
	if n := len(i.Findings); n > 0 {
		words = plural(n, "thing") + " to mend"
	}
	fmt.Fprintf(&b, "%s: %s in %s, at revision %d\n", words, plural(used, "address"), plural(len(i.Subnets), "subnet"), i.Revision)
	_, err := fmt.Fprint(a.Out, b.String())
	return err
}

// plural counts things.
func plural(n int, thing string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(thing, "s"):
		thing += "es"
	default:
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
