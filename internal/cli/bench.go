package cli

import "github.com/spf13/cobra"

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure web servers and networks, and compare them",
		Example: `  sarn bench http http://127.0.0.1:8181/ -c 100 -n 100000
  sarn bench compare examples/bench/five.yaml
  sarn bench net vm1 vm3`,
	}
	cmd.AddCommand(a.benchHTTPCommand(), a.benchCompareCommand(), a.benchNetCommand())
	return cmd
}
