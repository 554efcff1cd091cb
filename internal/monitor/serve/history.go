package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"sarn/internal/monitor/history"
)

const (
	mostQueries = 2 // at a time
	mostFields  = 32
	mostPoints  = 10_000 // of all fields together
	// longestRange keeps sums of durations from overflowing.
	longestRange = 10 * 366 * 24 * time.Hour
	// queryPatience is how long a query may wait for others.
	queryPatience = 10 * time.Second
)

// kept refuses if nothing is kept, and else lets so many ask at a time.
func (s *Server) kept(w http.ResponseWriter, r *http.Request) (release func(), ok bool) {
	if s.History == nil {
		refuse(w, http.StatusNotFound, "no history is kept here: the monitor was started without")
		return nil, false
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryPatience)
	defer cancel()
	select {
	case s.queries <- struct{}{}:
		return func() { <-s.queries }, true
	case <-ctx.Done():
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "others ask for history; try again later")
		return nil, false
	}
}

// historyBounds answers with what there is.
func (s *Server) historyBounds(w http.ResponseWriter, r *http.Request) {
	if !query(w, r) {
		return
	}
	release, ok := s.kept(w, r)
	if !ok {
		return
	}
	defer release()
	bounds, err := s.History.Bounds()
	if err != nil {
		s.broken(w, err)
		return
	}
	answer(w, struct {
		Bounds []history.Extent `json:"bounds"`
		Fields []string         `json:"fields"`
	}{bounds, history.Fields()})
}

// historyAt answers with the whole picture of a time.
func (s *Server) historyAt(w http.ResponseWriter, r *http.Request) {
	if !query(w, r, "time", "resolution") {
		return
	}
	q := r.URL.Query()
	at, err := timeOf(q, "time")
	resolution := time.Second
	if err == nil {
		resolution, err = durationOf(q, "resolution", resolution)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	release, ok := s.kept(w, r)
	if !ok {
		return
	}
	defer release()
	record, err := s.History.At(at, resolution)
	switch {
	case errors.Is(err, history.ErrNone):
		refuse(w, http.StatusNotFound, "nothing is recorded of %s or before it", at.Format(time.RFC3339))
	case err != nil:
		s.broken(w, err)
	default:
		answer(w, record)
	}
}

// historyRange answers with the values for a chart.
func (s *Server) historyRange(w http.ResponseWriter, r *http.Request) {
	if !query(w, r, "from", "to", "step", "field*") {
		return
	}
	q := r.URL.Query()
	from, to, step, err := rangeOf(q)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	release, ok := s.kept(w, r)
	if !ok {
		return
	}
	defer release()
	// All that could be the server's fault is not an error of Range.
	series, err := s.History.Range(from, to, step, q["field"]...)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	answer(w, series)
}

func rangeOf(q url.Values) (from, to time.Time, step time.Duration, err error) {
	fields := len(q["field"])
	if fields == 0 || fields > mostFields {
		return from, to, 0, fmt.Errorf("%d fields: give from 1 to %d as field=NAME, such as cpu.busy; /api/v1/history has their names", fields, mostFields)
	}
	if from, err = timeOf(q, "from"); err != nil {
		return from, to, 0, err
	}
	if to, err = timeOf(q, "to"); err != nil {
		return from, to, 0, err
	}
	if step, err = durationOf(q, "step", 0); err != nil {
		return from, to, 0, err
	}
	if !from.Before(to) {
		return from, to, 0, errors.New("to must be after from")
	}
	if to.Sub(from) > longestRange {
		return from, to, 0, errors.New("that is more than ten years; ask for less")
	}
	if step == 0 { // 600 points of few fields; rounded up, so that they are not one too many
		points := time.Duration(min(600, mostPoints/fields))
		step = max((to.Sub(from)+points-1)/points, time.Second)
	}
	if points := (to.Sub(from) + step - 1) / step * time.Duration(fields); points > mostPoints {
		return from, to, 0, fmt.Errorf("%d points are more than %d: give a longer step or fewer fields", points, mostPoints)
	}
	return from, to, step, nil
}

func timeOf(q url.Values, name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return time.Time{}, fmt.Errorf("%s is missing; write a time such as 2026-03-01T03:12:00Z", name)
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, fmt.Errorf("%s=%.50q is not a time; write it such as 2026-03-01T03:12:00Z (in a URL, + is %%2B)", name, text)
	}
	if t.Year() < 1970 || t.Year() > 9999 {
		return t, fmt.Errorf("%s=%.50q is a time that no history has", name, text)
	}
	return t, nil
}

func durationOf(q url.Values, name string, otherwise time.Duration) (time.Duration, error) {
	if !q.Has(name) {
		return otherwise, nil
	}
	d, err := time.ParseDuration(q.Get(name))
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("%s=%.50q is not a duration of a second or more; write it such as 10s or 5m", name, q.Get(name))
	}
	return d, nil
}

// broken tells that the history cannot be read, for a reason that concerns who runs it.
func (s *Server) broken(w http.ResponseWriter, err error) {
	s.Log.Error("the history cannot be read", "error", err)
	refuse(w, http.StatusInternalServerError, "the history cannot be read; the monitor's log says why")
}
