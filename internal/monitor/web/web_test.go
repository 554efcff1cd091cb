package web_test

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"sarn/internal/monitor/web"
)

func newSite(t *testing.T, hosts bool) *web.Site {
	t.Helper()
	s, err := web.New(web.Config{Version: "v1.2.3", Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func get(s http.Handler, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			t.Fatal(err)
		}
		in = z
	}
	text, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPolicy: no page may run or load what this server does not serve as a file.
func TestPolicy(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script(?:[^>]*)>[^<]`)
	for _, path := range []string{"/", "/this", "/hosts", "/hosts/a", "/nothing"} {
		r := get(newSite(t, true), path)
		p := r.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(p, want) {
				t.Errorf("%s: %q is not in %q", path, want, p)
			}
		}
		if strings.Contains(p, "unsafe") || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, r.Header)
		}
		if text := body(t, r); inline.MatchString(text) || strings.Contains(text, "//cdn") || strings.Contains(text, "http://") || strings.Contains(text, "https://") {
			t.Errorf("%s has something inline, or from elsewhere: %s", path, text)
		}
	}
}

// TestFiles are packed, kept for ever by their hash, and all there.
func TestFiles(t *testing.T) {
	s := newSite(t, false)
	page := body(t, get(s, "/"))
	files := regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(files) < 10 {
		t.Fatalf("the page loads %v", files)
	}
	sent := 0
	for _, f := range files {
		plain, packed := get(s, f[1]), get(s, f[1], "Accept-Encoding", "gzip, br")
		if plain.StatusCode != http.StatusOK || !strings.Contains(plain.Header.Get("Cache-Control"), "immutable") || packed.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %s %v", f[1], plain.Status, plain.Header)
		}
		sent += int(packed.ContentLength)
		if body(t, plain) != body(t, packed) {
			t.Errorf("%s: packed it is another", f[1])
		}
		if again := get(s, f[1], "If-None-Match", plain.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: asked again: %s", f[1], again.Status)
		}
	}
	if sent > 80<<10 {
		t.Errorf("a page takes %d bytes", sent)
	}
	t.Logf("%d files, %d bytes packed", len(files), sent)
	for _, path := range []string{"/static/0000/app.css", "/static/../web.go", regexp.MustCompile(`/static/[^/]+`).FindString(page) + "/../web.go"} {
		if r := get(s, path); r.StatusCode == http.StatusOK {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}

// TestNames of hosts stand in the page as text and in addresses as one part of the path.
func TestNames(t *testing.T) {
	s := newSite(t, true)
	text := body(t, get(s, `/hosts/%3Cscript%3E%22'..%2F..%2Fx`))
	if strings.Contains(text, "<script>\"") || !strings.Contains(text, `data-api="/api/v1/hosts/%3Cscript%3E%22%27..%2F..%2Fx"`) && !strings.Contains(text, `data-api="/api/v1/hosts/%3Cscript%3E%22&#39;..%2F..%2Fx"`) {
		t.Errorf("got %s", text)
	}
	if r := get(newSite(t, false), "/hosts"); r.StatusCode != http.StatusNotFound || !strings.Contains(body(t, r), "--hosts FILE") {
		t.Errorf("without hosts: %s", r.Status)
	}
}

func TestLoginForm(t *testing.T) {
	w := httptest.NewRecorder()
	newSite(t, false).Login(w, `<b>"no"</b>`)
	text := body(t, w.Result())
	if w.Code != http.StatusUnauthorized || strings.Contains(text, "<b>") || !strings.Contains(text, `action="/login"`) || !strings.Contains(text, `name="token"`) {
		t.Errorf("%d %s", w.Code, text)
	}
	if strings.Contains(text, "v1.2.3") {
		t.Error("a stranger is told the version")
	}
}

// TestModules make no markup of text: there is no way to in the modules.
func TestModules(t *testing.T) {
	ways := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|setAttribute\("on|srcdoc`)
	err := fs.WalkDir(os.DirFS("assets"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".js") {
			return err
		}
		text, err := os.ReadFile("assets/" + name)
		if found := ways.Find(text); found != nil {
			t.Errorf("%s has %s", name, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
