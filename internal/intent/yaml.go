package intent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"sarn/internal/yamltree"
)

// mostWords bounds a file: a port is some 16 words and marks, and the controller takes
// some 100,000 ports in a change.
const mostWords = 4_000_000

// mostUnknown bounds how many fields of an object are told to be unknown: each takes as
// long as to decode the object.
const mostUnknown = 20

// Document is one YAML document of a file.
type Document struct {
	File  string
	Line  int
	Value any // an Object, or what Extra made
	body  *ast.MappingNode
}

// Extra makes an empty value for each kind that is not intent but may stand in
// the same file, such as a lab's wiring. The key is the kind.
type Extra map[string]func() any

// Decode reads the YAML (or JSON) documents of a file, strictly: an unknown kind or
// field, a repeated field, a value of the wrong type and whatever Validate finds are
// Problems with file and line, and all of them are reported together. A document that
// is a list holds one object an element. Values of extra kinds are not validated.
func Decode(file string, data []byte, extra Extra) ([]Document, error) {
	docs, err := yamltree.Parse(bytes.TrimPrefix(data, []byte("\ufeff")), mostWords)
	if err != nil {
		return nil, Problems{problemOf(file, 1, err)}
	}
	d := decoder{file: file, extra: extra}
	for _, doc := range docs {
		list, ok := doc.Body.(*ast.SequenceNode)
		if !ok {
			d.document(doc.Body)
			continue
		}
		for _, n := range list.Values {
			d.document(n)
		}
	}
	d.validate()
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, d.problems
	}
	return d.docs, nil
}

type decoder struct {
	file     string
	extra    Extra
	docs     []Document
	problems Problems
}

func (d *decoder) fail(line int, kind, field, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		Ref: Ref{Kind: Kind(kind)}, File: d.file, Line: line, FieldError: FieldError{field, fmt.Sprintf(format, args...)},
	})
}

// document decodes one object.
func (d *decoder) document(node ast.Node) {
	switch node.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return
	}
	line := node.GetToken().Position.Line
	defer func() {
		if recover() != nil {
			d.fail(line, "", "", yamltree.Unreadable)
		}
	}()
	body, ok := node.(*ast.MappingNode)
	if !ok {
		d.fail(line, "", "", "a document is a list of `field: value` lines, beginning with `kind:`")
		return
	}
	line = firstKey(body).GetToken().Position.Line
	at := slices.IndexFunc(body.Values, func(v *ast.MappingValueNode) bool { return keyOf(v) == "kind" })
	if at < 0 {
		d.fail(line, "", "kind", "is missing; use one of %s", kindWords(d.extra))
		return
	}
	kind := textOf(body.Values[at].Value)
	value := d.empty(kind)
	if value == nil {
		d.fail(body.Values[at].Key.GetToken().Position.Line, "", "kind", "%q is not a kind; use one of %s", kind, kindWords(d.extra))
		return
	}
	body.Values = slices.Delete(body.Values, at, at+1)
	if d.decode(kind, line, body, value) {
		d.docs = append(d.docs, Document{File: d.file, Line: line, Value: value, body: body})
	}
}

func (d *decoder) empty(kind string) any {
	if o := New(Kind(kind)); o != nil {
		return o
	}
	if mk, ok := d.extra[kind]; ok {
		return mk()
	}
	return nil
}

// decode fills value from body. A field that is not known is reported and taken out,
// so that the others are reported too.
func (d *decoder) decode(kind string, line int, body *ast.MappingNode, value any) bool {
	if at, err := asWritten(body, reflect.TypeOf(value)); err != nil {
		d.fail(at, kind, "", "%v", err)
		return false
	}
	good := true
	for told := 0; len(body.Values) > 0 && told < mostUnknown; told++ {
		err := yaml.NodeToValue(body, value, yaml.Strict())
		if err == nil {
			break
		}
		p := problemOf(d.file, line, err)
		p.Kind = Kind(kind)
		d.problems, good = append(d.problems, p), false
		var unknown *yaml.UnknownFieldError
		if !errors.As(err, &unknown) || !remove(body, unknown.Token) {
			break
		}
	}
	return good
}

// remove takes the field that begins with the token out of a mapping.
func remove(body *ast.MappingNode, t *token.Token) bool {
	for i, v := range body.Values {
		if v.Key.GetToken() == t {
			body.Values = slices.Delete(body.Values, i, i+1)
			return true
		}
		if inner, ok := v.Value.(*ast.MappingNode); ok && remove(inner, t) {
			return true
		}
	}
	return false
}

// validate reports what is wrong with each object seen alone, and names that stand
// twice in the file.
func (d *decoder) validate() {
	seen := map[Ref]bool{}
	for _, doc := range d.docs {
		o, ok := doc.Value.(Object)
		if !ok {
			continue
		}
		ref := RefOf(o)
		for _, e := range o.Validate() {
			d.problems = append(d.problems, Problem{Ref: ref, FieldError: e, File: doc.File, Line: doc.LineOf(e.Field)})
		}
		if seen[ref] && ref.Name != "" {
			d.problems = append(d.problems, Problem{Ref: ref, FieldError: FieldError{"name", "stands twice in this file"}, File: doc.File, Line: doc.LineOf("name")})
		}
		seen[ref] = true
	}
}

// problemOf turns an error of reading YAML into a Problem, on the line of the file that
// it points at.
func problemOf(file string, line int, err error) Problem {
	wrong := yamltree.ErrorOf(err, line)
	return Problem{File: file, Line: wrong.Line, FieldError: FieldError{"", wrong.Message}}
}

func keyOf(v *ast.MappingValueNode) string {
	if s, ok := v.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return v.Key.String()
}

func kindWords(extra Extra) string {
	words := make([]string, 0, len(Kinds)+len(extra))
	for _, k := range Kinds {
		words = append(words, string(k))
	}
	for k := range extra {
		words = append(words, k)
	}
	slices.Sort(words[len(Kinds):])
	return strings.Join(words, ", ")
}

// WriteYAML writes the objects as YAML documents that Decode reads back.
func WriteYAML(w io.Writer, objects ...Object) error {
	for i, o := range objects {
		if i > 0 {
			if _, err := io.WriteString(w, "---\n"); err != nil {
				return err
			}
		}
		js, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("encode %s: %w", RefOf(o), err)
		}
		text, err := yaml.JSONToYAML(js)
		if err != nil {
			return fmt.Errorf("encode %s: %w", RefOf(o), err)
		}
		if _, err := fmt.Fprintf(w, "kind: %s\n%s", o.Kind(), text); err != nil {
			return err
		}
	}
	return nil
}
