package cli

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sarn/internal/lab"
	"sarn/internal/reach"
)

// liveReport is what became of a real packet.
type liveReport struct {
	*lab.Sighting
	// Differs says in what it is not as foretold; empty if it is.
	Differs string `json:"differs,omitempty"`
}

// liveWait is how long --live waits for each answer.
const liveWait = time.Second

// warnStale says which of the nodes that were met do not hold yet what they should.
func (a *app) warnStale(ctx context.Context, t *tracing) error {
	nodes, err := t.client.Status(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if _, met := t.revisions[n.Node]; met && !n.InSync() {
			a.progress("note: the packet was walked over what %s should hold, and %s", n.Node, syncWords(n))
		}
	}
	return nil
}

// sendLive sends a real packet in the lab whose controller was asked.
func (a *app) sendLive(ctx context.Context, t *tracing, from reach.Start, foretold *reach.Trace) (*liveReport, error) {
	one, err := a.chosenLab()
	if err != nil {
		return nil, err
	}
	if one == nil {
		return nil, usageError("--live works in a lab that is up; here, %s", t.byHand(from, foretold))
	}
	d, err := one.Directory(ctx)
	if err != nil {
		return nil, err
	}
	e := lab.Expectation{From: from.Port + from.Node, To: foretold.To, Protocol: lab.Protocol(t.protocol), Port: int(t.port)}
	if e.From == "" {
		m, ok := d.Holder(from.Outside)
		if !ok {
			return nil, usageError("--live: no machine of lab %s has %s", one.Name, from.Outside)
		}
		e.From = m.Name
	}
	defer a.patience("answers")()
	seen, err := one.Send(ctx, d, e, liveWait)
	if err != nil {
		return nil, err
	}
	return &liveReport{Sighting: seen, Differs: differs(foretold, seen)}, nil
}

// chosenLab returns the lab whose controller the command talks to, or nil.
func (a *app) chosenLab() (*lab.Lab, error) {
	labs, err := a.labs()
	if err != nil {
		return nil, err
	}
	all, err := labs.All()
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.Address() == a.target.chosen.endpoint.Address {
			return one, nil
		}
	}
	return nil, nil
}

// byHand says what to type where the packet begins.
func (t *tracing) byHand(from reach.Start, foretold *reach.Trace) string {
	probe := fmt.Sprintf("ping -c 1 %s", foretold.To)
	if t.protocol != string(reach.ICMP) {
		probe = fmt.Sprintf("nc -zv %s %d", foretold.To, t.port)
		if t.protocol == string(reach.UDP) {
			probe = fmt.Sprintf("nc -zuv %s %d", foretold.To, t.port)
		}
	}
	switch port := t.world.Ports[from.Port]; {
	case port != nil && port.Attach.Namespace != "":
		return fmt.Sprintf("on %s run `ip netns exec %s %s`", port.Node, port.Attach.Namespace, probe)
	case port != nil:
		return fmt.Sprintf("inside the VM %s run `%s`", port.Name, probe)
	case from.Node != "":
		return fmt.Sprintf("on %s run `%s`", from.Node, probe)
	}
	return fmt.Sprintf("on the machine that has %s run `%s`", from.Outside, probe)
}

// differs says in what a real packet's fate is not the one foretold, if it is not.
func differs(t *reach.Trace, seen *lab.Sighting) string {
	path := t.Request.Routers()
	same := func(a, b netip.Addr) bool { return a == b || !a.IsValid() || !b.IsValid() }
	switch {
	case t.Unknown():
		return ""
	case t.Answered && !seen.Answered:
		return "an answer was foretold, and there is none: " + seen.Fate
	case !t.Answered && seen.Answered:
		return "no answer was foretold, and there is one"
	case t.What != string(reach.ICMP):
		return "" // the path is that of ICMP, which may have rules of its own
	case len(seen.Path) < len(path), t.Answered && len(seen.Path) > len(path),
		!slices.EqualFunc(path, seen.Path[:len(path)], same):
		return fmt.Sprintf("the path was foretold as %s, and is %s", pathWords(path), pathWords(seen.Path))
	}
	return ""
}

func pathWords(path []netip.Addr) string {
	if len(path) == 0 {
		return "direct"
	}
	words := make([]string, len(path))
	for i, a := range path {
		if words[i] = "?"; a.IsValid() {
			words[i] = a.String()
		}
	}
	return strings.Join(words, ", ")
}

// printTrace prints what was foretold hop by hop, and then what came of it.
func (a *app) printTrace(r *traceReport, to string) error {
	var b strings.Builder
	if to != r.To {
		to = fmt.Sprintf("%s (%s)", to, r.To)
	}
	fmt.Fprintf(&b, "%s to %s, %s\n\n", r.From, to, r.What)
	writeHops(&b, r.Request.Hops)
	if r.Reply != nil && !r.Answered {
		b.WriteString("\nthe answer\n\n")
		writeHops(&b, r.Reply.Hops)
	}
	b.WriteString("\n" + r.words() + "\n")
	if r.Live != nil {
		b.WriteString(r.Live.words() + "\n")
	}
	for line := range strings.Lines(b.String()) {
		line = printable(strings.TrimSuffix(line, "\n"))
		if a.colourful() && strings.HasPrefix(line, differWord) {
			line = red(line)
		}
		if _, err := fmt.Fprintln(a.Out, line); err != nil {
			return err
		}
	}
	return nil
}

func writeHops(b *strings.Builder, hops []reach.Hop) {
	for i, h := range hops {
		does := string(h.Action)
		if h.Action == reach.Stops {
			does = "does what is not known"
		}
		fmt.Fprintf(b, "%2d  %s %s%s\n", i+1, h.Name, does, deviceWords(h))
		if i > 0 && (h.Source != hops[i-1].Source || h.Destination != hops[i-1].Destination) {
			fmt.Fprintf(b, "      as %s to %s\n", h.Source, h.Destination)
		}
		for _, d := range h.Decided {
			fmt.Fprintf(b, "      %s\n", d)
		}
	}
}

func deviceWords(h reach.Hop) string {
	words := ""
	if h.In != "" {
		words += ", in by " + h.In
	}
	if h.Out != "" {
		words += ", out by " + h.Out
	}
	return words
}

// words is what came of the packet, in plain words.
func (r *traceReport) words() string {
	switch {
	case r.Answered:
		return fmt.Sprintf("%s, and the answer comes back %s", r.Request.Verdict, nameWords(r.Reply.Hops))
	case r.Reply != nil:
		return fmt.Sprintf("%s, but not its answer: %s", r.Request.Verdict, r.Reply.Verdict)
	case r.Notice != nil && !r.Told():
		return fmt.Sprintf("%s; %s is not told: %s", r.Request.Verdict, r.From, r.Notice.Verdict)
	}
	return r.Request.Verdict.String()
}

// nameWords says by whom the packet is forwarded.
func nameWords(hops []reach.Hop) string {
	var words []string
	for _, h := range hops {
		if h.Action == reach.Forwards {
			words = append(words, h.Name)
		}
	}
	if len(words) == 0 {
		return "directly"
	}
	return "by " + strings.Join(words, ", ")
}

// differWord begins the line that nobody should overlook.
const differWord = "DIFFERENT"

func (l *liveReport) words() string {
	words := "live: " + l.Fate
	if l.Answered {
		words = fmt.Sprintf("live: answered after %.2f ms", float64(l.RTT.Microseconds())/1000)
	}
	words += ", path " + pathWords(l.Path)
	if l.Differs != "" {
		return words + "\n" + differWord + ": " + l.Differs
	}
	return words + ", as foretold"
}

// verdict turns the report into an exit code.
func (r *traceReport) verdict() error {
	switch {
	case r.Live != nil && r.Live.Differs != "":
		return errMissed()
	case r.Unknown():
		return &exitError{code: exitFailed}
	case !r.Answered:
		return errMissed()
	}
	return nil
}
