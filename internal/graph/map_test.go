package graph

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// box is where something is drawn.
type box struct {
	left, top, right, bottom float64
	what, class              string
	ends                     bool // at right, whatever the font; other texts begin at left
}

func (b box) overlaps(o box) bool {
	return b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom
}

func (b box) within(o box) bool {
	return b.left >= o.left && b.right <= o.right && b.top >= o.top && b.bottom <= o.bottom
}

// picture is an SVG, read.
type picture struct {
	page                box
	texts, cards, rails []box
	chips               []box
	cables              []box // that are straight
	fills               []string
}

func read(t *testing.T, svg []byte) picture {
	t.Helper()
	var p picture
	d := xml.NewDecoder(bytes.NewReader(svg))
	var text *box
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			text = p.element(t, token)
		case xml.CharData:
			if text != nil {
				text.what += string(token)
			}
		case xml.EndElement:
			if text != nil {
				f := faceOf(t, text.class)
				if w := float64(f.width(text.what)); text.ends {
					text.left = text.right - w
				} else {
					text.right = text.left + w
				}
				text.top, text.bottom = text.bottom-0.78*f.size, text.bottom+0.22*f.size
				p.texts = append(p.texts, *text)
			}
			text = nil
		}
	}
}

func (p *picture) element(t *testing.T, e xml.StartElement) *box {
	t.Helper()
	attr := map[string]string{}
	for _, a := range e.Attr {
		attr[a.Name.Local] = a.Value
		if strings.Contains(a.Name.Local, "href") || strings.HasPrefix(a.Name.Local, "on") {
			t.Errorf("<%s> has %s=%q", e.Name.Local, a.Name.Local, a.Value)
		}
	}
	n := func(name string) float64 {
		v, err := strconv.ParseFloat(attr[name], 64)
		if err != nil && attr[name] != "" {
			t.Fatalf("<%s %s=%q>", e.Name.Local, name, attr[name])
		}
		return v
	}
	class, _, _ := strings.Cut(attr["class"], " ")
	b := box{n("x"), n("y"), n("x") + n("width"), n("y") + n("height"), "", class, false}
	switch e.Name.Local {
	case "svg":
		p.page = b
	case "text":
		if attr["text-anchor"] == "end" {
			return &box{right: n("x"), bottom: n("y"), class: class, ends: true}
		}
		return &box{left: n("x"), bottom: n("y"), class: class}
	case "rect":
		switch {
		case class == "card":
			p.cards = append(p.cards, b)
		case class == "chip":
			p.chips = append(p.chips, b)
		case class == "rail":
			p.rails = append(p.rails, b)
		case strings.HasPrefix(class, "fill"):
			p.fills = append(p.fills, class)
		}
	case "path":
		var c box
		if got, _ := fmt.Sscanf(attr["d"], "M%f %fL%f %f", &c.left, &c.top, &c.right, &c.bottom); got == 4 && class == "cable" {
			p.cables = append(p.cables, c)
		}
	case "title", "style", "circle":
	default:
		t.Errorf("the picture has a <%s>", e.Name.Local)
	}
	return nil
}

func faceOf(t *testing.T, class string) face {
	t.Helper()
	at := slices.IndexFunc(faces(), func(f face) bool { return f.class == class })
	if at < 0 {
		t.Fatalf("text of class %q", class)
	}
	return faces()[at]
}

// check holds the picture of m to what is true of every picture.
func check(t *testing.T, m *Map) picture {
	t.Helper()
	svg := m.SVG()
	if !bytes.Equal(svg, m.SVG()) {
		t.Error("drawn again it is another picture")
	}
	p := read(t, svg)
	for i, a := range p.texts {
		if !a.within(p.page) {
			t.Errorf("%q leaves the page", a.what)
		}
		for _, b := range p.texts[i+1:] {
			if a.overlaps(b) {
				t.Errorf("%q at %v overlaps %q at %v", a.what, a, b.what, b)
			}
		}
		for _, f := range slices.Concat(p.cards, p.chips, p.rails) {
			if a.overlaps(f) && !a.within(f) {
				t.Errorf("%q leaves its %s", a.what, f.class)
			}
		}
		for _, c := range p.cables {
			if a.overlaps(box{left: c.left - 1, right: c.right + 1, top: c.top, bottom: c.bottom}) && !onRail(p, a) {
				t.Errorf("a cable crosses %q", a.what)
			}
		}
	}
	solid := append(slices.Clone(p.cards), p.rails...)
	for i, a := range solid {
		if !a.within(p.page) {
			t.Errorf("a card leaves the page: %v", a)
		}
		for _, b := range solid[i+1:] {
			if a.overlaps(b) {
				t.Errorf("the %s %v overlaps the %s %v", a.class, a, b.class, b)
			}
		}
		for _, c := range p.cables {
			if a.class == "card" && a.overlaps(box{left: c.left - 1, right: c.right + 1, top: c.top, bottom: c.bottom}) {
				t.Errorf("a cable crosses the card %v", a)
			}
		}
	}
	for _, n := range m.Networks {
		p.once(t, n.Name, "label")
	}
	for _, c := range m.Machines {
		p.once(t, c.Name, "name")
	}
	return p
}

// onRail reports whether a text is a rail's own: cables that pass go behind it.
func onRail(p picture, text box) bool {
	return slices.ContainsFunc(p.rails, func(r box) bool { return text.within(r) })
}

// once checks that name is a text of the class, and no more than one.
func (p picture) once(t *testing.T, name, class string) {
	t.Helper()
	if n := p.count(name, class); n != 1 {
		t.Errorf("%q is there %d times as a %s", name, n, class)
	}
}

func (p picture) count(text, class string) int {
	n := 0
	for _, b := range p.texts {
		if b.what == text && b.class == class {
			n++
		}
	}
	return n
}

// sample is a map of that size: routers on two networks, hosts, VMs in all subnets.
func sample(hosts, routers, subnets, vms int, state bool) *Map {
	m := &Map{Title: "sample", Subtitle: "made up", Networks: []Network{{"wan", "203.0.113.0/24"}, {"lan", "192.168.56.0/24"}}}
	v := VPC{Name: "main", CIDRs: []string{"10.0.0.0/8"}}
	for s := range subnets {
		v.Subnets = append(v.Subnets, Subnet{fmt.Sprintf("net%d", s), fmt.Sprintf("10.0.%d.0/24", s), s%2 == 0})
	}
	m.VPCs = []VPC{v}
	m.Machines = append(m.Machines, Machine{Name: "internet", Cables: []Cable{{"wan", "eth0", "203.0.113.1"}}})
	for r := range routers {
		c := Machine{Name: fmt.Sprintf("router%d", r), Role: Router, Cables: []Cable{
			{"lan", "enp0s8", fmt.Sprintf("192.168.56.%d", r+1)}, {"wan", "enp0s3", fmt.Sprintf("203.0.113.%d", r+2)},
		}}
		for s := r; s < subnets; s += routers {
			c.Gateways = append(c.Gateways, Gateway{v.Subnets[s].Name, fmt.Sprintf("10.0.%d.1", s), s%2 == 0})
		}
		m.Machines = append(m.Machines, c)
	}
	for h := range hosts {
		c := Machine{Name: fmt.Sprintf("host%d", h), Role: Host, Cables: []Cable{{"lan", "enp0s8", fmt.Sprintf("192.168.56.%d", 100+h)}}}
		for s := range subnets {
			b := Bridge{v.Subnets[s].Name, "br_" + v.Subnets[s].Name, fmt.Sprintf("10.0.%d.2", s), nil}
			for i := s; i < vms; i += subnets {
				b.VMs = append(b.VMs, VM{fmt.Sprintf("vm%d-%d", h, i), fmt.Sprintf("10.0.%d.%d", s, h*vms+i+3)})
			}
			if len(b.VMs) > 0 {
				c.Bridges = append(c.Bridges, b)
			}
		}
		m.Machines = append(m.Machines, c)
	}
	if state {
		for i := range m.Machines[1:] {
			m.Machines[i+1].State = sampleState(i)
		}
	}
	return m
}

func sampleState(i int) *State {
	s := &State{Health: Health(i % 4), Words: "in sync: revision 12, verified"}
	if s.Health == Bad {
		s.Error = strings.Repeat("add route 10.0.0.1: no such device; ", 12) + strings.Repeat("x", 200)
	}
	for n := range 10 {
		t := Table{Name: fmt.Sprintf("table %d", 10000+n), Rule: "from br_net0", Lost: n == 3}
		if n == 4 {
			t.Rule = "from br_web-frontend and 40 more"
		}
		for r := range n * 2 {
			t.Routes = append(t.Routes, Route{"net0", fmt.Sprintf("10.0.0.%d, .%d", r, r+1), "via router0", r == 1})
		}
		s.Tables = append(s.Tables, t)
	}
	return s
}

func TestMaps(t *testing.T) {
	for _, c := range []struct{ hosts, routers, subnets, vms int }{
		{0, 0, 0, 0}, {1, 1, 1, 2}, {2, 1, 2, 3}, {8, 1, 1, 1}, {1, 1, 1, 100}, {3, 2, 9, 12}, {12, 3, 40, 2}, {2, 1, 1, 0},
	} {
		for _, state := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v state=%t", c, state), func(t *testing.T) {
				p := check(t, sample(c.hosts, c.routers, c.subnets, c.vms, state))
				all := c.hosts * c.vms
				if all > 60 {
					return
				}
				for h := range c.hosts {
					for i := range c.vms {
						p.once(t, fmt.Sprintf("vm%d-%d", h, i), "label")
					}
				}
			})
		}
	}
}

func TestManyVMsAreCounted(t *testing.T) {
	p := check(t, sample(1, 1, 1, 100, false))
	shown := 0
	for i := range 100 {
		shown += p.count(fmt.Sprintf("vm0-%d", i), "label")
	}
	if shown >= 100 || p.count(fmt.Sprintf("and %d more", 100-shown), "plain") != 1 {
		t.Errorf("%d of 100 VMs are shown, and no word of the others", shown)
	}
}

func TestManyBridgesAreCounted(t *testing.T) {
	p := check(t, sample(2, 1, 14, 28, true))
	if n := p.count("and 4 more bridges; VMs: 8", "plain"); n != 2 {
		t.Errorf("%d hosts of 2 tell of the bridges that are not shown", n)
	}
}

// A machine on networks that are not neighbours, one with two cables to one network, a
// host on two networks, hosts on two networks, a node without a machine.
func TestCablesPassBy(t *testing.T) {
	m := sample(3, 2, 2, 4, true)
	m.Networks = []Network{{"wan", "203.0.113.0/24"}, {"mgmt", "10.9.0.0/16"}, {"san", "10.8.0.0/16"}, {"lan", "192.168.56.0/24"}}
	m.Machines = append(m.Machines,
		Machine{Name: "far", Cables: []Cable{{"wan", "eth0", "203.0.113.9"}, {"lan", "eth1", "192.168.56.9"}, {"lan", "eth2", "192.168.56.8"}}},
		Machine{Name: "further", Cables: []Cable{{"wan", "eth0", "203.0.113.10"}, {"san", "eth1", "10.8.0.9"}}},
		Machine{Name: "both", Role: Host, Cables: []Cable{{"mgmt", "eth0", "10.9.0.7"}, {"lan", "eth1", "192.168.56.7"}}},
		Machine{Name: "else", Role: Host, Cables: []Cable{{"san", "eth0", "10.8.0.7"}}},
		Machine{Name: "later", Role: Host},
	)
	for i := range 7 {
		m.Machines = append(m.Machines, Machine{Name: fmt.Sprintf("client%d", i), Cables: []Cable{{"mgmt", "eth0", fmt.Sprintf("10.9.0.%d", 20+i)}}})
	}
	check(t, m)
}

func TestNamesAreEscaped(t *testing.T) {
	m := sample(1, 1, 1, 1, true)
	const bad = `<script>&"'` + "\x00\x1b\xff\n]]>"
	host := &m.Machines[2]
	host.Name, host.State.Words, host.Bridges[0].VMs[0].Name = bad, bad, bad
	m.Title, m.Networks[1].Name = bad, bad
	host.Cables[0].Network, m.Machines[1].Cables[0].Network = bad, bad
	p := read(t, m.SVG())
	p.once(t, "<script>&\"'\ufffd\ufffd\ufffd ]]>", "name")
}

func TestLongNames(t *testing.T) {
	m := sample(2, 1, 2, 3, true)
	long := strings.Repeat("m", 40)
	for i := range m.Machines {
		m.Machines[i].Name += long
		for b := range m.Machines[i].Bridges {
			for v := range m.Machines[i].Bridges[b].VMs {
				m.Machines[i].Bridges[b].VMs[v].Name += long
			}
		}
	}
	m.VPCs[0].Name += long
	check(t, m)
}

// What is wrong is said in words and has a sign: colour alone is not enough.
func TestDownIsMarked(t *testing.T) {
	m := sample(1, 1, 1, 2, false)
	m.Machines[2].State = &State{Health: Bad, Words: "agent not connected", Error: "out of cheese",
		Tables: []Table{{Name: "table 10000", Rule: "from eth0", Lost: true, Routes: []Route{{To: "10.0.0.3", Way: "br_net0", Lost: true}}}}}
	p := check(t, m)
	p.once(t, "agent not connected", "plain")
	p.once(t, "out of cheese", "plain")
	p.once(t, "from eth0: rule missing", "plain")
	p.once(t, "br_net0: missing", "mono")
	svg := string(m.SVG())
	for want, n := range map[string]int{`class="card down"`: 1, `class="chip edge0 down"`: 2, `class="lost"`: 1} {
		if got := strings.Count(svg, want); got != n {
			t.Errorf("%s is there %d times, want %d", want, got, n)
		}
	}
}

func TestSubnetsAreToldApart(t *testing.T) {
	looks := map[string]int{}
	for n := range 4 * len(colours) {
		var c canvas
		c.swatch(n, 0, 0)
		if other, same := looks[c.body.String()]; same {
			t.Errorf("subnets %d and %d look the same", other, n)
		}
		looks[c.body.String()] = n
	}
}

func TestNothingFromOutside(t *testing.T) {
	svg := string(sample(2, 1, 2, 3, true).SVG())
	for _, bad := range []string{"<script", "@import", "url(", "@font-face", "http://", "https://"} {
		if strings.Contains(strings.Replace(svg, `xmlns="http://www.w3.org/2000/svg"`, "", 1), bad) {
			t.Errorf("the picture has %q in it", bad)
		}
	}
}

func TestWrap(t *testing.T) {
	const width = 150
	for _, s := range []string{"", "one", "one two three four five six seven eight", strings.Repeat("x", 99), strings.Repeat("a ", 300)} {
		lines := plainFace.wrap(s, width, 3)
		if len(lines) > 3 {
			t.Errorf("%q has %d lines", s, len(lines))
		}
		for _, l := range lines {
			if w := plainFace.width(strings.TrimSuffix(l, "…")); w > width {
				t.Errorf("%q is %d wide", l, w)
			}
		}
		if whole := strings.Join(lines, " "); whole != strings.TrimSpace(s) && !strings.HasSuffix(whole, "…") {
			t.Errorf("%q became %q", s, whole)
		}
	}
}
