package term

import (
	"time"

	"github.com/gdamore/tcell/v2"
)

// event takes what comes from the terminal.
func (v *view) event(ev tcell.Event) {
	switch ev := ev.(type) {
	case *tcell.EventKey:
		// What is pasted is text, not commands.
		if !v.pasting || (v.prompt != nil && !v.prompt.confirm && ev.Key() == tcell.KeyRune) {
			v.key(ev)
		}
	case *tcell.EventPaste:
		v.pasting = ev.Start()
	case *tcell.EventMouse:
		v.mouse(ev)
	case *tcell.EventResize:
		v.g.w = 0 // nothing is known of what the terminal shows
	}
}

func (v *view) key(ev *tcell.EventKey) {
	v.message = ""
	switch {
	case v.prompt != nil:
		p := v.prompt
		if p.key(ev) && v.prompt == p { // unless it has asked the next question
			v.prompt = nil
		}
	case ev.Key() == tcell.KeyCtrlC:
		v.quit = true
	case ev.Key() == tcell.KeyF1 || ev.Rune() == '?':
		v.toggleHelp()
	case v.page != overview:
		v.pageKey(ev)
	case v.timeKey(ev):
	case ev.Key() == tcell.KeyRune:
		v.letter(ev.Rune())
	default:
		v.moveKey(ev)
	}
}

// leave goes back to where the view was opened, or quits.
func (v *view) leave() {
	if v.canBack {
		v.back = true
		return
	}
	v.quit = true
}

// toggleHelp opens the help, and closes it again.
func (v *view) toggleHelp() {
	if v.page == help {
		v.open(overview)
		return
	}
	v.open(help)
}

// open shows a page from its beginning.
func (v *view) open(p page) { v.page, v.scroll = p, 0 }

// pageKey is a key on a page of text.
func (v *view) pageKey(ev *tcell.EventKey) {
	screen := max(v.g.h-2, 1)
	switch ev.Key() {
	case tcell.KeyUp:
		v.scroll--
	case tcell.KeyDown:
		v.scroll++
	case tcell.KeyPgUp:
		v.scroll -= screen
	case tcell.KeyPgDn:
		v.scroll += screen
	case tcell.KeyHome:
		v.scroll = 0
	case tcell.KeyEnd:
		v.scroll = 1 << 30 // drawing brings it back to the last line
	case tcell.KeyEscape, tcell.KeyEnter, tcell.KeyBackspace, tcell.KeyBackspace2, tcell.KeyLeft:
		v.open(overview)
	case tcell.KeyRune:
		switch ev.Rune() {
		case 'q':
			v.leave()
		case 'k':
			v.askKill()
		case 'r':
			v.askNice()
		case 'p', ' ':
			v.pause()
		case 'a':
			v.open(overview)
		default:
			v.timeKey(ev)
		}
	}
}

// timeKey takes the keys that go through time, and says whether it was one.
func (v *view) timeKey(ev *tcell.EventKey) bool {
	const far = 10 // columns
	key, columns := ev.Rune(), 0
	switch {
	case ev.Key() == tcell.KeyLeft || ev.Key() == tcell.KeyRight:
		if ev.Modifiers()&(tcell.ModShift|tcell.ModCtrl|tcell.ModAlt) != 0 {
			columns = far
		} else {
			columns = v.past.stride(ev.When())
		}
		if ev.Key() == tcell.KeyLeft {
			columns = -columns
		}
		v.travel(columns)
		return true
	case ev.Key() != tcell.KeyRune:
		return false
	}
	switch key {
	case '[':
		v.travel(-far)
	case ']':
		v.travel(far)
	case '(':
		v.spike(-1)
	case ')':
		v.spike(1)
	case '{':
		v.alertTime(-1)
	case '}':
		v.alertTime(1)
	case 'g':
		v.askTime()
	case 'z':
		v.zoomBy(1)
	case 'Z':
		v.zoomBy(-1)
	case 'm':
		v.nextMetric()
	case 'e':
		v.togglePeaks()
	case 'l':
		v.live()
	default:
		return false
	}
	return true
}

func (v *view) letter(r rune) {
	table := v.focused()
	switch r {
	case 'q':
		v.leave()
	case '/':
		v.askFilter()
	case 's':
		v.askSearch()
	case 'a':
		v.open(alerted)
	case 'n':
		v.find(1)
	case 'N':
		v.find(-1)
	case 't':
		v.processes.tree = !v.processes.tree
	case 'k':
		v.askKill()
	case 'r':
		v.askNice()
	case 'p', ' ':
		v.pause()
	case 'v':
		v.nextMode()
	case '+', '=':
		v.pace(1)
	case '-':
		v.pace(-1)
	case '<', ',':
		table.sortNext(-1)
	case '>', '.':
		table.sortNext(1)
	case 'R':
		table.turn()
	default:
		if !table.sortKey(r) {
			return
		}
	}
	v.arrange()
}

func (v *view) moveKey(ev *tcell.EventKey) {
	switch ev.Key() {
	case tcell.KeyUp:
		if v.mode == both && !v.onMachines && v.processes.at() <= 0 && v.processes.has && v.machines.height > 0 {
			v.onMachines = true // from the first process to the last machine
			v.machines.choose(len(v.machines.rows) - 1)
			return
		}
		v.focused().move(-1)
	case tcell.KeyDown:
		if v.mode == both && v.machinesFocused() && v.machines.at() == len(v.machines.rows)-1 {
			v.onMachines = false
			v.processes.choose(0)
			return
		}
		v.focused().move(1)
	case tcell.KeyPgUp:
		v.focused().move(-v.focused().page())
	case tcell.KeyPgDn:
		v.focused().move(v.focused().page())
	case tcell.KeyHome:
		v.focused().move(-1 << 30)
	case tcell.KeyEnd:
		v.focused().move(1 << 30)
	case tcell.KeyTab:
		v.nextMode()
	case tcell.KeyEnter:
		v.openOne()
	case tcell.KeyEscape:
		if v.past.on && v.processes.filter == "" && !v.processes.has && !v.machines.has {
			v.live()
			return
		}
		if v.canBack && v.processes.filter == "" && !v.processes.has && !v.machines.has {
			v.leave() // there is nothing else to let go
			return
		}
		v.processes.clearChoice()
		v.machines.clearChoice()
		v.setFilter("")
	case tcell.KeyF3:
		v.askSearch()
	case tcell.KeyF9:
		v.askKill()
	}
}

func (v *view) nextMode() {
	v.mode = (v.mode + 1) % modes
	v.onMachines = v.mode == machinesOnly
	v.message = [...]string{"processes and machines", "processes", "VMs and containers"}[v.mode]
}

// openOne shows the chosen row in full.
func (v *view) openOne() {
	if v.machinesFocused() {
		if m := v.machines.row(); m != nil {
			v.machine, v.ended = m, false
			v.open(oneMachine)
			return
		}
	} else if p := v.processes.row(); p != nil {
		v.process, v.ended = p, false
		v.open(oneProcess)
		return
	}
	v.say("choose a row first: arrow keys or a click")
}

func (v *view) say(message string) { v.message, v.wrong = message, false }

// paces are the intervals that + and - choose from.
func paces() []time.Duration {
	const s = time.Second
	return []time.Duration{s / 2, s, 2 * s, 3 * s, 5 * s, 10 * s, 30 * s, 60 * s}
}

func (v *view) pace(by int) {
	all := paces()
	i := 0
	for i < len(all)-1 && all[i] < v.interval {
		i++
	}
	if by < 0 || all[i] == v.interval {
		i += by
	}
	v.interval = all[min(max(i, 0), len(all)-1)]
	v.say("every " + v.interval.String())
}

func (v *view) askFilter() {
	before := v.processes.filter
	v.prompt = &prompt{label: "filter: ", text: before, typed: v.setFilter, enter: v.setFilter,
		cancel: func() { v.setFilter(before) }}
}

func (v *view) setFilter(text string) {
	v.processes.filter, v.machines.filter = text, text
	v.arrange()
}

func (v *view) askSearch() {
	v.prompt = &prompt{label: "search: ", enter: func(text string) {
		v.search = text
		v.find(1)
	}}
}

func (v *view) find(by int) {
	switch {
	case v.search == "":
		v.say("s searches; n and N go to the next and the one before")
	case !v.focused().find(v.search, by):
		v.say("nothing here has " + v.search)
	}
}

// pointer says where the mouse is, by how many rows its wheel has turned, and whether its
// button went down just now.
func (v *view) pointer(ev *tcell.EventMouse) (x, y, by int, clicked bool) {
	const step = 3
	switch {
	case ev.Buttons()&tcell.WheelUp != 0:
		by = -step
	case ev.Buttons()&tcell.WheelDown != 0:
		by = step
	}
	down := ev.Buttons()&tcell.Button1 != 0
	clicked = down && !v.held
	v.held = down
	x, y = ev.Position()
	return x, y, by, clicked
}

func (v *view) mouse(ev *tcell.EventMouse) {
	x, y, by, clicked := v.pointer(ev)
	switch {
	case v.prompt != nil:
	case v.page != overview:
		v.scroll += by
	case clicked && v.past.on && v.clickTime(x, y):
	case by != 0 && v.machines.covers(y):
		v.machines.scroll(by)
	case by != 0:
		v.processes.scroll(by)
	case clicked:
		v.click(x, y)
	}
}

// clickTime takes a click on the strip.
func (v *view) clickTime(x, y int) bool {
	p := &v.past
	c := x - stripLabel
	if y < p.top || y >= p.below || c < 0 || c >= p.window.n {
		return false
	}
	v.message = ""
	v.goTo(c)
	return true
}

func (v *view) click(x, y int) {
	v.message = ""
	resort, here := v.machines.click(x, y)
	if here {
		v.onMachines = true
	} else if resort, here = v.processes.click(x, y); here {
		v.onMachines = false
	}
	if resort {
		v.arrange()
	}
}
