package term

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"sarn/internal/monitor/sample"
)

func (b *bench) wantPIDs(why string, want ...string) {
	b.Helper()
	if got := b.pids(len(want)); !slices.Equal(got, want) {
		b.Fatalf("%s: PIDs %v, not %v:\n%s", why, got, want, b.text())
	}
}

func TestSortKeys(t *testing.T) {
	b := newBench(t, 220, 40, busy(4, 30, 2))
	b.wantPIDs("by CPU at first", "100", "101", "102")
	b.wants("CPU%v")
	b.key("M")
	b.wantPIDs("by memory", "129", "128")
	b.wants("RESv")
	b.key("R")
	b.wantPIDs("reversed", "100", "101")
	b.wants("RES^")
	b.key("P")
	b.wantPIDs("by PID", "100", "101")
	b.key("P")
	b.wantPIDs("the same key again", "129", "128")
	b.key("C", ">")
	b.wants("TIMEv")
	b.wantPIDs("the column to the right", "129")
	b.key("<", "<")
	b.wants("THR^")
	// Every column has a key of its own that sorts by it, and none does anything else.
	seen := map[rune]bool{}
	for _, c := range b.view.processes.columns {
		if c.off { // of the past
			continue
		}
		if seen[c.key] || strings.ContainsRune("q/snNtkrpv+-<>R[](){}gzZmela", c.key) {
			t.Errorf("the key %c of %s has another meaning", c.key, c.title)
		}
		seen[c.key] = true
		b.key("P", string(c.key))
		if c.key != 'P' && !strings.Contains(b.text(), c.title+"v") && !strings.Contains(b.text(), c.title+"^") {
			t.Errorf("%c does not sort by %s", c.key, c.title)
		}
	}
}

func TestFilterAsYouType(t *testing.T) {
	b := newBench(t, 120, 40, busy(4, 30, 2))
	b.key("/", "PROG2")
	b.wants("filter: PROG2")
	b.wantPIDs("while typing", "102", "120", "121")
	b.key("5")
	b.wantPIDs("narrower", "125")
	b.key(tcell.KeyBackspace2, tcell.KeyEnter)
	b.wantPIDs("after Enter", "102", "120", "121")
	b.key("q", "/") // q quits here; in a question it is a letter
	if !b.view.quit {
		t.Error("q does not quit")
	}
	b.key("q")
	b.wants("filter: PROG2q")
	b.key(tcell.KeyEscape)
	b.wantPIDs("Esc brings the filter back that was", "102", "120")
	b.key(tcell.KeyEscape)
	b.wantPIDs("Esc clears it", "100", "101")
}

func TestTree(t *testing.T) {
	s := busy(2, 8, 0) // 100..103 have the parent 99, 104..107 have 100
	b := newBench(t, 160, 40, s)
	b.key("t")
	b.wantPIDs("children under their parent", "100", "104", "105", "106", "107", "101")
	b.wants("`-/usr/bin/prog4")
	b.key("R")
	b.wantPIDs("siblings in the order of the table", "103", "102", "101", "100", "107", "106")
	// A source that lies: 100 and 104 are each other's parents.
	s.Processes[0].Parent = 104
	b.view.take(s)
	b.draw()
	if n := len(b.view.processes.rows); n != 8 {
		t.Errorf("a circle shows %d of 8 processes", n)
	}
}

func TestSearch(t *testing.T) {
	b := newBench(t, 120, 40, busy(4, 30, 2))
	b.key("s", "prog1", tcell.KeyEnter)
	for _, step := range []struct{ key, want string }{{"", "101"}, {"n", "110"}, {"n", "111"}, {"N", "110"}, {"N", "101"}, {"N", "119"}} {
		b.key(step.key)
		if !strings.HasPrefix(strings.TrimSpace(b.chosen()), step.want) {
			t.Errorf("%q chose %q, not %s", step.key, b.chosen(), step.want)
		}
	}
	b.key("s", "nothing like it", tcell.KeyEnter)
	b.wants("nothing here has nothing like it")
}

func TestChoiceFollowsTheProcess(t *testing.T) {
	s := busy(4, 300, 2)
	b := newBench(t, 120, 40, s)
	b.key(tcell.KeyDown, tcell.KeyDown, tcell.KeyDown)
	if !strings.Contains(b.chosen(), "prog2 ") {
		t.Fatalf("chosen: %q", b.chosen())
	}
	b.key("M") // now it stands near the end
	if !strings.Contains(b.chosen(), "prog2 ") {
		t.Errorf("after sorting: %q", b.chosen())
	}
	// The same PID with another start is another process: the choice is gone.
	n := moved(s, 0)
	n.Processes[2].Start = n.Time
	b.view.take(n)
	b.draw()
	if c := b.chosen(); c != "" {
		t.Errorf("the choice went to another process: %q", c)
	}
	b.key("k")
	b.wants("choose a row first")
}

func TestKillAsksTwice(t *testing.T) {
	b := newBench(t, 120, 40, busy(4, 30, 2))
	b.key("k")
	b.wants("choose a row first")
	b.key(tcell.KeyDown, tcell.KeyDown, "k")
	b.wants("signal for 101 prog1:", "TERM", "KILL")
	b.key(tcell.KeyRight, tcell.KeyEnter)
	b.wants("send SIGKILL to 101 prog1?  y/n")
	b.key(tcell.KeyEnter, " ", "x")
	b.wants("send SIGKILL to 101 prog1?  y/n")
	if len(b.asked) > 0 {
		t.Fatalf("killed without a y: %v", b.asked)
	}
	b.key("n")
	b.wants("nothing done")
	b.key("k", "h", tcell.KeyEnter)
	// What it is for stays, whatever comes in between.
	b.view.take(busy(4, 3, 0))
	b.view.processes.choose(2)
	b.key("y")
	if want := []string{"kill 03:11 101 hangup"}; !slices.Equal(b.asked, want) {
		t.Errorf("asked for %v, not %v", b.asked, want)
	}
	b.wants("sent SIGHUP to 101 prog1")
	b.fails = errors.New("kill 101: not permitted: it belongs to root")
	b.key("k", tcell.KeyEnter, "y")
	b.wants("error: kill 101: not permitted: it belongs to root")
	b.key(tcell.KeyDown)
	b.lacks("not permitted")
}

func TestRenice(t *testing.T) {
	b := newBench(t, 120, 40, busy(4, 30, 2))
	b.key(tcell.KeyDown, "r", "twenty", tcell.KeyEnter)
	b.wants("nice is a whole number")
	b.key("r", "20", tcell.KeyEnter)
	b.wants("nice is a whole number")
	b.key("r", "-5", tcell.KeyEnter)
	b.wants("renice 100 prog0 from 0 to -5?  y/n")
	b.key("y")
	if want := []string{"renice 100 -5"}; !slices.Equal(b.asked, want) {
		t.Errorf("asked for %v, not %v", b.asked, want)
	}
}

func TestMachinesAreRows(t *testing.T) {
	b := newBench(t, 120, 40, busy(4, 30, 2))
	b.wants("web0", "web1", "KIND")
	b.key(tcell.KeyDown, tcell.KeyUp) // above the first process are the machines
	if !strings.Contains(b.chosen(), "web0") {
		t.Errorf("chosen: %q", b.chosen())
	}
	b.key("k")
	b.wants("signal for vm web0 (100 prog0):")
	b.key(tcell.KeyEscape, tcell.KeyEnter)
	b.wants("vm web0", "vCPU 0", "50.0%", "tap0")
	b.key(tcell.KeyEscape, "v")
	b.lacks("web0")
	b.key(tcell.KeyTab)
	b.wants("web0")
	b.lacks("prog0")
	b.key("A", "R", "v")
	b.wants("prog0", "web0")
	// Without room for machines, keys never go to one that is not in sight.
	b.sim.SetSize(80, 8)
	b.draw()
	b.lacks("web0")
	b.key(tcell.KeyHome, tcell.KeyUp, "k")
	b.wants("signal for 100 prog0:")
}

func TestOneProcessInFull(t *testing.T) {
	s := busy(4, 30, 2)
	s.Processes[0].Start = s.Processes[0].Start.In(time.FixedZone("far away", -7*3600))
	s.Processes[0].Command = "/usr/bin/long " + strings.Repeat("argument ", 400) + "end"
	b := newBench(t, 80, 24, s)
	b.key(tcell.KeyDown, tcell.KeyEnter)
	b.wants("Process 100 prog0", "not told", "argument")
	b.wants("started         " + s.Processes[0].Start.Local().Format(time.DateTime)) // not as it is on the way here
	b.key(tcell.KeyPgDn, tcell.KeyPgDn, tcell.KeyPgDn, tcell.KeyPgDn)
	b.wants("argument end")
	b.key(tcell.KeyPgUp, tcell.KeyPgUp, tcell.KeyPgUp)
	b.wants("net sent")
	n := moved(s, 0)
	n.Processes = n.Processes[1:]
	b.view.take(n)
	b.key(tcell.KeyHome)
	b.wants("has ended")
	b.key(tcell.KeyEscape)
	b.wants("PID")
}

func TestPauseAndInterval(t *testing.T) {
	s := busy(4, 30, 2)
	b := newBench(t, 120, 40, s)
	b.key("p")
	n := moved(s, 0)
	n.Host.Name = "later"
	b.view.take(n)
	b.draw()
	b.wants("PAUSED", "hyper1")
	b.key("p")
	b.wants("later")
	b.key("+")
	b.wants("every 3s")
	b.key("---------")
	if b.view.interval != 500*time.Millisecond {
		t.Errorf("the shortest interval is %v", b.view.interval)
	}
}

func TestHelp(t *testing.T) {
	for _, k := range []any{"?", tcell.KeyF1} {
		b := newBench(t, 120, 80, busy(4, 30, 2))
		b.key(k)
		b.wants("sarn top 1.2.3", "send a signal", "COMMAND", "Not seen", "run it as root")
		b.key(tcell.KeyEscape)
		b.wants("hyper1")
		b.key(k, k) // the key that opens it closes it
		b.wants("hyper1")
		b.lacks("send a signal")
	}
}

// TestKeysThatDoSomethingAreNamed: where nothing can be changed, no key for it is offered.
func TestKeysThatDoSomethingAreNamed(t *testing.T) {
	s := busy(4, 30, 2)
	s.Missing = nil
	b := newBench(t, 120, 40, s)
	b.wants("k kill", "r renice", "v view")
	b.view.actions = nil
	b.draw()
	b.wants("v view")
	b.lacks("k kill")
}

func (b *bench) click(x, y int, button tcell.ButtonMask) {
	b.view.event(tcell.NewEventMouse(x, y, button, tcell.ModNone))
	b.view.event(tcell.NewEventMouse(x, y, tcell.ButtonNone, tcell.ModNone))
	b.draw()
}

func (b *bench) where(text string) (x, y int) {
	b.Helper()
	for y, line := range b.lines() {
		if x := strings.Index(line, text); x >= 0 {
			return x, y
		}
	}
	b.Fatalf("no %q:\n%s", text, b.text())
	return 0, 0
}

func TestMouse(t *testing.T) {
	b := newBench(t, 120, 40, busy(4, 300, 2))
	x, y := b.where("PID ")
	b.click(x, y, tcell.Button1)
	b.wants("PID^")
	b.click(x, y, tcell.Button1)
	b.wantPIDs("the heading twice", "399", "398")
	x, y = b.where("prog297 ")
	b.click(x, y, tcell.Button1)
	if !strings.Contains(b.chosen(), "prog297 ") {
		t.Errorf("chosen: %q", b.chosen())
	}
	b.click(x, y, tcell.WheelDown)
	b.wantPIDs("the wheel", "396")
	b.click(x, y, tcell.WheelUp)
	b.wantPIDs("the wheel back", "399")
	x, y = b.where("web1")
	b.click(x, y, tcell.Button1)
	b.key(tcell.KeyEnter)
	b.wants("vm web1")
}

// What is pasted by mistake is no command, and what is pasted into a question is text.
func TestPaste(t *testing.T) {
	b := newBench(t, 120, 40, busy(4, 30, 2))
	b.key(tcell.KeyDown)
	b.view.event(tcell.NewEventPaste(true))
	b.key("k", tcell.KeyEnter, "yq")
	b.view.event(tcell.NewEventPaste(false))
	if b.view.quit || b.view.prompt != nil || len(b.asked) > 0 {
		t.Error("pasted text was taken as keys")
	}
	b.key("/")
	b.view.event(tcell.NewEventPaste(true))
	b.key("prog7")
	b.view.event(tcell.NewEventPaste(false))
	b.wantPIDs("pasted filter", "107")
}

func TestNothingToShow(t *testing.T) {
	b := newBench(t, 80, 24, nil)
	b.wants("waiting for the first sample")
	b.key(tcell.KeyDown, tcell.KeyEnter, "k", "r", "t", "/x", tcell.KeyEscape, "n", "p", "v", "v", "?", tcell.KeyEscape)
	b.view.take(&sample.Sample{})
	b.key(tcell.KeyDown, tcell.KeyUp, tcell.KeyEnd, tcell.KeyEnter, tcell.KeyPgDn)
	b.view.take(&sample.Sample{})
	b.draw()
}

// Of another machine it is said where it is, and that there is no connection, whatever else
// there is to say; q and Esc go back to where the view was opened.
func TestFromElsewhere(t *testing.T) {
	b := newBench(t, 100, 24, busy(4, 30, 2))
	b.view.canBack = true
	b.view.origin = Status{From: "hyper7:61208"}
	b.draw()
	b.wants("from hyper7:61208")
	b.lacks("NO CONNECTION")
	b.view.origin = Status{From: "hyper7:61208", Down: true, Since: when(), Error: "refused\x1b[2J"}
	b.draw()
	b.wants("NO CONNECTION", "no connection since "+here(0)+", trying again", `refused\x1b[2J`)
	b.view.say("something else")
	b.draw()
	b.wants("NO CONNECTION")
	b.key(tcell.KeyDown, tcell.KeyEscape)
	if b.view.back {
		t.Error("Esc goes back while it lets a row go")
	}
	b.key(tcell.KeyEscape)
	if !b.view.back || b.view.quit {
		t.Error("Esc does not go back")
	}
	b.view.back = false
	b.key("q")
	if !b.view.back || b.view.quit {
		t.Error("q does not go back")
	}
	b.view.back = false
	b.key(tcell.KeyCtrlC)
	if b.view.back || !b.view.quit {
		t.Error("Ctrl-C does not quit")
	}
	waits := newBench(t, 100, 24, nil)
	waits.view.origin = Status{From: "hyper7", Down: true, Since: when()}
	waits.draw()
	waits.wants("waiting for the first sample of hyper7", "no connection since")
}
