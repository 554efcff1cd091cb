package graph

import (
	"math"
	"strings"
)

// face is a way to set text. Its class names it in the style sheet.
type face struct {
	class string
	size  float64 // pixels
	mono  bool
	bold  bool
}

var (
	titleFace = face{"title", 20, false, true}
	nameFace  = face{"name", 15, false, true}
	labelFace = face{"label", 12, false, true}
	plainFace = face{"plain", 12, false, false}
	monoFace  = face{"mono", 11, true, false}
)

// faces lists them all for the style sheet.
func faces() []face { return []face{titleFace, nameFace, labelFace, plainFace, monoFace} }

// width returns about how many pixels s takes. Nobody knows with which font it will be
// shown, so this goes by the widest of the common ones, DejaVu.
func (f face) width(s string) int {
	ems := 0.0
	for _, r := range s {
		ems += f.advance(r)
	}
	return int(math.Ceil(ems * f.size))
}

func (f face) advance(r rune) float64 {
	if r > 0x2e7f { // East Asian letters take a whole square
		return 1.05
	}
	if f.mono {
		return 0.61
	}
	w := 0.64
	switch {
	case strings.ContainsRune("ijlI.,:;'|![]()/ -", r):
		w = 0.38
	case strings.ContainsRune("mwMW@%", r):
		w = 0.99
	case r >= 'A' && r <= 'Z':
		w = 0.76
	}
	if f.bold {
		w *= 1.1
	}
	return w
}

// fit cuts s to the width, with an ellipsis where something is cut off.
func (f face) fit(s string, width int) string {
	if f.width(s) <= width {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && f.width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// wrap breaks s into lines of at most the width, and at most that many of them.
func (f face) wrap(s string, width, lines int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(s) {
		longer := strings.TrimSpace(line + " " + word)
		if line != "" && f.width(longer) > width {
			out = append(out, f.fit(line, width))
			longer = word
		}
		line = longer
	}
	if line != "" {
		out = append(out, f.fit(line, width))
	}
	if len(out) > lines {
		out = out[:lines]
		out[lines-1] = f.fit(out[lines-1]+" …", width)
		if !strings.HasSuffix(out[lines-1], "…") {
			out[lines-1] += "…"
		}
	}
	return out
}

// clean replaces what XML cannot hold, however it is escaped (XML 1.0, section 2.2),
// and what would break the line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0xd800 && r < 0xe000 || r == 0xfffe || r == 0xffff:
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
