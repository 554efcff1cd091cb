package timetest

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// tries is how often a test is made at most.
	tries = 5
	// calm is how long a process may be kept waiting in a try, in all, on a machine that
	// has time for it.
	calm = 20 * time.Millisecond
)

// T is one try of a test. What it is told of as wrong fails this try alone.
type T struct {
	testing.TB
	number   int
	context  context.Context //nolint:containedctx // it is what Context returns, as testing's own
	cancel   func()
	mu       sync.Mutex
	wrong    []string
	slow     []string
	cleanups []func()
}

// Try makes the test until nothing is wrong. If something is wrong each time, t fails
// with what was wrong the last time.
func Try(t *testing.T, test func(t *T)) {
	t.Helper()
	for number := range tries {
		one := &T{TB: t, number: number}
		one.context, one.cancel = context.WithCancel(t.Context())
		late := lateness()
		done := make(chan struct{})
		go func() { // that FailNow can end
			defer close(done)
			defer one.clean()
			test(one)
		}()
		<-done
		waited := late()
		wrong := slices.Concat(one.wrong, one.slow)
		switch {
		case len(wrong) == 0:
			return
		case number < tries-1, len(one.wrong) == 0 && waited > calm:
			t.Logf("try %d of %d, kept waiting for %s:\n%s", number+1, tries, waited, strings.Join(wrong, "\n"))
		default:
			t.Errorf("wrong in each of %d tries, and last of all:\n%s", tries, strings.Join(wrong, "\n"))
		}
	}
}

// lateness measures for how long the machine keeps this process waiting, until the
// function that it returns is called.
func lateness() (late func() time.Duration) {
	const nap, usual = 2 * time.Millisecond, time.Millisecond
	var sum time.Duration
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			began := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(nap):
				sum += max(time.Since(began)-nap-usual, 0)
			}
		}
	}()
	return func() time.Duration { close(stop); <-stopped; return sum }
}

// Patience is how long the try waits for what usually takes no longer than d: four times
// as long as the try before.
func (t *T) Patience(d time.Duration) time.Duration { return d << (2 * t.number) }

func (t *T) clean() {
	t.cancel()
	for len(t.cleanups) > 0 {
		last := t.cleanups[len(t.cleanups)-1]
		t.cleanups = t.cleanups[:len(t.cleanups)-1]
		last()
	}
}

// Context implements testing.TB: it ends with the try, before what Cleanup is for.
func (t *T) Context() context.Context { return t.context }

// Cleanup implements testing.TB, at the end of the try.
func (t *T) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

// Slow says that something took longer, or began later, than it should. It is wrong,
// unless the machine kept the process waiting meanwhile: then nobody can tell.
func (t *T) Slow(format string, a ...any) { t.note(&t.slow, fmt.Sprintf(format, a...)) }

func (t *T) note(list *[]string, text string) {
	if _, file, line, ok := runtime.Caller(2); ok {
		text = fmt.Sprintf("%s:%d: %s", filepath.Base(file), line, text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	*list = append(*list, text)
}

// Errorf implements testing.TB.
func (t *T) Errorf(format string, a ...any) { t.note(&t.wrong, fmt.Sprintf(format, a...)) }

// Error implements testing.TB.
func (t *T) Error(a ...any) { t.note(&t.wrong, fmt.Sprint(a...)) }

// Fatalf implements testing.TB.
func (t *T) Fatalf(format string, a ...any) {
	t.note(&t.wrong, fmt.Sprintf(format, a...))
	runtime.Goexit()
}

// Fatal implements testing.TB.
func (t *T) Fatal(a ...any) {
	t.note(&t.wrong, fmt.Sprint(a...))
	runtime.Goexit()
}

// Fail implements testing.TB.
func (t *T) Fail() { t.note(&t.wrong, "failed") }

// FailNow implements testing.TB.
func (t *T) FailNow() {
	t.note(&t.wrong, "failed")
	runtime.Goexit()
}

// Failed implements testing.TB.
func (t *T) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.wrong) > 0
}
