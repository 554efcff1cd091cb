package collect

import (
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/netnstest"
)

// forks makes n processes that do nothing.
func forks(t testing.TB, n int) {
	t.Helper()
	cmd := exec.Command("perl", "-e", `$| = 1; for (1..`+itoa(n)+`) { my $pid = fork; die unless defined $pid; sleep 1000 unless $pid } print "ready\n"; sleep 1000`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	launch(t, cmd)
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal("processes cannot be made")
	}
}

// Ten times the processes cost about ten times as much, not more: with 20,000 of them, by
// hand, it is the same.
func TestManyProcesses(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		const few, many = 300, 3000
		cost := map[Reader][]time.Duration{}
		for _, n := range []int{few, many - few} {
			forks(t, n)
			for _, r := range []Reader{BPF, Files} {
				cost[r] = append(cost[r], costOf(t, Config{Reader: r}, n))
			}
		}
		for r, c := range cost {
			t.Logf("%s: CPU time of a pass over %d processes %v, over %d %v", r, few, c[0], many, c[1])
			if c[1] > 3*many/few*c[0] {
				t.Errorf("%s: a pass over %d processes takes %v, over %d %v", r, few, c[0], many, c[1])
			}
		}
	})
}

// costOf is the CPU time of a pass over n processes or more, once all are known.
func costOf(t testing.TB, conf Config, n int) time.Duration {
	t.Helper()
	c, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 4 {
		pass(t, c)
	}
	const passes = 10
	before := cpuTime(unix.RUSAGE_SELF)
	for range passes {
		if got := len(pass(t, c).Processes); got < n {
			t.Errorf("%d processes of %d", got, n)
		}
	}
	return (cpuTime(unix.RUSAGE_SELF) - before) / passes
}
