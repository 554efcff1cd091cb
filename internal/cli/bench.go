package cli

import "github.com/spf13/cobra"

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bench",
		Short:   "Measure web servers and networks, and compare them",
		Example: "  sarn bench net vm1 vm3",
	}
	cmd.AddCommand(a.benchNetCommand())
	return cmd
}
