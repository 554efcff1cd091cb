package compare

import (
	"fmt"

	"sarn/internal/problem"
)

// Problem is what is wrong with one field of a config.
type Problem = problem.Problem

// Problems is a list of them, as an error.
type Problems = problem.Problems

type problemList struct{ all Problems }

func (l *problemList) add(field, format string, args ...any) {
	l.all = append(l.all, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}
