package problem

import (
	"fmt"
	"strings"
)

// Problem is what is wrong with one field of a config. Field is a path of names, such
// as "rules.0.warning". File and Line are known if it came from a file.
type Problem struct {
	File    string
	Line    int
	Field   string
	Message string
}

// String returns the problem as `file:line: field: message`, leaving out what is not
// known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	return b.String() + p.Message
}

// Problems is a list of them, as an error.
type Problems []Problem

// Error returns one line a problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Add appends what is wrong with a field, which is not known to be of a file yet.
func (ps *Problems) Add(field, format string, args ...any) {
	*ps = append(*ps, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}
