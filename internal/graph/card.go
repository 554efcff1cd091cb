package graph

import (
	"fmt"
	"strconv"
)

const (
	inset    = 14 // from a card's edge to what is in it
	slotHigh = 34 // the first line of a card
	lineHigh = 22
	chipHigh = 40
	chipGap  = 8
	cableX   = 26 // from a card's left edge to its first cable
)

// card is a machine with the room that each of its parts needs.
type card struct {
	*Machine
	colour map[string]int // of subnets
	shown  int            // how many VMs of one bridge are shown at most
	slot   int            // room from one cable to the next
	chip   int            // least width of a VM
	across int            // VMs side by side
	tables int            // width of the routing tables, right of the rest; 0 if there are none
	width  int            // the least
	height int            // at that width or any larger one
}

// newCard measures a machine, and makes it no narrower than wide.
func newCard(m *Machine, colour map[string]int, shown, wide int) *card {
	c := &card{Machine: m, colour: colour, shown: shown}
	for _, k := range m.Cables {
		c.slot = max(c.slot, max(monoFace.width(k.Interface), monoFace.width(k.Address))+24)
	}
	most := 0
	for _, b := range m.Bridges {
		most = max(most, len(b.VMs))
		c.chip = max(c.chip, c.chipWidth(b))
	}
	c.across = columns(min(most, shown))
	if m.State != nil && len(m.State.Tables) > 0 {
		c.tables = c.tablesWidth()
	}
	c.width = max(wide, c.leftWidth()+c.tables, cableX+c.slot*len(m.Cables))
	c.height = c.draw(&canvas{}, 0, 0, c.width, 0)
	return c
}

// leftWidth is the least width of what stands left of the tables.
func (c *card) leftWidth() int {
	w := max(150, 2*inset+26+nameFace.width(c.Name)+10+plainFace.width(string(c.Role)))
	for _, g := range c.Gateways {
		w = max(w, 2*inset+c.gatewayColumn()+monoFace.width(g.Address)+10+plainFace.width("NAT"))
	}
	for _, b := range c.Bridges {
		w = max(w, 4*inset+c.across*(c.chip+chipGap)-chipGap,
			4*inset+16+labelFace.width(b.Subnet)+14+monoFace.width(b.Device+" "+b.Address))
	}
	w = max(w, 2*inset+plainFace.width(c.moreBridges()))
	if c.State != nil {
		w = max(w, c.healthWidth())
	}
	return w
}

// columns is how many VMs stand side by side if nothing else decides.
func columns(n int) int {
	switch {
	case n <= 1:
		return 1
	case n <= 8:
		return 2
	case n <= 18:
		return 3
	case n <= 40:
		return 5
	}
	return 8
}

// chipWidth is the least width of a VM's chip.
func (c *card) chipWidth(b Bridge) int {
	w := plainFace.width(moreVMs(len(b.VMs))) + 20
	for _, v := range b.VMs[:min(len(b.VMs), c.shown)] {
		w = max(w, labelFace.width(v.Name)+20, monoFace.width(v.Address)+20)
	}
	return w
}

// gatewayColumn is where the gateways' addresses begin.
func (c *card) gatewayColumn() int {
	w := 0
	for _, g := range c.Gateways {
		w = max(w, labelFace.width(g.Subnet))
	}
	return 16 + w + 12 + plainFace.width(gatewayWord) + 10
}

// draw draws the card with a frame of that size, and returns the height that it needs.
func (c *card) draw(to *canvas, x, y, w, h int) int {
	top := y
	down := ""
	if c.down() {
		down = " down"
	}
	to.rect("card"+down, x, y, w, h, 10)
	c.icon(to, x+inset, y+9)
	to.text(nameFace, x+inset+26, y+23, "", c.Name)
	if c.Role != World {
		to.text(plainFace, x+inset+26+nameFace.width(c.Name)+8, y+23, "quiet", string(c.Role))
	}
	end := c.drawTables(to, x+w-c.tables, y+8)
	if c.tables > 0 {
		to.line("rule", x+w-c.tables, y+8, x+w-c.tables, y+h-8)
	}
	y = c.drawHealth(to, x+inset, y+slotHigh, w-c.tables-2*inset)
	y = c.drawGateways(to, x+inset, y)
	for _, b := range c.Bridges[:min(len(c.Bridges), mostBridges)] {
		y = c.drawBridge(to, b, x+inset, y, w-c.tables-2*inset, down) + 10
	}
	if more := c.moreBridges(); more != "" {
		to.text(plainFace, x+inset, y+14, "quiet", more)
		y += lineHigh
	}
	if len(c.Gateways) > 0 || len(c.Bridges) > 0 || c.State != nil {
		y += 4
	}
	return max(y+4, end) - top
}

// moreBridges says what there is on the bridges that are not drawn.
func (c *card) moreBridges() string {
	if len(c.Bridges) <= mostBridges {
		return ""
	}
	vms := 0
	for _, b := range c.Bridges[mostBridges:] {
		vms += len(b.VMs)
	}
	return fmt.Sprintf("and %d more bridges; VMs: %d", len(c.Bridges)-mostBridges, vms)
}

// drawGateways draws the gateways that a router owns, and returns where they end.
func (c *card) drawGateways(to *canvas, x, y int) int {
	for _, g := range c.Gateways[:min(len(c.Gateways), mostGateways)] {
		to.swatch(c.number(g.Subnet), x, y+5)
		to.text(labelFace, x+16, y+14, "", g.Subnet)
		at := x + c.gatewayColumn()
		to.text(plainFace, at-plainFace.width(gatewayWord)-10, y+14, "quiet", gatewayWord)
		to.text(monoFace, at, y+14, "", g.Address)
		if g.NAT {
			to.text(plainFace, at+monoFace.width(g.Address)+10, y+14, "quiet", "NAT")
		}
		y += lineHigh
	}
	if more := moreOf(c.Gateways, mostGateways); more != "" {
		to.text(plainFace, x+16, y+14, "quiet", more)
		y += lineHigh
	}
	return y
}

// down reports whether nobody looks after the machine.
func (c *card) down() bool { return c.State != nil && c.State.Health == Bad }

const (
	mostGateways = 24
	mostBridges  = 10
	gatewayWord  = "gateway"
)

// number is the subnet's place among the colours, -1 if it has none.
func (c *card) number(subnet string) int {
	if n, ok := c.colour[subnet]; ok {
		return n
	}
	return -1
}

// drawBridge draws a bridge with its VMs and returns where it ends.
func (c *card) drawBridge(to *canvas, b Bridge, x, y, w int, down string) int {
	vms := b.VMs
	if len(vms) > c.shown {
		vms = vms[:c.shown-1] // the last place says how many more there are
	}
	n := min(len(b.VMs), c.shown)
	inner := w - 2*inset
	across := max(c.across, (inner+chipGap)/(c.chip+chipGap))
	across = min(across, max(c.across, 2))
	rows := (n + across - 1) / across
	high := 30 + rows*(chipHigh+chipGap) + 4
	hue := max(c.number(b.Subnet), 0) % len(colours)
	to.rect("tint fill"+strconv.Itoa(hue), x, y, w, high, 8)
	to.swatch(c.number(b.Subnet), x+inset, y+10)
	to.text(labelFace, x+inset+16, y+19, "", b.Subnet)
	device := b.Device + " " + b.Address
	to.text(monoFace, x+w-inset-monoFace.width(device), y+19, "quiet", device)
	chip := (inner+chipGap)/across - chipGap
	at := func(i int) (int, int) {
		return x + inset + i%across*(chip+chipGap), y + 30 + i/across*(chipHigh+chipGap)
	}
	for i, v := range vms {
		cx, cy := at(i)
		to.rect(fmt.Sprintf("chip edge%d%s", hue, down), cx, cy, chip, chipHigh, 6)
		to.text(labelFace, cx+10, cy+17, "", v.Name)
		to.text(monoFace, cx+10, cy+32, "quiet", v.Address)
	}
	if more := len(b.VMs) - len(vms); more > 0 {
		cx, cy := at(len(vms))
		to.text(plainFace, cx+10, cy+24, "quiet", moreVMs(more))
	}
	return y + high
}

func moreVMs(n int) string { return fmt.Sprintf("and %d more", n) }

// moreOf says how many of all are not among the first n; nothing if none.
func moreOf[T any](all []T, n int) string {
	if len(all) <= n {
		return ""
	}
	return fmt.Sprintf("and %d more", len(all)-n)
}

// icon draws what kind of machine it is, 18 pixels square.
func (c *card) icon(to *canvas, x, y int) {
	switch c.Role {
	case Host: // two drawers of a rack
		for _, dy := range []int{1, 10} {
			to.rect("icon", x+1, y+dy, 16, 7, 2)
			to.dot("plug", x+5, y+dy+3, 1)
		}
	case Router: // arrows both ways
		to.add(`<path class="icon" d="M%d %dh14m-4 -4l4 4l-4 4m4 5h-14m4 -4l-4 4l4 4"/>`, x+2, y+5)
	default: // a globe
		to.dot("icon", x+9, y+9, 8)
		to.add(`<path class="icon" d="M%d %dh16m-8 -8c-5 5 -5 11 0 16c5 -5 5 -11 0 -16"/>`, x+1, y+9)
	}
}
