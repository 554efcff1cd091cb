package controller

import (
	"fmt"
	"net/http"

	"sarn/internal/intent"
)

// Refusal is why a change was not made. Nothing of it was.
type Refusal struct {
	// Status is the HTTP status that fits all the problems: 422 if one is wrong in
	// itself, 409 if it is at odds with what is there, 404 if it is about nothing.
	Status int
	// Problems are the first of the Total that were found, and a last one that says
	// how many more there are.
	Problems intent.Problems
	Total    int
}

// maxProblems is how many problems a refusal lists: more help nobody, and a bad change
// of thousands of objects must not cost much memory.
const maxProblems = 100

// Error implements error.
func (r *Refusal) Error() string { return r.Problems.Error() }

// Unwrap returns the problems.
func (r *Refusal) Unwrap() error { return r.Problems }

// findings gathers the problems of a change.
type findings struct {
	problems intent.Problems // the first maxProblems, or all
	all      bool
	total    int
	statuses map[int]bool
}

func (f *findings) add(status int, ref intent.Ref, field, format string, args ...any) {
	if f.total++; f.all || f.total <= maxProblems {
		f.problems = append(f.problems, intent.Problem{
			Ref: ref, FieldError: intent.FieldError{Field: field, Message: fmt.Sprintf(format, args...)},
		})
	}
	if f.statuses == nil {
		f.statuses = map[int]bool{}
	}
	f.statuses[status] = true
}

// wrong adds a problem of the object itself.
func (f *findings) wrong(ref intent.Ref, field, format string, args ...any) {
	f.add(http.StatusUnprocessableEntity, ref, field, format, args...)
}

// clash adds a problem with what is there already.
func (f *findings) clash(ref intent.Ref, field, format string, args ...any) {
	f.add(http.StatusConflict, ref, field, format, args...)
}

// missing adds a problem of a thing that is not there.
func (f *findings) missing(ref intent.Ref, format string, args ...any) {
	f.add(http.StatusNotFound, ref, "", format, args...)
}

// refusal returns the problems as an error, or nil if there are none.
func (f *findings) refusal() error {
	if len(f.problems) == 0 {
		return nil
	}
	r := &Refusal{Status: http.StatusUnprocessableEntity, Problems: f.problems, Total: f.total}
	if more := f.total - len(f.problems); more > 0 {
		r.Problems = append(r.Problems, intent.Problem{FieldError: intent.FieldError{
			Message: fmt.Sprintf("and %d problems more; mend these first", more),
		}})
	}
	switch {
	case f.statuses[http.StatusUnprocessableEntity]:
	case f.statuses[http.StatusConflict]:
		r.Status = http.StatusConflict
	default:
		r.Status = http.StatusNotFound
	}
	return r
}
