package netload

import (
	"fmt"
	"strings"
	"time"
)

// Kind is what a test measures.
type Kind string

// The kinds of test.
const (
	TCPStream Kind = "tcp-stream" // bytes a second
	UDPStream Kind = "udp-stream" // packets a second, and those lost
	TCPRR     Kind = "tcp-rr"     // requests and answers on one connection, one at a time
	UDPRR     Kind = "udp-rr"     // likewise, in datagrams
	TCPCRR    Kind = "tcp-crr"    // connect, request, answer, close
	Latency   Kind = "latency"    // a datagram and its answer now and then, on an idle path
)

// Kinds lists all kinds, in the order in which they are best run: what needs a quiet path
// does not follow upon what fills its queues.
func Kinds() []Kind { return []Kind{TCPStream, UDPStream, TCPCRR, TCPRR, UDPRR, Latency} }

// Test is one measurement.
type Test struct {
	Kind Kind `json:"kind"`
	// Reverse makes the server the sender of a stream.
	Reverse bool `json:"reverse,omitempty"`
	// Time is how long it measures; Omit comes before it and is not counted.
	Time time.Duration `json:"time"`
	Omit time.Duration `json:"omit"`
	// Streams is how many connections a tcp-stream has.
	Streams int `json:"streams,omitempty"`
	// Size is how many bytes a tcp-stream writes at a time, the payload of a udp-stream's
	// datagram, or the length of a request and of its answer. 0 is DefaultSize, and for a
	// udp-stream what fits the path.
	Size int `json:"size,omitempty"`
	// Rate is the payload that a udp-stream sends, in bits a second; 0 is all it can.
	Rate int64 `json:"rate,omitempty"`
	// Every is the time from one probe of a latency test to the next.
	Every time.Duration `json:"every,omitempty"`
	// PeerCPU is where the server does its part; -1 is anywhere.
	PeerCPU int `json:"cpu"`
}

// Bounds of a test.
const (
	MaxTime    = 60 * time.Second
	MaxStreams = 64
	maxSize    = 1 << 20
	maxPacket  = 65507 // the largest payload of UDP over IPv4
	maxCPU     = 1023  // what the kernel's mask has room for
	minEvery   = 100 * time.Microsecond
)

// DefaultSize is the Size of a test that does not say; 0 for a udp-stream, where it
// depends on the path.
func (k Kind) DefaultSize() int {
	switch k {
	case TCPStream:
		return 128 << 10 // as iperf3
	case UDPStream:
		return 0
	}
	return 64
}

// packets reports whether the test is made of datagrams.
func (k Kind) packets() bool { return k == UDPStream || k == UDPRR || k == Latency }

// stream reports whether the test's data goes one way.
func (k Kind) stream() bool { return k == TCPStream || k == UDPStream }

// minSize is the length of what the test itself puts into its data.
func (k Kind) minSize() int {
	switch {
	case k.packets():
		return stampSize
	case k == TCPCRR:
		return prefaceSize
	}
	return 1
}

// fill puts the defaults where nothing is said.
func (t *Test) fill() {
	if t.Size == 0 {
		t.Size = t.Kind.DefaultSize()
	}
	if t.Streams == 0 {
		t.Streams = 1
	}
	if t.Kind == Latency && t.Every == 0 {
		t.Every = 10 * time.Millisecond
	}
}

// Validate says what cannot be run.
func (t Test) Validate() error {
	known := false
	var names []string
	for _, k := range Kinds() {
		known = known || k == t.Kind
		names = append(names, string(k))
	}
	if !known {
		return fmt.Errorf("%q is not a test; there are %s", t.Kind, strings.Join(names, ", "))
	}
	most := maxSize
	if t.Kind.packets() {
		most = maxPacket
	} else if t.Kind != TCPStream {
		most = 64 << 10
	}
	switch {
	case t.Time < 10*time.Millisecond || t.Time > MaxTime:
		return fmt.Errorf("a test takes from 10ms to %s, not %s", MaxTime, t.Time)
	case t.Omit < 0 || t.Omit > 10*time.Second:
		return fmt.Errorf("what is left out at a test's beginning is up to 10s, not %s", t.Omit)
	case t.Streams < 0 || t.Streams > MaxStreams:
		return fmt.Errorf("a test has from 1 to %d streams, not %d", MaxStreams, t.Streams)
	case t.Streams > 1 && t.Kind != TCPStream:
		return fmt.Errorf("%s has one stream; several are for tcp-stream", t.Kind)
	case t.Reverse && !t.Kind.stream():
		return fmt.Errorf("%s goes both ways, and has no reverse; tcp-stream and udp-stream have", t.Kind)
	case t.Size != 0 && (t.Size < t.Kind.minSize() || t.Size > most):
		return fmt.Errorf("the size of %s is from %d to %d, not %d", t.Kind, t.Kind.minSize(), most, t.Size)
	case t.Rate < 0 || t.Rate > 1e12:
		return fmt.Errorf("a rate is up to 1000 Gbit/s, not %d bit/s", t.Rate)
	case t.Rate > 0 && t.Kind != UDPStream:
		return fmt.Errorf("%s goes as fast as it can; a rate is for udp-stream", t.Kind)
	case t.Every != 0 && (t.Every < minEvery || t.Every > time.Second || t.Kind != Latency):
		return fmt.Errorf("latency sends a probe every %s to 1s, not %s", minEvery, t.Every)
	case t.PeerCPU < -1 || t.PeerCPU > maxCPU:
		return fmt.Errorf("there is no CPU %d", t.PeerCPU)
	}
	return nil
}

// length is how long the data flows.
func (t Test) length() time.Duration { return t.Omit + t.Time }

// interval is the time of one of the figures that a stream's rate is made of.
func (t Test) interval() time.Duration { return min(max(t.Time/10, 100*time.Millisecond), time.Second) }
