package alert

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Parse reads a file of alerts, strictly. Everything that is wrong with it is reported
// together, as Problems with file and line.
func Parse(file string, data []byte) (*Config, error) {
	body, err := parseYAML(file, bytes.TrimPrefix(data, []byte("\ufeff")))
	if err != nil {
		return nil, err
	}
	c := &Config{}
	d := decoder{file: file}
	d.value(body, reflect.ValueOf(c).Elem(), "")
	ps := d.problems
	for _, p := range validate(c) {
		p.File, p.Line = file, lineOf(body, p.Field)
		// Of one field, what it is written like comes before what it means.
		if !slices.ContainsFunc(d.problems, func(q Problem) bool { return q.Field == p.Field }) {
			ps = append(ps, p)
		}
	}
	if len(ps) > 0 {
		slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
		return nil, ps
	}
	return c, nil
}

// parseYAML returns the file's only document. The YAML library panics on some tags and
// anchors that make no sense; a user gets a sentence all the same.
func parseYAML(file string, data []byte) (body *ast.MappingNode, err error) {
	fail := func(line int, msg string) error { return Problems{{File: file, Line: line, Message: msg}} }
	defer func() {
		if recover() != nil {
			body, err = nil, fail(1, "is not YAML that can be read; look for a stray '!', '&' or '*'")
		}
	}()
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, Problems{problemOf(file, err)}
	}
	docs := slices.DeleteFunc(tree.Docs, func(d *ast.DocumentNode) bool {
		switch d.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
			return true
		}
		return false
	})
	if len(docs) == 0 {
		return nil, fail(1, "is empty; a file of alerts has at least `rules:`")
	}
	if len(docs) > 1 {
		return nil, fail(lineAt(docs[1].Body), "is a second document; put all rules under one `rules:`")
	}
	body, ok := docs[0].Body.(*ast.MappingNode)
	if !ok {
		return nil, fail(lineAt(docs[0].Body), "a file of alerts is a list of `field: value` lines, beginning with `rules:`")
	}
	return body, nil
}

// problemOf turns the YAML library's error into a Problem: its first line, and the line
// of the file that it points at.
func problemOf(file string, err error) Problem {
	p := Problem{File: file, Line: 1, Message: err.Error()}
	var ye yaml.Error
	if errors.As(err, &ye) {
		p.Message = ye.GetMessage()
		if t := ye.GetToken(); t != nil {
			p.Line = t.Position.Line
		}
	}
	p.Message, _, _ = strings.Cut(p.Message, "\n")
	return p
}

// decoder fills a value from YAML nodes and goes on after a mistake, so that all are
// reported. Scalars are taken as they are written: 010 stays 010.
type decoder struct {
	file     string
	problems Problems
}

func (d *decoder) fail(n ast.Node, field, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: lineAt(n), Field: field, Message: fmt.Sprintf(format, args...)})
}

func (d *decoder) value(n ast.Node, v reflect.Value, field string) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.fail(n, field, "anchors, aliases and tags are not read; a text that begins with '*', '&' or '!' needs quotes")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), field)
	case reflect.Struct:
		d.fields(n, v, field)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			d.fail(n, field, "is a list; write [one, two], or a line with '-' for each")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
		for i, e := range list.Values {
			d.value(e, v.Index(i), join(field, strconv.Itoa(i)))
		}
	case reflect.Map:
		m, ok := mapping(n)
		if !ok {
			d.fail(n, field, "is `name: text` lines")
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		for _, e := range m {
			text := reflect.New(v.Type().Elem()).Elem()
			d.value(e.Value, text, join(field, keyOf(e)))
			v.SetMapIndex(reflect.ValueOf(keyOf(e)), text)
		}
	default:
		d.scalar(n, v, field)
	}
}

func (d *decoder) fields(n ast.Node, v reflect.Value, field string) {
	values, ok := mapping(n)
	if !ok {
		d.fail(n, field, "is `field: value` lines")
		return
	}
	names, at := []string{}, map[string]int{}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		names, at[name] = append(names, name), i
	}
	for _, e := range values {
		key := keyOf(e)
		i, known := at[key]
		switch {
		case known:
			d.value(e.Value, v.Field(i), join(field, key))
		case len(names) == 0:
			d.fail(e.Key, join(field, key), "is not a field; there are none here: write {}")
		default:
			d.fail(e.Key, join(field, key), "is not a field; use one of %s", strings.Join(names, ", "))
		}
	}
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, field string) {
	text, ok := scalarText(n)
	if !ok {
		d.fail(n, field, "is one value, such as a word or a number")
		return
	}
	if v.Kind() == reflect.Int {
		i, err := strconv.Atoi(text)
		if err != nil {
			d.fail(n, field, "%q is not a whole number", text)
		}
		v.SetInt(int64(i))
		return
	}
	v.SetString(text)
}

func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// mapping returns the lines of a mapping; nothing at all is one without lines.
func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	case *ast.NullNode:
		return nil, true
	}
	return nil, false
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

func keyOf(v *ast.MappingValueNode) string {
	if s, ok := v.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return v.Key.String()
}

func lineAt(n ast.Node) int {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	if n == nil || n.GetToken() == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

// lineOf returns the line on which the field stands, or that of what holds it as far as
// the file says.
func lineOf(body *ast.MappingNode, field string) int {
	line := 1
	var at ast.Node = body
	for name := range strings.SplitSeq(field, ".") {
		value, key := child(at, name)
		if value == nil {
			break
		}
		line, at = lineAt(key), value
	}
	return line
}

// child returns what n holds under the name, and the node that its line begins with.
func child(n ast.Node, name string) (value, key ast.Node) {
	if s, ok := n.(*ast.SequenceNode); ok {
		at, err := strconv.Atoi(name)
		if err != nil || at >= len(s.Values) {
			return nil, nil
		}
		return s.Values[at], s.Values[at]
	}
	values, _ := mapping(n)
	for _, v := range values {
		if keyOf(v) == name {
			return v.Value, v.Key
		}
	}
	return nil, nil
}
