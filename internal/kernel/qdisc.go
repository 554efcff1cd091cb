package kernel

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// LacksQdisc reports whether this kernel has no queueing discipline of that kind, built
// in or as a module that it can load. It tries one on the loopback device of a network
// namespace that nobody else sees.
func LacksQdisc(kind netstate.QdiscKind) (bool, error) {
	var lacks bool
	err := inFresh(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink: %w", err)
		}
		defer h.Close()
		lo, err := h.LinkByName("lo")
		if err != nil {
			return fmt.Errorf("find lo: %w", err)
		}
		q := netstate.Qdisc{Link: "lo", Kind: kind, Rate: 1e6, Burst: 1 << 14, Queue: 1 << 15, Delay: time.Millisecond}
		err = h.QdiscReplace(discipline(q, lo.Attrs().Index, netstate.Protocol))
		lacks = errors.Is(err, unix.ENOENT)
		if lacks {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("try the queueing discipline %s: %w", kind, err)
	}
	return lacks, nil
}

// discipline puts q into the kernel's numbers, for the link of that index.
func discipline(q netstate.Qdisc, link int, owner uint8) netlink.Qdisc {
	attrs := netlink.QdiscAttrs{LinkIndex: link, Handle: netlink.MakeHandle(uint16(owner), 0), Parent: netlink.HANDLE_ROOT}
	rate := q.Rate / 8
	switch q.Kind {
	case netstate.Tbf:
		return &netlink.Tbf{QdiscAttrs: attrs, Rate: rate, Limit: q.Queue, Buffer: netlink.Xmittime(rate, q.Burst)}
	case netstate.Netem:
		return netlink.NewNetem(attrs, netlink.NetemQdiscAttrs{
			Latency: uint32(q.Delay.Microseconds()), Loss: float32(q.Loss), Rate64: rate, Limit: q.Queue,
		})
	}
	return &netlink.GenericQdisc{QdiscAttrs: attrs, QdiscType: string(q.Kind)}
}

func (p *pass) qdisc(v netstate.Verb, q netstate.Qdisc) error {
	index, err := p.find(q.Link)
	if err != nil {
		if v == netstate.Delete {
			return ignoreGone(err)
		}
		return err
	}
	d := discipline(q, index, p.kernel.owner.Protocol)
	if v == netstate.Delete {
		return ignoreGone(p.handle.QdiscDel(d))
	}
	err = p.handle.QdiscReplace(d)
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("this kernel has no queueing discipline %s (module sch_%s)", q.Kind, q.Kind)
	}
	return err
}

// qdiscs reads the owner's queueing disciplines. Guests' namespaces are many and hold
// none, so there it looks only where some are wanted.
func (r *reading) qdiscs() error {
	if r.netns != "" && len(r.want.Qdiscs) == 0 {
		return nil
	}
	all, err := retry(func() ([]netlink.Qdisc, error) { return r.handle.QdiscList(nil) })
	if err != nil {
		return fmt.Errorf("list queueing disciplines: %w", err)
	}
	for _, d := range all {
		a := d.Attrs()
		major, _ := netlink.MajorMinor(a.Handle)
		if a.Parent == netlink.HANDLE_ROOT && major == uint16(r.owner.Protocol) {
			r.state.Qdiscs = append(r.state.Qdiscs, r.found(d))
		}
	}
	return nil
}

// found puts what the kernel says into our words. Its clock's ticks round what they
// are told, so what is as wanted in its numbers is what is wanted.
func (r *reading) found(d netlink.Qdisc) netstate.Qdisc {
	a := d.Attrs()
	q := netstate.Qdisc{Link: r.names[a.LinkIndex], Kind: netstate.QdiscKind(d.Type())}
	at := slices.IndexFunc(r.want.Qdiscs, func(w netstate.Qdisc) bool { return w.Link == q.Link && w.Kind == q.Kind })
	if at >= 0 && alike(discipline(r.want.Qdiscs[at], 0, 0), d) {
		return r.want.Qdiscs[at]
	}
	switch d := d.(type) {
	case *netlink.Tbf:
		q.Rate, q.Queue, q.Burst = d.Rate*8, d.Limit, netlink.Xmitsize(d.Rate, d.Buffer)
	case *netlink.Netem:
		q.Rate, q.Queue = d.Rate64*8, d.Limit
		q.Delay = time.Duration(float64(d.Latency) / netlink.TickInUsec() * float64(time.Microsecond))
		q.Loss = 100 * float64(d.Loss) / (1<<32 - 1)
	}
	return q
}

// alike reports whether two disciplines do the same.
func alike(a, b netlink.Qdisc) bool {
	switch a := a.(type) {
	case *netlink.Tbf:
		b, ok := b.(*netlink.Tbf)
		return ok && a.Rate == b.Rate && a.Limit == b.Limit && a.Buffer == b.Buffer
	case *netlink.Netem:
		b, ok := b.(*netlink.Netem)
		return ok && a.Rate64 == b.Rate64 && a.Limit == b.Limit && a.Latency == b.Latency && a.Loss == b.Loss
	}
	return false
}
