package report

import (
	"testing"

	"sarn/internal/bench/load"
)

// TestRateDoesNotFallAtTheEnd has a steady test that ends a little after a part of its
// timeline has begun.
func TestRateDoesNotFallAtTheEnd(t *testing.T) {
	r := &load.Result{Seconds: 1.01, Interval: 0.1}
	for range 10 {
		r.Timeline = append(r.Timeline, load.Slice{Requests: 50, Failed: 10})
	}
	r.Timeline = append(r.Timeline, load.Slice{Requests: 5, Failed: 1})
	r.Failed = 101
	for i, line := range ratePlot(r).Lines {
		want := []float64{500, 100}[i]
		for _, at := range line.Points {
			if at.Y < 0.99*want || at.Y > 1.01*want {
				t.Errorf("%s: %.0f a second at %.2f s, want %.0f", line.Label, at.Y, at.X, want)
			}
		}
	}
	if r.Timeline[9].Requests != 50 {
		t.Error("the result was changed")
	}
}
