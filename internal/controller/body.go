package controller

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// decode reads a request's body, a what, strictly. The controller does it itself: its own
// checks name the object that is wrong, those of the schema a place in the body.
func decode[T any](text []byte, what string) (v T, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("the body is not a %s: %w", what, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, fmt.Errorf("the body goes on after the %s", what)
	}
	known := map[string]bool{}
	fieldNames(reflect.TypeFor[T](), known)
	if err := checkKeys(json.NewDecoder(bytes.NewReader(text)), known); err != nil {
		return v, fmt.Errorf("the body is not a %s: %w", what, err)
	}
	return v, nil
}

// checkKeys refuses what encoding/json lets pass in the next value: a key that stands
// twice in one object, of which it would merge the values, and one whose letters are
// of the wrong case. That the keys are known otherwise has been seen to.
func checkKeys(d *json.Decoder, known map[string]bool) error {
	open, err := d.Token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') && open != json.Delim('[') {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if open == json.Delim('{') {
			token, err := d.Token()
			if err != nil {
				return err
			}
			switch key := fmt.Sprint(token); {
			case seen[key]:
				return fmt.Errorf("key %q stands twice in one object", key)
			case !known[key]:
				return fmt.Errorf("unknown field %q; upper and lower case differ", key)
			default:
				seen[key] = true
			}
		}
		if err := checkKeys(d, known); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// fieldNames adds the JSON names of t's fields, and of those below them, to names.
func fieldNames(t reflect.Type, names map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		fieldNames(t.Elem(), names)
	case reflect.Struct:
		for f := range t.Fields() {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				names[name] = true
			}
			if f.IsExported() {
				fieldNames(f.Type, names)
			}
		}
	default:
	}
}
