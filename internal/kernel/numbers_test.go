package kernel

import (
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"sarn/internal/netstate"
)

// What the kernel gives back is what was wanted, however its numbers round it.
func TestQdiscsInTheKernelsNumbers(t *testing.T) {
	for _, q := range []netstate.Qdisc{
		{Link: "a", Kind: netstate.Tbf, Rate: 1e5, Burst: 8191, Queue: 9000},
		{Link: "a", Kind: netstate.Tbf, Rate: 40e9, Burst: 54321, Queue: 1 << 20},
		{Link: "a", Kind: netstate.Netem, Delay: 33333 * time.Microsecond, Loss: 0.1, Rate: 3e6, Queue: 1000},
	} {
		r := reading{names: map[int]string{7: "a"}, want: &netstate.State{Qdiscs: []netstate.Qdisc{q}}}
		if got := r.found(discipline(q, 7, 83)); got != q {
			t.Errorf("got %+v, want %+v", got, q)
		}
		other := q
		other.Rate += 8000
		if got := r.found(discipline(other, 7, 83)); got == q || got.Rate != other.Rate {
			t.Errorf("another rate looks like %+v", got)
		}
	}
	r := reading{names: map[int]string{7: "a"}, want: &netstate.State{}}
	got := r.found(discipline(netstate.Qdisc{Kind: netstate.Netem, Delay: 10 * time.Millisecond, Loss: 1}, 7, 83))
	if got.Delay.Round(time.Microsecond) != 10*time.Millisecond || got.Loss < 0.99 || got.Loss > 1.01 {
		t.Errorf("10 ms and 1%% came back as %+v", got)
	}
	if got := r.found(&netlink.GenericQdisc{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: 7}, QdiscType: "pfifo"}); got != (netstate.Qdisc{Link: "a", Kind: "pfifo"}) {
		t.Errorf("another kind: %+v", got)
	}
}
