package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed pages
var pages embed.FS

// Config is what the pages say and offer.
type Config struct {
	// Version is shown in the foot of each page.
	Version string
	// Hosts says that the server has a list of hosts: then the first page is that of all
	// of them, and this machine's is /this.
	Hosts bool
}

// Site is the pages.
type Site struct {
	config Config
	assets *assets
	pages  *template.Template
	mux    *http.ServeMux
}

// New makes the pages.
func New(c Config) (*Site, error) {
	a, err := newAssets()
	if err != nil {
		return nil, err
	}
	s := &Site{config: c, assets: a, mux: http.NewServeMux()}
	if s.pages, err = template.New("").ParseFS(pages, "pages/*.html"); err != nil {
		return nil, fmt.Errorf("the monitor's pages: %w", err)
	}
	s.mux.HandleFunc("GET /static/{hash}/{file...}", a.serve)
	s.mux.HandleFunc("GET /{$}", s.first)
	s.mux.HandleFunc("GET /this", s.this)
	s.mux.HandleFunc("GET /hosts", s.hosts)
	s.mux.HandleFunc("GET /hosts/{name}", s.host)
	s.mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		s.render(w, http.StatusNotFound, "error.html", page{Title: "There is no such page"})
	})
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Login answers with the form that asks for the token, which the browser sends to POST
// /login as the field token. The message says why it asks again, and may be empty.
func (s *Site) Login(w http.ResponseWriter, message string) {
	s.render(w, http.StatusUnauthorized, "login.html", page{Title: "Log in", Message: message, Stranger: true})
}

// page is what the templates read.
type page struct {
	Version string
	Static  string // where the files are
	Modules []string
	Hosts   bool
	Title   string
	Message string
	API     string // where the page's data is
	Name    string // of the host, if it is one of many
	// Stranger says that nobody knows yet who looks: no version for them.
	Stranger bool
}

func (s *Site) first(w http.ResponseWriter, r *http.Request) {
	if s.config.Hosts {
		s.hosts(w, r)
		return
	}
	s.this(w, r)
}

func (s *Site) this(w http.ResponseWriter, _ *http.Request) {
	s.render(w, http.StatusOK, "host.html", page{Title: "Sarn monitor", API: "/api/v1"})
}

func (s *Site) hosts(w http.ResponseWriter, _ *http.Request) {
	if !s.config.Hosts {
		s.render(w, http.StatusNotFound, "error.html", page{
			Title:   "This monitor has no list of hosts",
			Message: "Start it with sarn monitor serve --hosts FILE to see many hosts on one page.",
		})
		return
	}
	s.render(w, http.StatusOK, "hosts.html", page{Title: "Hosts", API: "/api/v1"})
}

func (s *Site) host(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	s.render(w, http.StatusOK, "host.html", page{Title: name, Name: name, API: "/api/v1/hosts/" + url.PathEscape(name)})
}

// policy lets a page run and show what this server serves, and nothing else. Text from
// outside never becomes markup: the browser refuses (Trusted Types).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func (s *Site) render(w http.ResponseWriter, status int, name string, p page) {
	p.Version, p.Hosts, p.Static, p.Modules = s.config.Version, s.config.Hosts, s.assets.prefix, s.assets.modules
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, p); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
