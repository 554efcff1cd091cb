package sample

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyProcess has something in each field of the type, also in those that it does not have
// yet today.
func anyProcess(t *rapid.T) Process {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "sleep", "a b", "<b>&\"\\", "\x00\x1b[2J\x7f\u2028\u202e", "\xff\xc3\x28", "é世"}))
	figure := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), -1, 1, 0.1, 1e-6, 9.9e-7, 1e-9, 1e14, 1e15, 1e20, 1e21, 5e-324, math.MaxFloat64}))
	var p Process
	v := reflect.ValueOf(&p).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i).Addr().Interface().(type) {
		case *int:
			*f = rapid.Int().Draw(t, name)
		case *uint64:
			*f = rapid.Uint64().Draw(t, name)
		case *float64:
			*f = figure.Draw(t, name)
		case *string:
			*f = text.Draw(t, name)
		case *time.Time:
			*f = time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, name), rapid.Int64Range(0, 999_999_999).Draw(t, name)).UTC()
		default:
			t.Fatalf("teach appendJSON and this test what %s is", name)
		}
	}
	return p
}

// TestAppendJSON writes byte for byte what encoding/json does.
func TestAppendJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &Delta{
			Base: time.Unix(1, 5).UTC(), Sample: &Sample{Time: time.Unix(2, 0).UTC(), Load: [3]float64{1, 2, 3}},
			Gone: rapid.SliceOfN(rapid.Int(), 0, 3).Draw(t, "gone"), Changed: rapid.SliceOfN(rapid.Custom(anyProcess), 0, 3).Draw(t, "changed"),
		}
		want, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.AppendJSON([]byte("before"))
		if err != nil || string(got) != "before"+string(want) {
			t.Fatalf("%v\n got %s\nwant before%s", err, got, want)
		}
	})
}

// TestAppendNoFigure refuses what JSON has no word for, as encoding/json does.
func TestAppendNoFigure(t *testing.T) {
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, d := range []*Delta{
			{Sample: &Sample{}, Changed: []Process{{PID: 1, CPU: f}}}, {Sample: &Sample{}, Changed: []Process{{TxBytes: f}}}, {Sample: &Sample{Interval: f}},
		} {
			if _, err := d.AppendJSON(nil); err == nil {
				t.Errorf("%v is written", f)
			}
		}
	}
}

func BenchmarkDeltaJSON(b *testing.B) {
	d := &Delta{Sample: &Sample{}}
	for i := range 110 {
		d.Changed = append(d.Changed, Process{PID: i, Parent: 1, Start: time.Unix(int64(i), 1e7).UTC(), User: "root", Name: "tail", Command: "tail -s 0.5 -f ---disable-inotify /tmp/empty",
			State: "S", Threads: 1, CPU: float64(i) / 7e3, CPUTime: float64(i) / 1e3, Resident: 1802240, Virtual: 2949120, Shared: 1802240})
	}
	b.Run("json.Marshal", func(b *testing.B) {
		for b.Loop() {
			json.Marshal(d)
		}
	})
	b.Run("AppendJSON", func(b *testing.B) {
		var to []byte
		for b.Loop() {
			to, _ = d.AppendJSON(to[:0])
		}
	})
}
