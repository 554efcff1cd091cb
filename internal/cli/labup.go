package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/lab"
)

func (a *app) labUpCommand() *cobra.Command {
	var name, topo string
	var only bool
	cmd := &cobra.Command{
		Use:   "up FILE | --topo WORDS",
		Short: "Build a lab and wait until it works",
		Long: `If anything fails, or on Ctrl-C, what was built so far is taken down again.
A lab runs until ` + "`sarn lab down`" + `; several run side by side under names of their own.

Instead of a file, --topo takes a topology in Mininet's words. A Mininet host is a VM
here; a switch that has hosts is a host; a switch above other switches is a network:

  single,4                one host with 4 VMs
  linear,8                8 hosts with a VM each; linear,8,3: with 3 each
  tree,depth=2,fanout=4   4 hosts with 4 VMs each; deeper: below a tree of networks

Each has a router too, and all VMs are in one subnet. --print shows the file that these
words stand for instead of building it: change it, and bring it up.`,
		Example: `  sarn lab up examples/two-hosts.yaml
  sarn lab up examples/two-hosts.yaml --name second
  sarn lab up --topo single,100
  sarn lab up --topo linear,8 --print`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case topo != "" && len(args) > 0:
				return fmt.Errorf("give a file or --topo, not both: %q is too much", args[0])
			case topo == "" && only:
				return errors.New("--print shows what --topo stands for; give that too")
			case topo != "":
				return nil
			case len(args) == 0:
				return errors.New("name the lab's file, or give --topo")
			}
			return names("lab's file", false)(nil, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			file, data, err := labSource(args, topo, name)
			if err != nil {
				return err
			}
			plan, err := lab.Parse(file, data, name)
			if err != nil {
				return err
			}
			if only {
				_, err := a.Out.Write(data)
				return err
			}
			return a.labUp(cmd.Context(), plan, data)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "name of the lab (default: the one in the file)")
	f.StringVar(&topo, "topo", "", "a topology in Mininet's `words`: single,4 or linear,8 or tree,depth=2,fanout=4")
	f.BoolVar(&only, "print", false, "print the file that --topo stands for, and build nothing")
	complete(cmd, "topo", "single,4", "linear,8", "tree,depth=2,fanout=4")
	return cmd
}

func (a *app) labUp(ctx context.Context, plan *lab.Plan, source []byte) error {
	labs, err := a.labs()
	if err != nil {
		return err
	}
	began := time.Now()
	one, err := labs.Up(ctx, plan, source, func(format string, args ...any) {
		a.progress("%5.2fs  %s", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	})
	if err != nil {
		return err
	}
	return a.labWelcome(ctx, one, time.Since(began))
}

// labSource returns the text of a lab's file, and its name for messages.
func labSource(args []string, topo, name string) (file string, data []byte, err error) {
	if topo == "" {
		data, err = os.ReadFile(args[0])
		if err != nil {
			return "", nil, usageError("read the lab's file: %w", err)
		}
		return args[0], data, nil
	}
	words, err := lab.ParseWords(topo)
	if err != nil {
		return "", nil, usageError("--topo %w", err)
	}
	return "--topo " + topo, words.YAML(name), nil
}
