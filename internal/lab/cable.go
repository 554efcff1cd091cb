package lab

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// Cable is what a cable does to packets, in both directions alike. The zero value is a
// cable that does nothing to them.
type Cable struct {
	Bandwidth Bandwidth `json:"bandwidth,omitempty"` // of each direction
	Delay     Delay     `json:"delay,omitempty"`     // of each packet, one way
	Loss      Loss      `json:"loss,omitempty"`      // of each direction
}

// Bandwidth is in bits a second, Ethernet headers included. Its text form is tc(8)'s:
// 100mbit.
type Bandwidth uint64

// Delay is a time. Its text form is 10ms.
type Delay time.Duration

// Loss is in per cent. Its text form is 1%.
type Loss float64

// What a cable may be. tbf counts in microseconds and netem in a 32-bit number of them.
const (
	leastBandwidth, mostBandwidth = 8_000, 100_000_000_000
	mostDelay                     = time.Minute
)

var bandwidthRE = regexp.MustCompile(`^(\d+(?:\.\d+)?)(bit|kbit|mbit|gbit)$`)

var bandwidthUnits = []struct {
	name string
	bits float64
}{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bandwidth) UnmarshalText(text []byte) error {
	m := bandwidthRE.FindStringSubmatch(strings.ToLower(string(text)))
	if m == nil {
		return fmt.Errorf("%q is not a bandwidth; write it like 100mbit (bit, kbit, mbit, gbit a second)", text)
	}
	n, _ := strconv.ParseFloat(m[1], 64) // the expression lets only numbers through
	for _, u := range bandwidthUnits {
		if u.name == m[2] {
			n *= u.bits
		}
	}
	if n < leastBandwidth || n > mostBandwidth {
		return fmt.Errorf("%q is not a bandwidth that can be had; use 8kbit to 100gbit", text)
	}
	*b = Bandwidth(n)
	return nil
}

// UnmarshalYAML decodes the text, so that an error knows its line.
func (b *Bandwidth) UnmarshalYAML(n ast.Node) error { return intent.UnmarshalText(n, b) }

// MarshalText implements encoding.TextMarshaler.
func (b Bandwidth) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String returns the bandwidth as tc(8) has it, or nothing for none.
func (b Bandwidth) String() string {
	for _, u := range bandwidthUnits {
		if float64(b) >= u.bits {
			return strconv.FormatFloat(float64(b)/u.bits, 'f', -1, 64) + u.name
		}
	}
	return ""
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Delay) UnmarshalText(text []byte) error {
	t, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a time; write it like 10ms", text)
	case t < time.Microsecond || t > mostDelay:
		return fmt.Errorf("%q is not a delay that can be had; use 1us to 1m", text)
	}
	*d = Delay(t)
	return nil
}

// UnmarshalYAML decodes the text, so that an error knows its line.
func (d *Delay) UnmarshalYAML(n ast.Node) error { return intent.UnmarshalText(n, d) }

// MarshalText implements encoding.TextMarshaler.
func (d Delay) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the delay like 10ms, or nothing for none.
func (d Delay) String() string {
	if d == 0 {
		return ""
	}
	return time.Duration(d).String()
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Loss) UnmarshalText(text []byte) error {
	number, found := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseFloat(number, 64)
	if !found || err != nil || !(n > 0 && n <= 100) {
		return fmt.Errorf("%q is not a loss; write it like 1%%: more than 0%%, at most 100%%", text)
	}
	*l = Loss(n)
	return nil
}

// UnmarshalYAML decodes the text, so that an error knows its line.
func (l *Loss) UnmarshalYAML(n ast.Node) error { return intent.UnmarshalText(n, l) }

// MarshalText implements encoding.TextMarshaler.
func (l Loss) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// String returns the loss like 1%, or nothing for none.
func (l Loss) String() string {
	if l == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(l), 'f', -1, 64) + "%"
}

// far reports whether the cable needs netem.
func (c Cable) far() bool { return c.Delay > 0 || c.Loss > 0 }

// What waits at a cable's end waits at most this long, and this much of it leaves at
// once: long enough for the kernel's timers, short enough to be even.
const (
	queueTime = 50 * time.Millisecond
	burstTime = 5 * time.Millisecond
	// quickest is what a queue's length is reckoned by where no bandwidth is given.
	quickest Bandwidth = 10e9
	// A burst holds a few whole frames.
	leastBurst = 8 << 10
	frame      = 1514
)

// qdiscs returns what shapes the packets that leave by the link, a cable's end.
func (c Cable) qdiscs(link string) []netstate.Qdisc {
	q := netstate.Qdisc{Link: link, Rate: uint64(c.Bandwidth), Delay: time.Duration(c.Delay), Loss: float64(c.Loss)}
	switch {
	case c.far():
		q.Kind = netstate.Netem
		q.Queue = packets(cmp.Or(c.Bandwidth, quickest).bytes(q.Delay + queueTime))
	case c.Bandwidth > 0:
		q.Kind = netstate.Tbf
		burst := max(c.Bandwidth.bytes(burstTime), leastBurst)
		q.Burst, q.Queue = uint32(burst), uint32(burst+c.Bandwidth.bytes(queueTime))
	default:
		return nil
	}
	return []netstate.Qdisc{q}
}

// bytes returns how many bytes pass in a time.
func (b Bandwidth) bytes(t time.Duration) uint64 { return uint64(float64(b) / 8 * t.Seconds()) }

// packets returns a netem's queue in packets: small ones are many, so no fewer than tc
// would choose by itself.
func packets(bytes uint64) uint32 { return uint32(max(bytes/frame, 1000)) }

// field names the word in a cable's description that asks for its qdisc.
func (c Cable) field() string {
	switch {
	case c.Delay > 0:
		return "delay"
	case c.Loss > 0:
		return "loss"
	}
	return "bandwidth"
}

// possible says which cables cannot be had on this kernel; lacks asks it.
func (p *Plan) possible(lacks func(netstate.QdiscKind) (bool, error)) error {
	var ps intent.Problems
	known := map[netstate.QdiscKind]bool{}
	check := func(at string, c Cable) error {
		for _, q := range c.qdiscs("") {
			if _, ok := known[q.Kind]; !ok {
				var err error
				if known[q.Kind], err = lacks(q.Kind); err != nil {
					return err
				}
			}
			if known[q.Kind] {
				ps = append(ps, p.problem(at+"."+c.field(), "this kernel has no %s, which this is made with: install or load its module sch_%[1]s "+
					"(a distribution's usual kernel has it, its cloud kernel may not), or leave this out", q.Kind))
			}
		}
		return nil
	}
	for i, n := range p.Networks {
		if err := check(element("networks", i, n.Name), n.Cable); err != nil {
			return err
		}
	}
	for i, m := range p.Machines {
		for j, f := range m.Interfaces {
			if err := check(element(element("machines", i, m.Name)+".interfaces", j, f.Name), f.Cable); err != nil {
				return err
			}
		}
	}
	if len(ps) > 0 {
		return ps
	}
	return nil
}
