package history

import (
	"errors"
	"os"
	"testing"
	"time"
)

// TestCloseWhileAsked ends a store while somebody asks it, as a view does that is quit.
func TestCloseWhileAsked(t *testing.T) {
	for _, of := range []string{"store", "reader"} {
		for range 20 {
			dir := t.TempDir()
			s := opened(t, Config{Dir: dir})
			for i := range 60 {
				add(t, s, host(noon.Add(time.Duration(i)*time.Second), process(1, 1)))
			}
			asked, closes := &s.archive, s.Close
			if of == "reader" {
				r, err := OpenReader(dir)
				if err != nil {
					t.Fatal(err)
				}
				asked, closes = &r.archive, r.Close
				defer s.Close()
			}
			began, done := make(chan struct{}), make(chan error, 1)
			go func() {
				for i := 0; ; i++ {
					if i == 1 {
						close(began)
					}
					_, err := asked.Range(noon, noon.Add(time.Minute), time.Second, "cpu.busy", "processes[1].cpu")
					if err == nil {
						_, err = asked.At(noon.Add(30*time.Second), 0)
					}
					if err != nil {
						done <- err
						return
					}
				}
			}()
			select {
			case <-began:
			case err := <-done:
				t.Fatalf("who asks gets %v before it is closed", err)
			}
			if err := closes(); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-done:
				if !errors.Is(err, os.ErrClosed) {
					t.Fatal(err)
				}
			case <-time.After(time.Minute):
				t.Fatal("who asks never hears that it is closed")
			}
		}
	}
}
