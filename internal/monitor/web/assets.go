package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed assets
var embedded embed.FS

// assets are the files that pages load. All of them are below a path with the hash of
// all of them, so that they can be kept for ever, and import each other by their names.
type assets struct {
	prefix  string // /static/HASH
	modules []string
	files   map[string]*asset
}

type asset struct {
	kind   string
	text   []byte
	packed func() []byte
}

func newAssets() (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	all := sha256.New()
	err := fs.WalkDir(embedded, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "assets/")
		fmt.Fprintf(all, "%s %d\n", name, len(text))
		all.Write(text)
		a.files[name] = &asset{kind: kindOf(name), text: text, packed: sync.OnceValue(func() []byte { return packed(text) })}
		if path.Ext(name) == ".js" && !strings.Contains(name, "/") {
			a.modules = append(a.modules, name)
		}
		return nil
	})
	a.prefix = "/static/" + hex.EncodeToString(all.Sum(nil)[:8])
	return a, err
}

// kindOf does not ask the machine's own list of types, which may say anything.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "text/plain; charset=utf-8"
}

func packed(text []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	z.Write(text) //nolint:errcheck // into memory
	z.Close()     //nolint:errcheck // as well
	return b.Bytes()
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("file")]
	if !ok || "/static/"+r.PathValue("hash") != a.prefix {
		http.Error(w, "there is no such file in this version", http.StatusNotFound)
		return
	}
	h := w.Header()
	etag := `"` + path.Base(a.prefix) + `"`
	h.Set("ETag", etag)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", file.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	text := file.text
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		text = file.packed()
	}
	h.Set("Content-Length", fmt.Sprint(len(text)))
	w.Write(text)
}
