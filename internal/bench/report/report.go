package report

import (
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"time"
)

//go:embed *.html
var pages embed.FS

// page is what the frame shows of every report, and the body's own data.
type page struct {
	Title string
	// Kind says what sort of report it is, such as "Comparison of web servers".
	Kind    string
	Started time.Time
	Program string // who made it
	Body    any
}

// render writes the page whose body is in the file.
func render(w io.Writer, file string, p page) error {
	t, err := template.New("frame.html").Funcs(template.FuncMap{"figure": figure, "count": count, "image": image}).ParseFS(pages, "frame.html", file)
	if err != nil {
		return fmt.Errorf("read the report's template: %w", err)
	}
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// image puts a picture into the page. As an image it has its own style, and what is in
// it cannot act.
func image(svg []byte) template.URL {
	return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(svg))
}

// figure writes v with three digits that say something, and thousands apart.
func figure(v float64) string {
	digits := 0
	if v != 0 && math.Abs(v) < 100 {
		digits = min(2-int(math.Floor(math.Log10(math.Abs(v)))), 6)
	}
	return group(strconv.FormatFloat(v, 'f', digits, 64), digits)
}

func count(v int64) string { return group(strconv.FormatInt(v, 10), 0) }

// group puts thin spaces between thousands.
func group(text string, digits int) string {
	end := len(text)
	if digits > 0 {
		end -= digits + 1
	}
	for at := end - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "\u202f" + text[at:]
	}
	return text
}
