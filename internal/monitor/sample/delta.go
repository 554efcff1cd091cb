package sample

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// Delta is what makes one sample out of the one before: most processes of a machine do
// nothing in a second. What is not a process is in it whole.
type Delta struct {
	// Base is the time of the sample that it belongs on.
	Base time.Time `json:"base"`
	// Sample is the new one, but for its processes.
	Sample *Sample `json:"sample"`
	// Changed are the processes that are new or other than before; Gone are the PIDs of
	// those that are no more. Changed stands last: AppendJSON needs it there.
	Gone    []int     `json:"gone,omitempty"`
	Changed []Process `json:"changed,omitempty"`
}

// ErrBase says that a delta does not belong on a sample: one between them was lost.
var ErrBase = errors.New("the delta belongs on another sample")

// Sort puts the processes in the order of their PIDs, which Diff and Apply need.
func (s *Sample) Sort() {
	slices.SortFunc(s.Processes, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
}

// Diff says what has changed from before to now.
func Diff(before, now *Sample) *Delta {
	rest := *now
	rest.Processes = nil
	d := &Delta{Base: before.Time, Sample: &rest}
	old := before.Processes
	for i := range now.Processes {
		p := &now.Processes[i]
		for len(old) > 0 && old[0].PID < p.PID {
			d.Gone = append(d.Gone, old[0].PID)
			old = old[1:]
		}
		if len(old) > 0 && old[0].PID == p.PID {
			same := old[0] == *p
			old = old[1:]
			if same {
				continue
			}
		}
		d.Changed = append(d.Changed, *p)
	}
	for i := range old {
		d.Gone = append(d.Gone, old[i].PID)
	}
	return d
}

// Apply makes the next sample. It leaves before as it is.
func (d *Delta) Apply(before *Sample) (*Sample, error) {
	if d.Sample == nil || !d.Base.Equal(before.Time) {
		return nil, ErrBase
	}
	now := *d.Sample
	now.Processes = make([]Process, 0, len(before.Processes)+len(d.Changed))
	changed, gone := d.Changed, d.Gone
	for _, p := range before.Processes {
		for len(changed) > 0 && changed[0].PID < p.PID {
			now.Processes = append(now.Processes, changed[0])
			changed = changed[1:]
		}
		for len(gone) > 0 && gone[0] < p.PID {
			gone = gone[1:]
		}
		switch {
		case len(gone) > 0 && gone[0] == p.PID:
		case len(changed) > 0 && changed[0].PID == p.PID:
			now.Processes = append(now.Processes, changed[0])
			changed = changed[1:]
		default:
			now.Processes = append(now.Processes, p)
		}
	}
	now.Processes = append(now.Processes, changed...)
	return &now, nil
}
