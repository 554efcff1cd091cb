package term

import (
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"
)

// ascii has every printable ASCII character once: a part of it is a cell's text that
// needs no memory.
const ascii = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// cell is one place of the grid. text is one character with its marks; the right half
// of a wide one is "".
type cell struct {
	text string
	look look
}

// grid is the screen in memory. next is drawn; shown is what the terminal has.
type grid struct {
	w, h        int
	next, shown []cell
}

// clear makes the grid blank and as large as the screen.
func (g *grid) clear(w, h int) {
	if g.w != w || g.h != h {
		g.w, g.h = w, h
		g.next = make([]cell, w*h)
		g.shown = make([]cell, w*h) // "" everywhere: nothing is known
	}
	for i := range g.next {
		g.next[i] = cell{text: ascii[:1]}
	}
}

// flush hands the cells that differ to the screen, and says whether there were any.
func (g *grid) flush(s tcell.Screen, styles *[looks]tcell.Style) bool {
	changed := false
	for i, c := range g.next {
		if c == g.shown[i] {
			continue
		}
		changed = true
		g.shown[i] = c
		if c.text != "" {
			s.Put(i%g.w, i/g.w, c.text, styles[c.look])
		}
	}
	return changed
}

// set puts a character that is width cells wide.
func (g *grid) set(x, y int, text string, width int, l look) {
	if x < 0 || y < 0 || y >= g.h || x+width > g.w {
		return
	}
	at := y*g.w + x
	if g.next[at].text == "" { // half a character is none
		g.next[at-1].text = ascii[:1]
	}
	if x+width < g.w && g.next[at+width].text == "" {
		g.next[at+width].text = ascii[:1]
	}
	g.next[at] = cell{text, l}
	if width == 2 {
		g.next[at+1] = cell{"", l}
	}
}

// bytes puts ASCII, up to width cells, and returns the place behind it.
func (g *grid) bytes(x, y, width int, b []byte, l look) int {
	for i, c := range b {
		if i >= width {
			break
		}
		g.ascii(x, y, c, l)
		x++
	}
	return x
}

// right puts ASCII at the right end of width cells. What has no room becomes "#", as
// half a number is a wrong one.
func (g *grid) right(x, y, width int, b []byte, l look) {
	if len(b) > width {
		for i := range width {
			g.ascii(x+i, y, '#', l)
		}
		return
	}
	g.bytes(x+width-len(b), y, width, b, l)
}

func (g *grid) ascii(x, y int, c byte, l look) {
	if c < ' ' || c > '~' {
		c = '?'
	}
	g.set(x, y, ascii[c-' ':c-' '+1], 1, l)
}

// text puts text from anywhere into at most width cells, and returns the place behind
// it. What is not printable becomes an escape. A "~" in the last cell says that
// there is more.
func (g *grid) text(x, y, width int, s string, l look) int {
	end := min(x+width, g.w)
	for s != "" {
		c, rest, cells := next(s)
		if x+cells > end || (x+cells == end && rest != "" && width > 1) {
			if x < end {
				g.ascii(x, y, '~', l)
				x++
			}
			return x
		}
		switch {
		case cells > 2: // an escape
			for i := range len(c) {
				g.ascii(x+i, y, c[i], l)
			}
		default:
			g.set(x, y, c, cells, l)
		}
		x, s = x+cells, rest
	}
	return x
}

// next cuts the first character off s, as it may be shown, with its width in cells.
func next(s string) (shown, rest string, cells int) {
	if c := s[0]; c >= ' ' && c <= '~' && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return s[:1], s[1:], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && n == 1:
		const hex = "0123456789abcdef"
		return string([]byte{'\\', 'x', hex[s[0]>>4], hex[s[0]&15]}), s[1:], 4
	case !unicode.IsPrint(r) || unicode.Is(unicode.M, r):
		q := strconv.QuoteRuneToASCII(r)
		q = q[1 : len(q)-1]
		if len(q) == 2 { // as \n, which must be told from a wide character
			const hex = "0123456789abcdef"
			q = string([]byte{'\\', 'x', hex[r>>4&15], hex[r&15]})
		}
		return q, s[n:], len(q)
	}
	// A character and its marks. Marks without end, and joined characters, of which
	// terminals do not agree on the width, are shown as the first one alone.
	const mostMarks = 4
	to, marks := n, 0
	for to < len(s) {
		m, k := utf8.DecodeRuneInString(s[to:])
		if !unicode.Is(unicode.Mn, m) {
			break
		}
		to += k
		marks++
	}
	width := min(max(uniseg.StringWidth(s[:n]), 1), 2)
	if marks > mostMarks || hasVariation(s[n:to]) {
		return s[:n], s[to:], width
	}
	return s[:to], s[to:], width
}

// hasVariation tells of selectors that may make a narrow character wide.
func hasVariation(marks string) bool {
	for _, r := range marks {
		if unicode.Is(unicode.Variation_Selector, r) {
			return true
		}
	}
	return false
}

// paint gives the cells of a row another look.
func (g *grid) paint(x, y, w int, l look) {
	for col := max(x, 0); col < min(x+w, g.w) && y >= 0 && y < g.h; col++ {
		g.next[y*g.w+col].look = l
	}
}
