package compare

import (
	"time"

	"sarn/internal/bench/load"
)

// Result is what a comparison measured. Times of requests are in milliseconds.
type Result struct {
	Title   string    `json:"title"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"` // from before the first server was started to after the last round
	// Program and Go are the versions of who measured; the caller fills them in.
	Program string  `json:"program,omitempty"`
	Go      string  `json:"go,omitempty"`
	Machine Machine `json:"machine"`
	// Config is what was asked for, with the seed that was drawn if none was. What looks
	// like a secret is left out.
	Config Config `json:"config"`
	// Order is the servers' names in the order in which each round measured them.
	Order [][]string `json:"order"`
	// Servers are in order of speed. Those without a round are last.
	Servers []Server `json:"servers"`
	// Pairs are all of them, the fastest server's first.
	Pairs []Pair `json:"pairs"`
	// Interrupted says that it was told to stop: there are fewer rounds than asked for.
	Interrupted bool `json:"interrupted,omitempty"`
	// Notes are what the reader should know, in words.
	Notes []string `json:"notes,omitempty"`
}

// Pair returns the pair of those two servers, in whichever order, or nil.
func (r *Result) Pair(a, b string) *Pair {
	for i, p := range r.Pairs {
		if p.Faster == a && p.Slower == b || p.Faster == b && p.Slower == a {
			return &r.Pairs[i]
		}
	}
	return nil
}

// Telling returns the pairs that say most, in order of speed: each server with the next
// slower one, and the fastest with all others.
func (r *Result) Telling() []*Pair {
	var told []*Pair
	for i := 1; i < len(r.Servers); i++ {
		if p := r.Pair(r.Servers[i-1].Name, r.Servers[i].Name); p != nil {
			told = append(told, p)
		}
	}
	for i := 2; i < len(r.Servers); i++ {
		if p := r.Pair(r.Servers[0].Name, r.Servers[i].Name); p != nil {
			told = append(told, p)
		}
	}
	return told
}

// Server is one server's figures over all of its rounds.
type Server struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	// Software is what the server calls itself.
	Software string `json:"software,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Answer   Answer `json:"answer"`
	// Failure says why the comparison went on without it; empty if it did not.
	Failure string `json:"failure,omitempty"`

	// The geometric means over the rounds. TimePerRequest is ab's: seconds × concurrency /
	// requests, in milliseconds.
	RequestsPerSecond Estimate `json:"requests_per_second,omitzero"`
	TimePerRequest    Estimate `json:"time_per_request_ms,omitzero"`
	// Latency holds medians of the rounds' figures.
	Latency Latency `json:"latency,omitzero"`

	Requests int64 `json:"requests"` // in all rounds
	Failures int64 `json:"failed"`   // requests without a whole answer
	BadCodes int64 `json:"bad_statuses"`
	// Busy is how many CPUs the server's processes kept busy, 0 if it is not ours.
	Busy float64 `json:"server_cpus_busy,omitempty"`
	// ClientLimit says that in at least half of the rounds the client was the limit.
	ClientLimit bool    `json:"client_limit"`
	Rounds      []Round `json:"rounds"`
}

// Answer is a server's first answer.
type Answer struct {
	Status int    `json:"status"`
	Type   string `json:"content_type,omitempty"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Round is what one round measured of one server. The names are those of load.Result.
type Round struct {
	Number  int       `json:"round"` // from 1
	Place   int       `json:"place"` // in the round's order, from 1
	Started time.Time `json:"started"`

	Seconds           float64        `json:"seconds"`
	Requests          int64          `json:"requests"`
	RequestsPerSecond float64        `json:"requests_per_second"`
	TimePerRequest    float64        `json:"time_per_request_ms,omitempty"`
	Statuses          map[int]int64  `json:"statuses"`
	Failed            int64          `json:"failed"`
	Failures          []load.Failure `json:"failures,omitempty"`
	Connections       int64          `json:"connections"`
	BytesReceived     int64          `json:"bytes_received"`
	Latency           Latency        `json:"latency,omitzero"`
	Client            load.Client    `json:"client"`
	// ServerCPUSeconds is what the server's processes used, 0 if it is not ours.
	ServerCPUSeconds float64 `json:"server_cpu_seconds,omitempty"`
	// OtherCPUSeconds is what neither the client nor the server used.
	OtherCPUSeconds float64  `json:"other_cpu_seconds"`
	Notes           []string `json:"notes,omitempty"`
}

// Latency is a distribution's main figures, in milliseconds.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}
