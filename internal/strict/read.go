package strict

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"sarn/internal/problem"
	"sarn/internal/yamltree"
)

// mostWords bounds a file, and what its aliases to aliases unfold to.
const mostWords = 100_000

// Kind is a sort of file, for what is said of it.
type Kind struct {
	Name  string // what one is, such as "a comparison"
	First string // a field that each has, such as "servers"
}

// Document is a file that was read.
type Document struct {
	file  string
	body  *ast.MappingNode
	wrong problem.Problems
}

// Read fills a struct, by its json tags, from a file's bytes. A scalar may be a string, a
// truth value, a number, or an encoding.TextUnmarshaler. The error is that of a file which
// is not one document of fields; what is wrong with single fields, Check returns.
func Read(file string, data []byte, kind Kind, into any) (*Document, error) {
	body, err := parse(file, bytes.TrimPrefix(data, []byte("\ufeff")), kind)
	if err != nil {
		return nil, err
	}
	d := decoder{file: file, anchors: map[string]ast.Node{}}
	d.value(body, reflect.ValueOf(into).Elem(), "")
	return &Document{file: file, body: body, wrong: d.wrong}, nil
}

// Check returns what is wrong with the file, in the order of its lines: what Read found,
// and what the caller found wrong with the values, by field. Of one field, what it is
// written like comes before what it means. It is nil if nothing is wrong.
func (d *Document) Check(found problem.Problems) error {
	all := slices.Clone(d.wrong)
	for _, p := range found {
		known := func(q problem.Problem) bool {
			return q.Field == p.Field || strings.HasPrefix(q.Field, p.Field+".") || strings.HasPrefix(p.Field, q.Field+".")
		}
		if slices.ContainsFunc(d.wrong, known) {
			continue
		}
		p.File, p.Line = d.file, d.line(p.Field)
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b problem.Problem) int { return a.Line - b.Line })
	return all
}

// Has reports whether the field stands in the file.
func (d *Document) Has(field string) bool {
	var at ast.Node = d.body
	for name := range strings.SplitSeq(field, ".") {
		if at, _ = child(at, name); at == nil {
			return false
		}
	}
	return true
}

// line is where the field stands, or what holds it as far as the file says.
func (d *Document) line(field string) int {
	line := 1
	var at ast.Node = d.body
	for name := range strings.SplitSeq(field, ".") {
		value, key := child(at, name)
		if value == nil {
			break
		}
		line, at = lineOf(key), value
	}
	return line
}

// parse returns the file's only document.
func parse(file string, data []byte, kind Kind) (*ast.MappingNode, error) {
	fail := func(line int, format string, args ...any) error {
		return problem.Problems{{File: file, Line: line, Message: fmt.Sprintf(format, args...)}}
	}
	docs, err := yamltree.Parse(data, mostWords)
	var wrong *yamltree.Error
	if errors.As(err, &wrong) {
		return nil, fail(wrong.Line, "%s", wrong.Message)
	}
	docs = slices.DeleteFunc(docs, func(d *ast.DocumentNode) bool {
		switch d.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
			return true
		}
		return false
	})
	if len(docs) == 0 {
		return nil, fail(1, "is empty; %s has at least `%s:`", kind.Name, kind.First)
	}
	if len(docs) > 1 {
		return nil, fail(lineOf(docs[1].Body), "is a second document; a file holds one, with all of its `%s:`", kind.First)
	}
	body, ok := docs[0].Body.(*ast.MappingNode)
	if !ok {
		return nil, fail(lineOf(docs[0].Body), "%s is a list of `field: value` lines, such as `%s:`", kind.Name, kind.First)
	}
	return body, nil
}
