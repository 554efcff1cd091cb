package timetest

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// tries is how often a test is made at most.
const tries = 5

// T is one try of a test. What it is told of as wrong fails this try alone.
type T struct {
	testing.TB
	number   int
	mu       sync.Mutex
	wrong    []string
	cleanups []func()
}

// Try makes the test until nothing is wrong. If something is wrong each time, t fails
// with what was wrong the last time.
func Try(t *testing.T, test func(t *T)) {
	t.Helper()
	for number := range tries {
		one := &T{TB: t, number: number}
		done := make(chan struct{})
		go func() { // that FailNow can end
			defer close(done)
			defer one.clean()
			test(one)
		}()
		<-done
		if !one.Failed() {
			return
		}
		wrong := strings.Join(one.wrong, "\n")
		if number == tries-1 {
			t.Errorf("wrong in each of %d tries, and last of all:\n%s", tries, wrong)
			return
		}
		t.Logf("try %d of %d:\n%s", number+1, tries, wrong)
	}
}

// Patience is how long the try waits for what usually takes no longer than d: four times
// as long as the try before.
func (t *T) Patience(d time.Duration) time.Duration { return d << (2 * t.number) }

func (t *T) clean() {
	for len(t.cleanups) > 0 {
		last := t.cleanups[len(t.cleanups)-1]
		t.cleanups = t.cleanups[:len(t.cleanups)-1]
		last()
	}
}

// Cleanup implements testing.TB, at the end of the try.
func (t *T) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *T) note(text string) {
	if _, file, line, ok := runtime.Caller(2); ok {
		text = fmt.Sprintf("%s:%d: %s", filepath.Base(file), line, text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrong = append(t.wrong, text)
}

// Errorf implements testing.TB.
func (t *T) Errorf(format string, a ...any) { t.note(fmt.Sprintf(format, a...)) }

// Error implements testing.TB.
func (t *T) Error(a ...any) { t.note(fmt.Sprint(a...)) }

// Fatalf implements testing.TB.
func (t *T) Fatalf(format string, a ...any) {
	t.note(fmt.Sprintf(format, a...))
	runtime.Goexit()
}

// Fatal implements testing.TB.
func (t *T) Fatal(a ...any) {
	t.note(fmt.Sprint(a...))
	runtime.Goexit()
}

// Fail implements testing.TB.
func (t *T) Fail() { t.note("failed") }

// FailNow implements testing.TB.
func (t *T) FailNow() {
	t.note("failed")
	runtime.Goexit()
}

// Failed implements testing.TB.
func (t *T) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.wrong) > 0
}
