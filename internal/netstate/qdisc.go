package netstate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// QdiscKind is the kernel's name for a queueing discipline.
type QdiscKind string

// The kinds that Sarn makes: tc-tbf(8) shapes, tc-netem(8) delays and loses as well.
const (
	Tbf   QdiscKind = "tbf"
	Netem QdiscKind = "netem"
)

// Qdisc is the root queueing discipline of a link: it decides about what the link
// sends. Its handle is its owner's protocol number, by which it is known again.
type Qdisc struct {
	Link string    `json:"link" doc:"Device whose packets wait in the queue."`
	Kind QdiscKind `json:"kind" doc:"Kind of the queueing discipline: tbf or netem."`
	// Rate is what the link sends at most, with its Ethernet headers. A netem without
	// one does not limit it.
	Rate uint64 `json:"rate,omitempty" doc:"Bits a second."`
	// Burst is what a tbf lets pass at once. Queue is what may wait: in a tbf bytes, the
	// burst included; in a netem packets.
	Burst uint32 `json:"burst,omitempty" doc:"Bytes that pass at once."`
	Queue uint32 `json:"queue,omitempty" doc:"What may wait: bytes in a tbf, packets in a netem."`
	// Delay and Loss are netem's.
	Delay time.Duration `json:"delayNanoseconds,omitempty" doc:"How long each packet is kept, in nanoseconds."`
	Loss  float64       `json:"loss,omitempty" doc:"Packets that are lost at random, in per cent."`
}

func (q Qdisc) command(v Verb, handle uint8) string {
	if v == Delete {
		return "tc qdisc del dev " + q.Link + " root"
	}
	var b strings.Builder
	// "add" would fail where a qdisc of the kernel's own choice is in the way.
	fmt.Fprintf(&b, "tc qdisc replace dev %s root handle %x: %s", q.Link, handle, q.Kind)
	if q.Delay > 0 {
		fmt.Fprintf(&b, " delay %s", q.Delay)
	}
	if q.Loss > 0 {
		b.WriteString(" loss " + strconv.FormatFloat(q.Loss, 'f', -1, 64) + "%")
	}
	if q.Rate > 0 {
		fmt.Fprintf(&b, " rate %dbit", q.Rate)
	}
	if q.Kind == Tbf {
		fmt.Fprintf(&b, " burst %d", q.Burst)
	}
	if q.Queue > 0 {
		fmt.Fprintf(&b, " limit %d", q.Queue)
	}
	return b.String()
}
