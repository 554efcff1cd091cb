package graph

import "slices"

// drawing is where everything goes.
type drawing struct {
	*Map
	colour map[string]int // of subnets
	rails  []int          // y of each network
	places []place
	width  int
	bottom int // of the lowest card or rail
}

// place is a card's.
type place struct {
	card       *card
	x, y, w, h int
	level      int // the number of the rail that is next below
	trunk      int // x at which cables pass by the cards above; 0 if there are none
}

// level is what stands between two rails. Level i is above rail i, and the last one
// below all.
type level struct {
	grid    []*card // has cables to the rail above alone: broken into rows
	row     []*card // others
	far     []*card // has a cable that passes a rail
	columns int
	high    int
}

// plan decides where everything goes.
func (m *Map) plan() *drawing {
	d := &drawing{Map: m, colour: map[string]int{}}
	for _, v := range m.VPCs {
		for _, s := range v.Subnets {
			d.colour[s.Name] = len(d.colour)
		}
	}
	levels := d.levels()
	inner := max(titleFace.width(m.Title), plainFace.width(m.Subtitle), m.legendWidth(), 420)
	for i := range levels {
		inner = max(inner, levels[i].wide())
	}
	for _, n := range m.Networks {
		inner = max(inner, 40+labelFace.width(n.Name)+monoFace.width(n.CIDR))
	}
	far := 0
	for i := range levels {
		for _, c := range levels[i].far {
			far += gap + c.width
		}
	}
	d.width = inner + far + 2*margin
	y, farX := headHigh, margin+inner+gap
	for i := range levels {
		l := &levels[i]
		if l.empty() && i > 0 {
			y += gap
		} else if !l.empty() {
			if i > 0 {
				y += cableHigh
			}
			farX = d.lay(l, i, y, inner, farX)
			y += l.high
			if i < len(m.Networks) && l.hasCableDown(d, i) {
				y += cableHigh
			} else {
				y += gap
			}
		}
		if i < len(m.Networks) {
			d.rails = append(d.rails, y)
			y += railHigh
		}
	}
	d.bottom = y
	return d
}

func (l *level) empty() bool { return len(l.grid)+len(l.row)+len(l.far) == 0 }

func (l *level) hasCableDown(d *drawing, i int) bool {
	for _, c := range slices.Concat(l.row, l.far) {
		if _, last := d.reach(c.Machine); last >= i {
			return true
		}
	}
	return false
}

// reach returns the first and the last rail that the machine is cabled to.
func (d *drawing) reach(m *Machine) (first, last int) {
	first, last = len(d.Networks), -1
	for _, k := range m.Cables {
		at := d.rail(k.Network)
		first, last = min(first, at), max(last, at)
	}
	return first, last
}

func (d *drawing) rail(network string) int {
	return slices.IndexFunc(d.Networks, func(n Network) bool { return n.Name == network })
}

// crowd is how many machines that are no nodes stand above their rail; more go below,
// where rows are broken.
const crowd = 5

// levels puts each machine on its level: hosts below the rail that they are on, what
// connects rails between them, and the world above its rail.
func (d *drawing) levels() []level {
	levels := make([]level, len(d.Networks)+1)
	single := map[int]int{} // rail -> machines of the world on it alone
	for i := range d.Machines {
		first, last := d.reach(&d.Machines[i])
		if first == last && d.Machines[i].Role == World {
			single[first]++
		}
	}
	shown := d.mostVMs()
	for i := range d.Machines {
		m := &d.Machines[i]
		first, last := d.reach(m)
		c := newCard(m, d.colour, shown, 0)
		switch {
		case last < 0: // has no cable at all
			at := &levels[len(levels)-1]
			at.grid = append(at.grid, c)
		case first == last && (m.Role == Host || m.Role == World && single[first] > crowd):
			levels[last+1].grid = append(levels[last+1].grid, c)
		case m.Role == Host && last > first: // below its last rail, past which the other cable goes
			levels[last+1].far = append(levels[last+1].far, c)
		case last > first+1:
			levels[last].far = append(levels[last].far, c)
		default:
			levels[last].row = append(levels[last].row, c)
		}
	}
	for i := range levels {
		levels[i].even(d.colour, shown)
	}
	return levels
}

// mostVMs is how many VMs of one bridge are shown, so that there are about sixty in all.
func (d *drawing) mostVMs() int {
	const all, least = 60, 6
	bridges := 1
	for _, m := range d.Machines {
		bridges += len(m.Bridges)
	}
	return max(least, all/max(bridges-1, 1))
}

// even breaks the grid into rows of equal length, with columns of equal width.
func (l *level) even(colour map[string]int, shown int) {
	if len(l.grid) == 0 {
		return
	}
	wide := 0
	for _, c := range l.grid {
		wide = max(wide, c.width)
	}
	l.columns = max(1, min(len(l.grid), (broadest+gutter)/(wide+gutter)))
	rows := (len(l.grid) + l.columns - 1) / l.columns
	l.columns = (len(l.grid) + rows - 1) / rows
	for i, c := range l.grid {
		l.grid[i] = newCard(c.Machine, colour, shown, wide)
	}
}

func (l *level) broken() bool { return len(l.grid) > l.columns }

// wide is the room that a level takes without its far ones.
func (l *level) wide() int {
	w := 0
	if len(l.grid) > 0 {
		w = l.columns*(l.grid[0].width+gutter) - gutter
		if l.broken() {
			w += gutter
		}
	}
	for _, c := range l.row {
		if w > 0 {
			w += gap
		}
		w += c.width
	}
	return w
}

// lay gives the cards of a level their places and returns the x of the next far one.
func (d *drawing) lay(l *level, number, y, inner, farX int) int {
	x := margin + (inner-l.wide())/2
	if len(l.grid) > 0 {
		x = d.layGrid(l, number, x, y) + gap
	}
	for _, c := range slices.Concat(l.row, l.far) {
		l.high = max(l.high, c.height)
	}
	put := func(c *card, x int) {
		p := place{card: c, x: x, y: y, w: c.width, h: c.height, level: number}
		if first, _ := d.reach(c.Machine); first >= number {
			p.y += l.high - c.height // all its cables go down
		}
		d.places = append(d.places, p)
	}
	for _, c := range l.row {
		put(c, x)
		x += c.width + gap
	}
	for _, c := range l.far {
		put(c, farX)
		farX += c.width + gap
	}
	return farX
}

// layGrid places the rows of a grid and returns where it ends on the right. Cables to
// the second row and those after it pass through the gutter left of their column.
func (d *drawing) layGrid(l *level, number, x, y int) int {
	if l.broken() {
		x += gutter
	}
	wide, top := l.grid[0].width, y
	for row := range slices.Chunk(l.grid, l.columns) {
		high := 0
		for _, c := range row {
			high = max(high, c.height)
		}
		for i, c := range row {
			p := place{card: c, x: x + i*(wide+gutter), y: y, w: wide, h: high, level: number}
			if y > top {
				p.trunk = p.x - gutter/2
			}
			d.places = append(d.places, p)
		}
		y += high + cableHigh + 14
	}
	l.high = max(l.high, y-cableHigh-14-top)
	return x + l.columns*(wide+gutter) - gutter
}

// end is where a cable meets its card and its rail.
type end struct {
	Cable
	x     int // of the cable at the card
	at    int // and at the rail
	rail  int // number of the rail
	below bool
}

// ends lists the cables that go anywhere, from left to right on each side of the card.
func (d *drawing) ends(p place) []end {
	var all []end
	side := map[bool]int{}
	for _, k := range p.card.Cables {
		e := end{Cable: k, rail: d.rail(k.Network)}
		if e.rail < 0 {
			continue
		}
		e.below = e.rail >= p.level
		e.x = p.x + cableX + side[e.below]*p.card.slot
		e.at = e.x
		if p.trunk > 0 && !e.below {
			e.at = p.trunk + side[false]*6
		}
		side[e.below]++
		all = append(all, e)
	}
	return all
}

// cables draws a card's cables. Rails are drawn over those that pass behind them.
func (d *drawing) cables(c *canvas, p place) {
	for _, e := range d.ends(p) {
		rail := d.rails[e.rail]
		switch {
		case e.below:
			c.line("cable", e.x, p.y+p.h, e.x, rail)
		case e.at == e.x:
			c.line("cable", e.x, rail+railHigh, e.x, p.y)
		default:
			const bend = 8
			turn := p.y - cableHigh + 6
			c.add(`<path class="cable" d="M%d %dV%dQ%d %d %d %dH%dQ%d %d %d %dV%d"/>`, e.at, rail+railHigh, turn-bend,
				e.at, turn, e.at+bend, turn, e.x-bend, e.x, turn, e.x, turn+bend, p.y)
		}
	}
}

// plugs draws both ends of each cable, and what the interface is called.
func (d *drawing) plugs(c *canvas, p place) {
	for _, e := range d.ends(p) {
		y, text, rail := p.y, p.y-22, d.rails[e.rail]+railHigh
		if e.below {
			y, text, rail = p.y+p.h, p.y+p.h+18, d.rails[e.rail]
		}
		c.dot("plug", e.at, rail, 4)
		c.rect("plug", e.x-4, y-4, 8, 8, 2)
		c.text(monoFace, e.x+10, text, "", e.Interface)
		c.text(monoFace, e.x+10, text+14, "quiet", e.Address)
	}
}
