package serve

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// longestQuery is in bytes.
const longestQuery = 8 << 10

// query refuses a request with other parameters than those, or one that is given twice
// where only one is taken: a name with a * may be given many times.
func query(w http.ResponseWriter, r *http.Request, names ...string) bool {
	if err := checkQuery(r, names); err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return false
	}
	return true
}

func checkQuery(r *http.Request, names []string) error {
	if len(r.URL.RawQuery) > longestQuery {
		return fmt.Errorf("the query is longer than %d bytes", longestQuery)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fmt.Errorf("the query cannot be read: %w", err)
	}
	for name, given := range values {
		switch {
		case slices.Contains(names, name+"*"):
		case !slices.Contains(names, name):
			if len(names) == 0 {
				return fmt.Errorf("there is no parameter %.50q: this takes none", name)
			}
			return fmt.Errorf("there is no parameter %.50q: there are %s", name, strings.ReplaceAll(strings.Join(names, ", "), "*", ""))
		case len(given) > 1:
			return fmt.Errorf("%s is given %d times", name, len(given))
		}
	}
	return nil
}
