package intent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

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

// Decode reads the YAML documents of a file, strictly: an unknown kind or field, a
// repeated field or a value of the wrong type is a Problem with file and line,
// and all of them are reported together. Objects are not validated beyond that;
// see Set.Check.
func Decode(file string, data []byte, extra Extra) (docs []Document, err error) {
	// The YAML library panics on some tags and anchors that make no sense, such as a
	// tag on nothing; fuzzing finds them. A user gets a sentence all the same.
	defer func() {
		if recover() != nil {
			docs, err = nil, Problems{{File: file, Line: 1, FieldError: FieldError{"", "is not YAML that can be read; look for a stray '!', '&' or '*'"}}}
		}
	}()
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, Problems{problemOf(file, 1, err)}
	}
	var ps Problems
	for _, d := range tree.Docs {
		if d.Body == nil {
			continue
		}
		doc, err := decodeDocument(file, d.Body, extra)
		if err != nil {
			ps = append(ps, *err)
			continue
		}
		if doc != nil {
			docs = append(docs, *doc)
		}
	}
	if len(ps) > 0 {
		return nil, ps
	}
	return docs, nil
}

func decodeDocument(file string, node ast.Node, extra Extra) (*Document, *Problem) {
	line := node.GetToken().Position.Line
	body, ok := node.(*ast.MappingNode)
	if !ok {
		if _, empty := node.(*ast.NullNode); empty {
			return nil, nil
		}
		if _, comment := node.(*ast.CommentGroupNode); comment {
			return nil, nil
		}
		return nil, &Problem{File: file, Line: line, FieldError: FieldError{"", "a document is a list of `field: value` lines, beginning with `kind:`"}}
	}
	line = body.Values[0].Key.GetToken().Position.Line
	at := slices.IndexFunc(body.Values, func(v *ast.MappingValueNode) bool { return keyOf(v) == "kind" })
	if at < 0 {
		return nil, &Problem{File: file, Line: line, FieldError: FieldError{"kind", "is missing; use one of " + kindWords(extra)}}
	}
	kindNode := body.Values[at]
	var kind string
	if s, ok := kindNode.Value.(*ast.StringNode); ok {
		kind = s.Value
	}
	var value any
	if o := New(Kind(kind)); o != nil {
		value = o
	} else if mk, ok := extra[kind]; ok {
		value = mk()
	} else {
		return nil, &Problem{
			File: file, Line: kindNode.Key.GetToken().Position.Line,
			FieldError: FieldError{"kind", fmt.Sprintf("%q is not a kind; use one of %s", kind, kindWords(extra))},
		}
	}
	body.Values = slices.Delete(body.Values, at, at+1)
	if len(body.Values) > 0 {
		if err := yaml.NodeToValue(body, value, yaml.Strict()); err != nil {
			p := problemOf(file, line, err)
			p.Kind = Kind(kind)
			return nil, &p
		}
	}
	return &Document{File: file, Line: line, Value: value, body: body}, nil
}

// problemOf turns a YAML library's error into a Problem: its first line, and the
// line of the file that it points at.
func problemOf(file string, line int, err error) Problem {
	msg := err.Error()
	var ye yaml.Error
	if errors.As(err, &ye) {
		msg = ye.GetMessage()
		if t := ye.GetToken(); t != nil {
			line = t.Position.Line
		}
	}
	msg, _, _ = strings.Cut(msg, "\n")
	return Problem{File: file, Line: line, FieldError: FieldError{"", msg}}
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

// LineOf returns the line on which the field stands, or the line of what holds it
// as far as the document says. The field is a path of names, such as "attach.type";
// an element of a list is named by its `name:` or its place in the list.
func (d Document) LineOf(field string) int {
	line := d.Line
	var at ast.Node = d.body
	for _, name := range strings.Split(field, ".") {
		value, key := child(at, name)
		if value == nil {
			break
		}
		line, at = key.GetToken().Position.Line, value
	}
	return line
}

// child returns what n holds under the name, and the node that its line begins with.
func child(n ast.Node, name string) (value, key ast.Node) {
	switch n := n.(type) {
	case *ast.MappingNode:
		if n == nil {
			return nil, nil
		}
		for _, v := range n.Values {
			if keyOf(v) == name {
				return v.Value, v.Key
			}
		}
	case *ast.SequenceNode:
		for i, v := range n.Values {
			if called, _ := child(v, "name"); called != nil && called.String() == name || strconv.Itoa(i) == name {
				return v, firstKey(v)
			}
		}
	}
	return nil, nil
}

func firstKey(n ast.Node) ast.Node {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return m.Values[0].Key
	}
	return n
}

// Locate fills in where each problem's object was read from.
func Locate(ps Problems, docs []Document) Problems {
	out := slices.Clone(ps)
	for i, p := range out {
		for _, d := range docs {
			if o, ok := d.Value.(Object); ok && RefOf(o) == p.Ref {
				out[i].File, out[i].Line = d.File, d.LineOf(p.Field)
			}
		}
	}
	return out
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
