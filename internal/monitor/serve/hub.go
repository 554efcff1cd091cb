package serve

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"sarn/internal/monitor/sample"
)

// frame is one sample on its way to all who look on. It is encoded once, however many
// they are, and not at all if there is nobody. It knows no other frame: a viewer that
// does not read holds up one, not all that come after.
type frame struct {
	number uint64
	sample *sample.Sample
	whole  *event
	delta  *event        // from the frame before; nil for the first
	alerts *event        // nil if nobody watches
	short  *event        // the summary
	done   chan struct{} // closed when there is a newer frame
}

// hub hands frames on. Nobody is waited for: who is too slow misses some.
type hub struct {
	latest  atomic.Pointer[frame]
	first   chan struct{} // closed when there is a frame
	viewers atomic.Int64
	packer  packer
}

func newHub() *hub { return &hub{first: make(chan struct{})} }

// publish is called by one goroutine. alerts makes the body of the alerts, nil for none.
func (h *hub) publish(s *sample.Sample, alerts func() any) {
	f := &frame{sample: s, done: make(chan struct{})}
	before := h.latest.Load()
	if before != nil {
		f.number = before.number + 1
		was := before.sample
		f.delta = h.event("delta", f.number, func() any { return sample.Diff(was, s) })
	}
	f.whole = h.event("sample", f.number, func() any { return s })
	if alerts != nil {
		f.alerts = h.event("alerts", f.number, alerts)
	}
	f.short = h.event("summary", f.number, func() any { return summary(s, alerts) })
	h.latest.Store(f)
	if before == nil {
		close(h.first)
	} else {
		close(before.done)
	}
}

// event is a server-sent event. Its forms are made when they are first asked for.
type event struct {
	body   func() []byte // JSON
	plain  func() []byte // as it is sent
	packed func() []byte // the same as a part of a stream of RFC 1951
}

func (h *hub) event(name string, number uint64, value func() any) *event {
	e := &event{}
	e.body = sync.OnceValue(func() []byte {
		text, err := json.Marshal(value())
		if err != nil { // a figure that is not finite
			return []byte("null")
		}
		return text
	})
	e.plain = sync.OnceValue(func() []byte {
		return fmt.Appendf(nil, "event: %s\nid: %d\ndata: %s\n\n", name, number, e.body())
	})
	e.packed = sync.OnceValue(func() []byte { return h.packer.pack(e.plain()) })
	return e
}

// gzipHeader begins a stream of RFC 1952, which the packed forms of events go on with.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// packer compresses, with one set of tables for all.
type packer struct {
	mu  sync.Mutex
	to  *flate.Writer
	out bytes.Buffer
}

// pack compresses data to blocks that refer to nothing before them and end on a byte, so
// that they can stand in any stream: one compression serves all viewers.
func (p *packer) pack(data []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Reset()
	var err error
	if p.to == nil {
		p.to, err = flate.NewWriter(&p.out, flate.BestSpeed)
	} else {
		p.to.Reset(&p.out)
	}
	if err == nil {
		_, err = p.to.Write(data)
	}
	if err == nil {
		err = p.to.Flush()
	}
	if err != nil { // a buffer takes everything
		panic(err)
	}
	return bytes.Clone(p.out.Bytes())
}
