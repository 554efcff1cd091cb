package netload

import (
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	type want struct{ received, reordered, duplicated int64 }
	far := func(n ...int) []int { return append(n, 3*window, 3*window+1) }
	for name, c := range map[string]struct {
		numbers []int
		want    want
	}{
		"in order":     {[]int{0, 1, 2, 3}, want{4, 0, 0}},
		"with a gap":   {[]int{0, 1, 5, 6}, want{4, 0, 0}},
		"late":         {[]int{0, 2, 1, 3}, want{4, 1, 0}},
		"very late":    {append(far(0), 2), want{4, 1, 0}},
		"twice":        {[]int{0, 1, 1, 2, 0}, want{3, 0, 2}},
		"late twice":   {[]int{0, 2, 1, 1}, want{3, 1, 1}},
		"window round": {append(far(1), window+1, 3*window+1), want{4, 1, 1}},
	} {
		tally := newTally(Test{Kind: UDPStream, Size: 16, Time: time.Second})
		var b [16]byte
		for _, n := range c.numbers {
			putStamp(b[:], uint64(n)|counted, 0)
			tally.arrived(b[:], time.Now(), 0)
			putStamp(b[:], uint64(n), 0) // one that does not count
			tally.arrived(b[:], time.Now(), 0)
		}
		if got := (want{tally.Received, tally.Reordered, tally.Duplicated}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// A way that takes 1 ms and 3 ms in turns has a jitter of 2 ms.
func TestJitter(t *testing.T) {
	tally := newTally(Test{Kind: UDPStream, Size: 16, Time: time.Second})
	var b [16]byte
	start := time.Now()
	for n := range 400 {
		sent := time.Duration(n) * 10 * time.Millisecond
		passed := sent + time.Millisecond + time.Duration(n%2)*2*time.Millisecond
		putStamp(b[:], uint64(n)|counted, uint64(sent))
		tally.arrived(b[:], start.Add(passed), passed)
	}
	o := tally.outcome()
	within(t, "jitter in ms", 1e3*o.Jitter, 1.99, 2.01)
	within(t, "seconds", o.Seconds, 3.99, 4.01)
}
