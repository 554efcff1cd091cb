package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/lab"
)

func (a *app) labCaptureCommand() *cobra.Command {
	var o captureOptions
	cmd := &cobra.Command{
		Use:   "capture NODE[,NODE...] [INTERFACE] [FILTER...]",
		Short: "See the packets of a VM, node, machine or network",
		Long: `Runs tcpdump inside, at the interface, or at all of them. At a network it sees the whole
LAN, each packet as often as it crosses the switch. A VM on a tap is seen from its host.
The rest of the line is a filter: see pcap-filter(7). Ctrl-C ends the capture.

Of several nodes at once, or --all, each line begins with the node's name, so that a
packet can be followed on its way.`,
		Example: `  sarn lab capture vm1
  sarn lab capture router enp0s8 icmp
  sarn lab capture vm1,host1,router,host2,vm3 icmp
  sarn lab capture --all -c 1 arp
  sarn lab capture lan -w lan.pcap tcp port 80
  sarn lab capture lan -w - | wireshark -k -i -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && !o.all {
				return errors.New("name the node whose packets to see, or give --all")
			}
			return nil
		},
		ValidArgsFunction: a.captureNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Count < 0 {
				return usageError("--count must not be less than nothing")
			}
			one, d, err := a.oneLab(cmd.Context())
			if err != nil {
				return err
			}
			spots, err := o.spots(one, d, args)
			if err != nil {
				return err
			}
			err = a.capture(cmd.Context(), one, d, spots, o)
			if m := spots[0].Member; err != nil && len(spots) == 1 && len(o.Filter) > 0 {
				if devices, lookErr := m.Devices(); lookErr == nil {
					a.progress("%q was taken for a filter; the interfaces of %s are %s", strings.Join(o.Filter, " "), m.Name, strings.Join(devices, ", "))
				}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "write", "w", "", "write a capture `file` instead of text; - is standard output")
	f.IntVarP(&o.Count, "count", "c", 0, "end after so many packets, at each node")
	f.BoolVar(&o.all, "all", false, "capture at everything in the lab")
	return cmd
}

type captureOptions struct {
	lab.Capture
	file string
	all  bool
}

// spots reads the arguments. A first word that is an interface of the node is that;
// everything else is the filter.
func (o *captureOptions) spots(one *lab.Lab, d *lab.Directory, args []string) ([]lab.Spot, error) {
	nodes := d.Names()
	if !o.all {
		nodes, args = strings.Split(args[0], ","), args[1:]
	}
	var spots []lab.Spot
	for _, name := range nodes {
		m, err := d.Find(name)
		if err != nil {
			return nil, usageError("%w", err)
		}
		device := ""
		if len(nodes) == 1 && len(args) > 0 {
			devices, err := m.Devices()
			if err != nil {
				return nil, err
			}
			if slices.Contains(devices, args[0]) {
				device, args = args[0], args[1:]
			}
		}
		s, err := one.Spot(d, m, device)
		if err != nil {
			return nil, err
		}
		spots = append(spots, s)
	}
	o.Filter, o.Raw = args, o.file != ""
	if o.Raw && len(spots) > 1 {
		return nil, usageError("a capture file is of one node; name one with -w")
	}
	return spots, nil
}

// capture captures at all the spots until every one has its count, or a signal.
func (a *app) capture(ctx context.Context, one *lab.Lab, d *lab.Directory, spots []lab.Spot, o captureOptions) error {
	out := a.Out
	if o.Raw && o.file != "-" {
		// Opened here: tcpdump gives up its rights before it would.
		f, err := os.Create(o.file)
		if err != nil {
			return usageError("write the capture: %w", err)
		}
		defer f.Close() //nolint:errcheck // tcpdump has its own, and says what goes wrong
		out = f
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	defer signal.Stop(signals)
	var running []*exec.Cmd
	var readers sync.WaitGroup
	stop := func() {
		for _, c := range running {
			_ = c.Process.Signal(syscall.SIGINT) // it may have ended by itself
		}
	}
	text := &lines{out: a.Out, err: a.Err, width: widthOf(spots)}
	var failed error
	for _, s := range spots {
		c, err := o.Command(s)
		if err == nil && len(spots) == 1 {
			c.Stdout, c.Stderr = out, a.Err
		} else if err == nil {
			err = text.follow(&readers, s.Member.Name, c)
		}
		if err == nil {
			err = one.Start(d, s.Member, c)
		}
		if err != nil {
			failed = err
			stop()
			break
		}
		running = append(running, c)
	}
	ended := make(chan int, 1)
	go func() {
		readers.Wait() // before Wait, which closes what they read
		text.flush()
		code := 0
		for _, c := range running {
			if err := c.Wait(); err != nil && code == 0 {
				code = exitStatus(c.ProcessState)
			}
		}
		ended <- code
	}()
	for {
		select {
		case <-signals:
			stop()
		case <-ctx.Done():
			stop()
			ctx = context.WithoutCancel(ctx)
		case code := <-ended:
			return exitWith(code, failed)
		}
	}
}

func widthOf(spots []lab.Spot) int {
	width := 0
	for _, s := range spots {
		width = max(width, len(s.Member.Name))
	}
	return width
}

// settleTime is how long a packet is held back for others that were seen before it, and
// are told of later.
const settleTime = 50 * time.Millisecond

// lines writes what several commands say, line by line, with their names before it. What
// they have captured is put in the order of its time stamps.
type lines struct {
	mu       sync.Mutex
	out, err io.Writer
	width    int
	held     []heldLine
}

type heldLine struct{ name, text string }

func (l *lines) captured(name, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.held) == 0 {
		time.AfterFunc(settleTime, l.flush)
	}
	l.held = append(l.held, heldLine{name, text})
}

// flush writes what is held.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	stamp := func(h heldLine) string { s, _, _ := strings.Cut(h.text, " "); return s }
	slices.SortStableFunc(l.held, func(a, b heldLine) int { return strings.Compare(stamp(a), stamp(b)) })
	for _, h := range l.held {
		fmt.Fprintf(l.out, "%-*s  %s\n", l.width, h.name, h.text)
	}
	l.held = nil
}

func (l *lines) said(name, text string) {
	// The same of every node, and no help.
	if strings.HasPrefix(text, "tcpdump: data link type ") || strings.HasPrefix(text, "tcpdump: verbose output suppressed") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.err, "%-*s  %s\n", l.width, name, text)
}

// follow passes on what the command will say.
func (l *lines) follow(readers *sync.WaitGroup, name string, c *exec.Cmd) error {
	pass := func(r io.Reader, line func(name, text string)) {
		for s := bufio.NewScanner(r); s.Scan(); {
			line(name, s.Text())
		}
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	stderr, err := c.StderrPipe()
	if err != nil {
		return err
	}
	readers.Go(func() { pass(stdout, l.captured) })
	readers.Go(func() { pass(stderr, l.said) })
	return nil
}

// captureNames completes members, and then the interfaces of the one.
func (a *app) captureNames(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.memberNames(cmd, args, begun)
	}
	_, d, err := a.oneLab(cmd.Context())
	if err != nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	m, err := d.Find(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	devices, _ := m.Devices() // without any there is nothing to offer
	return devices, cobra.ShellCompDirectiveNoFileComp
}
