package load

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	defer s.Close()
	if r := run(t, s.URL, func(c *Config) { c.Requests = 5 }); r.Requests != 5 || !strings.Contains(r.URL, "[::1]") {
		t.Errorf("%d answers, %v", r.Requests, r.Failures)
	}
	// The zone of a link's own address is a number to the kernel.
	lo := netip.MustParseAddr("::1").WithZone("lo")
	if _, a := socketAddress(netip.AddrPortFrom(lo, 80)); a.(*unix.SockaddrInet6).ZoneId != 1 {
		t.Errorf("got %+v", a)
	}
}

// full is a listener that takes no more connections and refuses none.
func full(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, to := bound(t)
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for taken := 0; ; { // one fits in: a busy machine may be slow to take that too
		c, err := connect(t.Context(), to, time.Now().Add(300*time.Millisecond))
		if err != nil && taken > 0 {
			return to
		}
		if err == nil {
			taken++
			t.Cleanup(func() { c.Close() })
		}
	}
}

// TestNobodyTakesTheConnection ends in time, and at once when the test is interrupted.
func TestNobodyTakesTheConnection(t *testing.T) {
	to := full(t)
	_, err := connect(t.Context(), to, time.Now().Add(50*time.Millisecond))
	if f := faultOf(&dialError{to, err}); f.Kind != Timeout || !strings.Contains(f.Words, "no connection to "+to.String()+" in time") {
		t.Errorf("got %v, %+v", err, f)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, interrupt)
	start := time.Now()
	if _, err := connect(ctx, to, time.Now().Add(time.Minute)); err == nil || time.Since(start) > 45*time.Second {
		t.Errorf("interrupted: %v after %s", err, time.Since(start))
	}
}
