package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"sarn/internal/lab"
)

func (a *app) labLinkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "link",
		Short: "List a lab's cables, take one out, put it back",
		Long: `A cable connects a machine, or a network with an uplink, to a network. Its bandwidth,
delay and loss are said in the lab's file.`,
		Example: "  sarn lab link list\n  sarn lab link down host1\n  sarn lab link up host1",
	}
	cmd.AddCommand(a.labLinkList(), a.labLinkSet("up", "Put a cable back", true), a.labLinkSet("down", "Take a cable out", false))
	return cmd
}

func (a *app) labLinkList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the cables and their states",
		Example: "  sarn lab link list\n  sarn lab link list -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			one, _, err := a.oneLab(cmd.Context())
			if err != nil {
				return err
			}
			links, err := one.Links()
			if err != nil {
				return err
			}
			t := newTable("NODE", "INTERFACE", "NETWORK", "STATE", "BANDWIDTH", "DELAY", "LOSS")
			t.alarm = func(column, cell string) bool { return column == "STATE" && cell != string(lab.LinkUp) }
			for _, k := range links {
				t.add(k.Node, k.Interface, k.Network, string(k.State), k.Bandwidth.String(), k.Delay.String(), k.Loss.String())
			}
			return a.print(links, func() error { return a.printTable(t) })
		},
	}
}

func (a *app) labLinkSet(verb, short string, up bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " NODE [INTERFACE]",
		Short: short,
		Long: `The switch's end of the cable goes ` + verb + `, so that the node sees its interface's carrier
come or go, as with a real cable; its addresses and routes are its own business. The
interface may be left out where the node has one cable.`,
		Example: "  sarn lab link " + verb + " host1\n  sarn lab link " + verb + " router enp0s3",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return errors.New("name the machine whose cable it is")
			case len(args) > 2:
				return fmt.Errorf("%q is too much: one cable at a time", args[2])
			}
			return nil
		},
		ValidArgsFunction: a.linkNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			one, _, err := a.oneLab(cmd.Context())
			if err != nil {
				return err
			}
			device := ""
			if len(args) == 2 {
				device = args[1]
			}
			k, err := one.FindLink(args[0], device)
			if err != nil {
				return usageError("%w", err)
			}
			if err := one.SetLink(cmd.Context(), k, up); err != nil {
				return err
			}
			a.progress("%s %s to %s is %s", k.Node, k.Interface, k.Network, verb)
			return nil
		},
	}
}

// linkNames completes the nodes that have cables, and then their interfaces.
func (a *app) linkNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	one, _, err := a.oneLab(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	links, err := one.Links()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []string
	for _, k := range links {
		switch {
		case len(args) == 0:
			found = append(found, k.Node)
		case len(args) == 1 && k.Node == args[0]:
			found = append(found, k.Interface)
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
