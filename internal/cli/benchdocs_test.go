package cli

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"sarn/internal/bench/load"
)

// jsonFields adds the paths of a type's fields in JSON, such as results[].packets.sent,
// without those that hold others.
func jsonFields(t reflect.Type, path string, to map[string]bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Float64:
		jsonFields(t.Elem(), path+"[]", to)
	case t.Kind() == reflect.Struct && t.PkgPath() != reflect.TypeFor[time.Time]().PkgPath() && t.PkgPath() != "net/netip":
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			jsonFields(f.Type, strings.TrimPrefix(path+"."+name, "."), to)
		}
	default:
		to[path] = true
	}
}

// docsSection returns the part of a page from one heading to the next.
func docsSection(t *testing.T, file, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("%s has no section %q", file, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

var inBackticks = regexp.MustCompile("`([^`]+)`")

// TestDocsHaveTheFieldsOfBenchNet, all of them and no others.
func TestDocsHaveTheFieldsOfBenchNet(t *testing.T) {
	want := map[string]bool{}
	jsonFields(reflect.TypeFor[netReport](), "", want)
	got := map[string]bool{}
	for line := range strings.Lines(docsSection(t, "bench-net.md", "Its JSON")) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, name := range inBackticks.FindAllStringSubmatch(cells[1], -1) {
				got[name[1]] = true
			}
		}
	}
	for name := range want {
		if !got[name] {
			t.Errorf("docs/bench-net.md does not have %s", name)
		}
	}
	for name := range got {
		if !want[name] {
			t.Errorf("docs/bench-net.md has %s, and -o json does not", name)
		}
	}
}

// TestDocsNameTheFieldsOfBenchHTTP: that table has groups of fields, but each name is in it.
func TestDocsNameTheFieldsOfBenchHTTP(t *testing.T) {
	section := docsSection(t, "bench.md", "Its JSON")
	want := map[string]bool{}
	jsonFields(reflect.TypeFor[load.Result](), "", want)
	percentile := regexp.MustCompile(`^p\d+$`) // the table leaves out those in the middle
	for path := range want {
		for name := range strings.SplitSeq(path, ".") {
			name = strings.TrimSuffix(name, "[]")
			if !percentile.MatchString(name) && !strings.Contains(section, "`"+name+"`") && !strings.Contains(section, "`"+name+"[]`") {
				t.Errorf("docs/bench.md does not have %s of %s", name, path)
			}
		}
	}
}
