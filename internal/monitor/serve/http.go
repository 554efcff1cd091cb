package serve

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// handler is everything that the server answers.
func (s *Server) handler() http.Handler {
	inside := http.NewServeMux()
	inside.HandleFunc("GET /api/v1/sample", s.sample)
	inside.HandleFunc("GET /api/v1/summary", s.summary)
	inside.HandleFunc("GET /api/v1/stream", s.stream)
	inside.HandleFunc("GET /api/v1/alerts", s.alerts)
	inside.HandleFunc("GET /api/v1/history", s.historyBounds)
	inside.HandleFunc("GET /api/v1/history/at", s.historyAt)
	inside.HandleFunc("GET /api/v1/history/range", s.historyRange)
	inside.HandleFunc("GET /metrics", s.metrics)
	inside.HandleFunc("/", nothing)
	if s.config.Hosts != nil {
		inside.Handle("GET /api/v1/hosts", s.config.Hosts)
		inside.Handle("GET /api/v1/hosts/", s.config.Hosts)
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.authorized(inside))
	mux.HandleFunc("POST /login", s.login)
	if s.config.Web != nil {
		inside.Handle("GET /{$}", s.config.Web)
		inside.Handle("GET /this", s.config.Web)
		inside.Handle("GET /hosts", s.config.Web)
		inside.Handle("GET /hosts/", s.config.Web)
		mux.Handle("GET /static/", s.config.Web) // the form has its looks from there
	}
	return s.guard(http.NewCrossOriginProtection().Handler(mux))
}

// guard refuses whom the server is not for.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // pages have their own
		switch {
		case !s.known(r.Host):
			refuse(w, http.StatusMisdirectedRequest, "this machine is not called that; name it to the monitor with --name")
		case r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate":
			refuse(w, http.StatusForbidden, "a page from elsewhere may not ask here")
		case r.Method != http.MethodPost && (r.ContentLength != 0 || len(r.TransferEncoding) > 0):
			h.Set("Connection", "close") // nobody reads it to its end
			refuse(w, http.StatusBadRequest, "a %s here has no body", r.Method)
		case strings.Contains(r.URL.Path, "/.."): // written with %2e
			nothing(w, r)
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
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	same := func(n string) bool { return n != "" && strings.EqualFold(n, name) }
	if loopback(name) || slices.ContainsFunc(s.config.Names, same) || slices.ContainsFunc(s.names(), same) {
		return true
	}
	listen, _, _ := net.SplitHostPort(s.at)
	if name == listen {
		return true
	}
	// One that listens everywhere is asked by any of its addresses.
	everywhere, err := netip.ParseAddr(listen)
	if err != nil || !everywhere.IsUnspecified() {
		return false
	}
	_, err = netip.ParseAddr(name)
	return err == nil
}

// names are those of the certificate.
func (s *Server) names() []string {
	if s.tls == nil {
		return nil
	}
	return s.tls.Now().Certificates[0].Leaf.DNSNames
}

// refuse answers with what is wrong.
func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	text, _ := json.Marshal(map[string]string{"error": fmt.Sprintf(format, args...)})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}

// answer sends a value as JSON.
func answer(w http.ResponseWriter, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "the answer cannot be written as JSON: %v", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}

func nothing(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "nothing can be changed here: ask with GET")
		return
	}
	refuse(w, http.StatusNotFound, "there is nothing at this path; see /api/v1/sample, /api/v1/stream, /api/v1/alerts, /api/v1/history and /metrics")
}

// seen waits for the first sample. It is false if the client went away.
func (s *Server) seen(r *http.Request) bool {
	select {
	case <-s.hub.first:
		return true
	case <-r.Context().Done():
		return false
	}
}

// sample answers with the latest sample.
func (s *Server) sample(w http.ResponseWriter, r *http.Request) {
	if !query(w, r) || !s.seen(r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(s.hub.latest.Load().whole.body())
}
