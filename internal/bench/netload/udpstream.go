package netload

import (
	"crypto/rand"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// batchSize is how many datagrams one system call sends or receives.
const batchSize = 64

// batches sends and receives several datagrams at a time (sendmmsg(2), recvmmsg(2)). They
// are not joined to one big packet (UDP_SEGMENT): that crosses virtual links whole, and
// the cost of a packet is what is asked for.
type batches interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
	WriteBatch(ms []ipv4.Message, flags int) (int, error)
}

// udpConn makes a connection for batches of the socket, which it takes over.
func udpConn(fd int) (*net.UDPConn, error) {
	conn, err := goConn(fd)
	if err != nil {
		return nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, errors.Join(errors.ErrUnsupported, conn.Close())
	}
	return udp, nil
}

func batchesOf(conn *net.UDPConn) batches {
	if local, ok := conn.LocalAddr().(*net.UDPAddr); ok && local.IP.To4() == nil {
		return ipv6.NewPacketConn(conn)
	}
	return ipv4.NewPacketConn(conn)
}

func newBatch(size int) []ipv4.Message {
	ms := make([]ipv4.Message, batchSize)
	for i := range ms {
		b := make([]byte, size)
		_, _ = rand.Read(b)
		ms[i].Buffers = [][]byte{b}
	}
	return ms
}

// sendPackets sends for as long as the test says, at its rate.
func (p *part) sendPackets(conn *net.UDPConn) (*Outcome, error) {
	ms, out := newBatch(p.test.Size), batchesOf(conn)
	start := time.Now()
	begin := start.Add(p.test.Omit)
	end := begin.Add(p.test.Time)
	if err := conn.SetWriteDeadline(end.Add(silence)); err != nil {
		return nil, err
	}
	o, first := &Outcome{}, start
	now := start
	for number := uint64(0); !p.stop.Load() && now.Before(end); now = time.Now() {
		n := batchSize
		if p.test.Rate > 0 {
			n = min(n, p.due(now.Sub(start), number))
			if n <= 0 {
				p.sleep(time.Until(start.Add(p.dueAt(number))))
				continue
			}
		}
		var mark uint64
		if !now.Before(begin) {
			mark = counted
		}
		at := uint64(now.Sub(start))
		for i := range ms[:n] {
			putStamp(ms[i].Buffers[0], (number+uint64(i))|mark, at)
		}
		sent, err := out.WriteBatch(ms[:n], 0)
		if err != nil && !errors.Is(err, syscall.ENOBUFS) { // ENOBUFS: a queue is full, as it may be
			return o, err
		}
		number += uint64(max(sent, 0))
		if mark != 0 {
			if o.Sent == 0 {
				first = now
			}
			o.Sent += int64(max(sent, 0))
		}
	}
	o.Seconds = now.Sub(first).Seconds()
	return o, nil
}

// due is how many packets are to be sent by now.
func (p *part) due(passed time.Duration, sent uint64) int {
	return int(passed.Seconds()*float64(p.test.Rate)/8/float64(p.test.Size)) + 1 - int(sent)
}

// dueAt is when the packet of that number is.
func (p *part) dueAt(number uint64) time.Duration {
	return time.Duration(float64(number) * float64(p.test.Size) * 8 / float64(p.test.Rate) * 1e9)
}

// How long packets may take that were sent and have not arrived.
const (
	quietTime = 300 * time.Millisecond // without any
	drainTime = 5 * time.Second        // at all
)

// receivePackets receives until all have come that were sent, whose number all holds once
// that is known, or until it is quiet after that.
func (p *part) receivePackets(conn *net.UDPConn, all *atomic.Int64) (*Outcome, error) {
	ms, in := newBatch(p.test.Size+1), batchesOf(conn)
	t := newTally(p.test)
	start := time.Now()
	var heard, alarm, over time.Time
	for !p.stop.Load() {
		now := time.Now()
		if alarm.Sub(now) < glance/2 {
			alarm = now.Add(glance)
			if err := conn.SetReadDeadline(alarm); err != nil {
				return nil, err
			}
		}
		n, err := in.ReadBatch(ms, 0)
		now = time.Now()
		switch {
		case err == nil:
			heard = now
		case errors.Is(err, os.ErrDeadlineExceeded):
			n = 0
		default:
			return nil, err
		}
		for _, m := range ms[:max(n, 0)] {
			if b := m.Buffers[0][:m.N]; isPreface(b) {
				_, _ = conn.Write(b) // the answer to the first one was lost
			} else if m.N == p.test.Size {
				t.arrived(b, now, now.Sub(start))
			}
		}
		if sent := all.Load(); sent >= 0 {
			if over.IsZero() {
				over = now
			}
			if t.Received >= sent || now.Sub(over) > quietTime && now.Sub(heard) > quietTime || now.Sub(over) > drainTime {
				break
			}
		}
	}
	return t.outcome(), nil
}

// tally counts what arrives.
type tally struct {
	Outcome
	test        Test
	highest     uint64
	seen        [window / 64]uint64 // a bit for each of the last numbers
	transit     time.Duration
	first, last time.Time
	bytes       int64 // of this interval
	begun       time.Time
}

// window is how much later than its successors a packet may come and still be told from
// one that comes twice.
const window = 1 << 16

func newTally(t Test) *tally {
	return &tally{test: t, Outcome: Outcome{Intervals: make([]float64, 0, maxIntervals)}}
}

func (t *tally) arrived(b []byte, now time.Time, passed time.Duration) {
	number, sent := stampOf(b)
	if number&counted == 0 {
		return
	}
	number = number&^counted + 1 // 0 is none yet
	if !t.fresh(number) {
		t.Duplicated++
		return
	}
	transit := passed - time.Duration(sent)
	if t.Received == 0 {
		t.first, t.begun = now, now
	} else {
		d := (transit - t.transit).Abs().Seconds()
		t.Jitter += (d - t.Jitter) / 16 // RFC 3550 section 6.4.1
	}
	t.transit, t.last = transit, now
	if spent := now.Sub(t.begun); spent >= t.test.interval() && len(t.Intervals) < maxIntervals {
		t.Intervals = append(t.Intervals, perSecond(float64(t.bytes)*8/1e6, spent.Seconds()))
		t.begun, t.bytes = now, 0
	}
	t.Received++
	t.bytes += int64(len(b))
}

// fresh reports whether the number has not come before, and notes whether one that is
// higher has.
func (t *tally) fresh(number uint64) bool {
	at := func(n uint64) (*uint64, uint64) { return &t.seen[n%window/64], 1 << (n % 64) }
	word, bit := at(number)
	switch {
	case number > t.highest:
		for n := number - min(number-t.highest, window) + 1; n < number; n++ {
			w, b := at(n)
			*w &^= b
		}
		t.highest = number
	case t.highest-number >= window:
		t.Reordered++ // too long ago to know
		return true
	case *word&bit != 0:
		return false
	default:
		t.Reordered++
	}
	*word |= bit
	return true
}

// outcome is what there is in the end. n packets came in the time of n-1 gaps.
func (t *tally) outcome() *Outcome {
	o := t.Outcome
	o.Bytes = o.Received * int64(t.test.Size)
	o.Seconds = t.last.Sub(t.first).Seconds()
	if o.Received > 1 {
		o.Seconds *= float64(o.Received) / float64(o.Received-1)
	}
	if o.Received == 1 {
		o.Seconds = t.test.Time.Seconds()
	}
	return &o
}
