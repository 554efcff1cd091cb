package netload

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a test has measured.
type Result struct {
	Kind    Kind `json:"test"`
	Reverse bool `json:"reverse,omitempty"`
	Streams int  `json:"streams,omitempty"`
	Size    int  `json:"size"`
	// Seconds is how long it measured.
	Seconds float64 `json:"seconds"`

	// MbitPerSecond is the payload that arrived, in 10⁶ bits, and its figures interval
	// by interval; those of a udp-stream are of what arrived when.
	MbitPerSecond float64   `json:"mbit_per_second,omitempty"`
	Intervals     []float64 `json:"intervals_mbit_per_second,omitempty"`
	// Retransmits is how many segments a tcp-stream's sender sent again.
	Retransmits *int64 `json:"retransmits,omitempty"`

	Packets *Packets `json:"packets,omitempty"`

	// Transactions counts what was answered; TimedOut what was not, in datagrams.
	Transactions          int64   `json:"transactions,omitempty"`
	TransactionsPerSecond float64 `json:"transactions_per_second,omitempty"`
	TimedOut              int64   `json:"timed_out,omitempty"`
	// Latency is from a request to its answer.
	Latency *Distribution `json:"latency,omitempty"`
}

// Packets is what became of a udp-stream's datagrams.
type Packets struct {
	Sent              int64   `json:"sent"`
	Received          int64   `json:"received"` // each once
	Lost              int64   `json:"lost"`
	LostPercent       float64 `json:"lost_percent"`
	Reordered         int64   `json:"reordered"` // came after one that was sent later
	Duplicated        int64   `json:"duplicated"`
	SentPerSecond     float64 `json:"sent_per_second"`
	ReceivedPerSecond float64 `json:"received_per_second"`
	// Jitter is RFC 3550's, section 6.4.1: the smoothed change of the time on the way.
	Jitter Microseconds `json:"jitter_microseconds"`
}

// Microseconds is a time.
type Microseconds float64

// Distribution is that of times.
type Distribution struct {
	Min  Microseconds `json:"min_microseconds"`
	Mean Microseconds `json:"mean_microseconds"`
	P50  Microseconds `json:"p50_microseconds"`
	P90  Microseconds `json:"p90_microseconds"`
	P99  Microseconds `json:"p99_microseconds"`
	P999 Microseconds `json:"p99_9_microseconds"`
	Max  Microseconds `json:"max_microseconds"`
}

// newHistogram has room for times of up to a minute, within 0.1 %.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(time.Minute), 3)
}

func distribution(h *hdrhistogram.Histogram) *Distribution {
	if h.TotalCount() == 0 {
		return nil
	}
	us := func(ns float64) Microseconds { return Microseconds(ns / 1e3) }
	at := func(p float64) Microseconds { return us(float64(h.ValueAtPercentile(p))) }
	return &Distribution{
		Min: us(float64(h.Min())), Mean: us(h.Mean()), Max: us(float64(h.Max())),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9),
	}
}

// Outcome is what one end has counted, as it tells the other.
type Outcome struct {
	Seconds     float64   `json:"seconds,omitempty"`
	Bytes       int64     `json:"bytes,omitempty"` // of payload, at the receiver
	Intervals   []float64 `json:"intervals,omitempty"`
	Retransmits int64     `json:"retransmits,omitempty"`

	Sent       int64   `json:"sent,omitempty"` // datagrams
	Received   int64   `json:"received,omitempty"`
	Reordered  int64   `json:"reordered,omitempty"`
	Duplicated int64   `json:"duplicated,omitempty"`
	Jitter     float64 `json:"jitter,omitempty"` // in seconds
}

// maxIntervals is that of the longest test, and some.
const maxIntervals = 100

// sane rejects figures that nothing can have counted.
func (o *Outcome) sane() bool {
	for _, f := range append([]float64{o.Seconds, o.Jitter}, o.Intervals...) {
		if math.IsNaN(f) || f < 0 || f > 1e15 {
			return false
		}
	}
	for _, n := range []int64{o.Bytes, o.Retransmits, o.Sent, o.Received, o.Reordered, o.Duplicated} {
		if n < 0 || n > 1<<60 {
			return false
		}
	}
	return len(o.Intervals) <= maxIntervals
}

// result makes the result of a stream of what its two ends have counted.
func (t Test) result(sender, receiver *Outcome) *Result {
	r := &Result{Kind: t.Kind, Reverse: t.Reverse, Streams: t.Streams, Size: t.Size, Seconds: receiver.Seconds, Intervals: receiver.Intervals}
	r.MbitPerSecond = perSecond(float64(receiver.Bytes)*8/1e6, receiver.Seconds)
	if t.Kind == TCPStream {
		r.Retransmits = &sender.Retransmits
		return r
	}
	p := &Packets{
		Sent: sender.Sent, Received: receiver.Received, Lost: max(sender.Sent-receiver.Received, 0),
		Reordered: receiver.Reordered, Duplicated: receiver.Duplicated, Jitter: Microseconds(receiver.Jitter * 1e6),
		SentPerSecond:     perSecond(float64(sender.Sent), sender.Seconds),
		ReceivedPerSecond: perSecond(float64(receiver.Received), receiver.Seconds),
	}
	if p.Sent > 0 {
		p.LostPercent = 100 * float64(p.Lost) / float64(p.Sent)
	}
	r.Packets = p
	return r
}

func perSecond(n, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return n / seconds
}
