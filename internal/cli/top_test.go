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

// CSV has figures in full, however large: no digit is lost and none is an exponent.
func TestTopCSVFigures(t *testing.T) {
	s := &sample.Sample{Processes: []sample.Process{{PID: 7, CPU: 0.0123456789, CPUTime: 12_345_678.91, ReadBytes: 9_876_543_210.5, TxBytes: -1}}}
	var out bytes.Buffer
	a := &app{State: State{Out: &out, Getenv: func(string) string { return "" }}}
	f := &topFlags{output: topFormat(formatCSV), count: 1, fields: []string{"pid", "cpu", "cpu_time", "read_bytes", "tx_bytes"}}
	if err := a.printSample(f, s, true); err != nil {
		t.Fatal(err)
	}
	if want := "pid,cpu,cpu_time,read_bytes,tx_bytes\n7,0.012346,12345678.91,9876543210.5,-1\n"; out.String() != want {
		t.Errorf("%s, not %s", out.String(), want)
	}
}
