package cli

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"sarn/internal/controller"
	"sarn/internal/intent"
	"sarn/internal/lab"
)

func (a *app) labGraphCommand() *cobra.Command {
	var (
		state bool
		into  string
	)
	cmd := &cobra.Command{
		Use:   "graph [FILE]",
		Short: "Draw a lab as an SVG picture",
		Long: `Draws the lab that is up, or that of a FILE, which need not be: networks, machines,
cables, gateways, and the VMs behind the bridges of each host, a colour for each subnet.
One file without scripts or fonts, for light and dark screens.

With --state each node's card says whether the node is in sync and what its kernel holds:
rules, and routes, folded where many go the same way; what should be there and is not is
red. That needs root; for a FILE it is what the node is to hold, and does not.`,
		Example: `  sarn lab graph -w lab.svg
  sarn lab graph --state -w state.svg
  sarn lab graph --lab two-hosts | rsvg-convert -o lab.png
  sarn lab graph examples/two-hosts.yaml -w two-hosts.svg`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return names("lab's file", false)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case a.format != "":
				return usageError("a graph is an SVG, whatever -o says; leave -o out (-w FILE writes it to a file)")
			case len(args) > 0 && a.target.lab != "":
				return usageError("--lab %s is up and %s is a file; give one of them", a.target.lab, args[0])
			case into == "" && isTerminal(a.Out):
				return usageError("an SVG is nothing for a terminal; write it to a file with -w FILE, or pipe it")
			}
			svg, err := a.labSVG(cmd.Context(), args, state)
			if err != nil {
				return err
			}
			if into == "" {
				_, err = a.Out.Write(svg)
				return err
			}
			if err := os.WriteFile(into, svg, 0o644); err != nil {
				return err
			}
			a.progress("wrote %s", into)
			return nil
		},
	}
	cmd.Flags().BoolVar(&state, "state", false, "show what each node holds, and whether it is in sync")
	cmd.Flags().StringVarP(&into, "write", "w", "", "write to this `file` instead of standard output")
	return cmd
}

// labSVG draws the lab's file if one is given, and otherwise the lab that is up.
func (a *app) labSVG(ctx context.Context, files []string, state bool) ([]byte, error) {
	if len(files) == 0 {
		one, _, err := a.oneLab(ctx)
		if err != nil {
			return nil, err
		}
		m, err := one.Graph(ctx, state)
		if err != nil {
			return nil, err
		}
		return m.SVG(), nil
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return nil, usageError("read the lab's file: %w", err)
	}
	p, err := lab.Parse(files[0], data, "")
	if err != nil {
		return nil, err
	}
	objects, err := controller.Preview(p.Intent)
	var ps intent.Problems
	if errors.As(err, &ps) {
		return nil, p.Locate(ps)
	}
	if err != nil {
		return nil, err
	}
	return p.Graph(objects, state).SVG(), nil
}
