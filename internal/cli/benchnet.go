package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/bench/netload"
	"sarn/internal/kernel"
)

// benchPort is where `sarn bench net --listen` listens unless told otherwise. IANA has
// assigned it to nobody.
const benchPort = 5290

// netBench is one run of bench net.
type netBench struct {
	tests           []string
	time, omit      seconds
	streams, size   int
	rate            string
	reverse         bool
	cpuFrom, cpuTo  int
	listen, address string
	untilEOF        bool
}

func (a *app) benchNetCommand() *cobra.Command {
	b := netBench{time: seconds(1500 * time.Millisecond), omit: seconds(300 * time.Millisecond)}
	cmd := &cobra.Command{
		Use:   "net [FROM] TO | net --listen ADDRESS[:PORT]",
		Short: "Measure the network between two VMs: throughput, packets, transactions, latency",
		Long: `In a lab, FROM and TO are members, and both ends are run inside them, as root. They may
also be files of network namespaces, such as /run/netns/vm1.

Between real machines, let one listen and type on the other what it then prints; FROM is
left out there, since it is here. The one that listens answers whoever reaches it, one
client at a time, for tests of a minute at most: end it when you are done.

  tcp-stream   Mbit/s of payload that arrive, over TCP
  udp-stream   datagrams a second, how many are lost, reordered, duplicated, and jitter
  tcp-rr       requests and answers over one connection, one at a time
  udp-rr       likewise, in datagrams
  tcp-crr      a connection for each request: connect, request, answer, close
  latency      a datagram and its answer each 10 ms, on a path that is idle otherwise

Without --test all six run, some 11 seconds in total. Latencies are from a request
to its answer.`,
		Example: `  sarn bench net vm1 vm3
  sarn bench net vm1 vm3 --test tcp-stream --streams 4 --reverse
  sarn bench net vm1 vm3 --test udp-stream --rate 50mbit --size 200 -o json
  sarn bench net --listen 10.10.10.12
  sarn bench net 10.10.10.12`,
		Args:              b.args,
		ValidArgsFunction: a.benchNetNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			runtime.GOMAXPROCS(runtime.NumCPU() + 1) // one is the measuring thread's: see netload/raw.go
			if b.listen != "" {
				return a.benchNetListen(cmd.Context(), &b)
			}
			tests, err := b.plan()
			if err != nil {
				return err
			}
			return a.benchNet(cmd.Context(), &b, tests, args)
		},
	}
	b.flags(cmd)
	return cmd
}

func (b *netBench) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&b.tests, "test", nil, "`tests` to run, with commas between; default: all")
	f.Var(&b.time, "time", "how `long` each test measures, up to 1m")
	f.Var(&b.omit, "omit", "how `long` each test runs before it measures")
	f.IntVar(&b.streams, "streams", 1, "`number` of connections of tcp-stream")
	f.BoolVar(&b.reverse, "reverse", false, "let TO send the streams")
	f.IntVar(&b.size, "size", 0, "`bytes` of a write, a datagram, a request and its answer; default: 128 KiB, what fits the path, 64")
	f.StringVar(&b.rate, "rate", "", "payload of udp-stream, such as `100mbit`; default: all it can")
	f.IntVar(&b.cpuFrom, "cpu-from", -1, "`CPU` that FROM's end runs on; -1 is any")
	f.IntVar(&b.cpuTo, "cpu-to", -1, "`CPU` that TO's end runs on; -1 is any")
	f.StringVar(&b.listen, "listen", "", "be the other end: listen at `ADDRESS[:PORT]`")
	f.StringVar(&b.address, "address", "", "`address` of TO, if it is a namespace with several")
	f.BoolVar(&b.untilEOF, "until-eof", false, "with --listen, end when standard input does")
	_ = f.MarkHidden("until-eof") // for this program itself, which so leaves no process behind
	names := make([]string, 0, len(netload.Kinds()))
	for _, k := range netload.Kinds() {
		names = append(names, string(k))
	}
	complete(cmd, "test", names...)
}

func (b *netBench) args(cmd *cobra.Command, args []string) error {
	switch listens := cmd.Flags().Changed("listen"); {
	case listens && len(args) > 0:
		return fmt.Errorf("%q is too much: who listens measures with whoever comes", args[0])
	case listens && b.listen == "":
		return errors.New("--listen needs an address of this machine, such as 10.10.10.12")
	case listens:
		return nil
	case b.untilEOF:
		return errors.New("--until-eof belongs to --listen")
	case len(args) == 0:
		return errors.New("name the two ends, such as vm1 vm3, or the address where the other listens")
	case len(args) > 2:
		return fmt.Errorf("%q is too much: a measurement has two ends", args[2])
	}
	return nil
}

// plan makes the tests of the flags.
func (b *netBench) plan() ([]netload.Test, error) {
	kinds := netload.Kinds()
	if len(b.tests) > 0 {
		kinds = nil
		for _, name := range b.tests {
			kinds = append(kinds, netload.Kind(name))
		}
	}
	rate, err := parseRate(b.rate)
	if err != nil {
		return nil, usageError("--rate %s", err)
	}
	if b.cpuFrom < -1 || b.cpuFrom > 1023 {
		return nil, usageError("--cpu-from: there is no CPU %d", b.cpuFrom)
	}
	var tests []netload.Test
	for _, k := range kinds {
		t := netload.Test{Kind: k, Time: time.Duration(b.time), Omit: time.Duration(b.omit), Size: b.size, PeerCPU: b.cpuTo}
		// Of several tests each takes what concerns it; one by its name must take all.
		all := len(kinds) == 1
		if k == netload.TCPStream || all {
			t.Streams = b.streams
		}
		if k == netload.TCPStream || k == netload.UDPStream || all {
			t.Reverse = b.reverse
		}
		if k == netload.UDPStream || all {
			t.Rate = rate
		}
		if err := t.Validate(); err != nil {
			return nil, usageError("%w", err)
		}
		tests = append(tests, t)
	}
	return tests, nil
}

// parseRate reads a rate as tc(8) writes it; without a unit it is bits a second.
func parseRate(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	number, factor := strings.ToLower(s), 1.0
	number = strings.TrimSuffix(number, "bit")
	for unit, f := range map[string]float64{"k": 1e3, "m": 1e6, "g": 1e9} {
		if cut, ok := strings.CutSuffix(number, unit); ok {
			number, factor = cut, f
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n*factor >= 1 && n*factor <= 1e12) {
		return 0, fmt.Errorf("%q is not a rate; write 100mbit, 2.5gbit or bits a second", s)
	}
	return int64(n * factor), nil
}

// netEnds is whom a run measures between, and where they are.
type netEnds struct {
	from, to         string
	fromNs, toNs     string // files of network namespaces; "" is here
	address          netip.Addr
	port             uint16
	startsServerSelf bool
}

// benchNetEnds finds the ends that the arguments name.
func (a *app) benchNetEnds(ctx context.Context, b *netBench, args []string) (*netEnds, error) {
	if len(args) == 1 {
		at, err := resolve(ctx, args[0])
		if err != nil {
			return nil, err
		}
		return &netEnds{from: "here", to: args[0], address: at.Addr(), port: at.Port()}, nil
	}
	e := &netEnds{from: args[0], to: args[1], startsServerSelf: true}
	if e.from == e.to {
		return nil, usageError("%s twice: a measurement has two ends", e.from)
	}
	files := 0
	for _, name := range args {
		if strings.Contains(name, "/") {
			files++
		}
	}
	switch files {
	case 2:
		e.fromNs, e.toNs = e.from, e.to
	case 1:
		return nil, usageError("one of %s and %s is a file and the other is not: name two members of a lab, or two namespaces", e.from, e.to)
	default:
		if err := a.labEnds(ctx, e); err != nil {
			return nil, err
		}
	}
	if b.address != "" {
		address, err := netip.ParseAddr(b.address)
		if err != nil {
			return nil, usageError("--address %q is not an IP address", b.address)
		}
		e.address = address
	}
	if e.address.IsValid() {
		return e, nil
	}
	var err error
	e.address, err = onlyAddress(e.toNs)
	return e, err
}

// labEnds finds the ends among the lab's members.
func (a *app) labEnds(ctx context.Context, e *netEnds) error {
	_, d, err := a.oneLab(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{e.from, e.to} {
		m, err := d.Find(name)
		switch {
		case err != nil:
			return usageError("%w", err)
		case m.Lines != "":
			return usageError("%s is a VM with a kernel of its own, where this program is not; "+
				"copy sarn into it and run `sarn bench net --listen` there", name)
		case m.Netns == "":
			return usageError("%s is a VM on a tap, inside which the lab starts nothing; "+
				"run `sarn bench net --listen %s` there, and `sarn bench net %[2]s` at the other end", name, m.Address)
		case name == e.from:
			e.fromNs = m.Netns
		case !m.Address.IsValid():
			return usageError("%s is a network, which has no address to measure to; name a machine, node or VM", name)
		default:
			e.toNs, e.address = m.Netns, m.Address
		}
	}
	return nil
}

// onlyAddress returns the namespace's address, if it has only one.
func onlyAddress(netns string) (netip.Addr, error) {
	var found []netip.Addr
	err := kernel.Enter(netns, func() error {
		all, err := net.InterfaceAddrs()
		for _, a := range all {
			if p, perr := netip.ParsePrefix(a.String()); perr == nil && p.Addr().IsGlobalUnicast() {
				found = append(found, p.Addr())
			}
		}
		return err
	})
	switch {
	case err != nil:
		return netip.Addr{}, usageError("%w", err)
	case len(found) == 0:
		return netip.Addr{}, usageError("%s has no address; give it one first", netns)
	case len(found) > 1:
		return netip.Addr{}, usageError("%s has the addresses %s; choose with --address", netns, strings.Trim(fmt.Sprint(found), "[]"))
	}
	return found[0], nil
}

// resolve reads ADDRESS[:PORT], where the address may be a name.
func resolve(ctx context.Context, s string) (netip.AddrPort, error) {
	host, port := s, strconv.Itoa(benchPort)
	if _, err := netip.ParseAddr(s); err != nil {
		if h, p, err := net.SplitHostPort(s); err == nil {
			host, port = h, p
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" {
		return netip.AddrPort{}, usageError("%q is not ADDRESS or ADDRESS:PORT", s)
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(address.Unmap(), uint16(n)), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, usageError("%q is no address, and no name that has one (of two members of a lab, name both): %w", host, err)
	}
	return netip.AddrPortFrom(found[0].Unmap(), uint16(n)), nil
}

// benchNetNames completes the members of the lab.
func (a *app) benchNetNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, _ := a.memberNames(cmd, nil, "")
	return names, cobra.ShellCompDirectiveDefault // files of namespaces too
}
