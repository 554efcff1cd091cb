package serve

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// beat is how often a stream says something, so that what is between does not take it
// for dead.
const beat = 15 * time.Second

// stream sends the latest sample, then what changes, as server-sent events "sample",
// "delta" and "alerts". Who is too slow for a delta gets a whole sample again.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	if !query(w, r) {
		return
	}
	if s.hub.viewers.Add(1) > int64(s.config.Viewers) {
		s.hub.viewers.Add(-1)
		w.Header().Set("Retry-After", "10")
		w.Header().Set("Connection", "close") // it shall not keep others out
		refuse(w, http.StatusServiceUnavailable, "%d look on already, which is the most; try again later", s.config.Viewers)
		return
	}
	defer s.hub.viewers.Add(-1)
	if !s.seen(r) || r.Method == http.MethodHead {
		return
	}
	v := s.newViewer(w, r)
	defer v.quiet.Stop()
	if v.packed {
		s.hub.packing.Add(1)
		defer s.hub.packing.Add(-1)
	}
	at := s.hub.latest.Load()
	for ok := v.send(at.whole) && v.tell(at.alerts); ok; {
		select {
		case <-at.done:
		case <-r.Context().Done():
			return
		case <-v.quiet.C:
			ok = v.beat()
			continue
		}
		was := at.number
		at = s.hub.latest.Load()
		if at.number == was+1 {
			ok = v.send(at.delta)
		} else {
			ok = v.send(at.whole)
		}
		ok = ok && v.tell(at.alerts)
	}
}

// viewer is one who looks on.
type viewer struct {
	w        http.ResponseWriter
	to       *http.ResponseController
	patience time.Duration
	packer   *packer
	packed   bool   // what it takes
	told     []byte // the alerts that were sent last
	quiet    *time.Timer
}

func (s *Server) newViewer(w http.ResponseWriter, r *http.Request) *viewer {
	v := &viewer{w: w, patience: s.patience, packer: &s.hub.packer, to: http.NewResponseController(w), packed: takesGzip(r), quiet: time.NewTimer(beat)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	h.Add("Vary", "Accept-Encoding")
	// A stream ends with its connection: without chunks an event is one write to the kernel,
	// with them it is copied and takes several.
	h.Set("Transfer-Encoding", "identity")
	if v.packed {
		h.Set("Content-Encoding", "gzip")
		v.write([]byte(gzipHeader))
	}
	return v
}

// send reports whether the client has taken the event.
func (v *viewer) send(e *event) bool {
	if v.packed {
		return v.flush(e.packed())
	}
	return v.flush(e.plain())
}

// tell sends the alerts if they are others than before.
func (v *viewer) tell(e *event) bool {
	if e == nil {
		return true
	}
	body := e.body()
	if bytes.Equal(body, v.told) {
		return true
	}
	v.told = body
	return v.send(e)
}

// beat sends a comment.
func (v *viewer) beat() bool {
	const comment = ":\n\n"
	if v.packed {
		return v.flush(v.packer.pack([]byte(comment)))
	}
	return v.flush([]byte(comment))
}

// flush has patience with this write alone: HTTP/2 ends a stream when its deadline passes,
// also if there was nothing to send.
func (v *viewer) flush(data []byte) bool {
	v.quiet.Reset(beat)
	return v.write(data) && v.to.Flush() == nil && v.to.SetWriteDeadline(time.Time{}) == nil
}

func (v *viewer) write(data []byte) bool {
	if v.to.SetWriteDeadline(time.Now().Add(v.patience)) != nil {
		return false
	}
	_, err := v.w.Write(data)
	return err == nil
}

// takesGzip reports whether a client says so: RFC 9110, section 12.5.3.
func takesGzip(r *http.Request) bool {
	for word := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, weight, _ := strings.Cut(strings.ToLower(word), ";")
		if coding = strings.TrimSpace(coding); coding != "gzip" && coding != "x-gzip" {
			continue
		}
		q, isQ := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
		return !isQ || strings.Trim(q, "0.") != ""
	}
	return false
}
