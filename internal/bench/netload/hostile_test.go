package netload

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"sarn/internal/timetest"
)

// Whatever strangers send, the server serves the next client.
func TestHostile(t *testing.T) {
	address := serve(t)
	control, data := newPreface(controlChannel, cookie{}), newPreface(dataChannel, newCookie())
	line := func(s string) string { return string(control[:]) + s + "\n" }
	for _, s := range []string{
		"", "s", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", strings.Repeat("\x00", 1<<16), string(data[:]),
		string(control[:10]), line(""), line("{}"), line("[]"), line("null"), line(`{"test":null}`),
		line(`{"test":{"kind":"tcp-rr"}}`), line(`{"test":{"kind":"tcp-stream","time":9000000000000}}`),
		line(`{"test":{"kind":"tcp-rr","time":1000000000,"omit":0,"size":-5,"cpu":-1}}`),
		line(`{"test":{"kind":"udp-stream","time":1000000000,"omit":0,"cpu":-1}}`),
		line(`{"test":{"kind":"tcp-rr","time":1000000000,"omit":0,"cpu":-1},"finish":{}}`),
		line(`{"finish":{"sent":-1}}`), line(`{"result":{}}`), line(`{"unknown":1}`),
		line(strings.Repeat("[", 100_000)), string(control[:]) + strings.Repeat("x", 1<<20),
	} {
		conn, err := net.Dial("tcp", address.String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		conn.Write([]byte(s)) // the server may have closed it by then
		conn.(*net.TCPConn).CloseWrite()
		answer := make([]byte, 1<<16)
		n := 0
		for {
			got, err := conn.Read(answer[n:])
			n += got
			if err != nil {
				if e, ok := err.(net.Error); ok && e.Timeout() {
					t.Errorf("%.40q: the server does not close the connection", s)
				}
				break
			}
		}
		conn.Close()
		if !strings.HasPrefix(s, string(control[:])) && n > 0 {
			t.Errorf("%.40q: the server answered a stranger: %q", s, answer[:n])
		}
	}
	run(t, call(t, address), quick(TCPRR))
}

// Connections that say nothing take no client's place, nor the scheduler's time.
func TestSilentConnections(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		address := serve(t)
		for range 3 * mostUnread {
			conn, err := net.Dial("tcp", address.String())
			if err != nil {
				t.Fatal(err)
			}
			conn.Write([]byte("s")) // so that it is accepted
			defer conn.Close()
		}
		start := time.Now()
		run(t, call(t, address), quick(TCPRR))
		if took := time.Since(start); took > silence { // a test takes 0.2 s
			t.Slow("among silent connections a test takes %s", took)
		}
	})
}

// No datagram is sent to who has not shown the cookie, or has it from elsewhere.
func TestNoDatagramForStrangers(t *testing.T) {
	timetest.Try(t, func(t *timetest.T) {
		address := serve(t)
		c := call(t, address)
		asked := func(local, what string, packet []byte) {
			t.Helper()
			from, _ := net.ResolveUDPAddr("udp", local+":0")
			conn, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(address))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Write(packet)
			conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if n, err := conn.Read(make([]byte, 100)); err == nil {
				t.Errorf("%s: an answer of %d bytes", what, n)
			}
		}
		right, wrong := newPreface(dataChannel, c.cookie), newPreface(dataChannel, newCookie())
		asked("127.0.0.1", "no test", right[:])
		test := quick(Latency)
		test.fill()
		if err := c.control.send(message{Test: &test}); err != nil {
			t.Fatal(err)
		}
		if m, err := c.next(joinTime); err != nil || m.Ready == nil {
			t.Fatalf("%+v, %v; want ready", m, err)
		}
		asked("127.0.0.1", "wrong cookie", wrong[:])
		asked("127.0.0.1", "a probe", bytes.Repeat([]byte{7}, 64))
		asked("127.0.0.2", "cookie from another address", right[:])
		conn, err := net.Dial("udp", address.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write(right[:])
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := conn.Read(make([]byte, 100)); err != nil || n != prefaceSize {
			t.Errorf("the client itself: %d bytes, %v; want the preface back", n, err)
		}
		asked("127.0.0.1", "somebody else in the client's test", right[:])
	})
}

func FuzzDecode(f *testing.F) {
	for _, m := range []message{
		{Hello: &hello{1, "00"}}, {Test: &Test{Kind: TCPRR, Time: time.Second}}, {Ready: &signal{}}, {Go: &signal{}},
		{Finish: &Outcome{Sent: 1}}, {Result: &Outcome{Intervals: []float64{1, 2}}}, {Error: "x"},
	} {
		line, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte(`{"result":{"intervals":[1e999]}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decode(line)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if _, err := decode(again); err != nil {
			t.Errorf("%s became %s, which is refused", line, again)
		}
		if m.Test != nil && m.Test.Validate() == nil && (m.Test.Size > maxSize || m.Test.Time > MaxTime || m.Test.Streams > MaxStreams) {
			t.Errorf("%s is allowed", line)
		}
	})
}

func FuzzPreface(f *testing.F) {
	p := newPreface(dataChannel, newCookie())
	f.Add(p[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != prefaceSize {
			return
		}
		p := preface(b)
		ch, c, err := p.read()
		if err != nil {
			return
		}
		q := newPreface(ch, c)
		q[4] = p[4] // the version is looked at later
		if p != q {
			t.Errorf("%x was taken for %x", p, q)
		}
	})
}
