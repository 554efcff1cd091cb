package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sarn/internal/api"
	"sarn/internal/netstate"
)

// rounds bounds how often a pass applies until the diff is empty. One is enough unless
// an op takes others' work with it.
const rounds = 3

// telling bounds how long a report may hold up passes.
const telling = 5 * time.Second

// pass makes the kernel hold what is wanted, reports how that went, and returns the ops
// that it took. Ops of a pass that nobody asked for are repairs. Its error is for trying
// again; it has been logged.
func (a *Agent) pass(ctx context.Context, t task, unasked bool) ([]netstate.Op, error) {
	began := time.Now()
	ops, err := a.converge(ctx, t)
	if ctx.Err() != nil {
		return ops, ctx.Err()
	}
	took := time.Since(began).Round(time.Microsecond)
	switch {
	case len(ops) > 0 && unasked:
		a.repairs += int64(len(ops))
		a.log.Warn("repaired what had changed behind Sarn's back", "ops", len(ops), "took", took, "first", ops[0].Command())
	case len(ops) > 0:
		a.log.Info("applied", "revision", t.revision, "ops", len(ops), "took", took)
	}
	if err != nil {
		a.log.Error("pass failed", "revision", t.revision, "error", err)
	} else {
		a.becomeReady()
	}
	if rerr := a.report(ctx, t, err); rerr != nil && ctx.Err() == nil {
		a.log.Warn("report not delivered", "error", rerr)
		return ops, errors.Join(err, rerr)
	}
	return ops, err
}

// said is the part of a report that is worth saying once.
type said struct {
	version int
	repairs int64
	err     string
}

// report tells the controller how a pass went, unless it said so before.
func (a *Agent) report(ctx context.Context, t task, err error) error {
	r := api.NodeReport{Revision: t.revision, AppliedAt: time.Now(), Version: a.cfg.Version, Repairs: a.repairs}
	if err != nil {
		r.Error = err.Error()
	}
	now := said{t.version, a.repairs, r.Error}
	if now == a.told {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, telling)
	defer stop()
	if err := a.source.Report(ctx, a.cfg.Node, r); err != nil {
		return err
	}
	a.told = now
	return nil
}

// converge brings the kernel to what the task wants, and returns the ops that took.
func (a *Agent) converge(ctx context.Context, t task) ([]netstate.Op, error) {
	if t.still {
		return a.reroute(ctx, t)
	}
	read := a.kernel.Read
	if t.doubt < everything {
		read = a.kernel.ReadLocal
	}
	var done []netstate.Op
	for range rounds {
		have, err := read(ctx, t.want)
		if err != nil {
			return done, fmt.Errorf("read the kernel's state: %w", err)
		}
		if t.doubt < everything {
			t.want[""].Routes, have[""].Routes = t.routes, t.former
			t.former = t.routes // so much the kernel will have acknowledged
		}
		// An error with ops is about a part of the machine; the rest is done.
		ops, conflict := netstate.Diff(t.want, have)
		if len(ops) == 0 {
			return done, conflict
		}
		if err := a.apply(ctx, ops); err != nil {
			return done, errors.Join(conflict, err)
		}
		done = append(done, ops...)
	}
	return done, fmt.Errorf("after %d rounds the kernel still differs from what is wanted", rounds)
}

// reroute does what a change of routes alone takes.
func (a *Agent) reroute(ctx context.Context, t task) ([]netstate.Op, error) {
	want, have := netstate.Machine{"": {Routes: t.routes}}, netstate.Machine{"": {Routes: t.former}}
	ops, err := netstate.Diff(want, have)
	if err != nil || len(ops) == 0 {
		return nil, err
	}
	return ops, a.apply(ctx, ops)
}

func (a *Agent) apply(ctx context.Context, ops []netstate.Op) error {
	if a.log.Enabled(ctx, slog.LevelDebug) {
		for _, op := range ops {
			a.log.Debug("apply", "command", op.Command())
		}
	}
	return a.kernel.Apply(ctx, ops)
}
