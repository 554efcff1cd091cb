package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestChart(t *testing.T) {
	const figures = "# label\tvalue\tlow\thigh\n\nSarn\t10492\t9072\t11476\nby hand, alone\t10930\n"
	var out bytes.Buffer
	if err := run([]string{"-title", "VM to VM", "-unit", "Mbit/s", "-goal", "10602"}, strings.NewReader(figures), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">VM to VM<", ">Mbit/s<", ">10,492 (9,072 to 11,476)<", ">by hand, alone<", ">goal 10,602<"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the chart lacks %s", want)
		}
	}
	out.Reset()
	if err := run(nil, strings.NewReader("a, 1\nb, 2, 1, 3\n"), &out); err != nil || !strings.Contains(out.String(), ">2 (1 to 3)<") {
		t.Errorf("with commas: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	for in, want := range map[string]string{
		"":              "no figures",
		"a\t1\nb":       "line 2: ",
		"a\tx":          `"x" is not a number`,
		"a\t1\t2":       "has 3 columns",
		"a\t-1":         "not negative",
		"a\t1\t3\t2":    "above the high end",
		"a\t1\t0\tNaN":  "finite",
		"a\t1\t0\t+Inf": "finite",
	} {
		var out bytes.Buffer
		if err := run(nil, strings.NewReader(in), &out); err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%q: %v; want %q", in, err, want)
		}
	}
	if err := run([]string{"file"}, strings.NewReader("a\t1"), &bytes.Buffer{}); err == nil {
		t.Error("an argument is passed over")
	}
}
