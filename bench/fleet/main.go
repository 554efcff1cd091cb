// Fleet measures one controller with many nodes: it runs the real `sarn server`, posts
// fleets of growing size, plays their agents, and reads from the server's process what
// each change, and each storm of agents that come back, costs.
//
//	go run ./bench/fleet -sizes 10,100,1000 -mode router -o docs/img
//
// It prints a table, and with -o draws pictures into that directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"sarn/internal/intent"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	program  string
	pictures string
	sizes    []int
	ports    int
	modes    []intent.Mode
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("fleet", flag.ExitOnError)
	sizes := f.String("sizes", "10,30,100,300,1000", "numbers of nodes")
	mode := f.String("mode", "both", "router, direct or both")
	f.IntVar(&o.ports, "ports", 50, "ports for each node")
	f.StringVar(&o.program, "sarn", "bin/sarn", "the program to measure")
	f.StringVar(&o.pictures, "o", "", "directory for pictures")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is too much", f.Arg(0))
	}
	for word := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 2 || n > 2000 {
			return o, fmt.Errorf("-sizes: %q is not a number of nodes from 2 to 2000", word)
		}
		o.sizes = append(o.sizes, n)
	}
	switch *mode {
	case "both":
		o.modes = []intent.Mode{intent.ModeRouter, intent.ModeDirect}
	case "router", "direct":
		o.modes = []intent.Mode{intent.Mode(*mode)}
	default:
		return o, fmt.Errorf("-mode is %q; use router, direct or both", *mode)
	}
	if o.ports < 1 || o.ports > 100 {
		return o, errors.New("-ports is from 1 to 100")
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	for _, mode := range o.modes {
		r := &results{mode: mode, ports: o.ports}
		for _, n := range o.sizes {
			fmt.Fprintf(os.Stderr, "%s mode, %d nodes\n", mode, n)
			found, err := measureFleet(ctx, o.program, newPlan(n, o.ports, mode))
			if err != nil {
				return fmt.Errorf("%s mode, %d nodes: %w", mode, n, err)
			}
			r.sizes, r.figures = append(r.sizes, n), append(r.figures, found)
		}
		r.table(os.Stdout)
		fmt.Println()
		if o.pictures == "" {
			continue
		}
		for name, picture := range map[string][]byte{
			"memory": r.chart("Memory of the controller", rest, ""),
			"port":   r.chart("One port created, until all nodes have it", portDone, portDoneTail),
			"cpu":    r.chart("Work of the controller for one port", portCPU, ""),
			"storm":  r.chart("All agents come back at once", stateTime, ""),
		} {
			path := filepath.Join(o.pictures, "fleet-"+string(mode)+"-"+name+".svg")
			if err := os.WriteFile(path, picture, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
