package collect

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/netnstest"
)

// What the helper sends to itself: by TCP over several connections, none of which lives
// until the next pass, and by UDP.
const (
	connections, connectionSize = 3, 1 << 20
	datagrams, datagramSize     = 200, 700
)

func talk() {
	must(exec.Command("ip", "link", "set", "lo", "up").Run())
	for range connections {
		talkTCP()
	}
	talkUDP()
	talkUnix()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func talkTCP() {
	l, err := net.Listen("tcp", "[::1]:0")
	must(err)
	defer l.Close()
	go func() {
		out, err := net.Dial("tcp", l.Addr().String())
		must(err)
		_, err = out.Write(make([]byte, connectionSize))
		must(err)
		must(out.Close())
	}()
	in, err := l.Accept()
	must(err)
	defer in.Close()
	_, err = io.Copy(io.Discard, in)
	must(err)
}

func talkUDP() {
	in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(err)
	defer in.Close()
	out, err := net.Dial("udp4", in.LocalAddr().String())
	must(err)
	defer out.Close()
	raw, err := in.SyscallConn()
	must(err)
	b := make([]byte, datagramSize)
	for range datagrams {
		for there := false; !there; { // a queue that is full of others' packets drops this one
			_, err = out.Write(b)
			must(err)
			must(in.SetReadDeadline(time.Now().Add(10 * time.Second)))
			// What is looked at first is received once.
			err = raw.Read(func(fd uintptr) bool {
				_, _, err := unix.Recvfrom(int(fd), b, unix.MSG_PEEK)
				return err == nil
			})
			there = err == nil
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				must(err)
			}
		}
		_, err = in.Read(b)
		must(err)
	}
}

// isTalk reports whether that many bytes are what was received and sent, to the byte, but
// for datagrams that were sent again.
func isTalk(rx, tx float64) bool {
	const want = connections*connectionSize + datagrams*datagramSize
	again := math.Round((tx - want) / datagramSize)
	return math.Abs(rx-want) <= 1 && again >= 0 && again < datagrams/10 && math.Abs(tx-want-again*datagramSize) <= 1
}

// talkUnix sends where it is no network.
func talkUnix() {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(err)
	_, err = unix.Write(pair[0], make([]byte, 5000))
	must(err)
	_, err = unix.Read(pair[1], make([]byte, 5000))
	must(err)
}

// Bytes are the process's that sends and receives them, to the byte, in whatever network
// namespace, and of connections that have ended too.
func TestBytesOfSockets(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		for _, namespace := range []uintptr{0, syscall.CLONE_NEWNET} {
			a := helperIn(t, "talk", namespace)
			idle := start(t, "sleep", "1000").Process.Pid
			c := newCollector(t, Config{Reader: BPF})
			pass(t, c)
			a.tell(t)
			a.ready(t)
			s := pass(t, c)
			p := mustHave(t, s, a.pid)
			if rx, tx := p.RxBytes*s.Interval, p.TxBytes*s.Interval; !isTalk(rx, tx) {
				t.Errorf("of what it has sent itself %.0f bytes are seen received and %.0f sent", rx, tx)
			}
			if p := mustHave(t, s, idle); p.RxBytes != 0 || p.TxBytes != 0 {
				t.Errorf("an idle process: %+v", p)
			}
			s = pass(t, c)
			if p := mustHave(t, s, a.pid); p.RxBytes != 0 || p.TxBytes != 0 {
				t.Errorf("afterwards: %+v", p)
			}
			if len(s.Missing) > 0 && strings.Contains(s.Missing[0].What, "network rates") {
				t.Errorf("missing %+v: %v", s.Missing, c.bpf.noSockets)
			}
		}
	})
}

// A guest whose network is made by QEMU itself has QEMU's bytes.
func TestGuestOfUserNetwork(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		a := helperIn(t, "talk", 0, "qemu-system-x86_64", "-name", "web", "-nic", "user,model=virtio")
		c := newCollector(t, Config{Reader: BPF})
		pass(t, c)
		a.tell(t)
		a.ready(t)
		s := pass(t, c)
		m := machineOf(s, "vm/web")
		if m == nil || !isTalk(m.RxBytes*s.Interval, m.TxBytes*s.Interval) {
			t.Errorf("what it has sent itself is not in %+v over %v s", m, s.Interval)
		}
	})
}

// Without BPF they are unknown, and it is said why.
func TestBytesOfSocketsWithoutBPF(t *testing.T) {
	c := newCollector(t, Config{Reader: Files})
	pass(t, c)
	s := pass(t, c)
	if p := mustHave(t, s, os.Getpid()); p.RxBytes != -1 || p.TxBytes != -1 {
		t.Errorf("%+v", p)
	}
	if len(s.Missing) == 0 || s.Missing[0].What != "network rates of processes" || s.Host.Reader != "proc" {
		t.Errorf("missing %+v, reader %q", s.Missing, s.Host.Reader)
	}
}

// A pass costs the same however many sockets there are.
func TestManySockets(t *testing.T) { netnstest.Run(t, testManySockets) } // where no others come and go

func testManySockets(t *testing.T) {
	before := costOf(t, Config{Reader: BPF}, 1)
	for range 5000 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd) //nolint:errcheck // nothing was sent
	}
	after := costOf(t, Config{Reader: BPF}, 1)
	t.Logf("CPU time of a pass: %v, with 5,000 sockets %v", before, after)
	if after > 3*before+time.Millisecond {
		t.Errorf("a pass takes %v, with 5,000 sockets %v", before, after)
	}
}
