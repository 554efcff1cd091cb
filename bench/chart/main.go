// Chart draws figures from standard input as bars: an SVG on standard output.
//
//	printf 'Sarn\t10492\t9800\t10900\nby hand\t10930\n' |
//	    go run ./bench/chart -title 'VM to VM' -unit Mbit/s -goal 10602 > chart.svg
//
// Each line is label, value and, if the figure is a range, its low and high end, with
// tabs or commas between. Empty lines and those that begin with # are left out.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"sarn/internal/graph"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(2)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	var c graph.Chart
	f := flag.NewFlagSet("chart", flag.ExitOnError)
	f.StringVar(&c.Title, "title", "", "what the figures are of")
	f.StringVar(&c.Unit, "unit", "", "unit of the figures")
	f.Func("goal", "draw a line at this figure", func(s string) error {
		v, err := strconv.ParseFloat(s, 64)
		c.Goal = &v
		return err
	})
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is too much: the figures come from standard input", f.Arg(0))
	}
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		b, err := parse(text)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		c.Bars = append(c.Bars, b)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read figures: %w", err)
	}
	if err := c.Validate(); err != nil {
		return err
	}
	_, err := out.Write(c.SVG())
	return err
}

// parse reads one line.
func parse(line string) (graph.Bar, error) {
	separator := ","
	if strings.Contains(line, "\t") {
		separator = "\t"
	}
	words := strings.Split(line, separator)
	b := graph.Bar{Label: strings.TrimSpace(words[0])}
	if len(words) != 2 && len(words) != 4 {
		return b, fmt.Errorf("%q has %d columns; want label and value, or label, value, low and high", line, len(words))
	}
	into := []*float64{&b.Value, &b.Low, &b.High}
	for i, w := range words[1:] {
		v, err := strconv.ParseFloat(strings.TrimSpace(w), 64)
		if err != nil {
			return b, fmt.Errorf("%q is not a number", w)
		}
		*into[i] = v
	}
	return b, nil
}
