package yamltree

import (
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

const (
	// mostPath bounds the path of a value, such as `rules[0].name`, in bytes. The library
	// writes one for each value, so that a deep file and one with long names take memory
	// that grows with their square.
	mostPath = 512

	// mostOfWord bounds the size of a file, in bytes for each word that it may have.
	mostOfWord = 16

	// mostEmpty bounds the empty lines in a row: of a text after '|' the library takes a time
	// that grows with their square.
	mostEmpty = 200
)

// scan returns the words and marks of a file, or what makes it one not to be parsed.
func scan(data []byte, most int) (token.Tokens, error) {
	if len(data) > most*mostOfWord {
		return nil, &Error{1, fmt.Sprintf("is of %d bytes; at most %d are read", len(data), most*mostOfWord)}
	}
	if line := emptyLines(data); line > 0 {
		return nil, &Error{line, fmt.Sprintf("is within more than %d empty lines, and no more are read in a row", mostEmpty)}
	}
	var s scanner.Scanner
	s.Init(string(data))
	var tokens token.Tokens
	var at nesting
	for {
		some, err := s.Scan()
		if errors.Is(err, io.EOF) {
			return tokens, nil
		}
		for _, t := range some {
			if tokens.Add(t); len(tokens) > most {
				return nil, &Error{t.Position.Line, fmt.Sprintf("the file has more than %d words and marks, and no more are read", most)}
			}
			if wrong := at.next(t); wrong != "" {
				return nil, &Error{t.Position.Line, wrong}
			}
		}
	}
}

// emptyLines returns the line that is one empty line too many in a row, or 0.
func emptyLines(data []byte) int {
	line, empty := 1, 0
	for i, c := range data {
		switch {
		case c == '\n' && i > 0 && data[i-1] == '\r', c == ' ', c == '\t':
		case c == '\n', c == '\r':
			if empty++; empty > mostEmpty+1 { // the first ends a line that is not
				return line
			}
			line++
		default:
			empty = 0
		}
	}
	return 0
}

// nesting follows what holds the place that a scan is at.
type nesting struct {
	open []level
	path int // bytes of its path
	flow int // how many of open are within '[' or '{'
	name int // bytes of the name before, if a ':' came last in a flow
}

// level is a list or a field that is open.
type level struct {
	mark   token.Type // '[' or '{' for one that its pair ends, '-' or ':' for one that ends by indentation
	column int
	path   int // bytes that it adds to the path
}

// next goes on by a token, and returns what is wrong, if anything is.
func (n *nesting) next(t *token.Token) string {
	switch t.Type {
	case token.TagType:
		return "tags are not read; a text that begins with '!' needs quotes"
	case token.MappingKeyType:
		return "keys after '?' are not read; write `name: value`, or quote a text that begins with '?'"
	case token.InvalidType:
		return t.Error
	case token.DocumentHeaderType, token.DocumentEndType:
		*n = nesting{open: n.open[:0]}
	case token.SequenceStartType, token.MappingStartType:
		n.push(t, len("[0000000]")+n.name)
		n.flow++
		n.name = 0
	case token.SequenceEndType, token.MappingEndType:
		n.close()
	case token.CollectEntryType:
		n.name = 0
	case token.SequenceEntryType:
		if n.flow == 0 {
			n.dedent(t.Position.Column, token.SequenceEntryType)
			n.push(t, len("[0000000]"))
		}
	case token.MappingValueType:
		key := t
		for key.Prev != nil && (key == t || key.Type == token.CommentType) {
			key = key.Prev
		}
		n.name = len(key.Value) + len(".''")
		if n.flow == 0 {
			n.dedent(key.Position.Column, token.MappingValueType)
			n.open, n.path, n.name = append(n.open, level{t.Type, key.Position.Column, n.name}), n.path+n.name, 0
		}
	}
	if n.path+n.name > mostPath {
		return fmt.Sprintf("is nested too deep: the names and places that lead here, as in rules.0.name, are of more than %d characters", mostPath)
	}
	return ""
}

func (n *nesting) push(t *token.Token, path int) {
	n.open = append(n.open, level{t.Type, t.Position.Column, path})
	n.path += path
}

func (n *nesting) pop() level {
	last := n.open[len(n.open)-1]
	n.open = n.open[:len(n.open)-1]
	n.path -= last.path
	return last
}

// close ends the innermost '[' or '{'; the parser tells of one that was not open.
func (n *nesting) close() {
	if n.name = 0; n.flow > 0 {
		n.pop()
		n.flow--
	}
}

// dedent ends what a new line of a list or mapping at the column is not within. A list
// may stand in the column of the field that it belongs to.
func (n *nesting) dedent(column int, mark token.Type) {
	for len(n.open) > 0 {
		last := n.open[len(n.open)-1]
		if last.column < column || last.column == column && mark == token.SequenceEntryType && last.mark == token.MappingValueType {
			return
		}
		n.pop()
	}
}
