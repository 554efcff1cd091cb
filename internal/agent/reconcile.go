package agent

import (
	"context"
	"slices"
	"time"

	"sarn/internal/netstate"
)

const (
	// A kernel change waits for more to come before a pass: at first not long, and
	// longer as long as passes find nothing to do, since then it is others who make
	// the kernel busy.
	firstSettle, lastSettle = 50 * time.Millisecond, 400 * time.Millisecond
	// The same repair is made as often in a row as patience goes, any repair four times
	// as often, and then one a truce.
	patience = 5
	truce    = 10 * time.Second

	firstRetry, lastRetry = 200 * time.Millisecond, 5 * time.Second
)

// rhythm is how fast passes follow each other.
type rhythm struct {
	seen    int // version of the wish that the last pass was for
	settle  time.Duration
	retry   time.Duration
	again   <-chan time.Time // set after a failed pass
	repairs []repair         // of the last truce
}

// repair is a pass that undid what others had done.
type repair struct {
	at    time.Time
	first string // its first command
}

// reconcile makes a pass whenever something calls for it: at once for a new wish,
// after a while for a change of the kernel, and after a failed pass not before its
// time, since what the pass did is a change of the kernel too.
func (a *Agent) reconcile(ctx context.Context) {
	check, glance := time.NewTicker(a.cfg.Check), time.NewTicker(a.cfg.Glance)
	defer check.Stop()
	defer glance.Stop()
	r := rhythm{settle: firstSettle, retry: firstRetry}
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
			if a.version() == r.seen && r.again != nil {
				continue
			}
		case <-check.C:
			a.suspect(everything)
		case <-glance.C:
			if r.again != nil || a.settingsHold() {
				continue
			}
			a.suspect(local)
		case <-r.again:
		}
		if a.version() == r.seen && !a.settled(ctx, r.pause()) {
			return
		}
		t, ok := a.begin()
		if !ok {
			continue
		}
		unasked := r.begin(t)
		ops, err := a.pass(ctx, t, unasked)
		if err != nil {
			a.suspect(everything)
		}
		r.end(unasked, ops, err)
		if unasked && len(ops) > 0 && r.pause() > lastSettle {
			a.log.Warn("something keeps undoing what Sarn sets; repairs wait", "wait", r.pause().Round(time.Second), "again", ops[0].Command())
		}
	}
}

// begin notes the pass's wish, and reports whether the pass is for no new one.
func (r *rhythm) begin(t task) (unasked bool) {
	unasked = t.version == r.seen && r.again == nil
	if t.version != r.seen {
		r.retry, r.settle = firstRetry, firstSettle
	}
	r.seen, r.again = t.version, nil
	return unasked
}

func (r *rhythm) end(unasked bool, ops []netstate.Op, err error) {
	switch {
	case err != nil:
		r.again = time.After(r.retry)
		r.retry = min(2*r.retry, lastRetry)
		return
	case !unasked:
	case len(ops) == 0:
		r.settle = min(2*r.settle, lastSettle)
	default:
		r.settle = firstSettle
		r.repairs = append(r.repairs, repair{time.Now(), ops[0].Command()})
	}
	r.retry = firstRetry
}

// pause returns how long a change of the kernel is to wait: longer if there have been so
// many repairs lately that somebody must be working against them.
func (r *rhythm) pause() time.Duration {
	r.repairs = slices.DeleteFunc(r.repairs, func(p repair) bool { return time.Since(p.at) > truce })
	same := map[string]int{}
	for _, p := range r.repairs {
		same[p.first]++
	}
	for _, n := range same {
		if n >= patience || len(r.repairs) >= 4*patience {
			return truce - time.Since(r.repairs[0].at)
		}
	}
	return r.settle
}

// settled gives a burst of kernel changes time to end, unless a new wish comes. What it
// drains is looked at after it.
func (a *Agent) settled(ctx context.Context, settle time.Duration) bool {
	before, end := a.version(), time.After(settle)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-a.wake:
			if a.version() != before {
				return true
			}
		case <-end:
			return true
		}
	}
}

func (a *Agent) version() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wish.version
}

func (a *Agent) begin() (task, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wish.begin()
}

func (a *Agent) suspect(d doubt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wish.doubt = max(a.wish.doubt, d)
}

// settingsHold reports whether the settings of the own namespace are as wanted, as far
// as it can tell: what cannot be read is the next full check's to say.
func (a *Agent) settingsHold() bool {
	a.mu.Lock()
	var settings []netstate.Sysctl
	for key := range a.wish.local {
		if s := a.wish.parts[key][""]; s != nil {
			settings = append(settings, s.Sysctls...)
		}
	}
	a.mu.Unlock()
	held, err := a.kernel.Holds(settings)
	return held || err != nil
}
