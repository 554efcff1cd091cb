package cli

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"sarn/internal/monitor/sample"
)

// Whatever things are called, nothing that steers a terminal is printed.
func TestTopEscapesNames(t *testing.T) {
	const evil = "a\x1b[31m\nb\x00\u009b\u202e\xff<b>\"',=1"
	for _, form := range topFormats() {
		s := &sample.Sample{
			Host:        sample.Host{Name: evil, OS: evil, Model: evil},
			Disks:       []sample.Disk{{Name: evil}},
			Filesystems: []sample.Filesystem{{Mount: evil, Device: evil, Type: evil, Size: 1}},
			Interfaces:  []sample.Interface{{Name: evil, Up: true}},
			Sensors:     []sample.Sensor{{Chip: evil, Label: evil, Kind: "fan"}},
			Machines:    []sample.Machine{{ID: evil, Name: evil, By: evil, Interfaces: []string{evil}}},
			Processes:   []sample.Process{{PID: 7, User: evil, Name: evil, Command: evil, Machine: evil}},
		}
		var out bytes.Buffer
		a := &app{State: State{Out: &out, Getenv: func(string) string { return "" }}}
		f := &topFlags{output: topFormat(form), sort: "cpu", count: 1}
		f.pick(s)
		escape(s)
		if err := a.printSample(f, s, true); err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		if !strings.Contains(out.String(), "31m") {
			t.Errorf("%s: the name is not there: %s", form, out.String())
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%s prints %q", form, r)
			}
		}
		if form == string(formatCSV) && strings.Count(out.String(), "\n") != 2 {
			t.Errorf("a name breaks the rows:\n%s", out.String())
		}
	}
}
