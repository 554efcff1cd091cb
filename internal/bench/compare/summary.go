package compare

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sarn/internal/bench/load"
)

// roundOf takes from a load test's result what a comparison keeps.
func roundOf(r *load.Result) Round {
	return Round{
		Started: r.Started, Seconds: r.Seconds, Requests: r.Requests,
		RequestsPerSecond: r.RequestsPerSecond, TimePerRequest: r.TimePerRequest,
		Statuses: r.Statuses, Failed: r.Failed, Failures: r.Failures,
		Connections: r.Connections, BytesReceived: r.BytesReceived,
		Latency: Latency{r.Latency.Mean, r.Latency.P50, r.Latency.P90, r.Latency.P99, r.Latency.P999, r.Latency.Max},
		Client:  r.Client, Notes: r.Notes,
	}
}

// summarize works out a server's figures from its rounds. want is the status that it is
// to answer, 0 for any 2xx; together says that it and the client have the same CPUs.
func (s *Server) summarize(want int, together bool, seed uint64) {
	if len(s.Rounds) == 0 {
		return
	}
	limited := 0
	var cpu, seconds float64
	for _, r := range s.Rounds {
		s.Requests += r.Requests
		s.Failures += r.Failed
		for status, n := range r.Statuses {
			if !wanted(status, want) {
				s.BadCodes += n
			}
		}
		if r.Client.Limit {
			limited++
		}
		cpu += r.ServerCPUSeconds
		seconds += r.Seconds
	}
	if seconds > 0 {
		s.Busy = cpu / seconds
	}
	// With the same CPUs the work of both is the limit, and the client's part of it is in
	// every server's figure.
	s.ClientLimit = 2*limited >= len(s.Rounds) && !together
	s.RequestsPerSecond = level(s.each(func(r Round) float64 { return r.RequestsPerSecond }), miss, seed)
	s.TimePerRequest = level(s.each(func(r Round) float64 { return r.TimePerRequest }), miss, seed)
	s.Latency = Latency{
		Mean: median(s.each(func(r Round) float64 { return r.Latency.Mean })),
		P50:  median(s.each(func(r Round) float64 { return r.Latency.P50 })),
		P90:  median(s.each(func(r Round) float64 { return r.Latency.P90 })),
		P99:  median(s.each(func(r Round) float64 { return r.Latency.P99 })),
		P999: median(s.each(func(r Round) float64 { return r.Latency.P999 })),
		Max:  median(s.each(func(r Round) float64 { return r.Latency.Max })),
	}
}

// together reports whether the client and a server are pinned to the same CPUs.
func (c *Config) together(s ServerConfig) bool {
	return len(s.CPU) > 0 && slices.Equal(s.CPU, c.Client.CPU)
}

// wrong is the share of the requests without an answer, or with a wrong status.
func (s *Server) wrong() float64 {
	return float64(s.Failures+s.BadCodes) / float64(max(s.Requests+s.Failures, 1))
}

func wanted(status, want int) bool {
	if want != 0 {
		return status == want
	}
	return status >= http.StatusOK && status < http.StatusMultipleChoices
}

func (s *Server) each(figure func(Round) float64) []float64 {
	figures := make([]float64, len(s.Rounds))
	for i, r := range s.Rounds {
		figures[i] = figure(r)
	}
	return figures
}

// finish works out all figures and puts the servers in order of speed.
func (r *Result) finish() {
	seed := r.Config.Seed
	for i := range r.Servers {
		s := &r.Servers[i]
		at := slices.IndexFunc(r.Config.Servers, func(c ServerConfig) bool { return c.Name == s.Name })
		of := r.Config.Servers[at]
		s.summarize(of.Expect.Status, r.Config.together(of), seed)
	}
	slices.SortStableFunc(r.Servers, func(a, b Server) int {
		return cmp.Compare(b.RequestsPerSecond.Value, a.RequestsPerSecond.Value)
	})
	r.Pairs = pairs(r.Servers, seed)
	var limited []string
	for _, s := range r.Servers {
		r.Notes = append(r.Notes, s.notes()...)
		if s.ClientLimit {
			limited = append(limited, s.Name)
		}
	}
	if len(limited) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("the client was the limit, not the server, for %s, which may be faster than this", strings.Join(limited, ", ")))
	}
	r.Notes = append(r.Notes, bodyNotes(r.Servers)...)
	r.Notes = append(r.Notes, r.otherNotes()...)
}

// otherNotes says so if other programs took much of the machine. A server that is only
// addressed may be on another machine or be such a program itself; of those nobody knows.
func (r *Result) otherNotes() []string {
	const much = 0.1 // of a CPU
	var other, seconds float64
	for _, s := range r.Servers {
		for _, n := range s.Rounds {
			other += n.OtherCPUSeconds
			seconds += n.Seconds
		}
	}
	foreign := slices.ContainsFunc(r.Config.Servers, func(s ServerConfig) bool { return len(s.Command) == 0 })
	if foreign || seconds == 0 || other/seconds < much {
		return nil
	}
	return []string{fmt.Sprintf("other programs kept %.1f CPUs of this machine busy meanwhile; on a quiet one the intervals are narrower", other/seconds)}
}

// notes are what the reader should know of one server.
func (s *Server) notes() []string {
	var notes []string
	if s.Failure != "" {
		notes = append(notes, fmt.Sprintf("%s dropped out: %s", s.Name, s.Failure))
	}
	if s.Failures > 0 {
		why := ""
		for _, r := range s.Rounds {
			if len(r.Failures) > 0 {
				why = ": " + r.Failures[0].Words
				break
			}
		}
		notes = append(notes, fmt.Sprintf("%s: %d of %d requests failed%s", s.Name, s.Failures, s.Requests+s.Failures, why))
	}
	if s.BadCodes > 0 {
		notes = append(notes, fmt.Sprintf("%s: %d of %d answers had a status other than the one that was expected", s.Name, s.BadCodes, s.Requests))
	}
	return notes
}

// bodyNotes says so if servers answer with different bodies: then more is compared than
// the servers.
func bodyNotes(servers []Server) []string {
	var sums, words []string
	for _, s := range servers {
		if s.Answer.Status == 0 || slices.Contains(sums, s.Answer.SHA256) {
			continue
		}
		sums = append(sums, s.Answer.SHA256)
		words = append(words, fmt.Sprintf("%s %d bytes", s.Name, s.Answer.Bytes))
	}
	if len(sums) < 2 {
		return nil
	}
	return []string{"the servers answer with different bodies: " + strings.Join(words, ", ")}
}
