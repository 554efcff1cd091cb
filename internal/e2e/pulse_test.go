package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pulse is an echo request every 10 ms from a member to an address. It knows when each
// was sent, by a clock that nobody can step, and whether it was answered.
type pulse struct {
	f    fabric
	name string
	conn net.PacketConn
	to   net.IPAddr
	id   uint16
	stop chan struct{}

	sending, receiving sync.WaitGroup

	mu    sync.Mutex
	beats []beat
	heard time.Time // when the last answer came
}

type beat struct {
	sent     time.Time
	answered bool
}

const internetAddress = "203.0.113.1"

// lastPulse tells the pulses of one sender apart.
var lastPulse atomic.Uint32

// pulse starts a pulse and returns when the first answer is there.
func (f fabric) pulse(from, to string) *pulse {
	f.Helper()
	p := &pulse{f: f, name: from + " to " + to, to: net.IPAddr{IP: net.ParseIP(to)}, stop: make(chan struct{})}
	p.id = uint16(os.Getpid()) + uint16(lastPulse.Add(1))
	f.in(from, func() (err error) { p.conn, err = net.ListenPacket("ip4:icmp", "0.0.0.0"); return err })
	p.receiving.Go(p.receive)
	p.sending.Go(p.send)
	f.Cleanup(p.end)
	p.again()
	p.forget()
	return p
}

// end stops the pulse, when the last answer is there: those before it have come then, but
// for what has overtaken another.
func (p *pulse) end() {
	select {
	case <-p.stop:
		return
	default:
	}
	close(p.stop)
	p.sending.Wait() // no beat may follow the last one that is waited for
	p.f.poll(10*time.Second, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.beats) == 0 || p.beats[len(p.beats)-1].answered
	})
	p.f.poll(time.Second, func() bool { return p.missed(time.Time{}, time.Now()) == 0 })
	p.conn.Close()
	p.receiving.Wait()
}

func (p *pulse) send() {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		request := make([]byte, 16)
		request[0] = 8 // echo request
		binary.BigEndian.PutUint16(request[4:], p.id)
		binary.BigEndian.PutUint16(request[6:], uint16(len(p.beats)))
		binary.BigEndian.PutUint16(request[2:], checksum(request))
		p.beats = append(p.beats, beat{sent: time.Now()})
		p.mu.Unlock()
		_, _ = p.conn.WriteTo(request, &p.to) // what cannot be sent is not answered
	}
}

func (p *pulse) receive() {
	buf := make([]byte, 1500)
	for {
		n, _, err := p.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if n < 8 || buf[0] != 0 || binary.BigEndian.Uint16(buf[4:]) != p.id {
			continue // not an answer, or another's
		}
		p.mu.Lock()
		// The number has 16 bits: eleven minutes of beats.
		if seq := int(binary.BigEndian.Uint16(buf[6:])); seq < len(p.beats) {
			p.beats[seq].answered, p.heard = true, time.Now()
		}
		p.mu.Unlock()
	}
}

// again waits for the answer to a beat that is sent from now on.
func (p *pulse) again() {
	p.f.Helper()
	from := time.Now()
	p.f.eventually(p.name+" is answered", func() bool { sent, missed := p.count(from, time.Now()); return sent > missed })
}

// felt waits until some beats of a time that has begun are lost.
func (p *pulse) felt(from time.Time) {
	p.f.Helper()
	p.f.eventually(p.name+" is cut", func() bool { return p.missed(from, time.Now()) >= 5 })
}

// forget takes all that was until now as well.
func (p *pulse) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.beats {
		p.beats[i].answered = true
	}
}

// pardon takes what was lost since then, once the pulse is answered again.
func (p *pulse) pardon(from time.Time) {
	p.f.Helper()
	p.again()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, b := range p.beats {
		if !b.sent.Before(from) {
			p.beats[i].answered = true
		}
	}
}

func (p *pulse) count(from, until time.Time) (sent, missed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.beats {
		if !b.sent.Before(from) && b.sent.Before(until) {
			sent++
			if !b.answered {
				missed++
			}
		}
	}
	return sent, missed
}

// missed is how many beats of that time got no answer.
func (p *pulse) missed(from, until time.Time) int {
	_, missed := p.count(from, until)
	return missed
}

const clockTime = "15:04:05.000"

// gaps says when beats got no answer.
func (p *pulse) gaps() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var gaps []string
	for i, b := range p.beats {
		if b.answered {
			continue
		}
		if i == 0 || p.beats[i-1].answered {
			gaps = append(gaps, b.sent.Format(clockTime))
		}
		if i+1 == len(p.beats) || p.beats[i+1].answered {
			gaps = append(gaps, "to "+b.sent.Format(clockTime)+";")
		}
	}
	return strings.Join(gaps, " ")
}

// lostAtMost ends the pulses and complains of each that lost more than that.
func (f fabric) lostAtMost(most int, pulses ...*pulse) {
	f.Helper()
	for _, p := range pulses {
		p.end()
		sent, missed := p.count(time.Time{}, time.Now())
		f.Logf("%s: %d of %d lost", p.name, missed, sent)
		if missed > most {
			f.Errorf("from %s %d of %d were lost, at most %d may be: %s", p.name, missed, sent, most, p.gaps())
		}
	}
}

// lostOnly ends the pulses and complains of each that lost something before from or
// after until, and of each that lost nothing between: then the fault was none.
func (f fabric) lostOnly(from, until time.Time, pulses ...*pulse) {
	f.Helper()
	for _, p := range pulses {
		p.end()
		before, after := p.missed(time.Time{}, from), p.missed(until, time.Now())
		sent, missed := p.count(from, until)
		f.Logf("%s: %d of %d lost in the fault's %s", p.name, missed, sent, until.Sub(from).Round(time.Millisecond))
		if before > 0 || after > 0 {
			f.Errorf("from %s %d were lost before the fault, which began at %s, and %d after it: %s",
				p.name, before, from.Format(clockTime), after, p.gaps())
		}
		if missed == 0 {
			f.Errorf("from %s nothing was lost in the fault: it was none", p.name)
		}
	}
}

// poll asks until ok holds, for that long.
func (f fabric) poll(long time.Duration, ok func() bool) bool {
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return ok()
}

// inSync waits until every node is connected and has applied and verified all.
func (f fabric) inSync() {
	f.Helper()
	last := ""
	defer func() {
		if f.Failed() {
			f.Log(last)
		}
	}()
	f.eventually("every node is in sync", func() bool {
		out, code := f.try("status", "--wait", "--timeout", "1s")
		last = out
		return code == 0 && !strings.Contains(out, "not connected")
	})
}

// tracesOf is all on a host that tells of a port: device, filter, neighbour, routes,
// namespace.
func (f fabric) tracesOf(host, port, address string) string {
	f.Helper()
	guests := filepath.Join(runDir, "labs", f.name, "guests", host)
	return strings.TrimSpace(f.sh(host, fmt.Sprintf(`{ ip -o link; ip route show table all proto 83; ip neigh show nud permanent; nft list ruleset; ls %s; } |
grep -w -e vp_%[2]s -e port_%[2]s -e '%[2]s' -e '%[3]s dev br_[a-z0-9]*' || true`, guests, port, strings.ReplaceAll(address, ".", `\.`))))
}

// inEachMode runs a test with the lab of two hosts in router mode and in direct mode.
func inEachMode(t *testing.T, test func(f fabric, mode string)) {
	for _, mode := range []string{"router", "direct"} {
		t.Run(mode, func(t *testing.T) {
			f := up(t, "two-hosts.yaml")
			f.sarn("vpc", "mode", "main", mode, "--wait")
			test(f, mode)
		})
	}
}
