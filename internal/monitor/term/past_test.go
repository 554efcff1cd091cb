package term

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

// records is a real history in memory.
type records struct{ *history.Store }

func (r records) Bounds(context.Context) ([]history.Extent, error) { return r.Store.Bounds() }

func (r records) At(_ context.Context, t time.Time, step time.Duration) (*history.Record, error) {
	return r.Store.At(t, step)
}

func (r records) Range(_ context.Context, from, to time.Time, step time.Duration, fields ...string) (*history.Series, error) {
	return r.Store.Range(from, to, step, fields...)
}

// culprit is who makes the spike of each of the times, for three seconds.
const culprit = "culprit"

// recorded is a history from some time before when() to then, a pass a second, with
// spikes so long before then, and nothing in a gap.
func recorded(t testing.TB, back time.Duration, spikes []time.Duration, gap func(before time.Duration) bool) records {
	t.Helper()
	const m = time.Minute
	store, err := history.Open(history.Config{Memory: true, Tiers: []history.Tier{{Step: time.Second, Keep: 5 * m}, {Step: 10 * time.Second, Keep: 60 * m}, {Step: m, Keep: 600 * m}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := busy(2, 6, 1)
	s.Disks, s.Interfaces, s.Sensors, s.Filesystems = s.Disks[:2], s.Interfaces[:2], nil, nil
	for before := back; before >= 0; before -= time.Second {
		if gap != nil && gap(before) {
			continue
		}
		n := *s
		n.Time, n.Interval = when().Add(-before), 1
		n.CPU.Total = sample.Times{User: 0.1, Idle: 0.9}
		for i, at := range spikes {
			if late := at - before; late >= 0 && late < 3*time.Second {
				n.CPU.Total = sample.Times{User: 0.95, Idle: 0.05}
				n.Processes = append(slices.Clone(s.Processes), sample.Process{PID: 900 + i, Start: when().Add(-time.Hour),
					Name: culprit, Command: fmt.Sprintf("%s%d", culprit, i), User: "eve", State: "R", CPU: 1.9, RxBytes: -1, ReadBytes: -1})
			}
		}
		if err := store.Add(&n); err != nil {
			t.Fatal(err)
		}
	}
	return records{store}
}

// withPast is a view with a past, at when().
func withPast(t *testing.T, w, h int, past History) *bench {
	t.Helper()
	b := newBench(t, w, h, nil)
	b.historian = newHistorian(past)
	b.view.hasHistory = past != nil
	s := busy(2, 30, 2)
	b.view.take(s)
	b.draw()
	return b
}

// settles presses keys, and answers all questions that come of each.
func (b *bench) settles(keys ...any) {
	b.Helper()
	for _, k := range keys {
		switch k := k.(type) {
		case string:
			for _, r := range k {
				b.view.past.last = time.Time{} // nobody holds a key down
				b.key(string(r))
				b.settle()
			}
		default:
			b.view.past.last = time.Time{}
			b.key(k)
			b.settle()
		}
	}
}

func (b *bench) settle() {
	b.Helper()
	for range 20 {
		q, ok := b.view.question()
		if !ok {
			b.draw()
			return
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.historian.try(context.Background(), q)
		}()
		for running := true; running; {
			select {
			case a := <-b.historian.answers:
				b.view.answered(a)
			case <-done:
				running = false
			}
		}
		b.draw()
	}
	b.Fatal("questions without end")
}

// here is a time so long before when(), as the view writes it.
func here(before time.Duration) string { return when().Add(-before).Local().Format(time.TimeOnly) }

// Who made that spike? In the seconds, the 10 s and the minutes: by going to its time, and
// by going from spike to spike.
func TestWhoMadeThatSpike(t *testing.T) {
	const m = time.Minute
	// Not in the first second of the minute that one asks for.
	past := recorded(t, 100*m, []time.Duration{90*m - 37*time.Second, 40*m - 37*time.Second, 3*m - 37*time.Second}, nil)
	for i, before := range []time.Duration{90 * m, 40 * m, 3 * m} {
		b := withPast(t, 80, 24, past)
		at := when().Add(-before).Local().Format("15:04")
		b.settles("g", at, tcell.KeyEnter)
		b.wants("PAST", " ago", fmt.Sprintf("%s%d", culprit, i))
		if row := b.firstProcess(); !strings.Contains(row, fmt.Sprintf("%s%d", culprit, i)) || !strings.Contains(row, "190.0") {
			t.Errorf("at %s the first process is %q:\n%s", at, row, b.text())
		}
		if !strings.Contains(b.lines()[0], at+[...]string{":00", ":30", ":3"}[i]) {
			t.Errorf("the first line has not the time %s: %q", at, b.lines()[0])
		}
		coarse := strings.Contains(b.text(), "PEAK%v")
		if coarse != (i < 2) {
			t.Errorf("%s before: a column of peaks is %v:\n%s", before, coarse, b.text())
		}
		if i < 2 {
			b.wants("mean of ", "peak 95.0")
			b.settles("e")
			b.wants("PEAKS of ", "95.0%")
			b.settles("e")
			b.wants("mean of ")
		} else {
			b.wants("pass of 1s")
		}
	}
	b := withPast(t, 80, 24, past)
	for i := 2; i >= 0; i-- {
		b.settles("(")
		if row := b.firstProcess(); !strings.Contains(row, fmt.Sprintf("%s%d", culprit, i)) {
			t.Errorf("spike %d from the end: the first process is %q:\n%s", 3-i, row, b.text())
		}
	}
	b.settles("(")
	b.wants("no spike of CPU before this")
	b.settles(")")
	if row := b.firstProcess(); !strings.Contains(row, culprit+"1") {
		t.Errorf("on to the next one: %q", row)
	}
	b.settles("mm(")
	b.wants("no spike of Disk")
}

// firstProcess is the first row of the processes.
func (b *bench) firstProcess() string {
	b.Helper()
	_, y := b.where("COMMAND")
	return b.lines()[y+1]
}

// The past is another thing than now, wherever one looks; what comes meanwhile is kept
// for later; nothing can be changed in it.
func TestPastIsNotNow(t *testing.T) {
	const m = time.Minute
	b := withPast(t, 100, 30, recorded(t, 10*m, []time.Duration{4 * m}, nil))
	b.lacks("PAST")
	b.settles(tcell.KeyLeft)
	b.wants("PAST", ">CPU", " Mem", " Disk", " Net", "l now")
	x, _, style, _ := b.sim.GetContent(50, 0) //nolint:staticcheck // what is on the screen
	if _, _, attributes := style.Decompose(); attributes&tcell.AttrReverse == 0 {
		t.Errorf("the first line is not reversed at %q", x)
	}
	b.settles(tcell.KeyDown, "k")
	b.wants("nothing can be changed")
	n := busy(2, 30, 2)
	n.Time, n.Host.Name = when().Add(5*time.Second), "later"
	b.view.take(n)
	b.settle()
	b.lacks("later")
	for _, back := range []any{"l", tcell.KeyEscape, "p"} {
		b.settles("l", tcell.KeyEscape, tcell.KeyLeft)
		b.wants("PAST")
		b.settles(back)
		b.lacks("PAST")
		b.wants("later")
	}
	b.settles(tcell.KeyLeft)
	for range 5 {
		b.settles(tcell.KeyRight) // on to what is now
	}
	b.lacks("PAST")
	none := withPast(t, 80, 24, nil)
	none.key(tcell.KeyLeft)
	none.wants("no history is kept here")
	none.key("g")
	none.wants("no history is kept here")
}

// Arrows go by columns, brackets by ten, a key that is held down ever faster; a click
// goes where it is made.
func TestTravel(t *testing.T) {
	const m = time.Minute
	b := withPast(t, 100, 30, recorded(t, 90*m, nil, nil))
	at := func() time.Duration { return when().Sub(b.view.past.cursor()).Round(time.Second) }
	b.settles(tcell.KeyLeft)
	first := at()
	b.settles(tcell.KeyLeft)
	if step := at() - first; step < time.Second || step > 9*time.Second {
		t.Errorf("a step is %s, of columns of 5s", step)
	}
	before := at()
	b.settles("[")
	if step := at() - before; step < 41*time.Second || step > 59*time.Second {
		t.Errorf("ten columns are %s", step)
	}
	b.settles("zz")
	b.wants("a column is 1m")
	before = at()
	b.settles("[")
	if step := at() - before; step < 8*m || step > 12*m {
		t.Errorf("ten columns of a minute are %s", step)
	}
	b.settles("]", "ZZ")
	slow := at()
	for range 40 {
		b.view.past.last = time.Now().Add(time.Hour) // without a pause, however long this takes
		b.key(tcell.KeyLeft)
		b.settle()
	}
	if step := at() - slow; step < 40*5*time.Second*2 {
		t.Errorf("40 times without a pause go %s back, no more than without hurry", step)
	}
	x, y := b.where(">CPU")
	b.click(x+stripLabel+10, y, tcell.Button1)
	b.settle()
	if c := b.view.past.window.column(b.view.past.cursor()); c != 10 {
		t.Errorf("a click on column 10 goes to column %d", c)
	}
	for range 80 {
		b.settles("zzz[")
	}
	b.wants("history begins")
}

// What history does not have is said, and is no picture of zeros.
func TestGap(t *testing.T) {
	const m = time.Minute
	gap := func(before time.Duration) bool { return before > 20*m && before < 40*m }
	b := withPast(t, 80, 24, recorded(t, 60*m, []time.Duration{50 * m}, gap))
	b.settles("g", "-30m", tcell.KeyEnter)
	b.wants("Nothing was recorded at", here(30*m), "The last record before is of", "PAST")
	b.lacks("COMMAND")
	b.lacks("Mem [")
	b.settles("(")
	b.wants(culprit+"0", "COMMAND")
	b.settles("g", "-300m", tcell.KeyEnter)
	b.wants("Nothing was recorded at", "History begins")
	b.settles("g", "nonsense", tcell.KeyEnter)
	b.wants("error: that is no time")
	b.settles("l", "g", "nonsense", tcell.KeyEnter)
	b.wants("error: that is no time")
	b.lacks("PAST")
	b.settles("g", when().AddDate(1, 0, 0).Format("2006-01-02 15:04"), tcell.KeyEnter)
	b.wants("still to come")
	b.settles("g", tcell.KeyEscape)
	b.lacks("PAST")
	empty := withPast(t, 80, 24, recorded(t, -1, nil, nil))
	empty.settles(tcell.KeyLeft)
	empty.wants("History is empty")
}

// broken is a history that does not answer, fails or blows up.
type broken struct {
	records
	err    error
	hangs  chan struct{}
	charts bool // alone fail
}

func (b broken) Range(ctx context.Context, from, to time.Time, step time.Duration, fields ...string) (*history.Series, error) {
	if b.charts {
		return nil, b.err
	}
	return b.records.Range(ctx, from, to, step, fields...)
}

func (b broken) At(ctx context.Context, at time.Time, step time.Duration) (*history.Record, error) {
	switch {
	case b.charts:
		return b.records.At(ctx, at, step)
	case b.hangs != nil:
		<-b.hangs // whatever ctx says
	case b.err == nil:
		panic("the disk")
	}
	return nil, b.err
}

func TestHistoryThatFails(t *testing.T) {
	past := recorded(t, time.Minute, nil, nil)
	b := withPast(t, 80, 24, broken{records: past, err: errors.New("the server says \x1b[31mno")})
	b.settles(tcell.KeyLeft)
	b.wants("No history: the server says", `\x1b[31m`)
	b.settles("l")
	b.wants("hyper1", "CPU%v")
	b = withPast(t, 80, 24, broken{records: past})
	b.settles(tcell.KeyLeft)
	b.wants("a fault of Sarn: the disk")
	// A picture is worth showing without a strip.
	b = withPast(t, 80, 24, broken{records: past, err: errors.New("charts are slow"), charts: true})
	b.settles("g", "-10s", tcell.KeyEnter)
	b.wants("PAST", "history: charts are slow", ">CPU  not known", "COMMAND", "kept 6")
}

// A history that hangs holds up nothing, and is not asked again until it has returned.
func TestHistoryThatHangs(t *testing.T) {
	past := recorded(t, time.Minute, nil, nil)
	hangs := make(chan struct{})
	h := newHistorian(broken{records: past, err: errors.New("at last"), hangs: hangs})
	h.patience = 50 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.run(ctx)
	}()
	for i, want := range []string{"does not answer within", "has not answered for"} {
		h.ask(question{at: when(), n: i})
		if a := <-h.answers; a.err == nil || !strings.Contains(a.err.Error(), want) {
			t.Errorf("question %d: %v, not %q", i, a.err, want)
		}
	}
	close(hangs)
	for i := 2; ; i++ {
		h.ask(question{at: when(), n: i})
		if a := <-h.answers; strings.Contains(a.err.Error(), "at last") {
			break
		}
	}
	stop()
	<-ended
}

func TestPastAtEverySize(t *testing.T) {
	b := withPast(t, 80, 24, recorded(t, 10*time.Minute, []time.Duration{4 * time.Minute}, nil))
	b.view.alerts = Alerts{Active: []alert.Alert{{Rule: strings.Repeat("r", 300), Level: alert.Critical, Highest: alert.Critical, Since: when(), Fired: when()}}}
	b.settles("(")
	for w := 1; w < 260; w += 9 {
		for h := 1; h < 60; h += 3 {
			b.sim.SetSize(w, h)
			b.draw()
			b.settle()
			if w >= 20 && !strings.Contains(b.lines()[0], "PAST") {
				t.Fatalf("%dx%d does not say that it is the past:\n%s", w, h, b.text())
			}
		}
	}
}

func TestSpikes(t *testing.T) {
	nan := func(v ...float64) []float64 { return v }
	for _, test := range []struct {
		values []float64
		want   []int
	}{
		{nan(), nil}, {nan(1, 1, 1, 1), nil}, {nan(0.01, 0.02, 0.01, 0.05), nil}, {nan(0.1, 0.1, 0.9, 0.1), []int{2}},
		{nan(0.1, 0.7, 0.9, 0.8, 0.1, 0.1, 0.1, 1, 0.1), []int{2, 7}}, {nan(0.9, 0.95, 0.9, 0.92), nil},
	} {
		if got := spikes(test.values, 0.1); !slices.Equal(got, test.want) {
			t.Errorf("spikes of %v are %v, not %v", test.values, got, test.want)
		}
	}
}
