package load

import "time"

// timeline is what ended when. Its parts become twice as wide when there are too many of
// them, so that a long test takes no more memory than a short one.
type timeline struct {
	width time.Duration // of each part
	parts []Slice
}

// How wide parts are at first, and how many of them there are at most.
const (
	firstWidth = 100 * time.Millisecond
	mostParts  = 120
)

// part is the part that holds what is at a time after the start.
func (t *timeline) part(at time.Duration) *Slice {
	at = max(at, 0)
	for at/t.width >= mostParts {
		t.widen()
	}
	i := int(at / t.width)
	for len(t.parts) <= i {
		t.parts = append(t.parts, Slice{})
	}
	return &t.parts[i]
}

// widen puts each two parts together.
func (t *timeline) widen() {
	half := t.parts[:0]
	for i, p := range t.parts {
		if i%2 == 0 {
			half = append(half, p)
		} else {
			half[i/2].add(p)
		}
	}
	t.width, t.parts = 2*t.width, half
}

func (t *timeline) merge(from *timeline) {
	for t.width < from.width {
		t.widen()
	}
	for i, p := range from.parts {
		t.part(time.Duration(i) * from.width).add(p)
	}
}

func (s *Slice) add(from Slice) {
	s.Requests += from.Requests
	s.Failed += from.Failed
	s.MaxMS = max(s.MaxMS, from.MaxMS)
}
