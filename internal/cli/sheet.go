package cli

import (
	"fmt"
	"io"
	"strings"
)

// sheet is what describe prints: a line for each thing there is to say.
type sheet struct {
	lines [][2]string
}

func (s *sheet) line(label, format string, args ...any) {
	s.lines = append(s.lines, [2]string{label, fmt.Sprintf(format, args...)})
}

// list gives each item a line, the first with the label.
func (s *sheet) list(label string, items []string) {
	if len(items) == 0 {
		s.line(label, "none")
	}
	for i, item := range items {
		if i > 0 {
			label = ""
		}
		s.line(label, "%s", item)
	}
}

func (s *sheet) write(w io.Writer) error {
	width := 0
	for _, l := range s.lines {
		width = max(width, len(l[0]))
	}
	var b strings.Builder
	for _, l := range s.lines {
		fmt.Fprintf(&b, "%-*s   %s\n", width, l[0], printable(l[1]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
