package strict

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"sarn/internal/problem"
)

// decoder fills a value from YAML nodes and goes on after a mistake, so that all are told.
type decoder struct {
	file    string
	wrong   problem.Problems
	anchors map[string]ast.Node // that are complete: none holds itself
}

func (d *decoder) fail(n ast.Node, field, format string, args ...any) {
	d.wrong = append(d.wrong, problem.Problem{File: d.file, Line: lineOf(n), Field: field, Message: fmt.Sprintf(format, args...)})
}

func (d *decoder) value(n ast.Node, v reflect.Value, field string) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		d.value(n.Value, v, field)
		d.anchors[n.Name.String()] = n.Value
		return
	case *ast.AliasNode:
		if known := d.anchors[n.Value.String()]; known != nil { // else it is in what is told to be no field
			d.value(known, v, field)
		}
		return
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.scalar(n, field, func(s string) error { return text.UnmarshalText([]byte(s)) })
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
		values, ok := mapping(n)
		if !ok {
			d.fail(n, field, "is `name: text` lines")
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		for _, e := range values {
			one := reflect.New(v.Type().Elem()).Elem()
			d.value(e.Value, one, join(field, keyOf(e)))
			v.SetMapIndex(reflect.ValueOf(keyOf(e)), one)
		}
	default:
		d.scalar(n, field, func(s string) error { return set(v, s) })
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
		if name != "" && name != "-" {
			names, at[name] = append(names, name), i
		}
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

func (d *decoder) scalar(n ast.Node, field string, set func(string) error) {
	text, ok := scalarText(n)
	if !ok {
		d.fail(n, field, "is one value, such as a word or a number")
		return
	}
	if err := set(text); err != nil {
		d.fail(n, field, "%v", err)
	}
}

// set sets a string, a truth value or a number.
func set(v reflect.Value, text string) error {
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(text == "true")
	case v.CanInt():
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(i)
	case v.CanUint():
		i, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number from 0 on", text)
		}
		v.SetUint(i)
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || f-f != 0 {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(f)
	default:
		panic("strict: no file can hold a " + v.Type().String())
	}
	return nil
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

func lineOf(n ast.Node) int {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	if n == nil || n.GetToken() == nil {
		return 1
	}
	return n.GetToken().Position.Line
}
