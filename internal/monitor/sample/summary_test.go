package sample

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSummarize has the first of each order, and each process once.
func TestSummarize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Sample{}
		for pid := range rapid.IntRange(0, 30).Draw(t, "processes") {
			figure := func(name string) float64 { return float64(rapid.IntRange(-1, 5).Draw(t, name)) }
			s.Processes = append(s.Processes, Process{PID: pid + 1, CPU: max(figure("cpu"), 0), Resident: uint64(max(figure("memory"), 0)), ReadBytes: figure("read"), TxBytes: figure("tx")})
		}
		n := rapid.IntRange(0, 6).Draw(t, "n")
		sum := Summarize(s, n)
		for i := 1; i < len(sum.Processes); i++ {
			if sum.Processes[i-1].PID >= sum.Processes[i].PID {
				t.Fatalf("in this order: %v", sum.Processes)
			}
		}
		for _, by := range By() {
			figures := func(all []Process) string {
				var values []float64
				for i := range all {
					if v := all[i].Figure(by); v > 0 {
						values = append(values, v)
					}
				}
				slices.Sort(values)
				slices.Reverse(values)
				return fmt.Sprint(values[:min(len(values), n)])
			}
			if got, want := figures(sum.Processes), figures(s.Processes); got != want {
				t.Fatalf("the first %d by %s are %s, not %s", n, by, got, want)
			}
		}
	})
}

// TestSummaryOfDevices counts what the machine itself sends, not what passes between it
// and its VMs.
func TestSummaryOfDevices(t *testing.T) {
	s := &Sample{
		Disks:      []Disk{{ReadBytes: 1, WriteBytes: 2}, {ReadBytes: 10}},
		Interfaces: []Interface{{Name: "lo", RxBytes: 1000}, {Name: "eth0", RxBytes: 5, TxBytes: 6}, {Name: "tap0", RxBytes: 100}},
		Machines:   []Machine{{Kind: VM, Interfaces: []string{"tap0"}}, {Kind: Container}, {Kind: Container}},
	}
	sum := Summarize(s, 3)
	if got, want := fmt.Sprint(sum.RxBytes, sum.TxBytes), "5 6"; got != want {
		t.Errorf("without physical interfaces %s, not %s", got, want)
	}
	s.Disks = append(s.Disks, Disk{Name: "dm-0", ReadBytes: 11, WriteBytes: 2, Stacked: true})
	s.Interfaces[1].Physical = true
	s.Interfaces = append(s.Interfaces, Interface{Name: "br0", RxBytes: 5, TxBytes: 6}, Interface{Name: "veth0", RxBytes: 5, TxBytes: 6})
	sum = Summarize(s, 3)
	if got, want := fmt.Sprint(sum.ReadBytes, sum.WriteBytes, sum.RxBytes, sum.TxBytes, sum.VMs, sum.Containers), "11 2 5 6 1 2"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
