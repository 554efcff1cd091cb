package term

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"sarn/internal/monitor/sample"
)

// bench is a view on tcell's simulated screen, and what it asked to be done.
type bench struct {
	*testing.T
	*loop
	sim   tcell.SimulationScreen
	asked []string
	fails error
}

func (b *bench) Kill(pid int, start time.Time, s syscall.Signal) error {
	b.asked = append(b.asked, "kill "+start.Format("15:04 ")+string(numberOf(pid))+" "+s.String())
	return b.fails
}

func (b *bench) Renice(pid int, _ time.Time, nice int) error {
	b.asked = append(b.asked, "renice "+string(numberOf(pid))+" "+string(numberOf(nice)))
	return b.fails
}

func numberOf(n int) []byte { return number(nil, float64(n), 0) }

func newBench(t *testing.T, w, h int, s *sample.Sample) *bench {
	t.Helper()
	b := &bench{T: t, sim: tcell.NewSimulationScreen("UTF-8")}
	if err := b.sim.Init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.sim.Fini)
	b.sim.SetSize(w, h)
	b.loop = &loop{screen: b.sim, out: newOutput(io.Discard), styles: styles(false)}
	b.view = newView(&Config{Interval: 2 * time.Second, Version: "1.2.3", Actions: b})
	b.view.do = func(action func() result) { b.view.done(action()) }
	if s != nil {
		b.view.take(s)
	}
	b.draw()
	return b
}

// lines are what is on the screen.
func (b *bench) lines() []string {
	cells, w, h := b.sim.GetContents()
	lines := make([]string, h)
	for y := range h {
		var line strings.Builder
		for x := 0; x < w; x++ {
			text := string(cells[y*w+x].Runes)
			line.WriteString(text)
			x += max(uniseg.StringWidth(text)-1, 0) // the right half is under it
		}
		lines[y] = line.String()
	}
	return lines
}

func (b *bench) text() string { return strings.Join(b.lines(), "\n") }

func (b *bench) wants(text ...string) {
	b.Helper()
	for _, want := range text {
		if !strings.Contains(b.text(), want) {
			b.Fatalf("the screen lacks %q:\n%s", want, b.text())
		}
	}
}

func (b *bench) lacks(text string) {
	b.Helper()
	if strings.Contains(b.text(), text) {
		b.Fatalf("the screen has %q:\n%s", text, b.text())
	}
}

// key presses named keys, and types all else.
func (b *bench) key(keys ...any) {
	for _, k := range keys {
		switch k := k.(type) {
		case tcell.Key:
			b.view.event(tcell.NewEventKey(k, 0, tcell.ModNone))
		case string:
			for _, r := range k {
				b.view.event(tcell.NewEventKey(tcell.KeyRune, r, tcell.ModNone))
			}
		}
		b.draw()
	}
}

// pids are the first n processes on the screen.
func (b *bench) pids(n int) []string {
	b.Helper()
	var pids []string
	seen := false
	for _, line := range b.lines() {
		if f := strings.Fields(line); seen && len(pids) < n && len(f) > 1 {
			pids = append(pids, f[0])
		} else if len(f) > 2 && strings.HasPrefix(f[0], "PID") {
			seen = true
		}
	}
	return pids
}

// chosen is the line that is reversed.
func (b *bench) chosen() string {
	cells, w, h := b.sim.GetContents()
	for y := range h {
		if _, _, attrs := cells[y*w].Style.Decompose(); attrs&tcell.AttrReverse != 0 {
			return b.lines()[y]
		}
	}
	return ""
}

func TestEverySizeShowsWhatMatters(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}, {40, 10}, {500, 150}} {
		for _, cores := range []int{1, 4, 64, 512} {
			b := newBench(t, size[0], size[1], busy(cores, 2000, 3))
			b.wants("hyper1", "CPU", "PID", "CPU%", "COMMAND", "prog0", "? help")
			b.wantPIDs("whole rows", "100", "101")
			if size[0] >= 80 {
				b.wants("up 3d 3:00", "Disks", "Network", "web2", "Mem", "24.0G/64.0G", "psi cpu", "not root", "load 1.25")
			}
			if size[0] >= 120 {
				b.wants("Filesystems", "does not answer!", "Sensors")
			}
			for y, line := range b.lines() {
				if n := uniseg.StringWidth(line); n != size[0] {
					t.Errorf("%v: line %d is %d wide: %q", size, y, n, line)
				}
			}
		}
	}
}

// Every drawing stays inside, whatever the size, and nothing lies over a table: the
// heading and the rows below it are whole.
func TestEverySizeIsSafe(t *testing.T) {
	b := newBench(t, 80, 24, busy(24, 300, 4))
	for w := 1; w < 160; w += 7 {
		for h := 1; h < 50; h += 3 {
			b.sim.SetSize(w, h)
			for _, page := range []page{overview, help} {
				b.view.open(page)
				b.draw()
			}
			b.view.open(overview)
			b.key("v")
		}
	}
	b.view.mode, b.view.message = both, ""
	b.sim.SetSize(80, 24)
	b.draw()
	for i, pid := range b.pids(5) {
		if want := string(numberOf(100 + i)); pid != want {
			t.Errorf("row %d is of PID %s, not %s:\n%s", i, pid, want, b.text())
		}
	}
}

func TestHostileNames(t *testing.T) {
	s := busy(2, 30, 1)
	names := []string{
		"\x1b]0;owned\x07\x1b[2J", "new\nline\ttab\r", "<script>", strings.Repeat("A", 4096), "e" + strings.Repeat("\u0301", 500),
		"\u202egnp.exe", "\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8", "bad\xff\xfe", "\u0301lone", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "", "\u009b31m", "\u2764\ufe0f!",
	}
	for i, n := range names {
		s.Processes[i].Command, s.Processes[i].Name, s.Processes[i].User = n, n, n
		s.Processes[i].State, s.Processes[i].Machine = n, n
	}
	s.Host.Name, s.Host.Model, s.Machines[0].Name, s.Disks[0].Name = names[0], names[3], names[3], names[0]
	s.Interfaces[0].Name, s.Filesystems[0].Mount, s.Sensors[0].Chip, s.Missing[0].Why = names[4], names[3], names[6], names[0]
	for _, w := range []int{1, 7, 40, 80, 81, 300} {
		b := newBench(t, w, 50, s)
		b.key(tcell.KeyDown, tcell.KeyDown, tcell.KeyEnter, "k", tcell.KeyEnter, tcell.KeyEscape, tcell.KeyEscape, "?", tcell.KeyEscape)
		b.key("t", "A", tcell.KeyEscape)
		for _, c := range b.text() {
			if (c < ' ' && c != '\n') || (c >= 0x7f && c < 0xa0) || c == '\u202e' || c == '\u200d' {
				t.Fatalf("%U reached the screen at width %d", c, w)
			}
		}
		if w == 300 {
			b.key("t", tcell.KeyHome)
			b.wants(`\x1b]0;owned`, `new\x0aline\x09tab`, `bad\xff\xfe`, `\u0301lone`, `\u202egnp`, `\u009b31m`, "\u65e5\u672c\u8a9e", "AAA~")
		}
	}
}

func TestTextIsCutByWidth(t *testing.T) {
	var g grid
	for _, test := range []struct {
		text string
		room int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab~"}, {"\u65e5\u672c", 4, "\u65e5\u672c"}, {"\u65e5\u672c", 3, "\u65e5~"}, {"a\u65e5", 2, "a~"},
		{"e\u0301e", 2, "e\u0301e"}, {"\x01", 4, `\x01`}, {"\x01", 3, "~"}, {"\u65e5", 1, "~"}, {"", 3, ""}, {"ab", 0, ""},
	} {
		g.clear(10, 1)
		g.text(0, 0, test.room, test.text, plain)
		var got strings.Builder
		for _, c := range g.next {
			got.WriteString(c.text)
		}
		if s := strings.TrimRight(got.String(), " "); s != test.want {
			t.Errorf("%q in %d cells is %q, not %q", test.text, test.room, s, test.want)
		}
	}
}

// Half of a wide character is nothing: what is put over a half takes the other away.
func TestHalvesOfWideCharacters(t *testing.T) {
	for x, want := range map[int]string{1: " x b", 2: "  xb", 3: " \u65e5x"} {
		var g grid
		g.clear(4, 1)
		g.text(1, 0, 3, "\u65e5b", plain)
		g.ascii(x, 0, 'x', plain)
		var got strings.Builder
		for _, c := range g.next {
			got.WriteString(c.text)
		}
		if got.String() != want {
			t.Errorf("x over cell %d makes %q, not %q", x, got.String(), want)
		}
	}
}

func TestNumbersAreNeverCut(t *testing.T) {
	var g grid
	g.clear(10, 1)
	g.right(0, 0, 4, []byte("12345"), plain)
	if got := g.next[0].text + g.next[3].text; got != "##" {
		t.Errorf("five digits in four cells show %q", got)
	}
	for _, v := range []float64{0, 0.4, 999.4, 999.6, 1023, 1024, 99.96 * 1024, 1e6, 1e9, 1e15, 1.8e19, 1e300, -1} {
		if s := size(nil, v); len(s) > 5 {
			t.Errorf("size of %g is %q, over five characters", v, s)
		}
		if s := percent(nil, v); len(s) > 5 {
			t.Errorf("per cent of %g is %q, over five characters", v, s)
		}
	}
}

func TestNoColour(t *testing.T) {
	for l, s := range styles(true) {
		if fg, bg, _ := s.Decompose(); fg != tcell.ColorDefault || bg != tcell.ColorDefault {
			t.Errorf("look %d has a colour without colours", l)
		}
	}
	if fg, _, _ := styles(false)[iowait].Decompose(); fg == tcell.ColorDefault {
		t.Error("no colour with colours")
	}
}
