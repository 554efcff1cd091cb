package intent_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"sarn/internal/intent"
)

type wiring struct {
	Name string `json:"name"`
}

var extra = intent.Extra{"Lab": func() any { return new(wiring) }}

func TestDecodeSaysWhatIsWrongAndWhere(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"unknown field":   {"kind: VPC\nname: v\ncidrs: [10.0.0.0/16]\ncidr: 10.1.0.0/16\n", `f.yaml:4: unknown field "cidr"`},
		"nested field":    {"kind: Port\nname: p\nattach:\n  kind: tap\n", `f.yaml:4: unknown field "kind"`},
		"unknown kind":    {"# hello\n\nkind: Subnets\nname: s\n", `f.yaml:3: kind: "Subnets" is not a kind; use one of Node, VPC, Subnet, Port, Lab`},
		"no kind":         {"\nname: s\n", `f.yaml:2: kind: is missing; use one of Node, VPC, Subnet, Port, Lab`},
		"kind not text":   {"kind: [VPC]\n", `f.yaml:1: kind: "" is not a kind`},
		"second doc":      {"kind: VPC\ncidrs: [10.0.0.0/8]\nname: v\n---\nkind: Subnet\nname: s\ncidr: 10.10.10.0/33\n", `f.yaml:7: "10.10.10.0/33" is not an IPv4 address block; write it like 10.10.10.0/24`},
		"host bits":       {"kind: Subnet\ncidr: 10.10.10.1/24\n", `f.yaml:2: "10.10.10.1/24" has bits set after its prefix; did you mean 10.10.10.0/24?`},
		"ipv6":            {"kind: Port\naddress: fe80::1\n", `f.yaml:2: "fe80::1" is not an IPv4 address; write it like 10.10.10.10`},
		"mac":             {"kind: Port\nmac: 01:00:00:00:00:01\n", `f.yaml:2: "01:00:00:00:00:01" is a multicast address: a port's MAC has an even first byte`},
		"wrong type":      {"kind: Subnet\nname: s\nnat: maybe\n", `f.yaml:3: `},
		"twice":           {"kind: Subnet\nname: s\nname: t\n", `f.yaml:3: `},
		"list":            {"- - kind: VPC\n", "f.yaml:1: a document is a list of `field: value` lines"},
		"scalar":          {"hello\n", "f.yaml:1: a document is a list of `field: value` lines"},
		"broken":          {"kind: VPC\nname: [\n", `f.yaml:2: `},
		"tab":             {"kind: VPC\n\tname: v\n", `f.yaml:2: `},
		"brackets":        {"kind: VPC\nname: " + strings.Repeat("[", 200_000), `f.yaml:2: is nested too deep`},
		"unfolds":         {"kind: VPC\ncidrs: &a [&b [" + strings.Repeat("x,", 3000) + "]" + strings.Repeat(",*b", 3000) + "]\n", `f.yaml:2: the file unfolds to too many values`},
		"alias of itself": {"kind: VPC\ncidrs: &a [*a]\n", `f.yaml:2: *a stands for nothing`},
		"extra is strict": {"kind: Lab\nname: l\nfoo: 1\n", `f.yaml:3: unknown field "foo"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := intent.Decode("f.yaml", []byte(tc.text), extra)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.HasPrefix(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %s\nwant %s", err, tc.want)
			}
		})
	}
}

func TestDecodeReportsEveryDocument(t *testing.T) {
	_, err := intent.Decode("f.yaml", []byte("kind: VPC\nx: 1\n---\nkind: Node\ny: 1\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "f.yaml:2:") || !strings.Contains(err.Error(), "f.yaml:5:") {
		t.Errorf("got %v", err)
	}
}

// TestUnknownFieldsAreToldUpToAPoint holds that an object with very many of them does not
// take a time that grows with their square.
func TestUnknownFieldsAreToldUpToAPoint(t *testing.T) {
	text := "kind: VPC\n"
	for i := range 1000 {
		text += fmt.Sprintf("x%d: 1\n", i)
	}
	_, err := intent.Decode("f.yaml", []byte(text), nil)
	var ps intent.Problems
	if !errors.As(err, &ps) || len(ps) < 10 || len(ps) > 100 || !strings.HasPrefix(ps[0].Message, `unknown field "x`) {
		t.Errorf("got %.200v", err)
	}
}

func TestEmptyDocumentsAreNothing(t *testing.T) {
	for _, text := range []string{"", "---\n", "# only a comment\n", "---\n---\n# x\n---\n"} {
		docs, err := intent.Decode("f.yaml", []byte(text), nil)
		if err != nil || len(docs) != 0 {
			t.Errorf("%q: %v %v", text, docs, err)
		}
	}
}

func TestExampleRoundTrip(t *testing.T) {
	data, err := os.ReadFile("../../examples/two-hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := intent.Decode("two-hosts.yaml", data, intent.Extra{"Lab": func() any { return new(map[string]any) }})
	if err != nil {
		t.Fatal(err)
	}
	var set intent.Set
	for _, d := range docs {
		if o, ok := d.Value.(intent.Object); ok {
			set.Add(o)
		}
	}
	if ps := set.Check(); len(ps) > 0 {
		t.Fatal(ps)
	}
	if len(set.Ports) != 6 || len(set.Nodes) != 3 || len(set.Subnets) != 2 || len(set.VPCs) != 1 {
		t.Fatalf("got %+v", set)
	}
	var out bytes.Buffer
	if err := intent.WriteYAML(&out, set.Objects()...); err != nil {
		t.Fatal(err)
	}
	again, err := intent.Decode("again", out.Bytes(), nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	for i, o := range set.Objects() {
		if !reflect.DeepEqual(o, again[i].Value) {
			t.Errorf("%v became %v", o, again[i].Value)
		}
	}
}

func TestProblemsFindTheirLine(t *testing.T) {
	_, err := intent.Decode("f.yaml", []byte(`kind: Port
name: p1
foo: 1
bar: 2
---
kind: Port
name: p2
subnet: s
attach:
  type: nothing
---
{kind: VPC}
---
{}
---
kind: Port
name: p2
node: n
subnet: s
`), nil)
	want := `f.yaml:3: unknown field "foo"
f.yaml:4: unknown field "bar"
f.yaml:6: port "p2": node: is missing; name the host node
f.yaml:10: port "p2": attach.type: "nothing" is not a way to attach; use netns, tap or interface
f.yaml:12: name: is missing
f.yaml:12: cidrs: is missing; give at least one address block, such as 10.10.0.0/16
f.yaml:14: kind: is missing; use one of Node, VPC, Subnet, Port
f.yaml:17: port "p2": name: stands twice in this file`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestLocateFindsWhatTheControllerSays(t *testing.T) {
	docs, err := intent.Decode("f.yaml", []byte("kind: Port\nname: p\nnode: n\nsubnet: s\nattach:\n  type: tap\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	said := intent.Problems{{Ref: intent.Ref{Kind: intent.KindPort, Name: "p"}, FieldError: intent.FieldError{Field: "attach.type", Message: "no"}}}
	if got := intent.Locate(said, docs).Error(); got != `f.yaml:6: port "p": attach.type: no` {
		t.Errorf("got %s", got)
	}
}

// TestTextIsAsWritten holds names that YAML would take for something else.
func TestTextIsAsWritten(t *testing.T) {
	for text, want := range map[string]string{
		"name: 010": "010", "name: 0x1f": "0x1f", "name: 1e3": "1e3", "name: true": "true", "name: &n x": "x", `name: "7"`: "7",
	} {
		docs, err := intent.Decode("f", []byte("\ufeffkind: &k VPC\ncidrs: [10.0.0.0/8]\n"+text+"\n"), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := docs[0].Value.(*intent.VPC).Name; got != want {
			t.Errorf("%s: got %q", text, got)
		}
	}
	_, err := intent.Decode("f", []byte("kind: Port\nname: p\nsubnet: s\nnode: n\nattach:\n  type: tap\n  owner: 1.5\n"), nil)
	if err == nil || err.Error() != "f:7: attach: owner: 1.5 is not a whole number" {
		t.Errorf("got %v", err)
	}
}

func TestJSONIsRead(t *testing.T) {
	docs, err := intent.Decode("f.json", []byte(`[{"kind": "VPC", "name": "a", "cidrs": ["10.0.0.0/8"]}, {"kind": "Port", "name": "p", "subnet": "s", "node": "n", "revision": 7}]`), nil)
	if err != nil || len(docs) != 2 || docs[1].Value.(*intent.Port).Revision != 7 {
		t.Errorf("got %v, %v", docs, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("kind: VPC\nname: v\ncidrs: [10.0.0.0/16]\n---\nkind: Port\nattach: {type: tap}\n"))
	f.Add([]byte("kind: &a Subnet\nname: *a\n"))
	f.Add([]byte("kind: Node\n<<: {name: x}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := intent.Decode("f", data, extra)
		if err != nil {
			return
		}
		for _, d := range docs {
			if o, ok := d.Value.(intent.Object); ok {
				o.Validate()
				d.LineOf("attach.type")
			}
		}
	})
}
