package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sarn/internal/intent"
	"sarn/internal/reach"
)

// mostTraced is how many pairs `sarn trace` is asked about: each is a process.
const mostTraced = 12

// drawFabric draws a small fabric: hosts and routers on a LAN, an internet behind the
// routers, VPCs of a subnet or two, ports anywhere. It returns the file of its lab.
func drawFabric(r *rand.Rand) string {
	var machines, docs strings.Builder
	doc := func(format string, args ...any) { fmt.Fprintf(&docs, "---\n"+format+"\n", args...) }
	hosts, routers := 2+r.IntN(2), 1+r.IntN(2)
	for i := range hosts {
		doc("{kind: Node, name: host%d, role: host, address: 192.168.56.%d, interface: eth0}", i, 10+i)
	}
	for i := range routers {
		fmt.Fprintf(&machines, `  - name: router%[1]d
    interfaces:
      - {name: eth0, network: lan, address: 192.168.56.%[2]d}
      - {name: eth1, network: wan, address: 203.0.113.%[2]d}
    gateway: 203.0.113.1
`, i, 100+i)
		doc("{kind: Node, name: router%d, role: router, address: 192.168.56.%d, interface: eth0, uplink: eth1}", i, 100+i)
	}
	var subnets []string
	for v := range 2 + r.IntN(2) {
		doc("{kind: VPC, name: v%d, cidrs: [10.%d.0.0/16, 10.%d.0.0/20], mode: %s}", v, 10+v, 20+v, pick(r, modes))
		for s := range 1 + r.IntN(2) {
			name := fmt.Sprintf("v%ds%d", v, s)
			// The internet has a way back to what is not translated by one router alone.
			nat := routers > 1 || r.IntN(2) == 0
			doc("{kind: Subnet, name: %s, vpc: v%d, cidr: 10.%d.%d.0/%d, router: router%d, nat: %v}",
				name, v, 10*(1+s)+v, s, 24+4*r.IntN(2), r.IntN(routers), nat)
			subnets = append(subnets, name)
		}
	}
	for i := range 6 {
		doc("{kind: Port, name: p%d, subnet: %s, node: host%d}", i, pick(r, subnets), r.IntN(hosts))
	}
	return fmt.Sprintf(`kind: Lab
name: drawn
networks: [{name: lan, cidr: 192.168.56.0/24}, {name: wan, cidr: 203.0.113.0/24}]
machines:
%s  - name: internet
    interfaces: [{name: eth0, network: wan, address: 203.0.113.1}]
    gateway: 203.0.113.100
%s`, machines.String(), docs.String())
}

// modes are those of a VPC.
var modes = []intent.Mode{intent.ModeRouter, intent.ModeDirect}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// pair is who sends, and the address that it sends to.
type pair struct {
	from string
	to   netip.Addr
}

// pairs lists who may send to whom: every node, port and the internet, and to addresses
// that nobody holds too.
func pairs(w *intent.World, nobodys []netip.Addr) []pair {
	at := map[string]netip.Addr{"internet": netip.MustParseAddr(internet)}
	hosts := hosts(w)
	for _, n := range w.Nodes {
		at[n.Name] = n.Address.Addr
	}
	for _, p := range w.Ports {
		at[p.Name] = p.Address.Addr
	}
	to := append(slices.Collect(maps.Values(at)), nobodys...)
	slices.SortFunc(to, netip.Addr.Compare)
	var all []pair
	for _, from := range slices.Sorted(maps.Keys(at)) {
		if from == "internet" && len(w.Nodes)-len(hosts) > 1 {
			continue // it has a way to one router's subnets only
		}
		for _, a := range to {
			// How hosts reach the internet is their own affair.
			outside := slices.Contains(hosts, from) && a == at["internet"] || from == "internet" && slices.ContainsFunc(hosts, func(h string) bool { return at[h] == a })
			if a != at[from] && !outside {
				all = append(all, pair{from, a})
			}
		}
	}
	return all
}

// foretold is what `sarn trace` says of a packet, and what real ones should show then.
type foretold struct {
	reach.Trace
	expect string // a line of a LabTest
	seen   string // part of what the lab says; the test of allow and hops is the lab's own
}

// asked is what `sarn trace` says of a packet.
func (f fabric) asked(p pair) foretold {
	f.Helper()
	from := p.from
	if from == "internet" {
		from = internet
	}
	out, code := f.try("trace", from, p.to.String(), "-o", "json")
	var t reach.Trace
	if err := json.Unmarshal([]byte(out), &t); err != nil {
		f.Fatalf("trace %s %s: exit code %d, %v:\n%s", from, p.to, code, err, out)
	}
	if (code == 0) != t.Answered || t.Unknown() {
		f.Errorf("trace %s %s: exit code %d:\n%s", from, p.to, code, out)
	}
	return expect(t, p.from)
}

// foretell walks a packet without asking anybody.
func (f fabric) foretell(network *reach.Network, w *intent.World, p pair) foretold {
	f.Helper()
	start := reach.Start{Node: p.from}
	switch {
	case p.from == "internet":
		start = reach.Start{Outside: netip.MustParseAddr(internet)}
	case w.Ports[p.from] != nil:
		start = reach.Start{Port: p.from}
	}
	t, err := network.Trace(start, reach.Packet{Destination: p.to})
	if err != nil {
		f.Fatalf("trace %s %s: %v", p.from, p.to, err)
	}
	if t.Unknown() {
		f.Errorf("trace %s %s: nobody can tell: %+v", p.from, p.to, t.Request.Verdict)
	}
	return expect(*t, p.from)
}

// expect says what real packets of the member's should show.
func expect(foretells reach.Trace, from string) foretold {
	t := foretold{Trace: foretells}
	t.expect = fmt.Sprintf("  - {from: %s, to: %s, allow: %v", from, t.To, t.Answered)
	if t.Answered {
		t.expect += ", hops: " + hops(t.Request.Routers())
	}
	t.expect += "}\n"
	v := t.Request.Verdict
	switch {
	case v.Outcome == reach.Dropped, v.Outcome == reach.Rejected && !t.Told():
		t.seen = "no answer"
	case v.Outcome != reach.Rejected, strings.Contains(v.Reason, "nobody answers"):
		return t // the kernel gives up on ARP after three seconds, for which nobody waits
	case v.ICMP == "communication prohibited":
		t.seen = "prohibited"
	case v.ICMP == "time exceeded":
		t.seen = "TTL exceeded"
	default:
		t.seen = "unreachable"
	}
	if t.Told() && v.Name != t.From {
		t.seen += ", says " + v.Name
	}
	return t
}

// hops writes a path as a LabTest has it: just how long it is, if it is not known who on
// it has a way back to the sender and can tell of itself.
func hops(path []netip.Addr) string {
	words := make([]string, len(path))
	for i, a := range path {
		if !a.IsValid() {
			return strconv.Itoa(len(path))
		}
		words[i] = a.String()
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// told is how many refusals a kernel sends one sender at once: ip_rt_error_burst of
// net/ipv4/route.c.
const told = 5

// fewer leaves out what a sender would not be told of.
func fewer(all []foretold) []foretold {
	refused := map[[2]string]int{}
	return slices.DeleteFunc(all, func(t foretold) bool {
		v := t.Request.Verdict
		if v.Outcome != reach.Rejected {
			return false
		}
		refused[[2]string{t.From, v.Name}]++
		return refused[[2]string{t.From, v.Name}] > told
	})
}

// drawSeed is the number that decides all that a test draws: the same each time, lest a
// rare fabric fail somebody's change; SARN_SEED=new draws one.
func drawSeed(t *testing.T) uint64 {
	t.Helper()
	given := os.Getenv("SARN_SEED")
	switch given {
	case "":
		return 1
	case "new":
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(given, 10, 64)
	if err != nil {
		t.Fatalf("SARN_SEED=%s is not a number", given)
	}
	return seed
}

// TestReachIsRight holds what reach foretells for random fabrics against real packets:
// whether each pair's pings are answered, by which way, and if not, who refuses and how.
// Then the fabric is changed while it runs, and all is compared again.
// SARN_SEED=new draws other fabrics, and SARN_SEED=N those of an earlier run.
func TestReachIsRight(t *testing.T) {
	seed := drawSeed(t)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 3 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			lab := drawFabric(r)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("SARN_SEED=%d\n%s", seed, lab)
				}
			})
			f := upFile(t, fabric{T: t}.file(lab))
			f.settled()
			nobodys := []netip.Addr{
				netip.MustParseAddr("10.10.0.14"), netip.MustParseAddr("10.11.5.5"), // in the first two VPCs' subnets, and beside them
				netip.AddrFrom4([4]byte{10, byte(9 + len(f.world().VPCs)), 0, 1}), // the last VPC's gateway
			}
			f.compareAll(r, nobodys, false)
			nobodys = append(nobodys, f.changeAll(r)...)
			f.compareAll(r, nobodys, true)
		})
	}
}

// compareAll foretells and sends for every pair. quiet is compare's.
func (f fabric) compareAll(r *rand.Rand, nobodys []netip.Addr, quiet bool) {
	f.Helper()
	w := f.world()
	network, all := f.network(w, nil), pairs(w, nobodys)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	foretells := make([]foretold, len(all))
	for i, p := range all {
		foretells[i] = f.foretell(network, w, p)
	}
	for i, p := range all[:mostTraced] {
		if got := f.asked(p); got.expect != foretells[i].expect || got.seen != foretells[i].seen {
			f.Errorf("sarn trace %s %s says %+v, and reach %+v", p.from, p.to, got, foretells[i])
		}
	}
	f.compare(fewer(foretells), quiet)
}

// compare sends the packets. Who refuses must be heard, unless it is quiet: then many
// refusals before may have used up what a kernel sends.
func (f fabric) compare(all []foretold, quiet bool) {
	f.Helper()
	var wrong []string
	for try := range 3 {
		if try > 0 {
			f.Logf("again, as a machine that stalls misses answers: %s", wrong[0])
			time.Sleep((told + 1) * time.Second) // until kernels send refusals again
		}
		if wrong = f.wrong(all, quiet); len(wrong) == 0 {
			return
		}
	}
	for _, w := range wrong {
		f.Error(w)
	}
}

// wrong sends the packets once and lists what is not as foretold.
func (f fabric) wrong(all []foretold, quiet bool) (wrong []string) {
	f.Helper()
	text := "kind: LabTest\nexpect:\n"
	for _, one := range all {
		text += one.expect
	}
	out, _ := f.try("lab", "test", f.file(text), "-o", "json")
	var verdicts []struct {
		Seen string
		OK   bool
	}
	if err := json.Unmarshal([]byte(out), &verdicts); err != nil || len(verdicts) != len(all) {
		f.Fatalf("lab test: %v:\n%s", err, out)
	}
	answered, refused := 0, 0
	for i, v := range verdicts {
		want := all[i]
		if quiet && v.OK && v.Seen == "no answer" {
			want.seen = v.Seen
		}
		circles := want.Request.Verdict.ICMP == "time exceeded" // which is no denial to the lab
		if !v.OK && !circles || !strings.Contains(v.Seen, want.seen) {
			words, _ := json.MarshalIndent(want.Trace, "", "  ")
			wrong = append(wrong, fmt.Sprintf("foretold:%s\nseen: %s, want %q:\n%s", want.expect, v.Seen, want.seen, words))
		}
		if want.Answered {
			answered++
		} else {
			refused++
		}
	}
	if answered == 0 || refused == 0 {
		f.Fatalf("%d answered and %d refused: the fabric shows too little", answered, refused)
	}
	return wrong
}
