package report

import (
	"fmt"
	"io"

	"sarn/internal/bench/load"
)

// Load writes the page of one load test.
func Load(w io.Writer, r *load.Result) error {
	_, err := fmt.Fprintln(w, r.URL)
	return err
}
