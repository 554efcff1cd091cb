package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/lab"
)

func (a *app) labCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Whole networks in network namespaces of this machine",
		Long: `A lab is hosts, routers, VMs, a LAN and an internet, each a network namespace of
this machine, built from one YAML file: its ` + "`kind: Lab`" + ` document says what is cabled to
what, the rest is what a real fabric would be given. A controller and an agent in every
node make it work. While a lab is up, every other command can talk to its controller.

All but list and graph need root.`,
		Example: `  sarn lab up examples/two-hosts.yaml
  sarn lab up --topo tree,depth=2,fanout=4
  sarn lab ping-all
  sarn lab exec vm1 ping -c 3 vm3
  sarn lab shell
  sarn lab test examples/two-hosts.test.yaml
  sarn lab down`,
	}
	cmd.AddCommand(a.labUpCommand(), a.labDownCommand(), a.labListCommand(), a.labExecCommand(),
		a.labShellCommand(), a.labPingAllCommand(), a.labTestCommand(), a.labGraphCommand(),
		a.labLinkCommand(), a.labCaptureCommand(), a.labConsoleCommand())
	return cmd
}

func (a *app) labs() (*lab.Labs, error) {
	return lab.New(lab.Config{RunDir: a.runDir(), GuestKernel: a.Getenv("SARN_GUEST_KERNEL")})
}

// oneLab returns the lab that --lab names, or the only one, and who is in it.
func (a *app) oneLab(ctx context.Context) (*lab.Lab, *lab.Directory, error) {
	labs, err := a.labs()
	if err != nil {
		return nil, nil, err
	}
	if a.target.lab != "" {
		if _, err := a.chooseLab(a.target.lab); err != nil {
			return nil, nil, err
		}
	}
	one, err := labs.Find(a.target.lab)
	if err != nil {
		return nil, nil, usageError("%w", err)
	}
	d, err := one.Directory(ctx)
	return one, d, err
}

func (a *app) labWelcome(ctx context.Context, one *lab.Lab, took time.Duration) error {
	info, err := one.Info(ctx)
	if err != nil {
		return err
	}
	return a.print(info, func() error {
		_, err := fmt.Fprintf(a.Out, `lab %s is up after %.1fs: %d nodes, %d VMs. Next:
  sarn lab ping-all --lab %[1]s      who reaches whom
  sarn lab shell --lab %[1]s         then: vm1 ping vm3
  sarn status --lab %[1]s            what its nodes say
  sarn lab down %[1]s
`, info.Name, took.Seconds(), info.Nodes, info.VMs)
		return err
	})
}

func (a *app) labDownCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down [NAME]",
		Short: "Take a lab down and leave nothing of it",
		Long: `Ends the lab's processes and every command that runs inside it, and removes its
namespaces and its directory. It also clears what a crash has left. Without a NAME it
takes down the only lab there is.`,
		Example: "  sarn lab down\n  sarn lab down two-hosts\n  sarn lab down --all",
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return noArgs(cmd, args)
			}
			if len(args) == 0 {
				return nil
			}
			return names("lab", false)(cmd, args)
		},
		ValidArgsFunction: a.labNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := a.target.lab
			if len(args) == 1 {
				name = args[0]
			}
			return a.labDown(cmd.Context(), name, all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "take every lab down")
	return cmd
}

func (a *app) labDown(ctx context.Context, name string, all bool) error {
	labs, err := a.labs()
	if err != nil {
		return err
	}
	there, err := labs.All()
	if err != nil {
		return err
	}
	var chosen []*lab.Lab
	for _, one := range there {
		if all || one.Name == name {
			chosen = append(chosen, one)
		}
	}
	if !all && name == "" && len(there) > 0 {
		one, err := labs.Find("")
		if err != nil {
			return usageError("%w; or give --all", err)
		}
		chosen = append(chosen, one)
	}
	switch {
	case len(chosen) > 0:
	case name != "" && !all:
		_, err := labs.Find(name) // says that there is none, and which there are
		return err
	default:
		a.progress("no lab is up; nothing to take down")
	}
	var errs []error
	for _, one := range chosen {
		if err := one.Down(ctx); err != nil {
			errs = append(errs, err)
			continue
		}
		a.progress("lab %s is down", one.Name)
	}
	return errors.Join(errs...)
}

func (a *app) labListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List every lab",
		Example: "  sarn lab list\n  sarn lab list -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			labs, err := a.labs()
			if err != nil {
				return err
			}
			infos, err := labs.List(cmd.Context())
			if err != nil {
				return err
			}
			t := newTable("NAME", "NODES", "VMS", "UP FOR", "STATE")
			t.alarm = func(column, cell string) bool { return column == "STATE" && cell != lab.StateOK }
			for _, i := range infos {
				t.add(i.Name, fmt.Sprint(i.Nodes), fmt.Sprint(i.VMs), age(i.Since, time.Now()), i.State)
			}
			return a.print(infos, func() error { return a.printTable(t) })
		},
	}
}

// labNames completes the names of labs.
func (a *app) labNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	labs, err := a.labs()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := labs.All()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []string
	for _, one := range all {
		found = append(found, one.Name)
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
