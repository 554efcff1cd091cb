package remote

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"sarn/internal/monitor/sample"
)

// FuzzEvents: any bytes are events within the bounds or an error, the same ones however
// they are cut into reads.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{
		"event: sample\ndata: {}\n\n", "data:a\r\ndata: b\r\n\r\n", ": comment\n\n", "event\ndata\n\n", "data: x", "\n\n\n", "event: a\n\ndata: b\n\n",
		"id: 7\nretry: 5\ndata: \n\n", "data: " + strings.Repeat("x", 70_000) + "\n\n", ":" + strings.Repeat("y", 70_000) + "\ndata: z\n\n",
	} {
		f.Add([]byte(s))
	}
	const most = 100_000
	read := func(r io.Reader) (all []string, err error) {
		for in := newEvents(r, most); ; {
			e, err := in.next()
			if err != nil {
				return all, err
			}
			all = append(all, e.Name+"|"+string(e.Data))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, err := read(bytes.NewReader(data))
		pieces, err2 := read(iotest.OneByteReader(bytes.NewReader(data)))
		if strings.Join(whole, "\x00") != strings.Join(pieces, "\x00") || err.Error() != err2.Error() {
			t.Errorf("at once %q (%v), byte by byte %q (%v)", whole, err, pieces, err2)
		}
		for _, e := range whole {
			if len(e) > most+mostName+1 {
				t.Errorf("an event of %d bytes", len(e))
			}
		}
	})
}

// FuzzSample: what is taken for a sample is harmless, and a delta on it is too or is
// refused.
func FuzzSample(f *testing.F) {
	f.Add([]byte(good), []byte(`{"base":"`+when+`","sample":`+good+`,"changed":[{"pid":2}],"gone":[1]}`))
	f.Add([]byte(`{"time":"2026-05-04T03:12:00Z","processes":[{"pid":1},{"pid":3}]}`), []byte(`{"base":"2026-05-04T03:12:00Z","sample":{"time":"2026-05-04T03:12:01Z"},"changed":[{"pid":3},{"pid":2}]}`))
	f.Add([]byte(`{"time":"2026-05-04T03:12:00Z","cpu":{"cores":[null,{}]},"machines":[null],"pressure":null}`), []byte(`null`))
	f.Fuzz(func(t *testing.T, first, then []byte) {
		s := &sample.Sample{}
		if decode(first, s) != nil || fit(s) != nil {
			return
		}
		harmless(t, s)
		d := &sample.Delta{}
		if decode(then, d) != nil {
			return
		}
		next, err := d.Apply(s)
		if err != nil || fit(next) != nil {
			return
		}
		harmless(t, next)
	})
}

func harmless(t *testing.T, s *sample.Sample) {
	t.Helper()
	if _, err := json.Marshal(s); err != nil {
		t.Errorf("cannot be told on: %v", err)
	}
	for i := range s.Processes {
		p := &s.Processes[i]
		if p.CPU < 0 || p.ReadBytes < -1 || len(p.Command) > mostText || p.PID < 1 || (i > 0 && p.PID <= s.Processes[i-1].PID) {
			t.Errorf("process %+v", p)
		}
	}
	for _, c := range s.CPU.Cores {
		if c.Busy() < 0 || c.Busy() > 1 || c.User < 0 || c.User > 1 {
			t.Errorf("core %+v", c)
		}
	}
}

// FuzzSummary: what is taken for a summary is harmless.
func FuzzSummary(f *testing.F) {
	f.Add([]byte(`{"time":"2026-05-04T03:12:00Z","processes":[{"pid":1}],"worst":{"level":"x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &sample.Summary{}
		if decode(data, s) != nil || fitSummary(s) != nil {
			return
		}
		if _, err := json.Marshal(s); err != nil {
			t.Errorf("cannot be told on: %v", err)
		}
		if s.RxBytes < 0 || s.CPU.Busy() > 1 || s.VMs < 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestWeigh counts before anything is made.
func TestWeigh(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"a":[1,2,3]}`: true, `"` + strings.Repeat(",[", mostElements) + `"`: true, `"\"` + strings.Repeat(",", 9) + `"`: true,
		"[" + strings.Repeat("1,", mostElements) + "1]":                              false,
		"[" + strings.Repeat("[],", mostElements/2) + "[]]":                          false,
		`{"a":[` + strings.Repeat("null,", mostElements) + `null]}`:                  false,
		strings.Repeat("[", 65):                                                      false,
		"{" + strings.Repeat(`"a":1,`, mostElements) + `"a":1}`:                      true,
		`["` + strings.Repeat("\\", 6) + `",` + strings.Repeat("1,", mostElements*2): false,
	} {
		if err := weigh([]byte(text)); (err == nil) != ok {
			t.Errorf("%.30q...: %v", text, err)
		}
	}
}
