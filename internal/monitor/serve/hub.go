package serve

import (
	"encoding/json"
	"sync"
	"sync/atomic"

	"sarn/internal/monitor/sample"
)

// frame is one sample on its way to all who look on. It is encoded once, however many
// they are.
type frame struct {
	number uint64
	sample *sample.Sample
	delta  func() []byte // from the frame before; nil for the first
	whole  func() []byte
	next   *frame
	done   chan struct{} // closed when next is there
}

// hub hands frames on. Nobody is waited for: who is too slow misses some.
type hub struct {
	latest  atomic.Pointer[frame]
	first   chan struct{} // closed when there is a frame
	viewers atomic.Int64
}

func newHub() *hub { return &hub{first: make(chan struct{})} }

// publish is called by one goroutine.
func (h *hub) publish(s *sample.Sample) {
	f := &frame{sample: s, done: make(chan struct{}), whole: encoded(s)}
	before := h.latest.Load()
	if before == nil {
		h.latest.Store(f)
		close(h.first)
		return
	}
	f.number = before.number + 1
	f.delta = sync.OnceValue(func() []byte { return encoded(sample.Diff(before.sample, s))() })
	before.next = f
	h.latest.Store(f)
	close(before.done)
}

// encoded is a value's JSON, made when it is first asked for.
func encoded(v any) func() []byte {
	return sync.OnceValue(func() []byte {
		text, err := json.Marshal(v)
		if err != nil { // a figure that is not finite
			return []byte("null")
		}
		return text
	})
}
