package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// Apply does ops in their order, those of the nft tables of one namespace that follow
// each other as one transaction. What is already as an op wants it is not an error. At
// the first error it stops, says how far it came, and leaves what it did.
func (k *Kernel) Apply(ctx context.Context, ops []netstate.Op) error {
	for done := 0; done < len(ops); {
		n, err := k.applyRun(ctx, ops[done:])
		done += n
		if err != nil {
			return fmt.Errorf("%w (%d of %d commands done before it)", err, done, len(ops))
		}
	}
	return nil
}

// applyRun applies the first ops that are all in one namespace and says how many.
func (k *Kernel) applyRun(ctx context.Context, ops []netstate.Op) (done int, err error) {
	if ns, ok := ops[0].Object.(netstate.Netns); ok {
		if ops[0].Verb == netstate.Delete {
			err = k.deleteNamespace(ns.Name)
		} else {
			err = k.addNamespace(ns.Name)
		}
		if err != nil {
			return 0, failed(ops[0], err)
		}
		k.applied(ops[0])
		return 1, nil
	}
	run := 0
	for run < len(ops) && ops[run].Netns == ops[0].Netns && !isNetns(ops[run]) {
		run++
	}
	err = k.netlinkIn(ops[0].Netns, func(h *netlink.Handle) error {
		p := pass{kernel: k, handle: h, index: map[string]int{}}
		for done < run {
			n, err := p.apply(ctx, ops[done:run])
			if err != nil {
				return err
			}
			done += n
		}
		return nil
	})
	return done, err
}

func isNetns(op netstate.Op) bool {
	_, ok := op.Object.(netstate.Netns)
	return ok
}

func (k *Kernel) applied(op netstate.Op) {
	k.log.Debug("applied", "command", op.Command())
}

// failed says which command it was, what happened, and how to mend it if that is known.
func failed(op netstate.Op, err error) error {
	if hint := hintFor(op, err); hint != "" {
		return fmt.Errorf("%s: %w: %s", op.Command(), err, hint)
	}
	return fmt.Errorf("%s: %w", op.Command(), err)
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
	if err := p.one(op); err != nil {
		return 0, failed(op, err)
	}
	p.kernel.applied(op)
	return 1, nil
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
	case netstate.Neighbor:
		return p.neighbor(op.Verb, x)
	case netstate.Forward:
		return p.forward(op.Verb, x)
	case netstate.Route:
		return p.route(op.Verb, x)
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
