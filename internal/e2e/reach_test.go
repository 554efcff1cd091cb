package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sarn/internal/reach"
)

// drawn is a random fabric: its lab's file, and who sends to whom.
type drawn struct {
	yaml  string
	pairs [][2]string
}

// mostPairs is how many pairs of a fabric are tried: a trace is a process each.
const mostPairs = 90

// drawFabric draws a small fabric: hosts and routers on a LAN, an internet behind the
// routers, VPCs of a subnet or two, ports anywhere.
func drawFabric(r *rand.Rand) drawn {
	var from []string
	var machines, docs strings.Builder
	doc := func(format string, args ...any) { fmt.Fprintf(&docs, "---\n"+format+"\n", args...) }
	hosts, routers := 2+r.IntN(2), 1+r.IntN(2)
	for i := range hosts {
		doc("{kind: Node, name: host%d, role: host, address: 192.168.56.%d, interface: eth0}", i, 10+i)
		from = append(from, fmt.Sprintf("host%d", i))
	}
	for i := range routers {
		fmt.Fprintf(&machines, `  - name: router%[1]d
    interfaces:
      - {name: eth0, network: lan, address: 192.168.56.%[2]d}
      - {name: eth1, network: wan, address: 203.0.113.%[2]d}
    gateway: 203.0.113.1
`, i, 100+i)
		doc("{kind: Node, name: router%d, role: router, address: 192.168.56.%d, interface: eth0, uplink: eth1}", i, 100+i)
		from = append(from, fmt.Sprintf("router%d", i))
	}
	var subnets []string
	vpcs := 2 + r.IntN(2)
	for v := range vpcs {
		doc("{kind: VPC, name: v%d, cidrs: [10.%d.0.0/16, 10.%d.0.0/20]}", v, 10+v, 20+v)
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
		name := fmt.Sprintf("p%d", i)
		doc("{kind: Port, name: %s, subnet: %s, node: host%d}", name, subnets[r.IntN(len(subnets))], r.IntN(hosts))
		from = append(from, name)
	}
	nobodys := []string{"10.10.0.14", "10.11.5.5", fmt.Sprintf("10.%d.0.1", 10+vpcs-1)}
	to := append(slices.Clone(from), nobodys...)
	if routers == 1 {
		from = append(from, internet)
	}
	to = append(to, internet)
	var d drawn
	for _, a := range from {
		for _, b := range to {
			// How hosts reach the internet is their own affair.
			outside := a == internet || b == internet
			if a != b && (!outside || !strings.HasPrefix(a, "host") && !strings.HasPrefix(b, "host")) {
				d.pairs = append(d.pairs, [2]string{a, b})
			}
		}
	}
	r.Shuffle(len(d.pairs), func(i, j int) { d.pairs[i], d.pairs[j] = d.pairs[j], d.pairs[i] })
	d.pairs = d.pairs[:min(len(d.pairs), mostPairs)]
	d.yaml = fmt.Sprintf(`kind: Lab
name: drawn
networks: [{name: lan, cidr: 192.168.56.0/24}, {name: wan, cidr: 203.0.113.0/24}]
machines:
%s  - name: internet
    interfaces: [{name: eth0, network: wan, address: 203.0.113.1}]
    gateway: 203.0.113.100
%s`, machines.String(), docs.String())
	return d
}

// foretold is what `sarn trace` says of a packet, and what real ones should show then.
type foretold struct {
	reach.Trace
	expect string // a line of a LabTest
	seen   string // part of what the lab says; the test of allow and hops is the lab's own
}

// foretell asks `sarn trace` about a packet.
func (f fabric) foretell(from, to string) foretold {
	out, code := f.try("trace", from, to, "-o", "json")
	var t reach.Trace
	if err := json.Unmarshal([]byte(out), &t); err != nil {
		f.Errorf("trace %s %s: exit code %d, %v:\n%s", from, to, code, err, out)
	}
	if (code == 0) != t.Answered || t.Unknown() {
		f.Errorf("trace %s %s: exit code %d:\n%s", from, to, code, out)
	}
	if from == internet {
		from = "internet"
	}
	return expect(t, from)
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

// drawSeed draws the number that decides all that a test draws.
func drawSeed(t *testing.T) uint64 {
	t.Helper()
	given := os.Getenv("SARN_SEED")
	if given == "" {
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
// SARN_SEED=N draws the fabrics of an earlier run again.
func TestReachIsRight(t *testing.T) {
	seed := drawSeed(t)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 3 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			d := drawFabric(r)
			dir := t.TempDir()
			file, expectations := filepath.Join(dir, "lab.yaml"), filepath.Join(dir, "test.yaml")
			write := func(file, text string) {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(file, d.yaml)
			f := upFile(t, file)
			all := fewer(f.foretellAll(d))
			text := "kind: LabTest\nexpect:\n"
			for _, one := range all {
				text += one.expect
			}
			write(expectations, text)
			f.compare(all, expectations, false)
			if t.Failed() {
				t.Logf("SARN_SEED=%d\n%s", seed, d.yaml)
			}
		})
	}
}

// foretellAll asks about every pair, a few at a time.
func (f fabric) foretellAll(d drawn) []foretold {
	all := make([]foretold, len(d.pairs))
	room := make(chan struct{}, runtime.NumCPU())
	var wg sync.WaitGroup
	for i, pair := range d.pairs {
		room <- struct{}{}
		wg.Go(func() {
			all[i] = f.foretell(pair[0], pair[1])
			<-room
		})
	}
	wg.Wait()
	return all
}

// compare sends the packets. Who refuses must be heard, unless many refusals of answers
// may have used up what a kernel sends.
func (f fabric) compare(all []foretold, expectations string, quiet bool) {
	f.Helper()
	out, _ := f.try("lab", "test", expectations, "-o", "json")
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
			f.Errorf("foretold:%s\nseen: %s, want %q:\n%s", want.expect, v.Seen, want.seen, words)
		}
		if want.Answered {
			answered++
		} else {
			refused++
		}
	}
	if answered == 0 || refused == 0 {
		f.Errorf("%d answered and %d refused: the fabric shows too little", answered, refused)
	}
}
