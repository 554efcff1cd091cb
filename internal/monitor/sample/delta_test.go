package sample

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func processes(t *rapid.T, label string) []Process {
	pids := rapid.SliceOfDistinct(rapid.IntRange(1, 12), rapid.ID[int]).Draw(t, label)
	var all []Process
	for _, pid := range pids {
		all = append(all, Process{
			PID: pid, Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"),
			Start: time.Unix(rapid.Int64Range(1, 2).Draw(t, "start"), 0).UTC(), CPU: float64(rapid.IntRange(0, 1).Draw(t, "cpu")),
		})
	}
	return all
}

// TestDelta makes any sample out of any other, also by way of JSON, and sends no process
// that is as it was.
func TestDelta(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := &Sample{Time: time.Unix(1, 0).UTC(), Processes: processes(t, "before")}
		now := &Sample{Time: time.Unix(2, 0).UTC(), Load: [3]float64{1, 2, 3}, Processes: processes(t, "now")}
		before.Sort()
		now.Sort()
		d := Diff(before, now)
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var sent Delta
		if err := json.Unmarshal(text, &sent); err != nil {
			t.Fatal(err)
		}
		got, err := sent.Apply(before)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Processes)+len(now.Processes) > 0 && !reflect.DeepEqual(got, now) {
			t.Fatalf("got %+v, want %+v", got, now)
		}
		for _, c := range d.Changed {
			for _, p := range before.Processes {
				if p == c {
					t.Fatalf("%+v is sent and has not changed", c)
				}
			}
		}
		if _, err := d.Apply(now); !errors.Is(err, ErrBase) {
			t.Fatalf("onto another sample: %v", err)
		}
	})
}
