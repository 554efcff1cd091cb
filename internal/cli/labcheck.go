package cli

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/lab"
)

// widest is how many members a matrix may have and still be read on a screen.
const widest = 12

func (a *app) labPingAllCommand() *cobra.Command {
	var o lab.PingOptions
	cmd := &cobra.Command{
		Use:   "ping-all",
		Short: "Ping from every VM to every other, and to the world around",
		Long: `Every VM pings every other VM and every machine that is not a node, such as an
internet. The table has a row for each sender and the round trip in milliseconds. The
exit code is 5 if anything is lost: where that is as it should be, say what should pass
and what not in a file for ` + "`sarn lab test`" + `.

A VM of the kind qemu pings by itself, in its own words and times. One on a tap that the
lab does not run is pinged but cannot ping: what runs inside is its own.`,
		Example: "  sarn lab ping-all\n  sarn lab ping-all --count 5 --include-nodes -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Count < 1 || o.Wait <= 0 {
				return usageError("--count and --timeout must be more than nothing")
			}
			one, d, err := a.oneLab(cmd.Context())
			if err != nil {
				return err
			}
			m, err := one.PingAll(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			return a.printMatrix(m)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Count, "count", 1, "echo requests for each pair")
	secondsVar(f, &o.Wait, "timeout", time.Second, "how `long` to wait for each answer: seconds, or such as 500ms")
	f.BoolVar(&o.Nodes, "include-nodes", false, "let hosts and routers take part")
	return cmd
}

func (a *app) printMatrix(m *lab.Matrix) error {
	err := a.print(m, func() error {
		if t := matrixTable(m); t != nil {
			if err := a.printTable(t); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(a.Out, m.Summary())
		return err
	})
	if err != nil {
		return err
	}
	if !m.OK() {
		return errMissed()
	}
	return nil
}

// matrixTable is the whole matrix if it is small, otherwise what is wrong in it.
func matrixTable(m *lab.Matrix) *table {
	lost := func(_, cell string) bool { return cell == "lost" }
	if len(m.To) <= widest {
		head, rows := m.Grid()
		return &table{head: head, rows: rows, alarm: lost}
	}
	failed := m.Failures()
	if len(failed) == 0 {
		return nil
	}
	t := newTable("FROM", "TO", "LOST", "WHY")
	for _, p := range failed {
		t.add(p.From, p.To, fmt.Sprintf("%d of %d", p.Sent-p.Received, p.Sent), p.Error)
	}
	return t
}

func (a *app) labTestCommand() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "test FILE",
		Short: "Check with real packets what must pass and what must not",
		Long: `The file holds ` + "`kind: LabTest`" + ` documents:

  kind: LabTest
  expect:
    - {from: vm1, to: vm3, hops: [host1, router, host2]}
    - {from: vm1, to: vm5, protocol: tcp, port: 80}
    - {from: internet, to: vm1, allow: false}

from is anything in the lab; to as well, or an IPv4 address. The protocol is icmp unless
it says tcp or udp, which have a port: a listener stands there for as long as the test
runs. hops are the routers between, by name or address, or just how many.

What is not allowed must meet silence, or be refused on the way. Where no listener can
be placed (a VM on a tap, a subnet's bridge, an address outside the lab), "refused"
means that it arrived: that is what a target says on whose port nobody listens.

The exit code is 5 if anything is missed.`,
		Example: "  sarn lab test examples/two-hosts.test.yaml",
		Args:    names("file of expectations", false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if wait <= 0 {
				return usageError("--timeout must be more than nothing")
			}
			data, err := os.ReadFile(args[0])
			if err != nil {
				return usageError("read expectations: %w", err)
			}
			all, err := lab.ParseExpectations(args[0], data)
			if err != nil {
				return err
			}
			one, d, err := a.oneLab(cmd.Context())
			if err != nil {
				return err
			}
			verdicts, err := one.Test(cmd.Context(), d, all, wait)
			if err != nil {
				return err
			}
			return a.printVerdicts(verdicts)
		},
	}
	secondsVar(cmd.Flags(), &wait, "timeout", time.Second, "how `long` to wait before taking it that nothing comes: seconds, or such as 500ms")
	return cmd
}

func (a *app) printVerdicts(verdicts []lab.Verdict) error {
	missed := 0
	t := newTable("FROM", "TO", "WHAT", "EXPECTED", "SEEN", "RESULT")
	t.alarm = func(_, cell string) bool { return cell == "MISS" }
	for _, v := range verdicts {
		word := "ok"
		if !v.OK {
			word = "MISS"
			missed++
		}
		t.add(v.From, v.To, v.What, v.Expected, v.Seen, word)
	}
	err := a.print(verdicts, func() error {
		if err := a.printTable(t); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.Out, "%d/%d as expected\n", len(verdicts)-missed, len(verdicts))
		return err
	})
	if err != nil {
		return err
	}
	if missed > 0 {
		return errMissed()
	}
	return nil
}
