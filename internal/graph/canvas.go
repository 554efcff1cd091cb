package graph

import (
	"bytes"
	"fmt"
	"html"
)

// canvas collects the elements of a picture. Coordinates are pixels from the upper
// left; whole ones, so that lines are sharp and equal input gives equal bytes.
type canvas struct{ body bytes.Buffer }

func (c *canvas) add(format string, args ...any) {
	fmt.Fprintf(&c.body, format+"\n", args...)
}

// text writes s from x on, with its baseline at y. Further classes colour it.
func (c *canvas) text(f face, x, y int, classes, s string) { c.write(f, "", x, y, classes, s) }

// textTo is text that ends at x, whatever its font: how wide it is only its viewer knows.
func (c *canvas) textTo(f face, x, y int, classes, s string) {
	c.write(f, ` text-anchor="end"`, x, y, classes, s)
}

func (c *canvas) write(f face, anchor string, x, y int, classes, s string) {
	if s == "" {
		return
	}
	class := f.class
	if classes != "" {
		class += " " + classes
	}
	c.add(`<text class="%s" x="%d" y="%d"%s>%s</text>`, class, x, y, anchor, html.EscapeString(clean(s)))
}

func (c *canvas) rect(classes string, x, y, w, h, radius int) {
	c.add(`<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`, classes, x, y, w, h, radius)
}

func (c *canvas) line(classes string, x1, y1, x2, y2 int) {
	c.add(`<path class="%s" d="M%d %dL%d %d"/>`, classes, x1, y1, x2, y2)
}

func (c *canvas) dot(classes string, x, y, radius int) {
	c.add(`<circle class="%s" cx="%d" cy="%d" r="%d"/>`, classes, x, y, radius)
}

// colours tell subnets apart, for colour-blind people too: Okabe and Ito, "Color
// Universal Design" (2008), without black. What is darker than a dark screen allows
// has a lighter twin.
var colours = []struct{ light, dark string }{
	{"#0072b2", "#3391d1"},
	{"#e69f00", "#e69f00"},
	{"#009e73", "#12b886"},
	{"#cc79a7", "#d58bb4"},
	{"#d55e00", "#e8772e"},
	{"#56b4e9", "#8fd0f5"},
	{"#b5a800", "#f0e442"},
}

// swatch is a square of 10 pixels in the n-th colour. When the colours are used up the
// shape changes: hollow, round, round and hollow.
func (c *canvas) swatch(n, x, y int) {
	if n < 0 {
		return
	}
	colour, shape := n%len(colours), n/len(colours)%4
	radius := 2
	if shape >= 2 {
		radius = 5
	}
	if shape%2 == 0 {
		c.rect(fmt.Sprintf("fill%d", colour), x, y, 10, 10, radius)
	} else {
		c.rect(fmt.Sprintf("hollow edge%d", colour), x+1, y+1, 8, 8, radius)
	}
}

// svg wraps up what was drawn. The title is for those who do not see the picture.
func (c *canvas) svg(width, height int, title string) []byte {
	var b bytes.Buffer
	title = html.EscapeString(clean(title))
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		width, height, width, height, title)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>\n%s</style>\n", title, style())
	fmt.Fprintf(&b, `<rect class="page" width="%d" height="%d" rx="12"/>`+"\n", width, height)
	b.Write(c.body.Bytes())
	b.WriteString("</svg>\n")
	return b.Bytes()
}

const (
	sansFonts = `system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",Arial,sans-serif`
	monoFonts = `ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace`

	lightStyle = `text{fill:#1f2328}
.quiet{fill:#59636e}
.good{fill:#1a7f37}
.bad{fill:#c5221f}
.page{fill:#fff}
.card{fill:#f6f8fa;stroke:#c4ccd5}
.card.down{stroke:#c5221f;stroke-width:1.5;stroke-dasharray:6 4}
.rail{fill:#dfe6ee;stroke:#aab5c2}
.cable{fill:none;stroke:#6e7b8a;stroke-width:2}
.plug{fill:#6e7b8a}
.rule{fill:none;stroke:#d5dbe2}
.icon{fill:none;stroke:#59636e;stroke-width:1.4}
.chip{fill:#fff}
.chip.down{fill:none;stroke-dasharray:4 3}
.tint{fill-opacity:.1}
.hollow{fill:none;stroke-width:2}
.lost{fill:none;stroke:#c5221f;stroke-width:1.6}
.goal{fill:none;stroke:#59636e;stroke-width:1.5;stroke-dasharray:5 4}
.range{fill:none;stroke:#1f2328;stroke-width:1.5}
`
	darkStyle = `text{fill:#e6edf3}
.quiet{fill:#9aa6b2}
.good{fill:#56d364}
.bad{fill:#ff8078}
.page{fill:#0d1117}
.card{fill:#161b22;stroke:#3d4650}
.card.down{stroke:#ff8078}
.rail{fill:#252d38;stroke:#4a5563}
.cable{stroke:#8693a1}
.plug{fill:#8693a1}
.rule{stroke:#30363d}
.icon{stroke:#9aa6b2}
.chip{fill:#0d1117}
.tint{fill-opacity:.16}
.lost{stroke:#ff8078}
.goal{stroke:#9aa6b2}
.range{stroke:#e6edf3}
`
)

func style() string {
	var b bytes.Buffer
	for _, f := range faces() {
		fonts, weight := sansFonts, 400
		if f.mono {
			fonts = monoFonts
		}
		if f.bold {
			weight = 600
		}
		fmt.Fprintf(&b, ".%s{font:%d %gpx %s}\n", f.class, weight, f.size, fonts)
	}
	b.WriteString(lightStyle)
	for i, c := range colours {
		fmt.Fprintf(&b, ".fill%d{fill:%s}\n.edge%d{stroke:%s}\n", i, c.light, i, c.light)
	}
	b.WriteString("@media (prefers-color-scheme:dark){\n" + darkStyle)
	for i, c := range colours {
		fmt.Fprintf(&b, ".fill%d{fill:%s}\n.edge%d{stroke:%s}\n", i, c.dark, i, c.dark)
	}
	b.WriteString("}\n")
	return b.String()
}
