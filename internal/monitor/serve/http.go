package serve

import (
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// handler is everything that the server answers.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/sample", s.sample)
	mux.HandleFunc("GET /api/v1/stream", s.stream)
	return s.guard(mux)
}

// guard refuses whom the server is not for.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		switch {
		case !s.known(r.Host):
			http.Error(w, "this machine is not called that; name it to the monitor with --name", http.StatusMisdirectedRequest)
		case !s.allowed(r):
			h.Set("WWW-Authenticate", `Bearer realm="sarn monitor"`)
			http.Error(w, "a token is needed: Authorization: Bearer TOKEN", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// known reports whether a request's Host is a name or an address of this machine. A page
// elsewhere can make a browser ask here, but only by the name that the page has.
func (s *Server) known(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.Trim(name, "[]")
	if loopback(name) || slices.Contains(s.config.Names, name) {
		return true
	}
	listen, _, _ := net.SplitHostPort(s.at)
	if name == listen {
		return true
	}
	// One that listens everywhere is asked by any of its addresses.
	return net.ParseIP(listen).IsUnspecified() && net.ParseIP(name) != nil
}

func (s *Server) allowed(r *http.Request) bool {
	if s.config.Token == "" {
		return true
	}
	shown := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	return subtle.ConstantTimeCompare([]byte(shown), []byte(s.config.Token)) == 1
}

// sample answers with the latest sample.
func (s *Server) sample(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.hub.first:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(s.hub.latest.Load().whole())
}

// patience is how long a client may take to read what it was sent.
const patience = 10 * time.Second

// stream sends the latest sample, then what changes, as server-sent events "sample" and
// "delta". Who is too slow for a delta gets a whole sample again.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	if s.hub.viewers.Add(1) > int64(s.config.Streams) {
		s.hub.viewers.Add(-1)
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many look on already", http.StatusServiceUnavailable)
		return
	}
	defer s.hub.viewers.Add(-1)
	select {
	case <-s.hub.first:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	to := http.NewResponseController(w)
	send := func(event string, number uint64, data []byte) bool {
		if to.SetWriteDeadline(time.Now().Add(patience)) != nil {
			return false
		}
		if _, err := fmt.Fprintf(w, "event: %s\nid: %d\ndata: %s\n\n", event, number, data); err != nil {
			return false
		}
		return to.Flush() == nil
	}
	at := s.hub.latest.Load()
	for ok := send("sample", at.number, at.whole()); ok; {
		select {
		case <-at.done:
		case <-r.Context().Done():
			return
		}
		if latest := s.hub.latest.Load(); latest != at.next {
			at = latest
			ok = send("sample", at.number, at.whole())
			continue
		}
		at = at.next
		ok = send("delta", at.number, at.delta())
	}
}
