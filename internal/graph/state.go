package graph

const (
	mostTables = 12
	mostRoutes = 16
	routeHigh  = 17
	swatchRoom = 16
	mostErrors = 5 // lines of one error
)

// toColumn is the room for a card's destinations.
func (c *card) toColumn() int {
	w := 0
	for _, t := range c.State.Tables {
		for _, r := range t.Routes {
			w = max(w, monoFace.width(r.To))
		}
	}
	return swatchRoom + w + 14
}

// tablesWidth is the width that the routing tables take.
func (c *card) tablesWidth() int {
	w := 0
	for _, t := range c.State.Tables {
		w = max(w, labelFace.width(t.Name), plainFace.width(t.rule()))
		if !t.tall() {
			w = max(w, t.headWidth())
		}
		for _, r := range t.Routes {
			w = max(w, c.toColumn()+monoFace.width(r.way()))
		}
	}
	return w + 2*inset
}

// healthWidth is the least width of what there is to say of the node.
func (c *card) healthWidth() int {
	w := swatchRoom + plainFace.width(c.State.Words)
	if c.State.Error != "" {
		w = max(w, 220)
	}
	return w + 2*inset
}

// headWidth is the width of the table's name and rule on one line; tall says whether
// that is too much.
func (t Table) headWidth() int { return labelFace.width(t.Name) + 10 + plainFace.width(t.rule()) }
func (t Table) tall() bool     { return t.headWidth() > 240 }

func (t Table) rule() string {
	rule := t.Rule
	if t.Then {
		rule = "then " + rule
	}
	if t.Lost {
		rule += ": rule missing"
	}
	return rule
}

func (r Route) way() string {
	if r.Lost {
		return r.Way + ": missing"
	}
	return r.Way
}

// drawHealth draws how a node is, and returns where that ends.
func (c *card) drawHealth(to *canvas, x, y, w int) int {
	s := c.State
	if s == nil || s.Words == "" && s.Error == "" {
		return y
	}
	colour := "quiet"
	switch s.Health {
	case Good:
		colour = "good"
		to.dot("good", x+5, y+5, 5)
	case Bad:
		colour = "bad"
		// A cross: colour must not be the only sign.
		to.add(`<path class="lost" d="M%d %dl9 9m0 -9l-9 9"/>`, x+1, y)
	case Waiting:
		to.dot("icon", x+5, y+5, 4)
	}
	at := x
	if s.Health != Unknown {
		at += swatchRoom
	}
	to.text(plainFace, at, y+9, colour, s.Words)
	y += lineHigh
	for _, line := range plainFace.wrap(s.Error, w, mostErrors) {
		to.text(plainFace, x, y+9, "bad", line)
		y += routeHigh
	}
	return y
}

// drawTables draws the routing tables below each other, and returns where they end.
func (c *card) drawTables(to *canvas, x, y int) int {
	if c.tables == 0 {
		return y
	}
	x, w := x+inset, c.tables-2*inset
	for i, t := range c.State.Tables[:min(len(c.State.Tables), mostTables)] {
		if i > 0 {
			y += 10
			if t.Then {
				to.add(`<path class="icon" d="M%d %dv8m-3 -3l3 3l3 -3"/>`, x+5, y-4)
			} else {
				to.line("rule", x, y, x+w, y)
			}
			y += 6
		}
		y += 14
		colour := "quiet"
		if t.Lost {
			colour = "bad"
		}
		to.text(labelFace, x, y, "", t.Name)
		at := x + labelFace.width(t.Name) + 10
		if t.tall() {
			at, y = x, y+routeHigh
		}
		to.text(plainFace, at, y, colour, t.rule())
		y = c.drawRoutes(to, t.Routes, x, y+3)
	}
	if more := moreOf(c.State.Tables, mostTables); more != "" {
		y += 24
		to.text(plainFace, x, y, "quiet", more+" tables")
	}
	return y + 14
}

func (c *card) drawRoutes(to *canvas, routes []Route, x, y int) int {
	for _, r := range routes[:min(len(routes), mostRoutes)] {
		y += routeHigh
		colour, quiet := "", "quiet"
		if r.Lost {
			colour, quiet = "bad", "bad"
		}
		to.swatch(c.number(r.Subnet), x, y-9)
		to.text(monoFace, x+swatchRoom, y, colour, r.To)
		to.text(monoFace, x+c.toColumn(), y, quiet, r.way())
	}
	if more := moreOf(routes, mostRoutes); more != "" {
		y += routeHigh
		to.text(plainFace, x+swatchRoom, y, "quiet", more)
	}
	return y
}
