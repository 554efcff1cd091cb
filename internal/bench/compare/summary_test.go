package compare

import (
	"strings"
	"testing"

	"sarn/internal/bench/load"
)

// measured is a result with one round of each server.
func measured(rounds map[string]Round) *Result {
	r := &Result{}
	for _, name := range []string{"a", "b"} {
		n, ok := rounds[name]
		if !ok {
			continue
		}
		n.Number, n.Seconds = 1, 1
		r.Config.Servers = append(r.Config.Servers, ServerConfig{Name: name, Command: []string{"x"}})
		r.Servers = append(r.Servers, Server{Name: name, Rounds: []Round{n}})
	}
	r.finish()
	return r
}

func TestNotes(t *testing.T) {
	fine := Round{Requests: 10, RequestsPerSecond: 10, TimePerRequest: 1, Statuses: map[int]int64{200: 10}}
	with := func(change func(*Round)) Round {
		r := fine
		change(&r)
		return r
	}
	for want, r := range map[string]Round{
		"":                              fine,
		"b: 2 of 12 requests failed: x": with(func(r *Round) { r.Failed, r.Failures = 2, []load.Failure{{Count: 2, Words: "x"}} }),
		"b: 3 of 10 answers had a status other than":        with(func(r *Round) { r.Statuses = map[int]int64{200: 7, 503: 3} }),
		"the client was the limit, not the server, for b, ": with(func(r *Round) { r.Client.Limit = true }),
		"other programs kept 0.5 CPUs":                      with(func(r *Round) { r.OtherCPUSeconds = 1 }),
	} {
		notes := measured(map[string]Round{"a": fine, "b": r}).Notes
		if want == "" && len(notes) == 0 {
			continue
		}
		if len(notes) != 1 || want == "" || !strings.HasPrefix(notes[0], want) {
			t.Errorf("%q; want %q", notes, want)
		}
	}
}
