package sarn_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayImport says which packages of Sarn each may import: intent and netstate know
// nobody (but how YAML is parsed), subsystems do not know each other, and only the
// program knows all.
var mayImport = map[string][]string{
	"cmd/sarn":             {"internal/cli"},
	"bench/chart":          {"internal/graph"},
	"examples/bench/hello": {},
	"bench/fleet":          {"internal/api", "internal/graph", "internal/intent", "internal/netstate"},
	"bench/monitor":        {"internal/graph", "internal/monitor/history", "internal/monitor/sample"},
	"internal/cli": {
		"internal/agent", "internal/api", "internal/compile", "internal/controller", "internal/daemon", "internal/doctor",
		"internal/bench/compare", "internal/bench/load", "internal/bench/netload", "internal/bench/report",
		"internal/monitor/alert", "internal/monitor/collect", "internal/monitor/fleet", "internal/monitor/history", "internal/monitor/remote", "internal/monitor/sample", "internal/monitor/serve", "internal/monitor/term", "internal/monitor/web",
		"internal/intent", "internal/kernel", "internal/keys", "internal/lab", "internal/netstate", "internal/pki", "internal/reach", "internal/store",
	},

	"internal/intent":   {"internal/yamltree"},
	"internal/netstate": {},
	"internal/compile":  {"internal/intent", "internal/netstate"},
	"internal/reach":    {"internal/intent", "internal/netstate"},
	"internal/kernel":   {"internal/netstate"},
	"internal/store":    {"internal/intent"},
	"internal/api":      {"internal/intent", "internal/keys", "internal/netstate"},

	"internal/controller": {"internal/api", "internal/compile", "internal/intent", "internal/netstate", "internal/store"},
	"internal/agent":      {"internal/api", "internal/netstate"},
	"internal/lab":        {"internal/api", "internal/compile", "internal/graph", "internal/intent", "internal/kernel", "internal/netstate"},
	"internal/doctor":     {"internal/compile", "internal/intent", "internal/kernel", "internal/netstate"},

	"internal/bench/http1":   {},
	"internal/bench/load":    {"internal/bench/http1"},
	"internal/bench/compare": {"internal/bench/load", "internal/problem", "internal/strict"},
	"internal/bench/report":  {"internal/bench/compare", "internal/bench/load", "internal/graph"},
	"internal/bench/netload": {},

	"internal/monitor/sample":  {},
	"internal/monitor/collect": {"internal/monitor/sample"},
	"internal/monitor/history": {"internal/monitor/sample"},
	"internal/monitor/alert":   {"internal/keys", "internal/monitor/sample", "internal/problem", "internal/strict"},
	"internal/monitor/term":    {"internal/monitor/alert", "internal/monitor/history", "internal/monitor/sample"},
	"internal/monitor/serve":   {"internal/keys", "internal/monitor/alert", "internal/monitor/history", "internal/monitor/sample"},
	"internal/monitor/remote":  {"internal/keys", "internal/monitor/alert", "internal/monitor/history", "internal/monitor/sample"},
	"internal/monitor/fleet":   {"internal/keys", "internal/monitor/remote", "internal/monitor/sample", "internal/problem", "internal/strict"},
	"internal/monitor/web":     {},

	"internal/daemon":   {},
	"internal/graph":    {},
	"internal/keys":     {},
	"internal/problem":  {},
	"internal/strict":   {"internal/problem", "internal/yamltree"},
	"internal/yamltree": {},
	"internal/pki":      {},

	// What tests are made of.
	"internal/e2e":                   {},
	"internal/browsertest":           {},
	"internal/netnstest":             {},
	"internal/timetest":              {},
	"internal/netstate/netstatetest": {"internal/netstate"},
	"internal/store/storetest":       {"internal/intent", "internal/store"},
}

// onlyIn says which packages of Sarn may import modules that have one home.
var onlyIn = map[string][]string{
	"github.com/vishvananda/netlink":  {"internal/kernel"},
	"go.etcd.io/":                     {"internal/store"},
	"github.com/danielgtaylor/huma":   {"internal/controller"},
	"github.com/spf13/":               {"internal/cli"},
	"github.com/rogpeppe/go-internal": {}, // tests alone
	"github.com/chromedp/":            {"internal/browsertest"},
	"github.com/wneessen/go-mail":     {"internal/monitor/alert"},
	"github.com/hashicorp/mdns":       {"internal/monitor/fleet"},
	"github.com/cilium/ebpf":          {"internal/monitor/collect"},
	"github.com/klauspost/compress":   {"internal/monitor/history"},
	"github.com/goccy/go-yaml/parser": {"internal/yamltree"},
	"github.com/prometheus/":          {"internal/monitor/serve"},
	"pgregory.net/rapid":              {"internal/netstate/netstatetest"},
	"go.uber.org/goleak":              {"internal/timetest"},
}

type goPackage struct {
	ImportPath   string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,GoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "sarn/")
		allowed, known := mayImport[name]
		if !known && len(p.GoFiles) > 0 {
			t.Errorf("package %s has no place in the layout: give it a line in mayImport", name)
		}
		for _, imp := range p.Imports {
			if own, ok := strings.CutPrefix(imp, "sarn/"); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, but may import only %v", name, own, allowed)
			}
			for module, homes := range onlyIn {
				if strings.HasPrefix(imp, module) && !slices.Contains(homes, name) {
					t.Errorf("%s imports %s, which belongs to %v alone", name, imp, homes)
				}
			}
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	const most = 500
	for _, path := range goFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n >= most {
			t.Errorf("%s has %d lines; split it below %d", path, n, most)
		}
	}
}

func TestOnePackageCommentEach(t *testing.T) {
	comments := map[string][]string{}
	dirs := map[string]bool{}
	for _, path := range goFiles(t) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		dir := filepath.Dir(path)
		dirs[dir] = true
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil {
			comments[dir] = append(comments[dir], path)
		}
	}
	for dir := range dirs {
		if n := len(comments[dir]); n != 1 {
			t.Errorf("package in %s has %d package comments %v; it needs one", dir, n, comments[dir])
		}
	}
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir() && filepath.Ext(path) == ".go":
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
