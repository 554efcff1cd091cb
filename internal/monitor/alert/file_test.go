package alert

import (
	"os"
	"strings"
	"testing"
)

func TestTheExampleIsGoodAndHasEveryKind(t *testing.T) {
	data, err := os.ReadFile("../../../examples/monitor/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("alerts.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, r := range c.Rules {
		used[r.Of] = true
	}
	for _, k := range kinds() {
		if !used[k.name] {
			t.Errorf("the example has no rule of a %s", k.name)
		}
	}
	report, err := Check("alerts.yaml", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range report.Rules {
		got[r.Name] = r.Means
	}
	for name, want := range map[string]string{
		"cpu":           "CPU in use: careful at or above 80%, warning at or above 90%, critical at or above 97%, for 5m0s; clears below 70% for 1m0s; tells log",
		"memory":        "memory that is available: warning below 2 GiB, critical below 500 MiB, for 1m0s; clears at or above 2.22 GiB for 1m0s; tells log, oncall",
		"database-gone": `critical when no process is there with name "postgres", for 30s; clears when it is there for 1m0s; tells oncall, mail`,
		"guest-memory":  `memory in use, of what it was given of each machine with kind "container" and name "web*": warning at or above 90%, for 1m0s; clears below 81% for 1m0s; tells log`,
	} {
		if got[name] != want {
			t.Errorf("%s means\n  %s, want\n  %s", name, got[name], want)
		}
	}
}

func TestEveryMistakeIsToldAtOnceWithItsLine(t *testing.T) {
	data, err := os.ReadFile("testdata/bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse("bad.yaml", data)
	if err == nil {
		t.Fatal("the file is taken")
	}
	want, _ := os.ReadFile("testdata/bad.golden")
	if got := err.Error() + "\n"; got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "f:1: is empty",
		"rules: []":            "f:1: rules: is missing or empty",
		"- x":                  "f:1: a file of alerts is a list",
		"rules: [}":            "f:1: ",
		"rules: []\n---\na: b": "f:3: is a second document",
		"rules: 5":             "f:1: rules: is a list",
		"rules:\n- name: *web": "f:2: *web stands for nothing: no &web comes before it; a text that begins with '*' needs quotes",
		"rules: []\nrules: []": "f:2: ",
		"! ! &":                "f:1: ",
	} {
		if _, err := Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		unit unit
		text string
		want float64
	}{
		{share, "80%", 0.8}, {cpus, "1.5", 1.5}, {cpus, "150%", 1.5}, {size, "2GiB", 2 << 30}, {size, "500 MB", 5e8}, {size, "7", 7},
		{size, "4KiB", 4096}, {rate, "50MB/s", 5e7}, {rate, "400Mbit/s", 5e7}, {persec, "3/s", 3}, {seconds, "20ms", 0.02}, {number, "1e3", 1000},
	} {
		if got, err := c.unit.parse(c.text); err != nil || got != c.want {
			t.Errorf("%s: %v %v, want %v", c.text, got, err, c.want)
		}
	}
	for _, c := range []struct {
		unit unit
		text string
	}{{share, "80"}, {share, "nan%"}, {size, "2GiBi"}, {size, "B"}, {rate, "5MB"}, {number, "inf"}, {number, "0x10"}, {cpus, "-1"}, {seconds, "5"}, {size, "1e400"}} {
		if got, err := c.unit.parse(c.text); err == nil {
			t.Errorf("%s is taken as %v", c.text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"../../../examples/monitor/alerts.yaml", "testdata/bad.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("rules: [{name: a, of: system, value: cpu, warning: 1%, match: {x: !y z}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("an error without a place: %v", err)
			}
			return
		}
		if ps := validate(c); len(ps) > 0 {
			t.Errorf("taken and not good: %v", ps)
		}
	})
}

// TestSmallThresholdsAreTold: rounding does not make what fires and what clears one number.
func TestSmallThresholdsAreTold(t *testing.T) {
	report, err := Check("x", []byte("rules: [{name: x, of: process, value: cpu, warning: 5%}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if means := report.Rules[0].Means; !strings.Contains(means, "above 0.05 CPUs") || !strings.Contains(means, "clears below 0.045 CPUs") {
		t.Error(means)
	}
}
