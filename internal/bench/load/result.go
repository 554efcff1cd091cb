package load

import "time"

// Result is what a test measured. Times are in milliseconds, in JSON and here.
type Result struct {
	URL      string    `json:"url"`
	Method   string    `json:"method"`
	Protocol string    `json:"protocol"`         // "HTTP/1.1" or "HTTP/2"
	Server   string    `json:"server,omitempty"` // what the server calls itself
	TLS      string    `json:"tls,omitempty"`    // version and cipher suite
	Loop     Loop      `json:"loop"`
	Started  time.Time `json:"started"`

	Concurrency int     `json:"concurrency"`
	Streams     int     `json:"streams,omitempty"` // requests that share an HTTP/2 connection
	KeepAlive   bool    `json:"keepalive"`
	Rate        float64 `json:"rate,omitempty"` // asked for, a second

	// Seconds are from the first request's start to the last one's end. One that fails
	// after the end of Config.Duration does not count: nobody was asked any more.
	Seconds float64 `json:"seconds"`
	// Requests are those that got a whole answer, whatever its status.
	Requests          int64   `json:"requests"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	// TimePerRequest is ab's mean time per request: seconds × concurrency / requests. It
	// is 0 without requests.
	TimePerRequest float64 `json:"time_per_request_ms,omitempty"`
	// Statuses counts answers by status code.
	Statuses map[int]int64 `json:"statuses"`
	// Failed counts requests without a whole answer; Failures says why.
	Failed   int64     `json:"failed"`
	Failures []Failure `json:"failures,omitempty"`
	// CutOff counts requests that were under way when the test was interrupted. They
	// are neither answered nor failed.
	CutOff int64 `json:"cut_off,omitempty"`
	// Unsent counts requests of an open loop that were due and never sent, because all
	// connections were waiting for answers when the time was over.
	Unsent int64 `json:"unsent,omitempty"`
	// Interim counts 1xx answers before final ones.
	Interim int64 `json:"interim,omitempty"`
	// Resent counts requests sent again, because the server had closed the idle
	// connection that they were sent on (RFC 9110 section 9.2.2).
	Resent int64 `json:"resent,omitempty"`

	Connections int64 `json:"connections"` // opened
	// Bytes are those of all TCP connections, with headers and what TLS adds.
	BytesReceived int64 `json:"bytes_received"`
	BytesSent     int64 `json:"bytes_sent"`
	// BodyBytes are those of the answers' bodies; Shortest and Longest are of one.
	BodyBytes    int64 `json:"body_bytes"`
	ShortestBody int64 `json:"shortest_body"`
	LongestBody  int64 `json:"longest_body"`

	// Latency is from a request's sending (with its connection, if it is a new one) to
	// the answer's last byte.
	Latency Latency `json:"latency,omitzero"`
	// Corrected is from when a request was due, in an open loop alone: a closed loop
	// does not know when it would have asked. Unsent requests count in it with what they
	// had waited at the end.
	Corrected *Latency `json:"latency_corrected,omitzero"`
	// Connect is from dialling to a connection that can be used, TLS included.
	Connect *Latency `json:"connect,omitempty"`

	Client Client `json:"client"`
	// Notes are what the reader should know, in words.
	Notes []string `json:"notes,omitempty"`
	// Interval is the length in seconds of each of Timeline's parts.
	Interval float64 `json:"interval"`
	Timeline []Slice `json:"timeline"`
}

// Loop is who sets the pace of a test.
type Loop string

// The loops: see the package's comment.
const (
	Closed Loop = "closed"
	Open   Loop = "open"
)

// Failure is one way in which requests failed.
type Failure struct {
	Kind  Kind  `json:"kind"`
	Count int64 `json:"count"`
	// Words say what happened to the first of them, and how to mend it if that is known.
	Words string `json:"words"`
}

// Latency is a distribution, in milliseconds. It is HDR's, with three significant digits.
type Latency struct {
	Count  int64   `json:"count"`
	Mean   float64 `json:"mean"`
	StdDev float64 `json:"stddev"`
	Min    float64 `json:"min"`
	P50    float64 `json:"p50"`
	P75    float64 `json:"p75"`
	P90    float64 `json:"p90"`
	P95    float64 `json:"p95"`
	P99    float64 `json:"p99"`
	P999   float64 `json:"p999"`
	Max    float64 `json:"max"`
	// Curve is the whole distribution, for drawing.
	Curve []Point `json:"curve"`
}

// IsZero reports whether l is of nothing: then it has no figures to show.
func (l *Latency) IsZero() bool { return l == nil || l.Count == 0 }

// Point says that the share Quantile of all, from 0 to 1, took at most MS milliseconds.
type Point struct {
	Quantile float64 `json:"quantile"`
	MS       float64 `json:"ms"`
}

// Client is what the load test itself took, to tell whether it measured the server or
// itself.
type Client struct {
	CPUs       int     `json:"cpus"`        // that it may use
	CPUSeconds float64 `json:"cpu_seconds"` // that it used
	Busy       float64 `json:"busy"`        // CPUSeconds / (CPUs × Seconds)
	// Queued is the share of the same time in which it was ready to run, and others had
	// the CPUs.
	Queued float64 `json:"queued"`
	// Limit says that the client was the limit, or may have been; then a note says why.
	Limit bool `json:"limit"`
}

// Slice is what ended in one part of the test's time.
type Slice struct {
	Requests int64 `json:"requests"`
	Failed   int64 `json:"failed"`
	// MaxMS is the slowest request that ended in it, in milliseconds.
	MaxMS float64 `json:"max_ms"`
}
