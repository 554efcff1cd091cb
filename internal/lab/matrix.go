package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// PingOptions says how to ping.
type PingOptions struct {
	Count int           // echo requests for each pair
	Wait  time.Duration // for each answer
	Nodes bool          // whether nodes take part
}

// fanout bounds how many probes are under way at once.
const fanout = 32

// Pair is what one member saw of another.
type Pair struct {
	From     string        `json:"from"`
	To       string        `json:"to"`
	Sent     int           `json:"sent"`
	Received int           `json:"received"`
	RTT      time.Duration `json:"rttNanoseconds,omitempty"` // mean of what was received
	Error    string        `json:"error,omitempty"`          // fate of the last one that was lost
}

// OK reports whether nothing was lost.
func (p Pair) OK() bool { return p.Received == p.Sent }

// Matrix is who reaches whom.
type Matrix struct {
	From  []string `json:"from"`
	To    []string `json:"to"`
	Pairs []Pair   `json:"pairs"`
	Good  int      `json:"good"` // pairs that lost nothing
	Loss  float64  `json:"loss"` // of all echo requests, in per cent
}

// OK reports whether nothing was lost.
func (m *Matrix) OK() bool { return m.Good == len(m.Pairs) }

// PingAll pings from every VM to every other and to the machines around, and with
// Nodes from and to every node. Machines around are asked only, by VMs: what they may
// open towards a private network is a question for expectations. So are VMs on taps
// that the lab does not run: nothing can be sent from inside.
func (l *Lab) PingAll(ctx context.Context, d *Directory, o PingOptions) (*Matrix, error) {
	if err := requireRoot(); err != nil {
		return nil, err
	}
	m := &Matrix{From: []string{}, To: []string{}, Pairs: []Pair{}}
	sockets := newPingers()
	var jobs []pingJob
	var vms []func() []Pair
	for _, to := range d.Members {
		if asked(to, o) {
			m.To = append(m.To, to.Name)
		}
	}
	for _, from := range d.Members {
		if !asks(from, o) {
			continue
		}
		m.From = append(m.From, from.Name)
		targets := d.targets(from, o)
		if from.Netns == "" {
			vms = append(vms, func() []Pair { return from.pingFrom(ctx, targets, o) })
			continue
		}
		p, err := sockets.open(from.Netns)
		if err == nil {
			defer p.close()
		}
		for _, to := range targets {
			jobs = append(jobs, pingJob{p, err, from, to.Name, to.Address})
		}
	}
	m.Pairs = each(jobs, func(j pingJob) Pair { return j.run(ctx, d, o) })
	for _, pairs := range each(vms, func(ping func() []Pair) []Pair { return ping() }) {
		m.Pairs = append(m.Pairs, pairs...)
	}
	m.count()
	return m, ctx.Err()
}

func asks(m Member, o PingOptions) bool {
	return m.Runs() && (m.Kind == VMMember || o.Nodes && m.Kind == NodeMember)
}

func asked(m Member, o PingOptions) bool {
	return m.Address.IsValid() && (m.Kind != NodeMember || o.Nodes)
}

// targets lists whom a member pings.
func (d *Directory) targets(from Member, o PingOptions) []Member {
	var all []Member
	for _, to := range d.Members {
		world := to.Kind == MachineMember && from.Kind != VMMember
		if asked(to, o) && to.Name != from.Name && !world {
			all = append(all, to)
		}
	}
	return all
}

type pingJob struct {
	pinger  *pinger
	broken  error // why there is no pinger
	from    Member
	to      string
	address netip.Addr
}

func (j pingJob) run(ctx context.Context, d *Directory, o PingOptions) Pair {
	pair := Pair{From: j.from.Name, To: j.to}
	var total time.Duration
	for range o.Count {
		pair.Sent++
		rtt, err := time.Duration(0), j.broken
		if err == nil {
			_, rtt, err = j.pinger.ping(ctx, j.address, o.Wait)
		}
		if err != nil {
			pair.Error = d.tell(err, j.from)
			continue
		}
		pair.Received++
		total += rtt
	}
	if pair.Received > 0 {
		pair.RTT = total / time.Duration(pair.Received)
	}
	return pair
}

func (m *Matrix) count() {
	sent, received := 0, 0
	for _, p := range m.Pairs {
		if p.OK() {
			m.Good++
		}
		sent += p.Sent
		received += p.Received
	}
	if sent > 0 {
		m.Loss = 100 * float64(sent-received) / float64(sent)
	}
}

// Summary is the matrix in one line.
func (m *Matrix) Summary() string {
	loss := strings.TrimSuffix(strconv.FormatFloat(m.Loss, 'f', 1, 64), ".0")
	return fmt.Sprintf("%d/%d pairs, %s%% lost", m.Good, len(m.Pairs), loss)
}

// Grid returns the matrix as rows under headings: round trips in milliseconds.
func (m *Matrix) Grid() (head []string, rows [][]string) {
	cell := make(map[[2]string]string, len(m.Pairs))
	for _, p := range m.Pairs {
		text := milliseconds(p.RTT)
		switch {
		case p.Received == 0:
			text = "lost"
		case !p.OK():
			text += fmt.Sprintf(" (%d/%d)", p.Received, p.Sent)
		}
		cell[[2]string{p.From, p.To}] = text
	}
	head = append([]string{"MS"}, m.To...)
	for _, from := range m.From {
		row := []string{from}
		for _, to := range m.To {
			row = append(row, cell[[2]string{from, to}])
		}
		rows = append(rows, row)
	}
	return head, rows
}

// Failures lists the pairs that lost something.
func (m *Matrix) Failures() []Pair {
	return slices.DeleteFunc(slices.Clone(m.Pairs), Pair.OK)
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 2, 64)
}

// each calls f for all of in, at most fanout at once, and returns the results in order.
func each[T, R any](in []T, f func(T) R) []R {
	out := make([]R, len(in))
	room := make(chan struct{}, fanout)
	var wg sync.WaitGroup
	for i, x := range in {
		room <- struct{}{}
		wg.Go(func() {
			out[i] = f(x)
			<-room
		})
	}
	wg.Wait()
	return out
}
