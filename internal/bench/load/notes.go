package load

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// notes say what the figures alone do not.
type notes struct {
	*Result
	sum   *lane
	used  *usage
	local bool // the server is on this machine
}

func (n *notes) add(format string, args ...any) {
	n.Notes = append(n.Notes, fmt.Sprintf(format, args...))
}

func (n *notes) write() {
	n.client()
	n.answers()
	if n.Loop == Open {
		n.open()
	} else {
		n.stall()
	}
}

// busyClient is from where on the load test counts as busy: what Go's scheduler and
// collector and the kernel do besides leaves a little idle even then.
const busyClient = 0.9

// fewest is of how many answers something can be said.
const fewest = 100

// lateClient is how late an idle worker may send what is due.
const lateClient = 10 * time.Millisecond

// client says whether the load test measured itself.
func (n *notes) client() {
	c := &n.Client
	// On CPUs that it shares with the server it waits for the server too, which is no limit
	// of its own.
	shared := n.local && c.CPUs == n.used.all.cpus
	if (c.Busy >= busyClient || !shared && c.Busy+c.Queued >= busyClient) && n.Requests >= fewest {
		c.Limit = true
		waited := ""
		if c.Queued > 0.05 {
			waited = fmt.Sprintf(", and had to leave them to others for another %.0f %%", 100*c.Queued)
		}
		n.add("The load test was the limit: it used %.0f %% of its %s%s. The server may be faster than this.", 100*c.Busy, count(c.CPUs, "CPU"), waited)
	} else if n.local && n.used.machine > 0.95 && n.used.seconds > 0.5 { // the kernel counts in ticks
		n.add("The server shares this machine, which was busy all the time; the load test took %.0f %% of its CPUs. Give each its own (taskset, or `cpu:` in a comparison) for figures of the server alone.",
			100*c.CPUSeconds/(n.used.seconds*float64(c.CPUs)))
	}
	if n.sum.lag != nil && n.sum.lag.TotalCount() > 0 {
		if late := time.Duration(n.sum.lag.ValueAtQuantile(99)); late > lateClient {
			c.Limit = true
			n.add("The load test was the limit: it sent one of a hundred requests %s after it was due, with a connection free.", late.Round(time.Millisecond))
		}
	}
	for _, f := range n.Failures {
		if f.Kind == NoPort {
			c.Limit = true
			n.add("The load test was the limit: %s.", f.Words)
		}
	}
}

func (n *notes) answers() {
	if n.sum.location != "" {
		n.add("The server redirects to %q (%d). Redirects are not followed: to test what is there, test that URL.", cut(n.sum.location), n.sum.redirects)
	}
	good := int64(0)
	for status, k := range n.Statuses {
		if status < 400 {
			good += k
		}
	}
	if bad := n.Requests - good; bad > 0 {
		n.add("%d of %d answers were errors of HTTP (status 400 and above): servers are often faster at those.", bad, n.Requests)
	}
	if n.KeepAlive && n.Streams == 0 && n.Requests > int64(10*n.Concurrency) && n.Connections > n.Requests/2 {
		n.add("The server closed most connections after one request, though keep-alive was asked for.")
	}
	if n.CutOff > 0 {
		n.add("Interrupted. What was under way is not counted: %s.", count(int(n.CutOff), "request"))
	}
}

// open says what an open loop has to say.
func (n *notes) open() {
	if n.Unsent > (n.Requests+n.Failed)/100 { // one or two of many is chance
		who := "The server"
		if n.Client.Limit {
			who = "The server, or the load test,"
		}
		n.add("%s did not keep up with %g requests a second: %d that were due were never sent, because all %s waited for answers. In the corrected latencies they count with what they had waited by the end, and would have gone on waiting.",
			who, n.Rate, n.Unsent, count(n.Concurrency, "connection"))
	} else if c := n.Corrected; c != nil && c.P99 > 2*n.Latency.P99 && c.P99-n.Latency.P99 > 1 && n.queued() {
		n.add("Requests had to wait for a free connection before they were sent, so the corrected latencies are longer. More connections (-c) tell a slow server from too few of them.")
	}
}

// queued reports whether a hundredth of the requests fell due while no worker was idle.
func (n *notes) queued() bool {
	return n.Latency.Count-n.sum.lag.TotalCount() > n.Latency.Count/100
}

// stall says what a closed loop cannot know.
func (n *notes) stall() {
	l := n.Latency
	if n.Client.Limit || l.Max < 200 || l.Max < 20*l.P50 || l.Count < fewest {
		return
	}
	slow := slices.IndexFunc(l.Curve, func(p Point) bool { return p.MS > l.Max/2 })
	share := 0.0
	if slow > 0 {
		share = 1 - l.Curve[slow-1].Quantile
	}
	n.add("The slowest answer took %.0f ms, half of all at most %.3g ms. In a closed loop nobody asks while all wait, so such a stall is in the percentiles as at most %s (here %.2g %% of all took more than half as long); who comes meanwhile would have waited too. Only an open loop shows that: try --rate %.0f.",
		l.Max, l.P50, count(n.Concurrency, "request"), 100*share, max(0.7*n.RequestsPerSecond, 1))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// cut shortens what a server said.
func cut(s string) string { return s[:min(len(s), 200)] }

// isLocal reports whether the address is this machine's.
func isLocal(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(o net.Addr) bool {
		p, err := netip.ParsePrefix(o.String())
		return err == nil && p.Addr().Unmap() == a
	})
}
