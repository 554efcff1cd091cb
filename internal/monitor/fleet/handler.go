package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/sample"
)

const (
	// mostStreams is how many may follow the list or a host at a time.
	mostStreams = 200
	// patience is how long a client may take to read what it was sent.
	patience = 10 * time.Second
	// beat is how often a stream says something.
	beat = 15 * time.Second
	// pace is how often the list is sent, if it changes.
	pace = 2 * time.Second
	// mostTop is how many processes or machines are told.
	mostTop = 10_000
)

// handler is the fleet's API.
type handler struct {
	fleet *Fleet

	mu   sync.Mutex
	made time.Time
	text []byte // the list, for all who want it
}

// Handler serves /api/v1/hosts and what is below it, to be read only. It asks nobody
// but the fleet's hosts, for nothing but the paths of a monitor's API. Who may ask, the
// server around it knows.
func Handler(f *Fleet) http.Handler {
	h := &handler{fleet: f}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/hosts", h.list)
	mux.HandleFunc("GET /api/v1/hosts/stream", h.stream)
	mux.HandleFunc("GET /api/v1/hosts/top", h.top)
	mux.HandleFunc("GET /api/v1/hosts/machines", h.machines)
	mux.HandleFunc("GET /api/v1/hosts/{name}/stream", h.follow)
	for path, names := range map[string][]string{
		"sample": nil, "summary": nil, "alerts": nil, "history": nil,
		"history/at": {"time", "resolution"}, "history/range": {"from", "to", "step", "field"},
	} {
		mux.HandleFunc("GET /api/v1/hosts/{name}/"+path, func(w http.ResponseWriter, r *http.Request) { h.pass(w, r, path, names) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "there is nothing at this path; see /api/v1/hosts, /api/v1/hosts/top, /api/v1/hosts/machines and /api/v1/hosts/NAME/sample")
	})
	return mux
}

// Brief is a host's status without what the list does not show: of its processes the
// one that uses the most CPU, and no machines.
func Brief(s Status) Status {
	if s.Summary == nil {
		return s
	}
	short := *s.Summary
	short.Processes, short.Machines = []sample.Process{}, []sample.Machine{}
	if p := busiest(s.Summary); p != nil {
		short.Processes = append(short.Processes, *p)
	}
	s.Summary = &short
	return s
}

// busiest is the process that uses the most CPU, nil if none uses any.
func busiest(s *sample.Summary) *sample.Process {
	var top *sample.Process
	for i := range s.Processes {
		if p := &s.Processes[i]; p.CPU > 0 && (top == nil || p.CPU > top.CPU) {
			top = p
		}
	}
	return top
}

// body is the list as JSON, made once for all who ask within a second.
func (h *handler) body() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.made) < time.Second {
		return h.text
	}
	hosts := h.fleet.Hosts()
	for i := range hosts {
		hosts[i] = Brief(hosts[i])
	}
	h.text, h.made = encoded(hosts), time.Now()
	return h.text
}

func encoded(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // nothing here can fail to be JSON: package remote lets no figure in that is none
		return []byte("null")
	}
	return text
}

func (h *handler) list(w http.ResponseWriter, _ *http.Request) { answer(w, h.body()) }

func (h *handler) top(w http.ResponseWriter, r *http.Request) {
	if by, n, ok := first(w, r, 20); ok {
		answer(w, encoded(h.fleet.Top(by, n)))
	}
}

func (h *handler) machines(w http.ResponseWriter, r *http.Request) {
	if by, n, ok := first(w, r, mostTop); ok {
		answer(w, encoded(h.fleet.Machines(by, n)))
	}
}

// first is which and how many are asked for. What is wrong it has answered.
func first(w http.ResponseWriter, r *http.Request, otherwise int) (by string, n int, ok bool) {
	by, n = r.FormValue("by"), otherwise
	if by == "" {
		by = sample.ByCPU
	}
	if !slices.Contains(sample.By(), by) {
		refuse(w, http.StatusBadRequest, "there is no order by %.50q: use one of %s", by, strings.Join(sample.By(), ", "))
		return by, n, false
	}
	if text := r.FormValue("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > mostTop {
			refuse(w, http.StatusBadRequest, "n is a number from 1 to %d, not %.50q", mostTop, text)
			return by, n, false
		}
	}
	return by, n, true
}

// follower is one who is sent events. Who does not take them in time is let go.
type follower struct {
	w  http.ResponseWriter
	to *http.ResponseController
}

// follower begins a stream, or says that there are too many.
func (h *handler) follower(w http.ResponseWriter) (f *follower, done func()) {
	select {
	case h.fleet.streams <- struct{}{}:
	default:
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "%d look on already, which is the most; try again later", mostStreams)
		return nil, nil
	}
	return &follower{w, http.NewResponseController(w)}, func() { <-h.fleet.streams }
}

func (f *follower) begin() {
	f.w.Header().Set("Content-Type", "text/event-stream")
	f.w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
}

func (f *follower) write(format string, args ...any) error {
	if err := f.to.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f.w, format, args...); err != nil {
		return err
	}
	if err := f.to.Flush(); err != nil {
		return err
	}
	// HTTP/2 ends a stream when its deadline passes, also if there was nothing to send.
	return f.to.SetWriteDeadline(time.Time{})
}

// stream sends the list, and again when it has changed, as server-sent events "hosts".
func (h *handler) stream(w http.ResponseWriter, r *http.Request) {
	f, done := h.follower(w)
	if f == nil {
		return
	}
	defer done()
	f.begin()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var told []byte
	last := time.Now()
	for {
		var err error
		switch text := h.body(); {
		case !bytes.Equal(text, told):
			err = f.write("event: hosts\ndata: %s\n\n", text)
			told, last = text, time.Now()
		case time.Since(last) >= beat:
			err = f.write(":\n\n")
			last = time.Now()
		}
		if err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// host is that of the request, with a client, or nil after a refusal.
func (h *handler) host(w http.ResponseWriter, r *http.Request) *watcher {
	watcher := h.fleet.watcher(r.PathValue("name"))
	switch {
	case watcher == nil:
		refuse(w, http.StatusNotFound, "there is no host %.100q; see /api/v1/hosts", r.PathValue("name"))
		return nil
	case watcher.client == nil:
		refuse(w, http.StatusBadGateway, "%s: %s", watcher.host.Name, watcher.now().Error)
		return nil
	}
	return watcher
}

// longestQuery and mostPassed are in bytes.
const (
	longestQuery = 8 << 10
	mostPassed   = 32 << 20
)

// pass asks a host, with the parameters of those names, and sends what it answers on.
func (h *handler) pass(w http.ResponseWriter, r *http.Request, path string, names []string) {
	host := h.host(w, r)
	if host == nil {
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > longestQuery {
		refuse(w, http.StatusBadRequest, "the query cannot be read")
		return
	}
	for name := range query {
		if !slices.Contains(names, name) {
			refuse(w, http.StatusBadRequest, "there is no parameter %.50q", name)
			return
		}
	}
	select {
	case host.passes <- struct{}{}:
		defer func() { <-host.passes }()
	case <-r.Context().Done():
		return
	}
	text, err := host.client.Body(r.Context(), path, query, mostPassed)
	if err == nil && !json.Valid(text) {
		err = errors.New("it sends what is no JSON")
	}
	if err != nil {
		refuse(w, statusOf(err), "%s: %s", r.PathValue("name"), remote.Why(err))
		return
	}
	answer(w, text)
}

// statusOf is the status of an answer that a host refused: what the host says of the
// request, but nothing of what it thinks of this server's token.
func statusOf(err error) int {
	var e *remote.Error
	if errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest) {
		return e.Status
	}
	return http.StatusBadGateway
}

// follow sends a host's stream on.
func (h *handler) follow(w http.ResponseWriter, r *http.Request) {
	host := h.host(w, r)
	if host == nil {
		return
	}
	f, done := h.follower(w)
	if f == nil {
		return
	}
	defer done()
	begun := false
	err := host.client.Stream(r.Context(), func(e remote.Event) error {
		if !begun {
			f.begin()
			begun = true
		}
		switch e.Name {
		case "sample", "delta", "alerts":
		default:
			return nil
		}
		if bytes.ContainsAny(e.Data, "\r\n") || !json.Valid(e.Data) {
			return errors.New("it sends what is no JSON")
		}
		return f.write("event: %s\ndata: %s\n\n", e.Name, e.Data)
	})
	if !begun {
		refuse(w, statusOf(err), "%s: %s", r.PathValue("name"), remote.Why(err))
	}
}

func answer(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(encoded(map[string]string{"error": fmt.Sprintf(format, args...)}), '\n'))
}
