package reach

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"sarn/internal/netstate"
)

// A rule is a list of expressions. Each is a test (a selector, perhaps "!=", and what it
// is compared with), a verdict map, or a statement. To teach reach a new one, add a
// selector to selectors or a statement to reader.statement.

// selectors gives what each selector selects; it is not ok of a packet that has no such
// thing, and then the rule does not apply, whatever it is compared with.
var selectors = map[string]func(*match) (value string, ok bool){
	"iifname":         func(m *match) (string, bool) { return m.in, m.in != "" },
	"oifname":         func(m *match) (string, bool) { return m.out, m.out != "" },
	"ether saddr":     func(m *match) (string, bool) { return ofFrame(m, func(f *frame) string { return f.src }) },
	"ether daddr":     func(m *match) (string, bool) { return ofFrame(m, func(f *frame) string { return f.dst }) },
	"ether type":      func(m *match) (string, bool) { return ofFrame(m, (*frame).etherType) },
	"arp saddr ether": func(m *match) (string, bool) { return ofARP(m, func(r *request) string { return r.mac }) },
	"arp saddr ip":    func(m *match) (string, bool) { return ofARP(m, func(r *request) string { return r.from.String() }) },
	"arp daddr ip":    func(m *match) (string, bool) { return ofARP(m, func(r *request) string { return r.to.String() }) },
	"arp operation":   func(m *match) (string, bool) { return ofARP(m, (*request).operation) },
	"ip saddr":        func(m *match) (string, bool) { return ofPacket(m, func(p *packet) string { return p.src.String() }) },
	"ip daddr":        func(m *match) (string, bool) { return ofPacket(m, func(p *packet) string { return p.dst.String() }) },
	"ip protocol": func(m *match) (string, bool) {
		return ofPacket(m, func(p *packet) string { return string(p.protocol) })
	},
	"meta l4proto": func(m *match) (string, bool) {
		return ofPacket(m, func(p *packet) string { return string(p.protocol) })
	},
	"icmp type": icmpType,
	"tcp sport": func(m *match) (string, bool) { return port(m, TCP, func(p *packet) uint16 { return p.sport }) },
	"tcp dport": func(m *match) (string, bool) { return port(m, TCP, func(p *packet) uint16 { return p.dport }) },
	"udp sport": func(m *match) (string, bool) { return port(m, UDP, func(p *packet) uint16 { return p.sport }) },
	"udp dport": func(m *match) (string, bool) { return port(m, UDP, func(p *packet) uint16 { return p.dport }) },
	"th sport":  func(m *match) (string, bool) { return port(m, "", func(p *packet) uint16 { return p.sport }) },
	"th dport":  func(m *match) (string, bool) { return port(m, "", func(p *packet) uint16 { return p.dport }) },
	"ct state":  func(m *match) (string, bool) { return m.ct, m.ct != "" },
}

func (f *frame) etherType() string {
	if f.arp != nil {
		return "arp"
	}
	return "ip"
}

func (r *request) operation() string {
	if r.reply {
		return "reply"
	}
	return "request"
}

func ofFrame(m *match, of func(*frame) string) (string, bool) {
	if m.frame == nil {
		return "", false
	}
	return of(m.frame), true
}

func ofARP(m *match, of func(*request) string) (string, bool) {
	if m.frame == nil || m.frame.arp == nil {
		return "", false
	}
	return of(m.frame.arp), true
}

func ofPacket(m *match, of func(*packet) string) (string, bool) {
	if m.packet == nil {
		return "", false
	}
	return of(m.packet), true
}

func icmpType(m *match) (string, bool) {
	switch {
	case m.packet == nil || m.packet.protocol != ICMP:
		return "", false
	case m.packet.about != nil:
		return "destination-unreachable", true
	case m.packet.reply:
		return "echo-reply", true
	}
	return "echo-request", true
}

// port returns a port of a packet of the protocol, or of any that has ports.
func port(m *match, proto Protocol, of func(*packet) uint16) (string, bool) {
	p := m.packet
	if p == nil || p.protocol == ICMP || proto != "" && p.protocol != proto {
		return "", false
	}
	return strconv.Itoa(int(of(p))), true
}

// tokens cuts a rule into words, braces, commas and quoted strings.
func tokens(rule string) []string {
	var all []string
	for rest := strings.TrimSpace(rule); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		n := strings.IndexAny(rest, " \t{},;")
		switch {
		case rest[0] == '"':
			n = strings.IndexByte(rest[1:], '"') + 2
			if n < 2 {
				n = len(rest)
			}
		case n == 0:
			n = 1
		case n < 0:
			n = len(rest)
		}
		all, rest = append(all, rest[:n]), rest[n:]
	}
	return all
}

// reader evaluates one rule.
type reader struct {
	table *netstate.Table
	match *match
	words []string
}

func (r *reader) peek() string {
	if len(r.words) == 0 {
		return ""
	}
	return r.words[0]
}

func (r *reader) next() string {
	word := r.peek()
	if len(r.words) > 0 {
		r.words = r.words[1:]
	}
	return word
}

func (r *reader) take(word string) bool {
	if r.peek() != word {
		return false
	}
	r.next()
	return true
}

// rule returns the verdict of the rule, as nft writes it, or "" if it does not apply or
// says nothing.
func (r *reader) rule() (string, error) {
	for len(r.words) > 0 {
		key, ok := r.selector()
		if !ok {
			verdict, done, err := r.statement()
			if done || err != nil {
				return verdict, err
			}
			continue
		}
		if r.take("vmap") {
			elements, err := r.elements()
			if err != nil {
				return "", err
			}
			verdict, found, err := key.look(elements)
			if err != nil || !found {
				return "", err
			}
			return verdict, nil
		}
		holds, err := r.test(key)
		if err != nil || !holds {
			return "", err
		}
	}
	return "", nil
}

// key is what selectors have selected: several if they are joined by dots. It is absent
// of a packet that lacks one of them.
type key struct {
	values []string
	absent bool
}

func (r *reader) selector() (key, bool) {
	var k key
	for {
		of, words := r.known()
		if of == nil {
			return k, false
		}
		r.words = r.words[words:]
		v, ok := of(r.match)
		k.values = append(k.values, v)
		k.absent = k.absent || !ok
		if !r.take(".") {
			return k, true
		}
	}
}

// known returns the selector that the words begin with, the longest first.
func (r *reader) known() (func(*match) (string, bool), int) {
	for n := min(3, len(r.words)); n > 0; n-- {
		if of := selectors[strings.Join(r.words[:n], " ")]; of != nil {
			return of, n
		}
	}
	return nil, 0
}

// test compares the key with what follows.
func (r *reader) test(k key) (bool, error) {
	not := r.take("!=")
	if !not {
		r.take("==")
	}
	elements, err := r.elements()
	if err != nil {
		return false, err
	}
	_, found, err := k.look(elements)
	return !k.absent && found != not, err
}

// elements reads a set: by name, in braces, or a single value or list without them.
func (r *reader) elements() ([]string, error) {
	word := r.next()
	switch {
	case word == "":
		return nil, fmt.Errorf("it ends where a value should be")
	case word[0] == '@':
		for _, s := range r.table.Sets {
			if s.Name == word[1:] {
				return s.Elements, nil
			}
		}
		return nil, fmt.Errorf("there is no set %s", word)
	case word != "{":
		all := []string{word}
		for r.take(",") {
			all = append(all, r.next())
		}
		return all, nil
	}
	var all, one []string
	for {
		switch word := r.next(); word {
		case "":
			return nil, fmt.Errorf("a brace is not closed")
		case ",", "}":
			if len(one) > 0 {
				all = append(all, strings.Join(one, " "))
			}
			if one = nil; word == "}" {
				return all, nil
			}
		default:
			one = append(one, word)
		}
	}
}

// look finds the first element that holds the key, and returns the verdict behind it.
func (k key) look(elements []string) (verdict string, found bool, err error) {
	if k.absent {
		return "", false, nil
	}
	for _, e := range elements {
		text, value, _ := strings.Cut(e, " : ")
		parts := strings.Split(text, " . ")
		if len(parts) != len(k.values) {
			return "", false, fmt.Errorf("element %q does not fit what it is compared with", e)
		}
		all := true
		for i, p := range parts {
			all = all && holds(p, k.values[i])
		}
		if all {
			return value, true, nil
		}
	}
	return "", false, nil
}

// holds reports whether an element (a value, an address block, a range, a name that may
// end in "*") holds the value.
func holds(element, value string) bool {
	element = strings.Trim(element, `"`)
	if element == value {
		return true
	}
	if begin, ok := strings.CutSuffix(element, "*"); ok {
		return strings.HasPrefix(value, begin)
	}
	if p, err := netip.ParsePrefix(element); err == nil {
		a, err := netip.ParseAddr(value)
		return err == nil && p.Contains(a)
	}
	low, high, isRange := strings.Cut(element, "-")
	if !isRange {
		return false
	}
	if v, err := strconv.Atoi(value); err == nil {
		l, err1 := strconv.Atoi(low)
		h, err2 := strconv.Atoi(high)
		return err1 == nil && err2 == nil && l <= v && v <= h
	}
	v, err := netip.ParseAddr(value)
	l, err1 := netip.ParseAddr(low)
	h, err2 := netip.ParseAddr(high)
	return err == nil && err1 == nil && err2 == nil && l.Compare(v) <= 0 && v.Compare(h) <= 0
}

// statement reads one statement. It is done if that is a verdict.
func (r *reader) statement() (verdict string, done bool, err error) {
	switch word := r.next(); word {
	case "counter":
		if r.take("packets") {
			r.words = r.words[min(3, len(r.words)):] // N bytes N
		}
		return "", false, nil
	case "comment":
		r.next()
		return "", false, nil
	case "accept", "drop", "return", "masquerade":
		return word, true, nil
	case "jump", "goto":
		return word + " " + r.next(), true, nil
	case "reject":
		return r.rejection()
	default:
		return "", false, fmt.Errorf("%q is not known here", strings.Join(append([]string{word}, r.words...), " "))
	}
}

// rejection reads what follows "reject".
func (r *reader) rejection() (string, bool, error) {
	if !r.take("with") {
		return "reject " + portUnreachable, true, nil
	}
	words := map[string]string{
		"host-unreachable": hostUnreachable, "net-unreachable": netUnreachable, "port-unreachable": portUnreachable,
		"admin-prohibited": prohibited, "host-prohibited": prohibited, "net-prohibited": prohibited,
	}
	kind := r.next()
	r.take("type")
	word := r.next()
	if kind == "tcp" {
		return "reject TCP reset", true, nil
	}
	if words[word] == "" {
		return "", false, fmt.Errorf("%q is not known here", "reject with "+kind+" type "+word)
	}
	return "reject " + words[word], true, nil
}
