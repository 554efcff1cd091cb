package lab

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sarn/internal/netnstest"
)

func TestMatrix(t *testing.T) {
	m := &Matrix{From: []string{"vm1", "vm2"}, To: []string{"vm1", "vm2", "tap"}, Pairs: []Pair{
		{From: "vm1", To: "vm2", Sent: 2, Received: 2, RTT: 1234 * time.Microsecond},
		{From: "vm1", To: "tap", Sent: 2, Received: 1, RTT: 50 * time.Microsecond},
		{From: "vm2", To: "vm1", Sent: 2, Received: 0, Error: "no answer"},
		{From: "vm2", To: "tap", Sent: 2, Received: 2, RTT: 70 * time.Microsecond},
	}}
	m.count()
	if got := m.Summary(); got != "2/4 pairs, 37.5% lost" {
		t.Error(got)
	}
	head, rows := m.Grid()
	got := strings.Join(head, "|")
	for _, r := range rows {
		got += "\n" + strings.Join(r, "|")
	}
	if want := "MS|vm1|vm2|tap\nvm1||1.23|0.05 (1/2)\nvm2|lost||0.07"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if f := m.Failures(); len(f) != 2 || f[1].Error != "no answer" || m.OK() {
		t.Errorf("failures: %v", f)
	}
}

func TestNaturalOrder(t *testing.T) {
	for _, pair := range [][2]string{{"vm2", "vm10"}, {"a", "b"}, {"vm", "vm1"}, {"vm1", "wan"}, {"vm1-a2", "vm1-a10"}, {"host9", "vm1"}} {
		if natural(pair[0], pair[1]) >= 0 || natural(pair[1], pair[0]) <= 0 {
			t.Errorf("%s should come before %s", pair[0], pair[1])
		}
	}
	if natural("vm1", "vm1") != 0 {
		t.Error("a name is not equal to itself")
	}
}

// TestPingersDiffer is about many probes from one member at once: an answer to one must
// not be another's.
func TestPingersDiffer(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		s, seen := newPingers(), map[uint16]bool{}
		for range 1000 {
			p, err := s.open("/proc/self/ns/net")
			if err != nil {
				t.Fatal(err)
			}
			if seen[p.id] {
				t.Errorf("two have the identity %d", p.id)
			}
			seen[p.id] = true
			p.close()
		}
	})
}

func TestParseICMP(t *testing.T) {
	from, target := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")
	message := func(kind byte) []byte {
		b := []byte{kind, 0, 0, 0}
		b = binary.BigEndian.AppendUint16(b, 77)
		return binary.BigEndian.AppendUint16(b, 3)
	}
	about := func(kind, code byte, options int) []byte {
		inner := make([]byte, 20+options)
		inner[0], inner[9] = 0x40|byte(len(inner)/4), 1
		copy(inner[16:], target.AsSlice())
		return append(append([]byte{kind, code, 0, 0, 0, 0, 0, 0}, inner...), message(8)...)
	}
	for _, c := range []struct {
		packet []byte
		to     netip.Addr
		what   string
	}{
		{message(0), from, ""},
		{message(8), netip.Addr{}, ""}, // a request, somebody else's
		{about(11, 0, 0), target, ttlExceeded},
		{about(3, 1, 0), target, "unreachable"},
		{about(3, 13, 4), target, "prohibited"},
		{about(3, 1, 0)[:30], netip.Addr{}, ""},
		{nil, netip.Addr{}, ""},
	} {
		asked, what, ok := parseICMP(from, c.packet)
		if asked.to != c.to || what != c.what || ok != c.to.IsValid() || ok && (asked.id != 77 || asked.seq != 3) {
			t.Errorf("%x: got %v %q %v, want one to %s, %q", c.packet, asked, what, ok, c.to, c.what)
		}
	}
}

func FuzzParseICMP(f *testing.F) {
	f.Add([]byte{11, 0, 0, 0, 0, 0, 0, 0, 0x4f})
	f.Fuzz(func(_ *testing.T, b []byte) { parseICMP(netip.IPv4Unspecified(), b) })
}
