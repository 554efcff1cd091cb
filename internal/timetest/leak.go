package timetest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// settling is how long what has been told to end may take on a machine that has no time
// for it.
const settling = 30 * time.Second

// Main is a TestMain that fails if goroutines are left that do not end.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for those who have more to do before the process ends with the exit code.
func Run(m *testing.M) (code int) {
	if code = m.Run(); code != 0 {
		return code
	}
	if err := leaks(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// NoLeaks fails the test if goroutines are left that do not end.
func NoLeaks(t testing.TB) {
	t.Helper()
	if err := leaks(); err != nil {
		t.Error(err)
	}
}

func leaks() error {
	for end := time.Now().Add(settling); ; {
		err := goleak.Find()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
