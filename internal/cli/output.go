package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"golang.org/x/term"

	"sarn/internal/intent"
)

// format is the value of --output.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

var formats = []string{string(formatTable), string(formatJSON), string(formatYAML)}

// String implements pflag.Value.
func (f *format) String() string {
	if *f == "" {
		return string(formatTable)
	}
	return string(*f)
}

// Type implements pflag.Value.
func (f *format) Type() string { return "format" }

// Set implements pflag.Value.
func (f *format) Set(s string) error {
	if !slices.Contains(formats, s) {
		return fmt.Errorf("use %s", strings.Join(formats, ", "))
	}
	*f = format(s)
	return nil
}

// print writes v as JSON or YAML, or calls table if that is what is asked for.
func (a *app) print(v any, table func() error) error {
	switch a.format {
	case formatJSON:
		return writeJSON(a.Out, v)
	case formatYAML:
		text, err := asYAML(v)
		if err != nil {
			return err
		}
		_, err = a.Out.Write(text)
		return err
	default:
		return table()
	}
}

// asYAML has the names and values that JSON has.
func asYAML(v any) ([]byte, error) {
	js, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode output: %w", err)
	}
	text, err := yaml.JSONToYAML(js)
	if err != nil {
		return nil, fmt.Errorf("encode output: %w", err)
	}
	return text, nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printObjects writes objects: as a table with the columns, as a JSON array, or as
// YAML documents that `sarn apply` takes.
func (a *app) printObjects(objects []intent.Object, t *table, row func(intent.Object) []string) error {
	switch a.format {
	case formatJSON:
		list := make([]json.RawMessage, len(objects))
		for i, o := range objects {
			js, err := withKind(o)
			if err != nil {
				return err
			}
			list[i] = js
		}
		return writeJSON(a.Out, list)
	case formatYAML:
		for _, o := range objects {
			// A file is kept and applied again: it must not say which revision it
			// expects, or the second time would be refused.
			o.Head().Revision = 0
		}
		return intent.WriteYAML(a.Out, objects...)
	default:
		for _, o := range objects {
			t.add(row(o)...)
		}
		return a.printTable(t)
	}
}

func withKind(o intent.Object) (json.RawMessage, error) {
	js, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", intent.RefOf(o), err)
	}
	return append([]byte(`{"kind":`+strconv.Quote(string(o.Kind()))+`,`), js[1:]...), nil
}

// table is rows under headings.
type table struct {
	head []string
	rows [][]string
	// alarm picks the cells to show in red on a terminal; nil picks none.
	alarm func(column, cell string) bool
}

func newTable(head ...string) *table { return &table{head: head} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (a *app) printTable(t *table) error {
	rows := make([][]string, 0, len(t.rows)+1)
	if !a.noHeaders {
		rows = append(rows, t.head)
	}
	for _, r := range t.rows {
		clean := make([]string, len(r))
		for i, c := range r {
			clean[i] = orDash(printable(c))
		}
		rows = append(rows, clean)
	}
	width := make([]int, len(t.head))
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	colour := a.colourful()
	var b strings.Builder
	for n, r := range rows {
		for i, c := range r {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c)+3)
			if i == len(r)-1 {
				pad = ""
			}
			switch {
			case colour && n == 0 && !a.noHeaders:
				c = bold(c)
			case colour && t.alarm != nil && t.alarm(t.head[i], c):
				c = red(c)
			}
			b.WriteString(c + pad)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(a.Out, b.String())
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func bold(s string) string { return "\x1b[1m" + s + "\x1b[0m" }
func red(s string) string  { return "\x1b[31m" + s + "\x1b[0m" }

// colourful reports whether colour is welcome: on a terminal, unless NO_COLOR says
// otherwise (no-color.org).
func (a *app) colourful() bool {
	return a.Getenv("NO_COLOR") == "" && a.Getenv("TERM") != "dumb" && isTerminal(a.Out)
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printable escapes what would steer a terminal instead of being read. Names and
// errors come from other machines.
func printable(s string) string {
	clean := func(r rune) bool { return r == '\t' || unicode.IsPrint(r) }
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case clean(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}
