package netload

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// life is how often a receiver of datagrams says that it is there. A sender that hears
// nothing of it stops: the way is cut, or nobody wants its datagrams any more.
const life = 300 * time.Millisecond

// hears reads what the receiver has said, and returns when it was heard last.
func hears(fd int, last, now time.Time) (time.Time, error) {
	var sign [1]byte
	for {
		_, err := readNow(fd, sign[:])
		if err != nil && again(err) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		last = now
	}
}

// sendPackets sends for as long as the test says, at its rate.
func (p *part) sendPackets(fd int) (*Outcome, error) {
	out := newBatch(p.test.Size)
	start := time.Now()
	begin := start.Add(p.test.Omit)
	end := begin.Add(p.test.Time)
	o, first, now := &Outcome{}, start, start
	heard, looked := start, start
	for number := uint64(0); !p.stop.Load() && now.Before(end); now = time.Now() {
		if now.Sub(looked) > life {
			var err error
			if heard, err = hears(fd, heard, now); err != nil {
				return nil, err
			}
			if looked = now; now.Sub(heard) > silence {
				return nil, errSilent
			}
		}
		n := batchSize
		if p.test.Rate > 0 {
			n = min(n, p.due(now.Sub(start), number))
			if n <= 0 {
				p.sleep(min(time.Until(start.Add(p.dueAt(number))), time.Until(end)))
				continue
			}
		}
		var mark uint64
		if !now.Before(begin) {
			mark = counted
		}
		at := uint64(now.Sub(start))
		for i := range n {
			putStamp(out.payload(i), (number+uint64(i))|mark, at)
		}
		sent, err := out.send(fd, n)
		if err != nil && !again(err) && err != unix.ENOBUFS { //nolint:errorlint // a bare number: a queue is full, as it may be
			return nil, err
		}
		number += uint64(sent)
		if mark != 0 {
			if o.Sent == 0 {
				first = now
			}
			o.Sent += int64(sent)
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
	if p.test.Rate == 0 {
		return 0
	}
	return time.Duration(float64(number) * float64(p.test.Size) * 8 / float64(p.test.Rate) * 1e9)
}

// How long packets may take that were sent and have not arrived.
const (
	quietTime = 300 * time.Millisecond // without any
	drainTime = 4 * time.Second        // at all
)

// receivePackets receives until all have come that were sent, whose number all holds once
// that is known, or until it is quiet after that. Silence before that is an error, unless
// nothing has come at all: then the size of the datagrams may be at fault, and the sender
// goes on to say how many there were.
func (p *part) receivePackets(fd int, all *atomic.Int64) (*Outcome, error) {
	in := newBatch(p.test.Size + 1) // and one more, to see what is too long
	t := newTally(p.test)
	start := time.Now()
	heard, said, came := start, start, false
	var over time.Time
	sign := []byte{0} // no test's datagram is so short
	for !p.stop.Load() {
		n, err := in.receive(fd)
		// A client closes its socket when it has sent everything; a server keeps the port.
		gone := err == unix.ECONNREFUSED && !p.test.Reverse //nolint:errorlint // a bare number
		if err != nil && !again(err) && !gone {
			return nil, err
		}
		now := time.Now()
		if n > 0 {
			heard, came = now, true
		}
		if now.Sub(said) > life {
			said = now
			_, _ = unix.Write(fd, sign) // one that is lost is followed by others
		}
		for i := range n {
			if b := in.received(i); isPreface(b) {
				_, _ = unix.Write(fd, b) // the answer to the first one was lost
			} else if len(b) == p.test.Size {
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
		} else if now.Sub(heard) > silence+p.dueAt(1) {
			if came {
				return nil, errSilent
			}
			if p.test.Reverse {
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
