package history

import (
	"errors"
	"testing"
	"time"
)

// TestAskWhileWriting asks while samples come and old segments go.
func TestAskWhileWriting(t *testing.T) {
	s := opened(t, Config{Dir: t.TempDir(), Tiers: []Tier{{time.Second, 40 * time.Second}, {10 * time.Second, 4 * time.Minute}}})
	add(t, s, host(noon, process(1, 1)))
	done := make(chan error)
	for range 2 {
		go func() {
			var err error
			for i := 0; i < 200 && err == nil; i++ {
				if _, err = s.At(noon.AddDate(10, 0, 0), 0); err == nil {
					_, err = s.Range(noon, noon.Add(time.Hour), 10*time.Second, "cpu.busy", "tasks.processes")
				}
				if _, e := s.Bounds(); e != nil {
					err = errors.Join(err, e)
				}
			}
			done <- err
		}()
	}
	for i, running := 1, 2; running > 0; i++ {
		add(t, s, host(noon.Add(time.Duration(i)*time.Second), process(1, 1)))
		select {
		case err := <-done:
			running--
			if err != nil {
				t.Error(err)
			}
		default:
		}
	}
}
