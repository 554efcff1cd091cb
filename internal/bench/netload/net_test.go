package netload

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server on loopback for the length of the test.
func serve(t testing.TB, change ...func(*Server)) netip.AddrPort {
	t.Helper()
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
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
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func quick(k Kind) Test {
	return Test{Kind: k, Time: 300 * time.Millisecond, Omit: 50 * time.Millisecond, PeerCPU: -1}
}

func TestEachKind(t *testing.T) {
	c := call(t, serve(t))
	for _, k := range Kinds() {
		for _, reverse := range []bool{false, true} {
			if reverse && !k.stream() {
				continue
			}
			test := quick(k)
			test.Reverse = reverse
			r, err := c.Run(t.Context(), test)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v %+v %+v", r, r.Packets, r.Latency)
		}
	}
}
