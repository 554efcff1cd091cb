package load

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestLimit is when the load test says that it has measured itself.
func TestLimit(t *testing.T) {
	machine := machineTime{cpus: 4}
	for _, c := range []struct {
		name         string
		cpus         int
		busy, queued float64
		local, want  bool
	}{
		{"idle", 4, 0.2, 0, false, false},
		{"busy", 4, 0.95, 0, false, true},
		{"busy beside the server", 4, 0.95, 0, true, true},
		{"has to wait for others", 1, 0.5, 0.45, true, true},
		{"has to wait, and the server is elsewhere", 4, 0.5, 0.45, false, true},
		{"waits for the server, which has the same CPUs", 4, 0.5, 0.45, true, false},
	} {
		r := &Result{Requests: 10_000, Client: Client{CPUs: c.cpus, Busy: c.busy, Queued: c.queued}}
		n := notes{Result: r, sum: newLane(), used: &usage{seconds: 10, all: machine}, local: c.local}
		n.client()
		said := strings.Contains(strings.Join(r.Notes, " "), "The load test was the limit")
		if r.Client.Limit != c.want || said != c.want {
			t.Errorf("%s: %v, %q", c.name, r.Client.Limit, r.Notes)
		}
	}
}

func TestMachineTime(t *testing.T) {
	all, own := readMachineTime()
	if all.cpus < own.cpus || own.cpus < 1 || all.total < own.total || all.idle > all.total || all.total == 0 {
		t.Errorf("all %+v, own %+v", all, own)
	}
	if pages, err := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*"); err != nil || all.cpus > len(pages) {
		t.Errorf("%d CPUs, %d in /sys, %v", all.cpus, len(pages), err)
	}
}
