package netload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/timetest"
)

func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(8) // both ends are in this process: see raw.go
	timetest.Main(m)
}

// serve runs a server on loopback for the length of the test.
func serve(t testing.TB, change ...func(*Server)) netip.AddrPort {
	t.Helper()
	return serveAt(t, "127.0.0.1:0", change...)
}

func serveAt(t testing.TB, at string, change ...func(*Server)) netip.AddrPort {
	t.Helper()
	s, err := Listen(netip.MustParseAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(s)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return s.Address()
}

func call(t testing.TB, at netip.AddrPort) *Client {
	t.Helper()
	c, err := Dial(t.Context(), Config{Address: at, CPU: -1})
	for tries := 1; err != nil && strings.Contains(err.Error(), "with another client") && tries < 3; tries++ {
		c, err = Dial(t.Context(), Config{Address: at, CPU: -1}) // a slow machine's last client leaves slowly
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func quick(k Kind) Test {
	return Test{Kind: k, Time: 200 * time.Millisecond, Omit: 20 * time.Millisecond, PeerCPU: -1}
}

func run(t testing.TB, c *Client, test Test) *Result {
	t.Helper()
	r, err := c.Run(t.Context(), test)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func within(t testing.TB, what string, got, least, most float64) {
	t.Helper()
	if !(got >= least && got <= most) {
		t.Errorf("%s: %g, want %g to %g", what, got, least, most)
	}
}

// about is within, of what a busy machine may spoil.
func about(t *timetest.T, what string, got, least, most float64) {
	t.Helper()
	if !(got >= least && got <= most) {
		t.Slow("%s: %g, want %g to %g", what, got, least, most)
	}
}

func TestStreams(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		for _, at := range []string{"0.0.0.0:0", "[::1]:0"} {
			address := serveAt(t, at)
			if address.Addr().IsUnspecified() {
				address = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), address.Port())
			}
			c := call(t, address)
			for _, reverse := range []bool{false, true} {
				if reverse && address.Addr().Is6() {
					continue // the family is a socket's matter
				}
				test := quick(TCPStream)
				test.Reverse, test.Streams = reverse, 3
				r := run(t, c, test)
				about(t, "Mbit/s", r.MbitPerSecond, 10, 1e6)
				about(t, "seconds", r.Seconds, 0.2, 2)
				if r.Retransmits == nil || len(r.Intervals) < 2 || r.Reverse != reverse {
					t.Errorf("result %+v, want retransmits, 2 intervals, reverse %v", r, reverse)
				}
				test = quick(UDPStream)
				test.Reverse, test.Size, test.Rate = reverse, 1000, 20e6
				r = run(t, c, test)
				about(t, "Mbit/s at 20mbit", r.MbitPerSecond, 19, 21)
				about(t, "sent/s", r.Packets.SentPerSecond, 2375, 2625)
				about(t, "lost", float64(r.Packets.Lost), 0, 0)
				about(t, "sent", float64(r.Packets.Sent), 480, 520)
				within(t, "received", float64(r.Packets.Received+r.Packets.Lost), float64(r.Packets.Sent), float64(r.Packets.Sent))
			}
		}
	})
}

// A server that takes its time is what the latency shows: no less, and not twice it.
func TestLatencyIsTheServers(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		const think = 20 * time.Millisecond
		c := call(t, serve(t, func(s *Server) { s.think = think }))
		for _, k := range []Kind{TCPRR, UDPRR, TCPCRR, Latency} {
			r := run(t, c, quick(k))
			us := float64(think.Microseconds())
			within(t, string(k)+" min", float64(r.Latency.Min), us*0.999, 1e12) // a histogram's bucket is 0.1 % wide
			about(t, string(k)+" min", float64(r.Latency.Min), us*0.999, 2*us)
			about(t, string(k)+" p50", float64(r.Latency.P50), us*0.999, 2*us)
			if k != Latency {
				within(t, string(k)+" rate", r.TransactionsPerSecond, 0, 50)
				about(t, string(k)+" rate", r.TransactionsPerSecond, 25, 50)
			}
			about(t, string(k)+" counted", float64(r.Transactions), 4, 20)
		}
	})
}

// Latency's own pace is kept while the path has the time.
func TestPace(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		test := quick(Latency)
		test.Every = 20 * time.Millisecond
		r := run(t, call(t, serve(t)), test)
		about(t, "probes", float64(r.Transactions), 7, 10)
	})
}

// Tests must not be measurements of Go's memory.
func TestNothingIsAllocated(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		c := call(t, serve(t))
		for _, k := range []Kind{TCPRR, UDPRR, TCPCRR, UDPStream, TCPStream} {
			test := quick(k)
			if k == UDPStream {
				test.Size = 100
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := run(t, c, test)
			runtime.ReadMemStats(&after)
			turns := r.Transactions
			if k == UDPStream {
				turns = r.Packets.Sent
			}
			if k == TCPStream {
				turns = int64(r.MbitPerSecond*r.Seconds*1e6/8) / int64(r.Size)
			}
			if n := after.Mallocs - before.Mallocs; float64(n) > 1000+float64(turns)/20 {
				t.Errorf("%s: %d allocations in %d turns", k, n, turns)
			}
		}
	})
}

// A request of several segments may come in parts, as it does when one is lost.
func TestRequestInParts(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		address := serve(t)
		c := call(t, address)
		test := quick(TCPCRR)
		test.fill()
		if err := c.control.send(message{Test: &test}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // Ready, Go
			if _, err := c.next(joinTime); err != nil {
				t.Fatal(err)
			}
		}
		conn, err := net.Dial("tcp", address.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		head := newPreface(dataChannel, c.cookie)
		conn.Write(head[:])
		time.Sleep(3 * glance) // a segment's retransmission takes 200 ms at least
		conn.Write(make([]byte, test.Size-prefaceSize))
		answer := make([]byte, test.Size)
		if _, err := io.ReadFull(conn, answer); err != nil {
			t.Errorf("a request in parts is not answered: %v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	address := serve(t)
	for _, k := range Kinds() {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		c := call(t, address)
		test := quick(k)
		test.Time = time.Minute
		start := time.Now()
		_, err := c.Run(ctx, test)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 45*time.Second {
			t.Errorf("%s: %v after %s, want the context's end at once", k, err, time.Since(start))
		}
		cancel()
		c.Close()
	}
}

// One datagram an hour is none.
func TestNothingIsDue(t *testing.T) {
	test := quick(UDPStream)
	test.Size, test.Rate = 1000, 2
	if _, err := call(t, serve(t)).Run(t.Context(), test); err == nil || !strings.Contains(err.Error(), "no datagram fell due") {
		t.Errorf("%v, want words about the rate", err)
	}
}

// A client that leaves while a test is set up makes room for the next one.
func TestLeaves(t *testing.T) {
	address := serve(t)
	for _, k := range []Kind{TCPRR, UDPRR} {
		c := call(t, address)
		test := quick(k)
		test.fill()
		if err := c.control.send(message{Test: &test}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.next(joinTime); err != nil { // Ready
			t.Fatal(err)
		}
		c.Close()
	}
	run(t, call(t, address), quick(TCPRR))
}

// The server's end in the middle of a test ends it in words.
func TestServerDies(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		for _, test := range []Test{
			quick(TCPStream), {Kind: TCPStream, Reverse: true}, quick(UDPStream), {Kind: UDPStream, Reverse: true},
			quick(TCPCRR), quick(TCPRR), quick(UDPRR), quick(Latency),
		} {
			k := test.Kind
			s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			test.Time, test.PeerCPU = MaxTime, -1
			if k == UDPStream {
				test.Size, test.Rate = 1000, 10e6
			}
			c := call(t, s.Address())
			start := time.Now()
			time.AfterFunc(200*time.Millisecond, stop)
			_, err = c.Run(t.Context(), test)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), "the other end") && !strings.Contains(err.Error(), "nobody listens") {
				t.Errorf("%s: %v, want words about the other end", k, err)
			}
			if time.Since(start) > MaxTime*3/4 {
				t.Errorf("%s: the server's end was noticed after %s", k, time.Since(start))
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			stop()
		}
	})
}

func TestUnreached(t *testing.T) {
	answers := func(line string) netip.AddrPort {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, line)
			conn.Read(make([]byte, 100))
			conn.Close()
		}()
		return l.Addr().(*net.TCPAddr).AddrPort()
	}
	nobody := nobodyListens(t)
	busy := serve(t)
	first := call(t, busy)
	for _, c := range []struct {
		at   netip.AddrPort
		want string
	}{
		{nobody, "nobody listens there; run `sarn bench net --listen " + nobody.String()},
		{answers("220 mail.example ESMTP\r\n"), "not sarn bench net"},
		{answers(`{"hello":{"version":7,"cookie":"00112233445566778899aabbccddeeff"}}` + "\n"), "version 7 of the protocol, and this is version 1"},
		{answers(`{"hello":{"version":1,"cookie":"00"}}` + "\n"), "not sarn bench net"},
		{answers(`{"error":"no\u001b[2Jway"}` + "\n"), "the other end says: no"},
		{answers(""), "not sarn bench net"},
		{busy, "with another client"},
	} {
		client, err := Dial(t.Context(), Config{Address: c.at, CPU: -1})
		if err == nil {
			client.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	run(t, first, quick(TCPRR)) // who was first is not disturbed
}

func TestValidate(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		c := call(t, serve(t))
		for _, bad := range []func(*Test){
			func(t *Test) { t.Kind = "icmp" },
			func(t *Test) { t.Time = 2 * time.Minute },
			func(t *Test) { t.Time = 0 },
			func(t *Test) { t.Omit = -1 },
			func(t *Test) { t.Streams = 65 },
			func(t *Test) { t.Size = 1<<20 + 1 },
			func(t *Test) { t.Kind, t.Size = UDPStream, 15 },
			func(t *Test) { t.Rate = 1e6 },
			func(t *Test) { t.Kind, t.Reverse = TCPRR, true },
			func(t *Test) { t.Every = time.Millisecond },
			func(t *Test) { t.PeerCPU = 5000 },
		} {
			test := quick(TCPStream)
			bad(&test)
			if _, err := c.Run(t.Context(), test); err == nil {
				t.Errorf("%+v ran", test)
			}
		}
		run(t, c, quick(TCPRR))
		// A CPU that is not there is the other end's to say.
		test := quick(TCPRR)
		test.PeerCPU = 1000
		if _, err := c.Run(t.Context(), test); err == nil || !strings.Contains(err.Error(), "CPU 1000") {
			t.Errorf("%v, want words about the CPU", err)
		}
	})
}

// nobodyListens is an address that is taken until the test ends, and refuses connections.
func nobodyListens(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := open(netip.MustParseAddr("127.0.0.1"), unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, sockaddr(netip.MustParseAddrPort("127.0.0.1:0"))); err != nil {
		t.Fatal(err)
	}
	at, err := localAddress(fd)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
