package serve

import (
	"testing"

	"sarn/internal/monitor/sample"
)

// TestWholeThingsStayWhole: 500 bytes in each of many passes, none of which takes a
// second to the digit, are so many bytes and not a fraction less.
func TestWholeThingsStayWhole(t *testing.T) {
	totals := newTotals()
	const passes = 1000
	for i := range passes {
		took := 1 + float64(i)/3000
		totals.add(&sample.Sample{Interval: took, Interfaces: []sample.Interface{{Name: "tap0", RxBytes: 500 / took, TxBytes: -1}}}, 0)
	}
	if got := totals.of("interface", "tap0"); got[0] != 500*passes || got[1] != 0 {
		t.Errorf("received %v, sent %v bytes", got[0], got[1])
	}
}
