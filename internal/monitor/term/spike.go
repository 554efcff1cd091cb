package term

import (
	"math"
	"slices"
)

// spikes are the columns in which a metric stands out.
func (s *strip) spikes(m int) []int { return spikes(s.values[m], metrics()[m].least) }

// spikes are the columns that stand out: of each run of columns in the upper half between
// the median and the largest value, the largest. Where the largest is below least, or
// not much more than the median, nothing stands out.
func spikes(values []float64, least float64) []int {
	known := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(known) < 3 {
		return nil
	}
	slices.Sort(known)
	median, most := known[len(known)/2], known[len(known)-1]
	if most < 1.3*median || most < least {
		return nil
	}
	var all []int
	run := -1 // the largest of the run
	for i, v := range values {
		switch {
		case math.IsNaN(v) || v < median+(most-median)/2:
			run = -1
		case run < 0:
			all, run = append(all, i), i
		case v > values[run]:
			all[len(all)-1], run = i, i
		}
	}
	return all
}
