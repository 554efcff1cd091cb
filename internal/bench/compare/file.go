package compare

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Parse reads a comparison's file, strictly: an unknown or repeated field, a value of
// the wrong type and whatever Validate finds are Problems with file and line. The
// config is filled, and its directories are absolute.
func Parse(file string, data []byte) (*Config, error) {
	body, err := parseYAML(file, bytes.TrimPrefix(data, []byte("\ufeff")))
	if err != nil {
		return nil, err
	}
	c := &Config{}
	if err := decode(file, body, c); err != nil {
		return nil, err
	}
	ps := nothings(body, c)
	c.Fill()
	if ps = append(ps, c.Validate()...); len(ps) > 0 {
		for i := range ps {
			ps[i].File, ps[i].Line = file, lineOf(body, ps[i].Field)
		}
		slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
		return nil, ps
	}
	where, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("find the directory of %s: %w", file, err)
	}
	for i := range c.Servers {
		if s := &c.Servers[i]; !filepath.IsAbs(s.Dir) && !strings.HasPrefix(s.Dir, tmpWord) {
			s.Dir = filepath.Join(where, s.Dir)
		}
	}
	return c, nil
}

// nothings are fields that say 0, which would be taken for left out.
func nothings(body *ast.MappingNode, c *Config) Problems {
	var ps problemList
	check := func(field string, zero bool) {
		if zero && has(body, field) {
			ps.add(field, "is above nothing; leave it out for its default")
		}
	}
	check("requests", c.Requests == 0)
	check("duration", c.Duration == 0)
	check("concurrency", c.Concurrency == 0)
	check("timeout", c.Timeout == 0)
	check("rounds", c.Rounds == 0)
	for i, s := range c.Servers {
		at := fmt.Sprintf("servers.%d.", i)
		check(at+"ready.timeout", s.Ready.Timeout == 0)
		check(at+"stop.timeout", s.Stop.Timeout == 0)
	}
	return ps.all
}

const unreadable = "is not YAML that can be read; look for a stray '!', '&' or '*'"

// parseYAML returns the file's only document. The YAML library panics on some tags and
// anchors that make no sense; a user gets a sentence all the same.
func parseYAML(file string, data []byte) (body *ast.MappingNode, err error) {
	defer func() {
		if recover() != nil {
			err = Problems{{File: file, Line: 1, Message: unreadable}}
		}
	}()
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, Problems{problemOf(file, 1, err)}
	}
	docs := slices.DeleteFunc(tree.Docs, func(d *ast.DocumentNode) bool {
		switch d.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
			return true
		}
		return false
	})
	if len(docs) == 0 {
		return nil, Problems{{File: file, Line: 1, Message: "is empty; a comparison has at least `servers:`"}}
	}
	if len(docs) > 1 {
		return nil, Problems{{File: file, Line: docs[1].Body.GetToken().Position.Line, Message: "is a second document; a file holds one comparison"}}
	}
	body, ok := docs[0].Body.(*ast.MappingNode)
	if !ok {
		return nil, Problems{{File: file, Line: docs[0].Body.GetToken().Position.Line, Message: "a comparison is a list of `field: value` lines, such as `rounds: 10`"}}
	}
	return body, nil
}

func decode(file string, body *ast.MappingNode, c *Config) (err error) {
	defer func() {
		if recover() != nil {
			err = Problems{{File: file, Line: 1, Message: unreadable}}
		}
	}()
	if line, err := asWritten(body, reflect.TypeOf(c)); err != nil {
		return Problems{{File: file, Line: line, Message: err.Error()}}
	}
	if err := yaml.NodeToValue(body, c, yaml.Strict()); err != nil {
		return Problems{problemOf(file, 1, err)}
	}
	return nil
}

// problemOf turns a YAML library's error into a Problem: its first line, and the line
// of the file that it points at.
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
	return Problem{File: file, Line: line, Message: msg}
}

// asWritten prepares a node for decoding into type t: where t has text, a scalar that
// looks like a number or a truth value is taken as it is written (a word 010 of a
// command would become 8), and where t has a whole number, nothing else will do. It
// returns the line of what is wrong.
func asWritten(n ast.Node, t reflect.Type) (line int, err error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n := n.(type) {
	case *ast.SequenceNode:
		if t.Kind() != reflect.Slice {
			return 0, nil
		}
		for i := range n.Values {
			if line, err := valueAsWritten(&n.Values[i], t.Elem()); err != nil {
				return line, err
			}
		}
	case *ast.MappingNode:
		fields := fieldTypes(t)
		for _, v := range n.Values {
			f, known := fields[keyOf(v)]
			if t.Kind() == reflect.Map {
				f, known = t.Elem(), true
			}
			if !known {
				continue
			}
			if line, err := valueAsWritten(&v.Value, f); err != nil {
				return line, fmt.Errorf("%s: %w", keyOf(v), err)
			}
		}
	case *ast.FloatNode:
		if k := t.Kind(); k >= reflect.Int && k <= reflect.Uint64 && !isText(t) {
			return n.GetToken().Position.Line, fmt.Errorf("%s is not a whole number", n.GetToken().Value)
		}
	}
	return 0, nil
}

func valueAsWritten(n *ast.Node, t reflect.Type) (line int, err error) {
	if anchor, ok := (*n).(*ast.AnchorNode); ok {
		return valueAsWritten(&anchor.Value, t)
	}
	if isText(t) {
		switch v := (*n).(type) {
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
			*n = ast.String(v.GetToken())
		}
	}
	return asWritten(*n, t)
}

// isText reports whether a value of type t is written as text.
func isText(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.String || t == reflect.TypeFor[Duration]() || t == reflect.TypeFor[CPUs]()
}

// fieldTypes returns the types of a struct's fields by their name in files.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	if t.Kind() != reflect.Struct {
		return fields
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = f.Type
	}
	return fields
}

func keyOf(v *ast.MappingValueNode) string {
	if s, ok := v.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return v.Key.String()
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
		line, at = key.GetToken().Position.Line, value
	}
	return line
}

// has reports whether the field stands in the file.
func has(body *ast.MappingNode, field string) bool {
	var at ast.Node = body
	for name := range strings.SplitSeq(field, ".") {
		if at, _ = child(at, name); at == nil {
			return false
		}
	}
	return true
}

// child returns what n holds under the name, and the node that its line begins with.
func child(n ast.Node, name string) (value, key ast.Node) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if keyOf(v) == name {
				return v.Value, v.Key
			}
		}
	case *ast.SequenceNode:
		at, err := strconv.Atoi(name)
		if err != nil || at >= len(n.Values) {
			return nil, nil
		}
		v := n.Values[at]
		if m, ok := v.(*ast.MappingNode); ok && len(m.Values) > 0 {
			return v, m.Values[0].Key
		}
		return v, v
	}
	return nil, nil
}

// UnmarshalYAML decodes the time, so that an error knows its line.
func (d *Duration) UnmarshalYAML(n ast.Node) error { return unmarshalText(n, d) }

// UnmarshalYAML decodes the list, so that an error knows its line.
func (c *CPUs) UnmarshalYAML(n ast.Node) error { return unmarshalText(n, c) }

func unmarshalText(n ast.Node, into encoding.TextUnmarshaler) error {
	text := n.String()
	if s, ok := n.(*ast.StringNode); ok {
		text = s.Value
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: n.GetToken()}
	}
	return nil
}
