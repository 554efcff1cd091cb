package intent

import (
	"fmt"
	"strings"
)

// FieldError says what is wrong with one field of an object. Field is the path
// of json names, such as "attach.type", or empty when it is the whole object.
type FieldError struct {
	Field   string `json:"field,omitempty" doc:"Field that is wrong, as a path of names, or empty for the whole object."`
	Message string `json:"message" doc:"What is wrong and how to mend it."`
}

// Problem is a FieldError of a certain object, with the place it was read from
// if it came from a file.
type Problem struct {
	Ref
	FieldError
	File string `json:"-"`
	Line int    `json:"-"`
}

// Problems is a non-empty list of them, as an error.
type Problems []Problem

// Error returns one line a problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// String returns the problem as `file:line: kind "name": field: message`, leaving
// out what is not known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	}
	if p.Name != "" {
		fmt.Fprintf(&b, "%s: ", p.Ref)
	}
	if p.Field != "" {
		fmt.Fprintf(&b, "%s: ", p.Field)
	}
	b.WriteString(p.Message)
	return b.String()
}

// Check returns the problems of every object in the set seen alone, including
// objects that are named twice.
func (s *Set) Check() Problems {
	var ps Problems
	seen := map[Ref]bool{}
	for _, o := range s.Objects() {
		ref := RefOf(o)
		for _, e := range o.Validate() {
			ps = append(ps, Problem{Ref: ref, FieldError: e})
		}
		if seen[ref] {
			ps = append(ps, Problem{Ref: ref, FieldError: FieldError{"name", "is given twice in this change"}})
		}
		seen[ref] = true
	}
	return ps
}
