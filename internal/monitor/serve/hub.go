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
	packing atomic.Int64 // the viewers who take packed events
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
		f.delta = h.event("delta", f.number, func(to []byte) ([]byte, error) { return sample.Diff(was, s).AppendJSON(to) })
	}
	f.whole = h.event("sample", f.number, marshal(func() any { return s }))
	if alerts != nil {
		f.alerts = h.event("alerts", f.number, marshal(alerts))
	}
	f.short = h.event("summary", f.number, marshal(func() any { return summary(s, alerts) }))
	h.latest.Store(f)
	if before == nil {
		close(h.first)
		return
	}
	// Those who look on would wake up together only to wait for the first of them.
	if h.packing.Load() > 0 {
		f.delta.packed()
	} else if h.viewers.Load() > 0 {
		f.delta.plain()
	}
	close(before.done)
}

// event is a server-sent event. Its forms are made when they are first asked for.
type event struct {
	plain  func() []byte // as it is sent
	packed func() []byte // the same as a part of a stream of RFC 1951
	head   int           // bytes of plain before the JSON
}

// tail ends an event.
const tail = "\n\n"

func (h *hub) event(name string, number uint64, data func([]byte) ([]byte, error)) *event {
	head := fmt.Sprintf("event: %s\nid: %d\ndata: ", name, number)
	e := &event{head: len(head)}
	e.plain = sync.OnceValue(func() []byte { return h.packer.text(head, data) })
	e.packed = sync.OnceValue(func() []byte { return h.packer.pack(e.plain()) })
	return e
}

// body is the event's JSON.
func (e *event) body() []byte {
	text := e.plain()
	return text[e.head : len(text)-len(tail)]
}

// marshal appends a value as JSON.
func marshal(value func() any) func([]byte) ([]byte, error) {
	return func(to []byte) ([]byte, error) {
		text, err := json.Marshal(value())
		return append(to, text...), err
	}
}

// gzipHeader begins a stream of RFC 1952, which the packed forms of events go on with.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// packer writes and compresses events, with one buffer and one set of tables for all.
type packer struct {
	mu   sync.Mutex
	to   *flate.Writer
	out  bytes.Buffer
	line []byte
}

// mostLine bounds the buffer that is kept. A whole sample of a large machine takes more,
// but changes seldom do.
const mostLine = 256 << 10

// text is an event as it is sent.
func (p *packer) text(head string, data func([]byte) ([]byte, error)) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	line, err := data(append(p.line[:0], head...))
	if err != nil { // a figure that is not finite
		line = append(append(line[:0], head...), "null"...)
	}
	if line = append(line, tail...); cap(line) > mostLine {
		return line
	}
	p.line = line
	return bytes.Clone(line)
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
