package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sarn/internal/intent"
)

// Protocol is what an expectation's packets are.
type Protocol string

// The protocols.
const (
	ICMP Protocol = "icmp"
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
)

// expectations is a `kind: LabTest` document.
type expectations struct {
	Name   string        `json:"name,omitempty"`
	Expect []Expectation `json:"expect"`
}

// Expectation says what must, or must not, pass between two members of a lab.
type Expectation struct {
	From string `json:"from"` // a member
	To   string `json:"to"`   // a member or an address
	// Protocol is icmp unless it is said otherwise; tcp and udp have a Port.
	Protocol Protocol `json:"protocol,omitempty"`
	Port     int      `json:"port,omitempty"`
	// Allow is true unless it is said otherwise. False means that nothing arrives:
	// there is silence, or somebody on the way refuses.
	Allow *bool `json:"allow,omitempty"`
	// Hops says how many routers lie between, or which: names or addresses.
	Hops *Hops `json:"hops,omitempty"`

	file string
	line int
}

func (e *Expectation) allowed() bool { return e.Allow == nil || *e.Allow }

// what is the expectation's traffic in a word: "icmp", "tcp 80".
func (e *Expectation) what() string {
	if e.Port == 0 {
		return string(e.Protocol)
	}
	return fmt.Sprintf("%s %d", e.Protocol, e.Port)
}

// expected says in words what should be.
func (e *Expectation) expected() string {
	switch {
	case !e.allowed():
		return "deny"
	case e.Hops == nil:
		return "allow"
	case e.Hops.Names == nil:
		return fmt.Sprintf("allow, %d hops", e.Hops.Count)
	}
	return "allow via " + strings.Join(e.Hops.Names, ", ")
}

// Hops is a number of routers, or their names in the order of the way.
type Hops struct {
	Count int
	Names []string
}

// noHops is the Count of what is neither a number nor a list of names. validate
// refuses it, because it knows the line.
const noHops = -1

// UnmarshalYAML takes a whole number or a list.
func (h *Hops) UnmarshalYAML(decode func(any) error) error {
	var found any // asked for a number, the library would make 1 of 1.7
	if err := decode(&found); err != nil {
		return err
	}
	h.Count = noHops
	switch n := found.(type) {
	case uint64:
		if n <= mostHops {
			h.Count = int(n)
		}
	case []any:
		if decode(&h.Names) == nil {
			h.Count = len(h.Names)
		}
	}
	return nil
}

// MarshalJSON writes what UnmarshalYAML reads.
func (h *Hops) MarshalJSON() ([]byte, error) {
	if h.Names == nil {
		return strconv.AppendInt(nil, int64(h.Count), 10), nil
	}
	words := make([]string, len(h.Names))
	for i, n := range h.Names {
		words[i] = strconv.Quote(n)
	}
	return []byte("[" + strings.Join(words, ",") + "]"), nil
}

// ParseExpectations reads a file of `kind: LabTest` documents. What is wrong is
// reported as intent.Problems, with lines.
func ParseExpectations(file string, data []byte) ([]Expectation, error) {
	docs, err := intent.Decode(file, data, intent.Extra{"LabTest": func() any { return new(expectations) }})
	if err != nil {
		return nil, err
	}
	var all []Expectation
	var ps intent.Problems
	for _, d := range docs {
		t, ok := d.Value.(*expectations)
		if !ok {
			ps = append(ps, intent.Problem{File: file, Line: d.Line, FieldError: intent.FieldError{Message: "this file is for `kind: LabTest` documents only"}})
			continue
		}
		if len(t.Expect) == 0 {
			ps = append(ps, intent.Problem{File: file, Line: d.Line, FieldError: intent.FieldError{Field: "expect", Message: "is missing; list what should be, such as {from: vm1, to: vm3}"}})
		}
		for i, e := range t.Expect {
			field := fmt.Sprintf("expect.%d", i)
			e.file, e.line = file, d.LineOf(field)
			if e.Protocol == "" {
				e.Protocol = ICMP
			}
			for _, f := range e.validate() {
				f.Field = field + "." + f.Field
				ps = append(ps, intent.Problem{File: file, Line: d.LineOf(f.Field), FieldError: f})
			}
			all = append(all, e)
		}
	}
	if len(ps) == 0 && len(all) == 0 {
		return nil, lacks(file, "has no `kind: LabTest` document")
	}
	if len(ps) > 0 {
		return nil, ps
	}
	return all, nil
}

func (e *Expectation) validate() []intent.FieldError {
	var c check
	if e.From == "" {
		c.fail("from", "is missing")
	}
	if e.To == "" {
		c.fail("to", "is missing")
	}
	switch e.Protocol {
	case ICMP:
		if e.Port != 0 {
			c.fail("port", "belongs to tcp and udp; this is icmp")
		}
	case TCP, UDP:
		if e.Port < 1 || e.Port > 65535 {
			c.fail("port", "is missing or not a port: %s needs one from 1 to 65535", e.Protocol)
		}
	default:
		c.fail("protocol", "%q is not a protocol; use icmp, tcp or udp", e.Protocol)
	}
	switch {
	case e.Hops == nil:
	case e.Hops.Count == noHops:
		c.fail("hops", "is a number up to %d, or a list of names such as [host1, router, host2]", mostHops)
	case !e.allowed():
		c.fail("hops", "are for what is allowed; this is denied")
	}
	return c.errs
}

// probe is an expectation with its names resolved.
type probe struct {
	Expectation
	from    Member
	to      Member // of address, if a member has it
	address netip.Addr
}

// resolve looks the expectations' names up.
func (d *Directory) resolve(all []Expectation) ([]probe, error) {
	var ps intent.Problems
	var probes []probe
	for _, e := range all {
		fail := func(field string, err error) {
			ps = append(ps, intent.Problem{File: e.file, Line: e.line, FieldError: intent.FieldError{Field: field, Message: err.Error()}})
		}
		p := probe{Expectation: e}
		var err error
		if p.from, err = d.Find(e.From); err != nil {
			fail("from", err)
		} else if p.from.Netns == "" {
			fail("from", fmt.Errorf("%s is a VM on a tap; the lab cannot send from inside it", e.From))
		}
		if p.address, p.to, err = d.target(e.To); err != nil {
			fail("to", err)
		}
		probes = append(probes, p)
	}
	if len(ps) > 0 {
		return nil, ps
	}
	return probes, nil
}

// target looks up who or what an expectation's packets go to.
func (d *Directory) target(to string) (netip.Addr, Member, error) {
	a, err := netip.ParseAddr(to)
	if err != nil {
		m, err := d.Find(to)
		if err == nil && !m.Address.IsValid() {
			err = fmt.Errorf("%s has no address", to)
		}
		return m.Address, m, err
	}
	if !a.Is4() || !a.IsGlobalUnicast() && !a.IsLinkLocalUnicast() {
		// The sender's own system would refuse or keep such packets: nothing would be tested.
		return a, Member{}, fmt.Errorf("%s is not an IPv4 address of one machine elsewhere", to)
	}
	m, _ := d.Holder(a)
	return a, m, nil
}

// sameHops reports whether the path is what is expected. Expected hops may be names
// or addresses.
func (d *Directory) sameHops(want *Hops, path []netip.Addr, from Member) bool {
	if len(path) != want.Count {
		return false
	}
	return want.Names == nil || slices.EqualFunc(want.Names, path, func(name string, a netip.Addr) bool {
		return a.IsValid() && (name == a.String() || name == d.NameOf(a, from))
	})
}

// via puts a path into words.
func (d *Directory) via(path []netip.Addr, from Member) string {
	if len(path) == 0 {
		return "directly"
	}
	words := make([]string, len(path))
	for i, a := range path {
		words[i] = "?"
		if a.IsValid() {
			words[i] = d.NameOf(a, from)
		}
	}
	return "via " + strings.Join(words, ", ")
}
