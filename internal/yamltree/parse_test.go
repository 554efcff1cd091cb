package yamltree_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"sarn/internal/yamltree"
)

const most = 1_000_000 // words, which none of the hostile files below has

// fill repeats a text to some 128 KiB.
func fill(text string) string { return strings.Repeat(text, 128<<10/len(text)) }

func deep(line string) string {
	var b strings.Builder
	for i := range 500 {
		b.WriteString(strings.Repeat(" ", i) + line + "\n")
	}
	return b.String()
}

func laughs() string {
	text := "a0: &a0 [x, x]\n"
	for i := range 40 {
		text += fmt.Sprintf("a%d: &a%d [*a%d, *a%[3]d]\n", i+1, i+1, i)
	}
	return text
}

// hostile are files for which the library takes some thousand times their size, and
// most of them gigabytes if they are ten times as large.
var hostile = map[string]struct{ text, want string }{
	"brackets":               {"a: 1\nb: " + fill("["), "line 2: is nested too deep"},
	"closed brackets":        {fill("[") + fill("]"), "line 1: is nested too deep"},
	"braces":                 {fill("{a: "), "line 1: is nested too deep"},
	"pairs":                  {fill("[a: "), "line 1: is nested too deep"},
	"lists on a line":        {fill("- "), "line 1: is nested too deep"},
	"lists by indentation":   {deep("-"), "line 57: is nested too deep"},
	"fields by indentation":  {deep("a:"), "line 129: is nested too deep"},
	"a list's long name":     {"\n" + fill("k") + ":\n" + fill("- 1\n"), "line 2: is nested too deep"},
	"an indented list's":     {"- " + fill("k") + ":\n" + fill("  - 1\n"), "line 1: is nested too deep"},
	"long name of a flow":    {fill("k") + ": [" + fill("1,") + "]", "line 1: is nested too deep"},
	"long name in a flow":    {"{'" + fill("k") + "': [" + fill("1,") + "]}", "line 1: is nested too deep"},
	"long name, comment":     {"{" + fill("k") + " # c\n: [" + fill("1,") + "]}", "line 2: is nested too deep"},
	"long name with an &a":   {"&a " + fill("k") + ":\n" + fill("- 1\n"), "line 1: is nested too deep"},
	"middling names":         {strings.Repeat("{"+strings.Repeat("k", 100)+": ", 5) + "[" + fill("1,") + "]", "line 1: is nested too deep"},
	"explicit key":           {"? " + fill("k") + "\n: [" + fill("1,") + "]", "line 1: keys after '?' are not read"},
	"tags":                   {fill("!a\n"), "line 1: tags are not read"},
	"aliases to aliases":     {laughs(), "line 18: the file unfolds to too many values"},
	"a list in itself":       {"a: &a [*a" + fill(", *a") + "]", "line 1: *a stands for nothing: no &a comes before it"},
	"alias of another part":  {"a: &a 1\n---\nb: *a\n", "line 3: *a stands for nothing"},
	"errors in a long line":  {fill("@"), "line 1: '@' is a reserved character"},
	"unclosed":               {"a:\n- [b\n", "line 2: "},
	"no value for an anchor": {"\na: {b: &a}}\n", "line 2: "},
	"a wide list":            {"a: [" + fill("1,") + "]", ""},
	"empty lists":            {"a: [" + fill("[],") + "]", ""},
	"aliases to a word":      {"a: &a b\nc: [" + fill("*a,") + "]", ""},
	"documents":              {fill("--- a\n"), ""},
	"document ends":          {fill("...\n"), ""},
	"comments":               {fill("#\n"), ""},
	"long text":              {"a: |\n" + fill(" b\n"), ""},
	"text of empty lines":    {"a: |\n b\n" + fill("\n"), "line 203: is within more than 200 empty lines"},
	"of lines as on Windows": {"a: |\r\n b\r\n" + fill(" \r\n"), "line 203: is within more than 200 empty lines"},
	"text with empty lines":  {"a: |\n" + fill(" b\n\n\r\n \n"), ""},
}

// allocated returns how many bytes parsing allocates in all, those that it frees too: it
// does not depend on when garbage is collected.
func allocated(text string) (bytes uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = yamltree.Parse([]byte(text), most)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

func TestMemoryIsInProportionToTheFile(t *testing.T) {
	for name, tc := range hostile {
		t.Run(name, func(t *testing.T) {
			bytes, err := allocated(tc.text)
			if ratio := bytes / uint64(len(tc.text)); len(tc.text) > 100<<10 && ratio > 2000 {
				t.Errorf("%d bytes for each of the file", ratio)
			}
			var wrong *yamltree.Error
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (!errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), tc.want)):
				t.Errorf("got %.200v; want %s", err, tc.want)
			}
		})
	}
}

func TestAFileMayHaveSoManyWords(t *testing.T) {
	for text, want := range map[string]string{
		"[1, 2, 3, 4, 5]\n":                   "",
		"- 1\n- 2\n- 3\n- 4\n- 5\n- 6\n- 7\n": "line 6: the file has more than 11 words and marks",
		strings.Repeat("#", 11*16):            "",
		strings.Repeat("#", 11*16+1):          "line 1: is of 177 bytes; at most 176 are read",
	} {
		if _, err := yamltree.Parse([]byte(text), 11); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v; want %s", text, err, want)
		}
	}
}

// TestDepthIsThatOfTheNesting holds that what follows something deep is not deep.
func TestDepthIsThatOfTheNesting(t *testing.T) {
	name := strings.Repeat("k", 100)
	for _, text := range []string{
		strings.Repeat(name+":\n- {"+name+": ["+name+", 1]}\n- "+name+":\n    "+name+": 1\n  b:\n    "+name+": 1\n---\n", 20),
		"a:\n" + strings.Repeat("  - "+name+":\n    - "+name+": {"+name+": 1, "+name+"b: 2}\n", 20),
		"[" + strings.Repeat("{"+name+": [1]}, ", 100) + "]",
		"{" + strings.Repeat("a: 1}\n--- {", 100) + "}",
	} {
		if docs, err := yamltree.Parse([]byte(text), most); err != nil || len(docs) == 0 {
			t.Errorf("%.300s: %v", text, err)
		}
	}
}

func TestDocumentsAreAllRead(t *testing.T) {
	docs, err := yamltree.Parse([]byte("%YAML 1.2\n---\na: 1\n---\n--- |\n  b\n...\n---\n- c\n"), most)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range docs {
		if d.Body != nil {
			got = append(got, fmt.Sprint(d.Body.Type(), " ", d.Body.GetToken().Position.Line))
		}
	}
	if want := "[Directive 1 Mapping 3 Literal 5 Sequence 9]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, tc := range hostile {
		f.Add(tc.text[:min(len(tc.text), 300)])
	}
	f.Fuzz(func(t *testing.T, text string) {

		bytes, err := allocated(text)
		if most := uint64(1<<20 + 4000*len(text)); bytes > most {
			t.Errorf("%d bytes for %d", bytes, len(text))
		}
		var wrong *yamltree.Error
		if err != nil && (!errors.As(err, &wrong) || wrong.Line < 1 || wrong.Message == "") {
			t.Errorf("%v does not say what is wrong, and where", err)
		}
	})
}
