package term

import (
	"cmp"
	"slices"
)

// column is one column of a table of T. Either text or value is set.
type column[T any] struct {
	title string
	key   rune // sorts by it
	width int  // 0 takes what is left; only the last one
	rank  int  // the highest goes first when there is no room
	most  bool // the largest stands first unless reversed
	off   bool // not shown now
	text  func(r *T) string
	value func(b []byte, r *T) []byte // ASCII, aligned right
	order func(a, b *T) int
}

// table is rows of T, known by K, sorted by a column, scrolled, one of them selected.
type table[T any, K comparable] struct {
	columns []column[T]
	id      func(r *T) K
	tie     func(a, b *T) int // orders what the column leaves equal
	matches func(r *T, text string) bool
	tint    func(r *T) look // of a whole row; nil for plain
	words   int             // the last column keeps one of so many parts of the width; 0 is 5
	// instead is what a row says in place of its columns from the third on; "" or nil for
	// nothing but these.
	instead func(r *T) string

	sort    int
	reverse bool

	filter string // only rows that match are in rows
	rows   []*T
	indent []int // of the last column, by row, in a tree

	chosen K    // follows the row wherever it goes
	has    bool // whether there is one
	was    int  // the place that the chosen one was last at
	offset int
	follow bool // keep the chosen one in sight
	first  bool // see chooseFirst

	// Where it was drawn last, for the mouse.
	top, height int // of the rows
	spans       []span
	scratch     []byte
}

// The columns of CPU: now or the mean, and the peak beside a mean.
const (
	cpuTitle  = "CPU%"
	peakTitle = "PEAK%"
)

type span struct{ column, x, w int }

func (t *table[T, K]) compare(a, b *T) int {
	c := &t.columns[t.sort]
	by := c.order(a, b)
	if c.most != t.reverse {
		by = -by
	}
	if by == 0 {
		return t.tie(a, b)
	}
	return by
}

func (t *table[T, K]) arrange() {
	slices.SortFunc(t.rows, t.compare)
	if t.first && len(t.rows) > 0 {
		t.chosen, t.has, t.was = t.id(t.rows[0]), true, 0
	}
}

// sortBy sorts by a column; by the one that it is already, the other way round. What
// stands first then is what was asked for, so it comes into sight.
func (t *table[T, K]) sortBy(column int) {
	if t.sort == column {
		t.turn()
		return
	}
	t.sort, t.reverse, t.offset = column, false, 0
}

// sortKey sorts by the column with the key, if there is one.
func (t *table[T, K]) sortKey(key rune) bool {
	for i, c := range t.columns {
		if c.key == key && !c.off {
			t.sortBy(i)
			return true
		}
	}
	return false
}

// sortNext sorts by the column beside.
func (t *table[T, K]) sortNext(by int) {
	at := (t.sort + by + len(t.columns)) % len(t.columns)
	for t.columns[at].off {
		at = (at + by + len(t.columns)) % len(t.columns)
	}
	t.sortBy(at)
}

// at is the place of the chosen row, -1 if it is not there.
func (t *table[T, K]) at() int {
	if !t.has {
		return -1
	}
	return slices.IndexFunc(t.rows, func(r *T) bool { return t.id(r) == t.chosen })
}

// row is the chosen row, nil without.
func (t *table[T, K]) row() *T {
	if i := t.at(); i >= 0 {
		return t.rows[i]
	}
	return nil
}

func (t *table[T, K]) choose(i int) {
	if len(t.rows) == 0 {
		return
	}
	i = min(max(i, 0), len(t.rows)-1)
	t.chosen, t.has, t.was, t.follow, t.first = t.id(t.rows[i]), true, i, true, false
}

// move moves the choice by rows. Without one, it begins at the first row in sight.
func (t *table[T, K]) move(by int) {
	i := t.at()
	switch {
	case i < 0 && t.has: // it has ended
		t.choose(t.was + by)
	case i < 0:
		t.choose(t.offset)
	default:
		t.choose(i + by)
	}
}

// find chooses the next row (by is 1) or the one before (-1) that has the text.
func (t *table[T, K]) find(text string, by int) bool {
	n := len(t.rows)
	at := t.at()
	if at < 0 && by < 0 {
		at = 0
	}
	for step := 1; step <= n; step++ {
		i := ((at+by*step)%n + n) % n
		if t.matches(t.rows[i], text) {
			t.choose(i)
			return true
		}
	}
	return false
}

func (t *table[T, K]) scroll(by int) {
	t.follow = false
	t.offset = min(max(t.offset+by, 0), max(len(t.rows)-t.height, 0))
}

// fit chooses the columns that have room in w cells: the last one keeps a fifth, or as
// t.words says.
func (t *table[T, K]) fit(w int) {
	least := max(w/cmp.Or(t.words, 5), 12)
	worst := 0
	for _, c := range t.columns {
		worst = max(worst, c.rank)
	}
	for limit := worst; ; limit-- {
		t.spans = t.spans[:0]
		x := 0
		for i, c := range t.columns {
			if c.rank > limit || c.off {
				continue
			}
			width := c.width
			if width == 0 {
				width = max(w-x, 0)
				if width < least && limit > 0 {
					x = w + 1
				}
			}
			t.spans = append(t.spans, span{i, x, min(width, max(w-x, 0))})
			x += width + 1
		}
		if x <= w+1 || limit <= 0 {
			return
		}
	}
}

// draw draws the heading and h-1 rows at y. focused says that keys go here.
func (t *table[T, K]) draw(g *grid, y, h int, focused bool) {
	t.top, t.height = y+1, max(h-1, 0)
	t.fit(g.w)
	for _, s := range t.spans {
		t.heading(g, y, s, focused)
	}
	chosen := t.at()
	if chosen >= 0 {
		t.was = chosen
	}
	if chosen >= 0 && t.follow {
		t.offset = min(max(t.offset, chosen-t.height+1), chosen)
	}
	t.offset = min(max(t.offset, 0), max(len(t.rows)-t.height, 0))
	for i := range min(t.height, len(t.rows)-t.offset) {
		at := t.offset + i
		t.line(g, y+1+i, at)
		if t.tint != nil {
			if l := t.tint(t.rows[at]); l != plain {
				g.paint(0, y+1+i, g.w, l)
			}
		}
		if at == chosen {
			g.paint(0, y+1+i, g.w, selected)
		}
	}
}

func (t *table[T, K]) line(g *grid, y, at int) {
	words := ""
	if t.instead != nil {
		words = t.instead(t.rows[at])
	}
	for i, s := range t.spans {
		if words != "" && i >= 2 {
			g.text(s.x, y, g.w-s.x, words, plain)
			return
		}
		t.cell(g, y, s, at)
	}
}

// heading has an arrow and a line under the sorted column: v is largest first.
func (t *table[T, K]) heading(g *grid, y int, s span, focused bool) {
	c := &t.columns[s.column]
	l := heading
	if !focused {
		l = dim
	}
	t.scratch = append(t.scratch[:0], c.title...)
	if s.column == t.sort {
		l = sorted
		arrow := byte('^')
		if c.most != t.reverse {
			arrow = 'v'
		}
		t.scratch = append(t.scratch, arrow)
	}
	if c.text != nil {
		g.bytes(s.x, y, s.w, t.scratch, l)
		return
	}
	g.right(s.x, y, s.w, t.scratch, l)
}

func (t *table[T, K]) cell(g *grid, y int, s span, at int) {
	c, r := &t.columns[s.column], t.rows[at]
	if c.text == nil {
		t.scratch = c.value(t.scratch[:0], r)
		g.right(s.x, y, s.w, t.scratch, plain)
		return
	}
	x, w := s.x, s.w
	if c.width == 0 && at < len(t.indent) && t.indent[at] > 0 {
		in := min(2*t.indent[at], w/2)
		g.text(x+in-2, y, 2, "`-", dim)
		x, w = x+in, w-in
	}
	g.text(x, y, w, c.text(r), plain)
}

// click takes a click: on the heading it sorts, on a row it chooses. It says whether
// the order has changed, and whether the click was here at all.
func (t *table[T, K]) click(x, y int) (resort, here bool) {
	if !t.covers(y) {
		return false, false
	}
	if y == t.top-1 {
		for _, s := range t.spans {
			if x >= s.x && x <= s.x+s.w {
				t.sortBy(s.column)
				return true, true
			}
		}
		return false, true
	}
	if i := y - t.top; i >= 0 && i < t.height {
		if t.offset+i < len(t.rows) {
			t.choose(t.offset + i)
		}
		return false, true
	}
	return false, false
}

// hide forgets where it was drawn.
func (t *table[T, K]) hide() { t.top, t.height, t.spans = 0, 0, t.spans[:0] }

// covers says whether a line of the screen is the table's.
func (t *table[T, K]) covers(y int) bool { return t.height > 0 && y >= t.top-1 && y < t.top+t.height }

func (t *table[T, K]) turn() { t.reverse, t.offset = !t.reverse, 0 }

func (t *table[T, K]) clearChoice() { t.has, t.follow = false, false }

// chooseFirst has the first row chosen, whichever that is, until a person chooses one.
func (t *table[T, K]) chooseFirst() { t.first, t.follow = true, true }

// page is how many rows are in sight.
func (t *table[T, K]) page() int { return max(t.height, 1) }

// withPeak puts a column of peaks behind that of CPU, which is not shown until there are
// any.
func withPeak[T any](columns []column[T], peak func(*T) float64) []column[T] {
	cpu := slices.IndexFunc(columns, func(c column[T]) bool { return c.title == cpuTitle })
	return slices.Insert(columns, cpu+1, column[T]{title: peakTitle, key: 'K', width: 6, rank: 0, most: true, off: true,
		value: func(b []byte, r *T) []byte { return percent(b, peak(r)) },
		order: func(a, b *T) int { return cmp.Compare(peak(a), peak(b)) }})
}

// showPeaks shows the column of peaks or not. Who sorted by CPU wants the peaks then, as
// the mean of who was busy for a second is next to nothing.
func (t *table[T, K]) showPeaks(on bool) {
	cpu, peak := -1, -1
	for i := range t.columns {
		switch t.columns[i].title {
		case cpuTitle:
			cpu = i
		case peakTitle:
			peak = i
		}
	}
	if t.columns[peak].off == !on {
		return
	}
	t.columns[peak].off = !on
	switch {
	case on && t.sort == cpu:
		t.sort = peak
	case !on && t.sort == peak:
		t.sort = cpu
	}
}
