package strict_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"sarn/internal/problem"
	"sarn/internal/strict"
)

type span time.Duration

func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("is not a time")
	}
	*s = span(d)
	return nil
}

type host struct {
	Name  string            `json:"name"`
	Every *span             `json:"every"`
	Up    bool              `json:"up,omitempty"`
	Share float64           `json:"share"`
	Port  uint16            `json:"port"`
	Args  []string          `json:"args"`
	Env   map[string]string `json:"env"`
	Empty struct{}          `json:"empty"`
}

type file struct {
	Hosts []host `json:"hosts"`
	Limit int    `json:"limit"`
}

var kind = strict.Kind{Name: "a list", First: "hosts"}

func read(text string) (*file, *strict.Document, error) {
	f := &file{}
	d, err := strict.Read("f.yaml", []byte(text), kind, f)
	if err != nil {
		return nil, nil, err
	}
	return f, d, d.Check(nil)
}

func TestReadTakesWordsAsTheyAreWritten(t *testing.T) {
	f, d, err := read("\ufeff# a comment\nlimit: -3\nhosts:\n- {name: 010, every: 1m30s, up: true, share: 0.5, port: 22, args: [yes, 0x10, &n 1.50], env: {A: *n, 1: on}, empty: {}}\n- name: |\n    two\n    lines\n")
	if err != nil {
		t.Fatal(err)
	}
	every := span(90 * time.Second)
	want := &file{Limit: -3, Hosts: []host{
		{Name: "010", Every: &every, Up: true, Share: 0.5, Port: 22, Args: []string{"yes", "0x10", "1.50"}, Env: map[string]string{"A": "1.50", "1": "on"}},
		{Name: "two\nlines\n"},
	}}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got %+v, want %+v", f, want)
	}
	for field, has := range map[string]bool{"limit": true, "hosts.0.env.A": true, "hosts.1.env": false, "hosts.2": false, "hosts.x": false} {
		if d.Has(field) != has {
			t.Errorf("Has(%s) is %t", field, !has)
		}
	}
}

func TestEachMistakeIsToldWithItsLine(t *testing.T) {
	laughs := "hosts: [{args: [&a x"
	for c := 'b'; c < 's'; c++ {
		laughs += ", &" + string(c) + " [*" + string(c-1) + ", *" + string(c-1) + "]"
	}
	for text, want := range map[string]string{
		"":                                  "f.yaml:1: is empty; a list has at least `hosts:`",
		"# nothing\n":                       "f.yaml:1: is empty",
		"- a\n":                             "f.yaml:1: a list is a list of `field: value` lines",
		"limit: 1\n---\nlimit: 2\n":         "f.yaml:3: is a second document",
		"limit: 1\nlimit: 2\n":              "f.yaml:2: ",
		"limit: [\n":                        "f.yaml:1: ",
		"hosts:\n- name: [a]\n":             "f.yaml:2: hosts.0.name: is one value",
		"\nlimits: 1\n":                     "f.yaml:2: limits: is not a field; use one of hosts, limit",
		"limit: 1.5\n":                      `f.yaml:1: limit: "1.5" is not a whole number`,
		"hosts: [{port: 70000}]\n":          `f.yaml:1: hosts.0.port: "70000" is not a whole number from 0 on`,
		"hosts: [{port: -1}]\n":             `f.yaml:1: hosts.0.port: "-1" is not`,
		"hosts: [{share: .nan}]\n":          `f.yaml:1: hosts.0.share: ".nan" is not a number`,
		"hosts: [{up: yes}]\n":              `f.yaml:1: hosts.0.up: "yes" is neither true nor false`,
		"hosts:\n- every: 3\n":              "f.yaml:2: hosts.0.every: is not a time",
		"hosts: a\n":                        "f.yaml:1: hosts: is a list",
		"hosts: [a]\n":                      "f.yaml:1: hosts.0: is `field: value` lines",
		"hosts: [{env: [a]}]\n":             "f.yaml:1: hosts.0.env: is `name: text` lines",
		"hosts: [{empty: {a: b}}]\n":        "f.yaml:1: hosts.0.empty.a: is not a field; there are none here",
		"hosts: [{name: *a}]\n":             "f.yaml:1: *a stands for nothing",
		"hosts: &h [{args: *h}]\n":          "f.yaml:1: *h stands for nothing",
		"hosts: [{name: !x a}]\n":           "f.yaml:1: tags are not read",
		laughs + "]}]\n":                    "f.yaml:1: the file unfolds to too many values",
		"limits: &l 1\nlimit: *l\n":         "f.yaml:1: limits: is not a field",
		"\n" + strings.Repeat("[", 200_000): "f.yaml:2: is nested too deep",
	} {
		if _, _, err := read(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v; want %s", text, err, want)
		}
	}
}

func TestCheckTellsAllInTheOrderOfTheLines(t *testing.T) {
	f := &file{}
	d, err := strict.Read("f.yaml", []byte("limit: 5\nhosts:\n- name: a\n  port: many\n- nam: b\n"), kind, f)
	if err != nil {
		t.Fatal(err)
	}
	var ps problem.Problems
	ps.Add("hosts.0.port", "is missing")  // which it is not: it cannot be read
	ps.Add("hosts.1.name", "is missing")  // told where the host stands
	ps.Add("limit", "is more than %d", 4) // on the first line
	ps.Add("speed", "is nowhere, said %s", "first")
	want := `f.yaml:1: limit: is more than 4
f.yaml:1: speed: is nowhere, said first
f.yaml:4: hosts.0.port: "many" is not a whole number from 0 on
f.yaml:5: hosts.1.nam: is not a field; use one of name, every, up, share, port, args, env, empty
f.yaml:5: hosts.1.name: is missing`
	if err := d.Check(ps); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("hosts:\n- {name: a, every: 1s}\nlimit: 3\n")
	f.Add("hosts: [&a {name: x}, *a]\n")
	f.Add("hosts: !!binary |\n  x\n")
	f.Fuzz(func(t *testing.T, text string) {
		into, _, err := read(text)
		var ps problem.Problems
		if err != nil && (!errors.As(err, &ps) || len(ps) == 0 || ps[0].Line < 1) {
			t.Errorf("%q: %v is not a list of problems", text, err)
		}
		if err == nil && into == nil {
			t.Errorf("%q: nothing was read", text)
		}
	})
}
