package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/daemon"
	"sarn/internal/monitor/collect"
	"sarn/internal/monitor/sample"
	"sarn/internal/monitor/term"
)

// topFlags are what `sarn top` is asked for.
type topFlags struct {
	once     bool
	count    int
	interval time.Duration
	fields   []string
	sort     string
	filter   string
	output   topFormat
	browse   bool
	hostFlags
	fleetFlags
	stateFlags
}

// leastInterval keeps rates from being made of single ticks of the kernel's clock.
const leastInterval = 100 * time.Millisecond

func (a *app) topCommand() *cobra.Command {
	var t topFlags
	cmd := &cobra.Command{
		Use:   "top [--host ADDRESS | --browse [FILE]]",
		Short: "Show what this machine, its VMs, containers and processes do",
		Long: `Shows CPUs, memory, disks, file systems, network, VMs, containers and processes of this
machine. It needs no configuration and no root; what root would add, it says.

Without --once it is a live view: ? shows the keys, q ends it.

With --once it reads twice, --interval apart so that there are rates, prints and ends.
With --count it goes on: JSON is then one sample a line, YAML one document a sample, CSV
the rows of each sample under one heading. A rate that the kernel does not tell is -1.
--fields, --sort and --filter are about processes.

<- goes back in time: to what the monitor of this machine keeps in --state, if this user
may read it, else to what the view itself has seen.

With --host it shows another machine, on which ` + "`sarn monitor serve`" + ` runs. The token that
it may want is in --token-file, or in the environment as ` + monitorTokenVariable + `.

With --browse it lists many machines with what they do; Enter opens one, q or Esc comes
back. The file of hosts is by default hosts.yaml beside the contexts; its form is in
docs/monitor-hosts.md.`,
		Example: `  sarn top
  sarn top --alerts alerts.yaml
  sarn top --once
  sarn top --once --sort memory --filter qemu
  sarn top --once -o csv --fields time,pid,name,cpu --count 3 --interval 500ms
  sarn top --once -o json
  sarn top --host hyper1 --tls-ca ca.crt --token-file token
  sarn top --browse hosts.yaml
  sarn top --browse --nodes --once -o csv`,
		Args: func(cmd *cobra.Command, args []string) error {
			if !t.browse && len(args) > 0 {
				return fmt.Errorf("%q is too much: a file of hosts takes --browse, another machine --host", args[0])
			}
			return cobra.MaximumNArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			t.file = strings.Join(args, "")
			t.stateGiven = cmd.Flags().Changed("state")
			if err := t.check(cmd); err != nil {
				return err
			}
			switch {
			case t.browse:
				return a.topBrowse(cmd.Context(), &t)
			case len(t.hosts) > 0:
				return a.topHost(cmd.Context(), &t)
			case !t.once:
				return a.topLive(cmd.Context(), &t)
			}
			return a.topOnce(cmd.Context(), &t)
		},
	}
	a.topFlags(cmd, &t)
	return cmd
}

func (a *app) topFlags(cmd *cobra.Command, t *topFlags) {
	f := cmd.Flags()
	f.BoolVar(&t.once, "once", false, "print and end")
	f.IntVar(&t.count, "count", 1, "print this `many` samples")
	secondsVar(f, &t.interval, "interval", time.Second, "`time` between readings: seconds, or such as 500ms")
	f.StringSliceVar(&t.fields, "fields", nil, "`names` of the processes' fields to print, with commas between")
	f.StringVar(&t.sort, "sort", "cpu", "`field` to sort processes by, the largest first; memory is resident, io both disk rates")
	f.StringVar(&t.filter, "filter", "", "only processes with this `text` in name, command, user or machine")
	t.hostFlags.flags(cmd)
	f.BoolVar(&t.browse, "browse", false, "list many machines: those of a FILE of hosts, of --host, --nodes and --mdns")
	t.fleetFlags.flags(cmd)
	t.stateFlags.flags(cmd, a.stateDir())
	f.VarP(&t.output, "output", "o", "how to print: `table`, json, csv or yaml")
	complete(cmd, "output", topFormats()...)
	complete(cmd, "sort", append([]string{"memory", "io"}, fieldNames()...)...)
	completeList(cmd, "fields", fieldNames()...)
}

// topFormat is the value of --output of top, which knows CSV too.
type topFormat string

func topFormats() []string { return append(slices.Clone(formats), string(formatCSV)) }

// String implements pflag.Value.
func (f *topFormat) String() string { return orElse(string(*f), string(formatTable)) }

// Type implements pflag.Value.
func (f *topFormat) Type() string { return "format" }

// Set implements pflag.Value.
func (f *topFormat) Set(s string) error {
	if !slices.Contains(topFormats(), s) {
		return fmt.Errorf("use %s", strings.Join(topFormats(), ", "))
	}
	*f = topFormat(s)
	return nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (t *topFlags) check(cmd *cobra.Command) error {
	switch {
	case !t.once && changedOf(cmd, "count", "fields", "sort", "filter", "output") != "":
		return usageError("--%s takes --once; in the live view keys sort and filter: ? shows them", changedOf(cmd, "count", "fields", "sort", "filter", "output"))
	case (t.once || t.browse || len(t.hosts) > 0) && changedOf(cmd, "state", "alerts") != "":
		return usageError("--%s belongs to the live view of this machine", changedOf(cmd, "state", "alerts"))
	case slices.Contains(t.hosts, ""):
		return usageError("--host names no machine")
	case !t.browse && len(t.hosts) > 1:
		return usageError("the view is of one machine: give one --host, or --browse for a list of them")
	case !t.browse && changedOf(cmd, "nodes", "mdns") != "":
		return usageError("--%s belongs to --browse", changedOf(cmd, "nodes", "mdns"))
	case t.browse && changedOf(cmd, "count", "fields", "sort", "filter") != "":
		return usageError("--%s is about the processes of one machine, not about --browse", changedOf(cmd, "count", "fields", "sort", "filter"))
	case !t.browse && len(t.hosts) == 0 && t.tokenFile != "":
		return usageError("--token-file is a token for another machine; name it with --host")
	case t.count < 1:
		return usageError("--count %d prints nothing; give 1 or more", t.count)
	case t.interval < leastInterval:
		return usageError("--interval %s is too short for rates; give %s or more", t.interval, leastInterval)
	case cmd.Flags().Changed("fields") && len(t.fields) == 0:
		return usageError("--fields names no field; there are %s", strings.Join(fieldNames(), ", "))
	}
	for _, name := range t.fields {
		if !slices.Contains(fieldNames(), name) {
			return usageError("processes have no field %q%s; there are %s", name, suggest(name, fieldNames()), strings.Join(fieldNames(), ", "))
		}
	}
	if _, ok := sortKey(t.sort); !ok {
		return usageError("processes cannot be sorted by %q%s; use memory, io, %s", t.sort, suggest(t.sort, fieldNames()), strings.Join(fieldNames(), ", "))
	}
	return nil
}

// changedOf is the first of the flags that was given.
func changedOf(cmd *cobra.Command, names ...string) string {
	for _, n := range names {
		if cmd.Flags().Changed(n) {
			return n
		}
	}
	return ""
}

// topLive shows this machine until somebody quits.
func (a *app) topLive(ctx context.Context, t *topFlags) error {
	if err := a.needsTerminal(); err != nil {
		return err
	}
	past, err := newLocalPast(t.state, t.stateGiven)
	if err != nil {
		return err
	}
	alerts, err := newLocalAlerts(&t.stateFlags)
	if err != nil {
		return errors.Join(err, past.Close())
	}
	c, err := collect.New(collect.Config{})
	if err != nil {
		return errors.Join(err, past.Close())
	}
	source := &watched{Collector: c, past: past, alerts: alerts}
	defer source.end()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go alerts.run(ctx, past)
	view := a.screen()
	view.Source, view.Actions, view.Interval = source, c, t.interval
	view.History, view.Alerts = past, alerts.now
	return term.Run(ctx, view)
}

func (a *app) needsTerminal() error {
	if !isTerminal(a.In) || !isTerminal(a.Out) {
		return usageError("the live view needs a terminal; without one, give --once")
	}
	return nil
}

// screen is a live view's config as far as it is about the terminal, which there is:
// see needsTerminal.
func (a *app) screen() term.Config {
	daemon.GiveBack() // what shows a machine for hours has started
	in, _ := a.In.(*os.File)
	out, _ := a.Out.(*os.File)
	return term.Config{In: in, Out: out, Term: a.Getenv("TERM"), NoColor: a.Getenv("NO_COLOR") != "", Version: a.version()}
}

// topOnce prints samples as they are taken.
func (a *app) topOnce(ctx context.Context, t *topFlags) error {
	c, err := collect.New(collect.Config{})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Pass(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(t.interval):
	}
	return a.printSamples(ctx, t, c.Pass)
}

// printSamples prints as many samples as are asked for, --interval apart.
func (a *app) printSamples(ctx context.Context, t *topFlags, next func() (*sample.Sample, error)) error {
	tick := time.NewTicker(t.interval)
	defer tick.Stop()
	for n := range t.count {
		if n > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		s, err := next()
		if err != nil {
			return err
		}
		s = new(*s) // a client's may be shown elsewhere too
		s.Processes = slices.Clone(s.Processes)
		t.pick(s)
		escape(s)
		if err := a.printSample(t, s, n == 0); err != nil {
			return err
		}
	}
	return nil
}

// pick leaves the processes that are asked for, in the order that is asked for.
func (t *topFlags) pick(s *sample.Sample) {
	if t.filter != "" {
		want := strings.ToLower(t.filter)
		s.Processes = slices.DeleteFunc(s.Processes, func(p sample.Process) bool {
			for _, text := range []string{p.Name, p.Command, p.User, p.Machine} {
				if strings.Contains(strings.ToLower(text), want) {
					return false
				}
			}
			return true
		})
	}
	if compare, ok := sortKey(t.sort); ok {
		slices.SortStableFunc(s.Processes, compare)
	}
}
