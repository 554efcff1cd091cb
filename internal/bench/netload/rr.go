package netload

import (
	"net/netip"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// record is what a client has seen of requests and answers.
type record struct {
	times      *hdrhistogram.Histogram
	begin, end time.Time // what counts
	last       time.Time
	longest    time.Duration
	count      int64
	timedOut   int64
}

func newRecord(t Test) *record {
	begin := time.Now().Add(t.Omit)
	return &record{times: newHistogram(), begin: begin, end: begin.Add(t.Time), last: begin}
}

// answered notes one transaction.
func (r *record) answered(asked, now time.Time) {
	took := now.Sub(asked)
	r.longest = max(r.longest, took)
	if asked.Before(r.begin) {
		return
	}
	if r.count == 0 {
		r.begin = asked // the first that counts begins the time, so that no part of one is in it
	}
	r.count++
	r.last = now
	_ = r.times.RecordValue(int64(took)) // only what is above a minute is refused, and no answer takes that
}

// result makes the result of it. Where the rate is set, time goes on after the last answer.
func (r *record) result(t Test) *Result {
	seconds := r.last.Sub(r.begin).Seconds()
	if t.Kind == Latency {
		seconds = t.Time.Seconds()
	}
	return &Result{
		Kind: t.Kind, Size: t.Size, Seconds: seconds, Transactions: r.count, TimedOut: r.timedOut,
		TransactionsPerSecond: perSecond(float64(r.count), seconds), Latency: distribution(r.times),
	}
}

// askTCP asks on one connection, one request at a time.
func (p *part) askTCP(fd int) (*Result, error) {
	buffer := make([]byte, p.test.Size)
	r := newRecord(p.test)
	asked := time.Now()
	for asked.Before(r.end) && !p.stop.Load() {
		err := writeAll(fd, buffer, asked.Add(silence))
		if err == nil {
			err = p.readFull(fd, buffer, asked.Add(silence))
		}
		if err != nil {
			return nil, err
		}
		now := time.Now()
		r.answered(asked, now)
		asked = now
	}
	return r.result(p.test), nil
}

// readFull fills the buffer. A zero end waits until the part stops.
func (p *part) readFull(fd int, buffer []byte, end time.Time) error {
	return p.readBy(rawRead, fd, buffer, end)
}

func (p *part) readBy(read func(fd int, b []byte) (int, error), fd int, buffer []byte, end time.Time) error {
	for have := 0; have < len(buffer); {
		n, err := read(fd, buffer[have:])
		switch {
		case n > 0:
			have += n
		case err == nil:
			return errClosed
		case !again(err):
			return err
		case p.stop.Load():
			return os.ErrDeadlineExceeded
		case !end.IsZero() && time.Now().After(end):
			return errSilent
		}
	}
	return nil
}

// answerTCP answers until the client closes the connection.
func (p *part) answerTCP(fd int) error {
	buffer := make([]byte, p.test.Size)
	for {
		err := p.readFull(fd, buffer, time.Time{})
		if err != nil {
			return nil //nolint:nilerr // the client closes when it is done, and knows if it was not
		}
		if p.think > 0 {
			time.Sleep(p.think)
		}
		if err := writeAll(fd, buffer, time.Now().Add(silence)); err != nil {
			return err
		}
	}
}

// askUDP asks in datagrams, one at a time; Every apart, if the test says so. What is not
// answered in time is counted and left.
func (p *part) askUDP(fd int) (*Result, error) {
	request, answer := make([]byte, p.test.Size), make([]byte, p.test.Size+1)
	r := newRecord(p.test)
	start, heard := time.Now(), time.Now()
	for number, turn := uint64(1), time.Duration(0); ; number++ {
		asked := time.Now()
		if !asked.Before(r.end) || p.stop.Load() {
			return r.result(p.test), nil
		}
		putStamp(request, number, 0)
		if _, err := rawWrite(fd, request); err != nil && !again(err) {
			return nil, err
		}
		ok, err := p.hear(fd, answer, number, asked.Add(r.patience()))
		if err != nil {
			return nil, err
		}
		now := time.Now()
		switch {
		case ok:
			heard = now
			r.answered(asked, now)
		case now.Sub(heard) > silence:
			return nil, errSilent
		case !asked.Before(r.begin):
			r.timedOut++
		}
		if every := p.test.Every; every > 0 {
			turn = max(turn+1, now.Sub(start)/every)
			p.sleep(time.Until(start.Add(turn * every)))
		}
	}
}

// patience is how long an answer may take: a second, until it is known how long they do.
func (r *record) patience() time.Duration {
	if r.longest == 0 {
		return time.Second
	}
	return min(max(4*r.longest, glance), time.Second)
}

// hear waits for the answer of that number. Answers that come too late are passed over.
func (p *part) hear(fd int, buffer []byte, number uint64, end time.Time) (bool, error) {
	for {
		n, err := rawRead(fd, buffer)
		if err != nil && !again(err) {
			return false, err
		}
		if n == p.test.Size {
			if got, _ := stampOf(buffer); got == number {
				return true, nil
			}
		}
		if p.stop.Load() || time.Now().After(end) {
			return false, nil
		}
	}
}

// answerUDP answers the datagrams of one address until the part stops. The socket is
// connected: the kernel lets no others in.
func (p *part) answerUDP(fd int) error {
	buffer := make([]byte, maxPacket)
	for !p.stop.Load() {
		n, err := rawRead(fd, buffer)
		if err != nil && !again(err) && err != unix.ECONNREFUSED { //nolint:errorlint // a bare number
			return err
		}
		if n != p.test.Size && !isPreface(buffer[:max(n, 0)]) {
			continue
		}
		if p.think > 0 && n == p.test.Size {
			time.Sleep(p.think)
		}
		_, _ = rawWrite(fd, buffer[:n]) // one that is lost is the client's to count
	}
	return nil
}

// askCRR makes a connection for each request. The server closes first; then this end
// resets the connection, so that neither keeps it in TIME_WAIT, where ports run out.
func (p *part) askCRR(to netip.AddrPort, c cookie) (*Result, error) {
	request, answer := make([]byte, p.test.Size), make([]byte, p.test.Size)
	head := newPreface(dataChannel, c)
	copy(request, head[:])
	r := newRecord(p.test)
	address, reset := sockaddr(to), &unix.Linger{Onoff: 1}
	for {
		asked := time.Now()
		if !asked.Before(r.end) || p.stop.Load() {
			return r.result(p.test), nil
		}
		if err := p.oneCRR(to.Addr(), address, request, answer, reset, asked.Add(silence)); err != nil {
			if p.stop.Load() {
				return r.result(p.test), nil
			}
			return nil, err
		}
		r.answered(asked, time.Now())
	}
}

func (p *part) oneCRR(a netip.Addr, to unix.Sockaddr, request, answer []byte, reset *unix.Linger, late time.Time) error {
	fd, err := unix.Socket(family(a), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing is kept
	err = patience(fd, silence)
	if err == nil {
		if err = connect(fd, to); err == unix.EINPROGRESS { //nolint:errorlint // a bare number: its time ran out
			err = errSilent
		}
	}
	if err == nil {
		err = writeAll(fd, request, late)
	}
	if err == nil {
		err = p.readFull(fd, answer, late)
	}
	if err != nil {
		return err
	}
	var end [1]byte
	for {
		n, err := rawRead(fd, end[:])
		switch {
		case err == unix.EINTR: //nolint:errorlint // a bare number
			continue
		case n != 0:
			return errForeign
		}
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, reset)
	}
}
