package yamltree

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Error is what is wrong with a file, and on which line.
type Error struct {
	Line    int
	Message string
}

// Error returns `line N: message`.
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// Unreadable is said of a file that makes the YAML library panic.
const Unreadable = "is not YAML that can be read; look for a stray '&', '*' or '?'"

// Parse returns the documents of a file. It refuses a file of more than so many words
// and marks, before and after its aliases are unfolded, and one that is nested too deep.
// Tags and keys that begin with '?' are not read. The error is an *Error.
func Parse(data []byte, most int) (docs []*ast.DocumentNode, err error) {
	line := 1
	defer func() {
		if recover() != nil {
			docs, err = nil, &Error{line, Unreadable}
		}
	}()
	tokens, err := scan(data, most)
	if err != nil {
		return nil, err
	}
	u := unfolding{left: most}
	for _, part := range split(tokens) {
		line = part[0].Position.Line
		tree, err := parser.Parse(part, 0)
		if err != nil {
			return nil, ErrorOf(err, line)
		}
		for _, doc := range tree.Docs {
			u.names = map[string]int{}
			if u.value(doc.Body); u.wrong != nil {
				return nil, u.wrong
			}
		}
		docs = append(docs, tree.Docs...)
	}
	return docs, nil
}

// split cuts tokens before each `---`, but not between it and its directives. The
// library takes a time that grows with the square of the documents it gets at once.
func split(tokens token.Tokens) []token.Tokens {
	var parts []token.Tokens
	from, directive := 0, false
	for i, t := range tokens {
		switch t.Type {
		case token.DirectiveType:
			directive = true
		case token.DocumentHeaderType:
			if i > from && !directive {
				parts, from = append(parts, tokens[from:i]), i
			}
			directive = false
		}
	}
	if from < len(tokens) {
		parts = append(parts, tokens[from:])
	}
	return parts
}

// unfolding counts the values of a tree as if its aliases were replaced.
type unfolding struct {
	names map[string]int // how many values each &name stands for, once they are complete: none holds itself
	left  int
	wrong *Error
}

// value returns how many values n is; once something is wrong, it goes no further.
func (u *unfolding) value(n ast.Node) int {
	if u.wrong != nil {
		return 0
	}
	count := 1
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			count += u.value(v.Value)
		}
	case *ast.SequenceNode:
		for _, v := range n.Values {
			count += u.value(v)
		}
	case *ast.AnchorNode:
		count = u.value(n.Value)
		u.names[n.Name.String()] = count
		return count
	case *ast.AliasNode:
		known := false
		if count, known = u.names[n.Value.String()]; !known {
			u.fail(n, "*%s stands for nothing: no &%[1]s comes before it; a text that begins with '*' needs quotes", n.Value)
		}
		u.spend(n, count)
		return count
	}
	u.spend(n, 1)
	return count
}

func (u *unfolding) spend(n ast.Node, values int) {
	if u.left -= values; u.left < 0 {
		u.fail(n, "the file unfolds to too many values: aliases such as *name stand for too much")
	}
}

func (u *unfolding) fail(n ast.Node, format string, args ...any) {
	if u.wrong == nil {
		u.wrong = &Error{n.GetToken().Position.Line, fmt.Sprintf(format, args...)}
	}
}

// ErrorOf returns the first line of the YAML library's error, and the line of the file
// that it points at, or else the line that is given. An *Error stays as it is.
func ErrorOf(err error, line int) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	message := ""
	var ye yaml.Error
	if errors.As(err, &ye) {
		message = ye.GetMessage() // Error() prints the source around it, which takes long
		if t := ye.GetToken(); t != nil {
			line = t.Position.Line
		}
	} else {
		message = err.Error()
	}
	message, _, _ = strings.Cut(message, "\n")
	return &Error{line, message}
}
