package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// Apply does ops in their order, those of the nft tables of one namespace that follow
// each other as one transaction. What is already as an op wants it is not an error.
// When an op fails that only a port or a guest's namespace suffers from, what is left
// of that unit is skipped and the rest goes on, so that no guest can hold up others;
// any other failure ends it. What was done stays.
func (k *Kernel) Apply(ctx context.Context, ops []netstate.Op) error {
	a := applying{kernel: k, broken: map[string]bool{}}
	all := len(ops)
	for len(ops) > 0 {
		n, err := a.run(ctx, ops)
		if err != nil {
			return errors.Join(append(a.errs, fmt.Errorf("%w (%d of %d commands done before it)", err, a.done, all))...)
		}
		ops = ops[n:]
	}
	return errors.Join(a.errs...)
}

// applying is one call of Apply.
type applying struct {
	kernel *Kernel
	broken map[string]bool // units of which an op has failed
	errs   []error         // why
	done   int
}

// fail notes a failure and returns it if nothing may follow it.
func (a *applying) fail(op netstate.Op, err error) error {
	unit := op.Unit()
	if unit == "" || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	a.broken[unit] = true
	a.errs = append(a.errs, err)
	return nil
}

// run applies the first ops that are all in one namespace and says how many.
func (a *applying) run(ctx context.Context, ops []netstate.Op) (n int, err error) {
	first := ops[0]
	if ns, ok := first.Object.(netstate.Netns); ok {
		if first.Verb == netstate.Delete {
			err = a.kernel.deleteNamespace(ns.Name)
		} else {
			err = a.kernel.addNamespace(ns)
		}
		if err != nil {
			return 1, a.fail(first, a.kernel.failedOp(first, err))
		}
		a.kernel.applied(first)
		a.done++
		return 1, nil
	}
	for n < len(ops) && ops[n].Netns == first.Netns && !isNetns(ops[n]) {
		n++
	}
	if first.Netns != "" && a.broken[first.Unit()] {
		return n, nil
	}
	err = a.kernel.netlinkIn(first.Netns, func(h *netlink.Handle) error {
		p := pass{kernel: a.kernel, netns: first.Netns, handle: h, index: map[string]int{}}
		return a.inside(ctx, p, ops[:n])
	})
	if err != nil && first.Netns != "" {
		err = a.fail(first, err) // the namespace could not be entered
	}
	return n, err
}

// inside applies ops in the namespace of p.
func (a *applying) inside(ctx context.Context, p pass, ops []netstate.Op) error {
	for len(ops) > 0 {
		if a.broken[ops[0].Unit()] {
			ops = ops[1:]
			continue
		}
		n, err := p.apply(ctx, ops)
		if err != nil {
			if err := a.fail(ops[0], err); err != nil {
				return err
			}
			n = 1
		} else {
			a.done += n
		}
		ops = ops[n:]
	}
	return nil
}

func isNetns(op netstate.Op) bool {
	_, ok := op.Object.(netstate.Netns)
	return ok
}

func (k *Kernel) applied(op netstate.Op) {
	if k.log.Enabled(context.Background(), slog.LevelDebug) {
		k.log.Debug("applied", "command", k.owner.Command(op))
	}
}

// failedOp says which command it was, what happened, and how to mend it if that is known.
func (k *Kernel) failedOp(op netstate.Op, err error) error {
	if hint := hintFor(op, err); hint != "" {
		return fmt.Errorf("%s: %w: %s", k.owner.Command(op), err, hint)
	}
	return fmt.Errorf("%s: %w", k.owner.Command(op), err)
}

func hintFor(op netstate.Op, err error) string {
	_, route := op.Object.(netstate.Route)
	_, sysctl := op.Object.(netstate.Sysctl)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "this needs root, or the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN"
	case route && errors.Is(err, unix.ENETUNREACH):
		return "the gateway is on no interface that is up"
	case route && errors.Is(err, unix.ENETDOWN):
		return "the interface is down"
	case route && errors.Is(err, unix.EINVAL):
		return "is the source an address of this machine, and the gateway on the interface's network?"
	case sysctl && errors.Is(err, os.ErrNotExist):
		return "this kernel has no such setting, or the interface is gone"
	case errors.Is(err, unix.EOPNOTSUPP):
		return "this kernel lacks the feature"
	case errors.Is(err, unix.EBUSY):
		return "another program is using it"
	}
	return ""
}

// pass applies ops in the namespace that its thread is in.
type pass struct {
	kernel *Kernel
	netns  string
	handle *netlink.Handle
	index  map[string]int // of links by name, as they are asked for
}

// apply applies the first op, or the first transaction, and says how many ops it took.
func (p *pass) apply(ctx context.Context, ops []netstate.Op) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	op := ops[0]
	var lines []string
	for _, o := range ops {
		line, ok := o.Object.(netstate.NFT)
		if !ok {
			break
		}
		lines = append(lines, line.Line)
	}
	if len(lines) > 0 {
		if err := transact(ctx, lines); err != nil {
			return 0, fmt.Errorf("apply an nft transaction in %s: %w", place(op.Netns), err)
		}
		for _, o := range ops[:len(lines)] {
			p.kernel.applied(o)
		}
		return len(lines), nil
	}
	if n := routesFirst(ops); n > 0 {
		if err := p.routes(ops[:n]); err != nil {
			return 0, err
		}
		for _, o := range ops[:n] {
			p.kernel.applied(o)
		}
		return n, nil
	}
	if err := p.one(op); err != nil {
		return 0, p.kernel.failedOp(op, err)
	}
	p.kernel.applied(op)
	return 1, nil
}

// routesFirst counts the ops about routes that ops begins with.
func routesFirst(ops []netstate.Op) int {
	for i, o := range ops {
		if _, ok := o.Object.(netstate.Route); !ok {
			return i
		}
	}
	return len(ops)
}

func (p *pass) one(op netstate.Op) error {
	switch x := op.Object.(type) {
	case netstate.Link:
		if op.Verb == netstate.Delete {
			return p.deleteLink(x)
		}
		return p.addLink(x)
	case netstate.LinkAttr:
		return p.setLink(x)
	case netstate.Address:
		return p.address(op.Verb, x)
	case netstate.Qdisc:
		return p.qdisc(op.Verb, x)
	case netstate.Neighbor:
		return p.neighbor(op.Verb, x)
	case netstate.Forward:
		return p.forward(op.Verb, x)
	case netstate.Rule:
		return p.rule(op.Verb, x)
	case netstate.Sysctl:
		return setSysctl(x)
	}
	return fmt.Errorf("this version of Sarn does not know how to apply a %T", op.Object)
}

func setSysctl(s netstate.Sysctl) error {
	path, err := sysctlPath(s.Name)
	if err != nil {
		return err
	}
	// Without O_CREATE: /proc makes no files, and says so in confusing words.
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(s.Value)
	return errors.Join(err, f.Close())
}
