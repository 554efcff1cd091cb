package term

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"sarn/internal/monitor/sample"
)

// list is a browser on tcell's simulated screen.
type list struct {
	*bench
	*browser
}

func newList(t *testing.T, w, h int, hosts []HostStatus, notes ...string) *list {
	t.Helper()
	l := &list{newBench(t, w, h, nil), newBrowser(&BrowseConfig{Version: "1.2.3"})}
	l.take(hosts, notes)
	l.shown()
	return l
}

func (l *list) shown() {
	w, h := l.sim.Size()
	l.browser.draw(w, h)
	l.browser.list.flush(l.sim, &l.bench.styles)
}

func (l *list) keys(keys ...any) {
	for _, k := range keys {
		switch k := k.(type) {
		case rune:
			l.event(tcell.NewEventKey(tcell.KeyRune, k, 0))
		case tcell.Key:
			l.event(tcell.NewEventKey(k, 0, 0))
		case string:
			for _, r := range k {
				l.event(tcell.NewEventKey(tcell.KeyRune, r, 0))
			}
		}
	}
	l.shown()
}

// order is the first words of the rows.
func (l *list) order() string {
	var names []string
	for _, line := range l.lines()[3:] {
		if name, _, _ := strings.Cut(strings.TrimLeft(line, " "), " "); name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names[:max(len(names)-1, 0)], " ") // the last one is of the status line
}

func (l *list) wantsOrder(what, want string) {
	l.Helper()
	if got := l.order(); got != want {
		l.Errorf("%s: %s, not %s\n%s", what, got, want, l.text())
	}
}

// fleet is three hosts that are up, one that is down and one that is not known yet.
func fleet() []HostStatus {
	up := func(name string, cpu float64, memory uint64) HostStatus {
		return HostStatus{Name: name, Address: name + ":61208", State: "up", Since: time.Now(), Summary: &sample.Summary{
			Time: when(), Host: sample.Host{Name: name}, CPU: sample.Times{User: cpu, Idle: 1 - cpu}, Load: [3]float64{cpu * 4},
			Memory: sample.Memory{Total: 100, Available: 100 - memory}, Pressure: &sample.Pressure{IO: sample.Stall{Some10: cpu / 2}}, VMs: 1,
			Processes: []sample.Process{{PID: 1, Name: "init", Command: "/sbin/init"}, {PID: 7, Name: "qemu-" + name, Command: "/usr/bin/qemu-" + name, CPU: cpu * 2}},
			Machines:  []sample.Machine{{ID: "vm/v-" + name, Name: "v-" + name, Kind: sample.VM, CPU: cpu}},
		}}
	}
	alarmed := up("beta", 0.9, 20)
	alarmed.Summary.Alerts, alarmed.Summary.Worst = 3, &sample.Notice{Level: "critical", Message: "memory is at 97%"}
	return []HostStatus{
		up("alpha", 0.1, 50), alarmed, {Name: "delta", Address: "10.0.0.4:61208", State: "connecting", Since: time.Now()},
		{Name: "gamma", State: "down", Since: time.Now().Add(-49 * time.Hour), Error: "nobody listens there"}, up("zeta", 0.5, 80),
	}
}

func TestList(t *testing.T) {
	hosts := fleet()
	l := newList(t, 120, 20, hosts)
	l.wants("5 hosts", "up 3", "down 1!", "connecting 1", "VMs 3", "alerts 3!", "90.0", "100.0% qemu-zeta", "CRITICAL: memory is at 97%; 18",
		"connecting to 10.0.0.4:61208", "no connection since "+hosts[3].Since.Format(time.DateTime)+": nobody listens there")
	l.wantsOrder("by name", "alpha beta delta gamma zeta")
	l.wants("Enter opens")
	l.keys(tcell.KeyDown)
	l.wants("beta: CRITICAL: memory is at 97%")
	l.keys(tcell.KeyEscape, 'C')
	l.wantsOrder("by CPU, those that are not up last", "beta zeta alpha delta gamma")
	l.keys('M')
	l.wantsOrder("by memory", "zeta alpha beta delta gamma")
	l.keys('R')
	l.wantsOrder("the other way", "delta gamma beta alpha zeta")
	l.keys('S')
	l.wantsOrder("by state", "delta gamma alpha beta zeta")
	l.keys('B')
	l.wantsOrder("by alerts", "beta alpha zeta delta gamma")
	l.keys('A', '/', "eta", tcell.KeyEnter)
	l.wantsOrder("filtered", "beta zeta")
	l.keys(tcell.KeyEscape, '/', "nobody", tcell.KeyEnter)
	l.wantsOrder("filtered by why", "gamma")
	l.keys(tcell.KeyEscape, 's', "zeta", tcell.KeyEnter, tcell.KeyEnter)
	if l.opened != "zeta" {
		t.Errorf("%q is opened", l.opened)
	}
}

func TestListOpens(t *testing.T) {
	l := newList(t, 100, 20, nil)
	l.keys(tcell.KeyEnter)
	if l.opened != "" {
		t.Errorf("%q is opened of none", l.opened)
	}
	// At the start it is the first row, whichever that is by then, and after Esc again.
	l.take(fleet()[2:], nil)
	l.take(fleet(), nil)
	l.keys(tcell.KeyEnter)
	if l.opened != "alpha" {
		t.Errorf("%q is opened at the start", l.opened)
	}
	l.opened = ""
	l.keys(tcell.KeyDown, tcell.KeyDown, tcell.KeyEscape, 'M', tcell.KeyEnter)
	if l.opened != "zeta" {
		t.Errorf("%q is opened after Esc", l.opened)
	}
	l.opened = ""
	l.keys('2')
	l.wants("qemu-beta", "PID")
	l.wantsOrder("processes of all", "beta zeta alpha alpha beta zeta")
	l.keys('/', "qemu-z", tcell.KeyEnter, tcell.KeyEnter)
	if l.opened != "zeta" {
		t.Errorf("%q is opened by a process", l.opened)
	}
	l.opened = ""
	l.keys(tcell.KeyEscape, '3')
	l.wantsOrder("machines of all", "beta zeta alpha")
	l.event(tcell.NewEventMouse(2, 5, tcell.Button1, 0)) // the third row
	l.event(tcell.NewEventMouse(2, 5, tcell.ButtonNone, 0))
	l.keys(tcell.KeyEnter)
	if l.opened != "alpha" {
		t.Errorf("%q is opened by a click", l.opened)
	}
	l.opened = ""
	l.keys(tcell.KeyTab)
	l.event(tcell.NewEventMouse(26, 2, tcell.Button1, 0)) // the heading of the CPU
	l.shown()
	l.wantsOrder("sorted by a click", "beta zeta alpha delta gamma")
	l.keys('q')
	if !l.browser.list.quit {
		t.Error("q does not quit")
	}
}

// TestListPaused stays as it is while hosts change.
func TestListPaused(t *testing.T) {
	l := newList(t, 100, 20, fleet())
	l.keys('p')
	l.take(fleet()[:1], nil)
	l.shown()
	l.wants("PAUSED", "zeta")
	l.keys('p')
	l.take(fleet()[:1], []string{"mDNS: no way"})
	l.shown()
	l.wantsOrder("gone on", "alpha")
	l.wants("not found: mDNS: no way")
}

// TestListSizes draws in every size, and with what hosts should not say.
func TestListSizes(t *testing.T) {
	hosts := fleet()
	hosts[0].Summary.Worst = &sample.Notice{Level: "\x1b[2J", Message: strings.Repeat("\x1b]0;x\a", 1000)}
	hosts[0].Summary.Processes[1].Name = "\x1b[31m"
	hosts[0].Summary.Processes[1].CPU = 1e300
	hosts[3].Error = "\r\n\x1b[H" + strings.Repeat("ü", 5000)
	for i := range 300 {
		hosts = append(hosts, HostStatus{Name: fmt.Sprintf("h%03d", i), State: "connecting"})
	}
	for _, w := range []int{1, 2, 7, 20, 40, 80, 200, 500} {
		for _, h := range []int{1, 2, 3, 4, 24, 200} {
			l := newList(t, w, h, hosts)
			for _, key := range []any{'2', '3', '?', tcell.KeyEnd, tcell.KeyEscape, '1', tcell.KeyEnd, tcell.KeyPgUp, 'R', '>', '<', '/'} {
				l.keys(key)
				if strings.ContainsAny(l.text(), "\x1b\a\r") {
					t.Fatalf("%d by %d: an escape is on the screen", w, h)
				}
			}
		}
	}
}
