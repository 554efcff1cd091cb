package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bench",
		Short:   "Measure web servers and networks, and compare them",
		Example: `  sarn bench compare examples/bench/five.yaml`,
	}
	cmd.AddCommand(a.benchCompareCommand())
	return cmd
}

const (
	formatCSV  format = "csv"
	formatHTML format = "html"
)

// moreFormats gives a command an --output of its own, which has csv and html too.
func (a *app) moreFormats(cmd *cobra.Command) {
	cmd.Flags().VarP(&widerFormat{&a.format}, "output", "o", "how to print: `table`, json, yaml, csv or html")
	complete(cmd, "output", widerFormats()...)
}

// widerFormat is the value of --output where it can be csv or html as well.
type widerFormat struct{ *format }

func widerFormats() []string {
	return append(slices.Clone(formats), string(formatCSV), string(formatHTML))
}

// Set implements pflag.Value.
func (f *widerFormat) Set(s string) error {
	all := widerFormats()
	if !slices.Contains(all, s) {
		return fmt.Errorf("use %s", strings.Join(all, ", "))
	}
	*f.format = format(s)
	return nil
}
