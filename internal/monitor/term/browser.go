package term

import (
	"strconv"
	"time"

	"github.com/gdamore/tcell/v2"
)

// browser is the state of the list of hosts. It does no I/O.
type browser struct {
	// list has the grid, the question, the message and the pages of text, as the view of
	// one host has.
	list   *view
	all    []HostStatus
	notes  []string
	now    time.Time
	opened string // a host that a person has opened

	hosts     *table[HostStatus, string]
	processes *table[hostProcess, processKey]
	machines  *table[hostMachine, machineKey]
	of        []hostProcess
	ofMachine []hostMachine
	tab       int // of the three
}

// The tabs.
const (
	hostsTab = iota
	processesTab
	machinesTab
	tabs
)

func newBrowser(c *BrowseConfig) *browser {
	return &browser{list: newView(&Config{Version: c.Version}), hosts: newHosts(), processes: newHostProcesses(), machines: newHostMachines()}
}

func (b *browser) fail(err error) { b.list.message, b.list.wrong = err.Error(), true }

// take takes what is known now.
func (b *browser) take(all []HostStatus, notes []string) {
	b.notes, b.now = notes, time.Now()
	if b.list.paused {
		return
	}
	b.all = all
	b.arrange()
}

// arrange makes the rows again.
func (b *browser) arrange() {
	b.of, b.ofMachine = b.of[:0], b.ofMachine[:0]
	for i := range b.all {
		s := b.all[i].Summary
		if s == nil {
			continue
		}
		for j := range s.Processes {
			b.of = append(b.of, hostProcess{b.all[i].Name, &s.Processes[j]})
		}
		for j := range s.Machines {
			b.ofMachine = append(b.ofMachine, hostMachine{b.all[i].Name, &s.Machines[j]})
		}
	}
	fill(b.hosts, b.all)
	fill(b.processes, b.of)
	fill(b.machines, b.ofMachine)
}

// fill makes a table's rows of those that match its filter.
func fill[T any, K comparable](t *table[T, K], all []T) {
	t.rows = t.rows[:0]
	for i := range all {
		if t.filter == "" || t.matches(&all[i], t.filter) {
			t.rows = append(t.rows, &all[i])
		}
	}
	t.arrange()
}

func (b *browser) table() rows {
	switch b.tab {
	case processesTab:
		return b.processes
	case machinesTab:
		return b.machines
	}
	return b.hosts
}

// chosen is the host of the chosen row.
func (b *browser) chosen() string {
	switch b.tab {
	case processesTab:
		if r := b.processes.row(); r != nil {
			return r.host
		}
	case machinesTab:
		if r := b.machines.row(); r != nil {
			return r.host
		}
	default:
		if r := b.hosts.row(); r != nil {
			return r.Name
		}
	}
	return ""
}

func (b *browser) filter(text string) {
	b.hosts.filter, b.processes.filter, b.machines.filter = text, text, text
	b.arrange()
}

// draw draws everything into the grid, which becomes w by h.
func (b *browser) draw(w, h int) {
	v := b.list
	v.g.clear(w, h)
	if v.page == help {
		v.text(b.helpText())
		b.status()
		return
	}
	b.hosts.hide()
	b.processes.hide()
	b.machines.hide()
	b.header()
	const top = 2
	if rows := h - top - 1; rows > 0 {
		switch b.tab {
		case processesTab:
			b.processes.draw(&v.g, top, rows, true)
		case machinesTab:
			b.machines.draw(&v.g, top, rows, true)
		default:
			b.hosts.draw(&v.g, top, rows, true)
		}
	}
	b.status()
}

// header counts.
func (b *browser) header() {
	v := b.list
	up, down, vms, containers, alerts := 0, 0, 0, 0, 0
	for i := range b.all {
		switch s := b.all[i].Summary; {
		case s != nil:
			up++
			vms, containers, alerts = vms+s.VMs, containers+s.Containers, alerts+s.Alerts
		case b.all[i].State == "down":
			down++
		}
	}
	w := v.line(0, 0)
	at := b.now.AppendFormat(v.b[:0], "15:04:05")
	v.g.right(v.g.w-len(at), 0, len(at), at, plain)
	w.end -= len(at) + 1
	n := func(i int) []byte { return strconv.AppendInt(v.b[:0], int64(i), 10) }
	w.bytes(n(len(b.all)), strong)
	w.text(" hosts", strong)
	if v.paused {
		w.text("  PAUSED", warn)
	}
	w.figure("up", n(up), plain)
	if down > 0 {
		w.figure("down", append(n(down), '!'), bad)
	}
	if rest := len(b.all) - up - down; rest > 0 {
		w.figure("connecting", n(rest), plain)
	}
	w.figure("VMs", n(vms), plain)
	w.figure("containers", n(containers), plain)
	if alerts > 0 {
		w.figure("alerts", append(n(alerts), '!'), warn)
	}
	w = v.line(0, 1)
	for i, name := range []string{"1 Hosts", "2 Processes", "3 Machines"} {
		l := dim
		if i == b.tab {
			l = selected
		}
		w.text(" "+name+" ", l)
		w.text(" ", plain)
	}
}

func (b *browser) status() {
	v, y := b.list, b.list.g.h-1
	switch {
	case v.prompt != nil || v.message != "" || v.page == help:
		v.status()
		return
	case len(b.notes) > 0 && b.hosts.filter == "":
		w := v.line(0, y)
		w.text("not found: ", warn)
		w.text(b.notes[0], plain)
		return
	}
	w := v.line(0, y)
	if h := b.hosts.row(); b.tab == hostsTab && !b.hosts.first && h != nil && note(h) != "" { // in full, which the row has no room for
		w.text(h.Name, strong)
		w.text(": ", plain)
		w.text(note(h), plain)
		return
	}
	if f := b.hosts.filter; f != "" {
		w.text("filter: ", strong)
		w.text(f, strong)
		w.text(" (Esc clears)  ", dim)
	}
	w.text("Enter opens  ? help  q quit  / filter  s search  v view  p pause", dim)
}

func (b *browser) helpText() []item {
	items := []item{
		{"sarn top --browse " + b.list.version, ""},
		{"↑ ↓ PgUp PgDn", "choose a row; Home and End too; Esc goes back to the first and clears the filter"},
		{"Enter", "open the host; there q and Esc come back here"},
		{"1 2 3 v Tab", "hosts, processes of all hosts, VMs and containers of all hosts"},
		{"/", "show only rows with a text in them; as you type"},
		{"s n N", "search; next and previous match"},
		{"< > R", "sort by the column beside; the other way round"},
		{"p Space", "pause, go on"},
		{"mouse", "click a heading to sort, a row to choose it; the wheel scrolls"},
		{"q Ctrl-C", "quit"},
		{"Sort hosts", ""},
	}
	for _, c := range b.hosts.columns {
		items = append(items, item{string(c.key), c.title})
	}
	return append(items,
		item{"What is shown", ""},
		item{"PSI%", "the worst of the pressures on CPU, memory and I/O: time that some waited, of the last 10 s"},
		item{"Processes", "of each host the first ten by CPU, memory, disk and network"},
		item{"-", "not known, as the host is not up"})
}

// event takes what comes from the terminal.
func (b *browser) event(ev tcell.Event) {
	v := b.list
	switch ev := ev.(type) {
	case *tcell.EventKey:
		if !v.pasting || (v.prompt != nil && ev.Key() == tcell.KeyRune) {
			b.key(ev)
		}
	case *tcell.EventPaste:
		v.pasting = ev.Start()
	case *tcell.EventMouse:
		b.mouse(ev)
	case *tcell.EventResize:
		v.g.w = 0 // nothing is known of what the terminal shows
	}
}

func (b *browser) key(ev *tcell.EventKey) {
	v := b.list
	v.message = ""
	switch {
	case v.prompt != nil:
		if p := v.prompt; p.key(ev) && v.prompt == p {
			v.prompt = nil
		}
	case ev.Key() == tcell.KeyCtrlC:
		v.quit = true
	case ev.Key() == tcell.KeyF1 || ev.Rune() == '?':
		v.toggleHelp()
	case v.page == help:
		v.pageKey(ev)
	case ev.Key() == tcell.KeyRune:
		b.letter(ev.Rune())
	default:
		b.move(ev)
	}
}

func (b *browser) letter(r rune) {
	v, t := b.list, b.table()
	switch r {
	case 'q':
		v.quit = true
	case '1', '2', '3':
		b.tab = int(r - '1')
	case 'v':
		b.tab = (b.tab + 1) % tabs
	case '/':
		before := b.hosts.filter
		v.prompt = &prompt{label: "filter: ", text: before, typed: b.filter, enter: b.filter, cancel: func() { b.filter(before) }}
	case 's':
		v.prompt = &prompt{label: "search: ", enter: func(text string) {
			v.search = text
			b.find(1)
		}}
	case 'n':
		b.find(1)
	case 'N':
		b.find(-1)
	case 'p', ' ':
		v.paused = !v.paused
	case '<', ',':
		t.sortNext(-1)
	case '>', '.':
		t.sortNext(1)
	case 'R':
		t.turn()
	default:
		if !t.sortKey(r) {
			return
		}
	}
	b.arrange()
}

func (b *browser) find(by int) {
	switch {
	case b.list.search == "":
		b.list.say("s searches; n and N go to the next and the one before")
	case !b.table().find(b.list.search, by):
		b.list.say("nothing here has " + b.list.search)
	}
}

func (b *browser) move(ev *tcell.EventKey) {
	t := b.table()
	switch ev.Key() {
	case tcell.KeyUp:
		t.move(-1)
	case tcell.KeyDown:
		t.move(1)
	case tcell.KeyPgUp:
		t.move(-t.page())
	case tcell.KeyPgDn:
		t.move(t.page())
	case tcell.KeyHome:
		t.move(-1 << 30)
	case tcell.KeyEnd:
		t.move(1 << 30)
	case tcell.KeyTab:
		b.tab = (b.tab + 1) % tabs
	case tcell.KeyBacktab:
		b.tab = (b.tab + tabs - 1) % tabs
	case tcell.KeyEnter, tcell.KeyRight:
		if b.opened = b.chosen(); b.opened == "" {
			b.list.say("the chosen host is not in this list: choose another with arrow keys or a click")
		}
	case tcell.KeyEscape:
		t.chooseFirst()
		b.filter("")
	}
}

func (b *browser) mouse(ev *tcell.EventMouse) {
	v, t := b.list, b.table()
	x, y, by, clicked := v.pointer(ev)
	switch {
	case v.prompt != nil:
	case v.page == help:
		v.scroll += by
	case by != 0:
		t.scroll(by)
	case clicked:
		v.message = ""
		if resort, _ := t.click(x, y); resort {
			b.arrange()
		}
	}
}

// clock is a time as it is told of today, with the day of another one.
func clock(t time.Time) string {
	now := time.Now()
	if t = t.In(now.Location()); t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}
