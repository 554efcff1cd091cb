package netnstest_test

import (
	"net"
	"os"
	"testing"

	"sarn/internal/netnstest"
)

func TestInside(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		interfaces, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		// A kernel may put the ends of tunnels into every namespace; they are down.
		var up []string
		for _, i := range interfaces {
			if i.Flags&net.FlagUp != 0 {
				up = append(up, i.Name)
			}
		}
		if len(up) != 1 || up[0] != "lo" {
			t.Errorf("interfaces %v are up, want lo alone", up)
		}
		links, err := os.ReadDir("/sys/class/net")
		if err != nil {
			t.Fatal(err)
		}
		if len(links) != len(interfaces) {
			t.Errorf("/sys/class/net has %v, want %v", links, interfaces)
		}
		run, err := os.ReadDir("/run")
		if err != nil {
			t.Fatal(err)
		}
		if len(run) != 1 || run[0].Name() != "netns" {
			t.Errorf("/run has %v, want netns alone", run)
		}
		if pid := os.Getpid(); pid != 1 {
			t.Errorf("process %d, want 1: the processes of a test die with it", pid)
		}
		t.Run("subtests", func(t *testing.T) { t.Log("run inside too") })
	})
}

// What a test does inside must not show outside.
func TestLeavesNothing(t *testing.T) {
	const left = "/run/netns/left-by-a-test"
	netnstest.Run(t, func(t *testing.T) {
		if err := os.WriteFile(left, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := os.Stat(left); err == nil && os.Getpid() != 1 {
		t.Errorf("%s is still there", left)
	}
}
