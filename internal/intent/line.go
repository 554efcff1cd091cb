package intent

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

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

// Locate fills in where each problem's object was read from, and puts them in order.
func Locate(ps Problems, docs []Document) Problems {
	out := slices.Clone(ps)
	for i, p := range out {
		for _, d := range docs {
			if o, ok := d.Value.(Object); ok && RefOf(o) == p.Ref {
				out[i].File, out[i].Line = d.File, d.LineOf(p.Field)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return out
}

// textOf returns a scalar as it is written.
func textOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.AnchorNode:
		return textOf(n.Value)
	case *ast.StringNode:
		return n.Value
	case ast.ScalarNode:
		return n.GetToken().Value
	}
	return ""
}

// asWritten prepares a node for decoding into type t: where t has text, a scalar that
// looks like a number or a truth value is taken as it is written (YAML would turn the
// name 010 into 8), and where t has a whole number, nothing else will do. It returns
// the line of what is wrong.
func asWritten(n ast.Node, t reflect.Type) (line int, err error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n := n.(type) {
	case *ast.AnchorNode:
		return asWritten(n.Value, t)
	case *ast.SequenceNode:
		if t.Kind() != reflect.Slice {
			return 0, nil
		}
		for i, v := range n.Values {
			if isText(t.Elem()) && looksOtherwise(v) {
				n.Values[i] = ast.String(v.GetToken())
			}
			if line, err := asWritten(v, t.Elem()); err != nil {
				return line, err
			}
		}
	case *ast.MappingNode:
		if t.Kind() != reflect.Struct {
			return 0, nil
		}
		fields := fieldTypes(t)
		for _, v := range n.Values {
			f, known := fields[keyOf(v)]
			if !known {
				continue
			}
			if isText(f) && looksOtherwise(v.Value) {
				v.Value = ast.String(v.Value.GetToken())
			}
			if line, err := asWritten(v.Value, f); err != nil {
				return line, fmt.Errorf("%s: %w", keyOf(v), err)
			}
		}
	case *ast.FloatNode:
		if k := t.Kind(); k >= reflect.Int && k <= reflect.Uint64 {
			return n.GetToken().Position.Line, fmt.Errorf("%s is not a whole number", n.GetToken().Value)
		}
	}
	return 0, nil
}

func isText(t reflect.Type) bool {
	return t.Kind() == reflect.String && !reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.NodeUnmarshaler]())
}

func looksOtherwise(n ast.Node) bool {
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return true
	}
	return false
}

// fieldTypes returns the types of a struct's fields by their name in files.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			for k, v := range fieldTypes(f.Type) {
				fields[k] = v
			}
		} else if name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}
