package term

import (
	"strconv"
	"time"

	"sarn/internal/monitor/sample"
)

// page is what fills the screen.
type page int

const (
	overview page = iota
	oneProcess
	oneMachine
	help
	alerted
)

// mode says which tables the overview has.
type mode int

const (
	both mode = iota
	processesOnly
	machinesOnly
	modes
)

// view is the state of the screen. It does no I/O: keys, clicks and samples go in, cells
// come out of g.
type view struct {
	g        grid
	version  string
	interval time.Duration
	actions  Actions
	do       func(action func() result) // runs it elsewhere and brings the result back

	sample *sample.Sample
	latest *sample.Sample // came while paused or in the past
	paused bool
	origin Status // of the samples

	hasHistory, hasAlerts bool
	past                  past
	alerts                Alerts

	processes  *processes
	machines   *machines
	mode       mode
	onMachines bool // keys go to the machines
	search     string

	page    page
	scroll  int // of a page of text
	process *sample.Process
	machine *sample.Machine
	ended   bool // the one in full is gone; what is shown is its last sample

	prompt  *prompt
	late    time.Duration // without a sample, 0 as long as they come
	message string
	wrong   bool // the message is an error
	quit    bool
	canBack bool // q and Esc go back to where the view was opened
	back    bool // a person has gone back
	pasting bool
	held    bool // the mouse button

	// Memory used again with every drawing.
	b     []byte
	parts []part
	order []int
	all   []panel
}

// result is what became of an action, for the status line.
type result struct {
	message string
	wrong   bool
}

// rows is what both tables can do.
type rows interface {
	move(by int)
	scroll(by int)
	sortKey(key rune) bool
	sortNext(by int)
	turn()
	find(text string, by int) bool
	clearChoice()
	chooseFirst()
	page() int
	click(x, y int) (resort, here bool)
}

func newView(c *Config) *view {
	return &view{
		hasHistory: c.History != nil, hasAlerts: c.Alerts != nil, past: past{zoom: firstZoom},
		version: c.Version, interval: c.Interval, actions: c.Actions, canBack: c.Back,
		processes: newProcesses(), machines: newMachines(), b: make([]byte, 0, 256),
	}
}

// focused is the table that keys go to.
func (v *view) focused() rows {
	if v.machinesFocused() {
		return v.machines
	}
	return v.processes
}

// machinesFocused: with both tables, machines that have no room get no keys.
func (v *view) machinesFocused() bool {
	return v.mode == machinesOnly || (v.mode == both && v.onMachines && v.machines.height > 0)
}

// take takes a new sample, or keeps it for later while paused or in the past.
func (v *view) take(s *sample.Sample) {
	if (v.paused || v.past.on) && v.sample != nil {
		v.latest = s
		return
	}
	v.show(s)
}

func (v *view) show(s *sample.Sample) {
	v.sample = s
	v.arrange()
	v.refreshOne()
}

// arrange makes the rows again, after a sample or a change of order.
func (v *view) arrange() {
	if v.sample == nil {
		return
	}
	v.processes.take(v.sample)
	v.machines.take(v.sample)
}

// refreshOne finds the process or machine that is shown in full.
func (v *view) refreshOne() {
	v.ended = true
	switch v.page {
	case oneProcess:
		for i := range v.sample.Processes {
			if p := &v.sample.Processes[i]; processID(p) == processID(v.process) {
				v.process, v.ended = p, false
			}
		}
	case oneMachine:
		for i := range v.sample.Machines {
			if m := &v.sample.Machines[i]; m.ID == v.machine.ID {
				v.machine, v.ended = m, false
			}
		}
	}
}

func (v *view) pause() {
	if v.past.on { // it stands still already
		v.live()
		return
	}
	v.paused = !v.paused
	if !v.paused && v.latest != nil {
		s := v.latest
		v.latest = nil
		v.take(s)
	}
}

// draw draws everything into the grid, which becomes w by h.
func (v *view) draw(w, h int) {
	v.g.clear(w, h)
	switch {
	case v.page == help:
		v.text(v.helpText())
	case v.page == alerted:
		v.text(v.alertsText())
	case v.sample == nil:
		w := v.line(0, 0)
		w.text("sarn top: waiting for the first sample", plain)
		if v.origin.From != "" {
			w.text(" of ", plain)
			w.text(v.origin.From, strong)
		}
	case v.page == oneProcess:
		v.text(v.processText())
	case v.page == oneMachine:
		v.text(v.machineText())
	default:
		v.overview()
	}
	v.status()
}

// overview draws from the top what matters most: where there is no room, panels go
// first, and some rows of a table and the status line always stay.
func (v *view) overview() {
	v.processes.hide()
	v.machines.hide()
	h := v.g.h - 1 // without the status line
	most := h - min(max(h/3, 3), h)
	if v.past.on { // whatever else has no room, that this is not now has
		most = max(most, min(h, 1))
	}
	y := v.header(most)
	if v.past.on && v.past.noPicture() {
		v.whyNoPicture(y)
		return
	}
	y = v.panels(y, h-y-max(h/2, 6))
	left := h - y
	if left < 1 {
		return
	}
	machineRows := 0
	switch {
	case v.mode == machinesOnly:
		machineRows = left
	case v.mode == both && len(v.machines.rows) > 0 && left >= 5:
		machineRows = min(len(v.machines.rows)+1, max(left/3, 2))
	}
	focused := v.mode == machinesOnly || (v.onMachines && machineRows > 0)
	if machineRows > 0 {
		v.machines.draw(&v.g, y, machineRows, focused)
	}
	if v.mode == machinesOnly && len(v.sample.Machines) == 0 {
		v.g.text(0, y+1, v.g.w, "No VM and no container was found here.", dim)
	}
	if left > machineRows {
		v.processes.draw(&v.g, y+machineRows, left-machineRows, !focused)
	}
}

// status draws the last line: a question, else a message, else hints.
func (v *view) status() {
	y := v.g.h - 1
	switch {
	case v.prompt != nil:
		v.prompt.draw(&v.g, y)
	case v.message != "" && v.wrong:
		v.g.text(v.g.text(0, y, v.g.w, "error: ", bad), y, v.g.w, v.message, bad)
	case v.message != "":
		v.g.text(0, y, v.g.w, v.message, strong)
	case v.past.on && v.past.err != nil:
		w := v.line(0, y)
		w.text("history: ", bad)
		w.text(v.past.err.Error(), bad)
	case v.origin.Down:
		v.downness(y)
	case v.late > 0:
		v.lateness(y)
	default:
		v.hints(y)
	}
}

// downness says that there is no connection.
func (v *view) downness(y int) {
	w := v.line(0, y)
	w.text("no connection since ", bad)
	w.bytes(v.origin.Since.Local().AppendFormat(v.b[:0], time.TimeOnly), bad)
	w.text(", trying again", bad)
	if v.origin.Error != "" {
		w.text(": ", bad)
		w.text(v.origin.Error, plain)
	}
}

func (v *view) lateness(y int) {
	w := v.line(0, y)
	w.text("no sample for ", bad)
	w.bytes(append(number(v.b[:0], v.late.Seconds(), 0), 's'), bad)
	w.text(": what is shown is from before; q quits", bad)
}

func (v *view) hints(y int) {
	w := v.line(0, y)
	if v.page != overview {
		w.text("Esc back  arrows scroll  q quit", dim)
		return
	}
	if f := v.processes.filter; f != "" {
		w.text("filter: ", strong)
		w.text(f, strong)
		w.text(" (Esc clears)  ", dim)
	}
	if v.processes.tree {
		w.text("tree  ", strong)
	}
	if v.past.on {
		if v.g.h == 1 { // there is no other line that could say it
			w.text("PAST ", warn)
		}
		w.text("<- -> time  () spike  {} alert  g go to  zZ zoom  m metric  e peaks  l now  ?", dim)
		return
	}
	w.text("? help  q quit  ", dim)
	if v.sample != nil && len(v.sample.Missing) > 0 {
		m := &v.sample.Missing[0]
		w.text("not seen: ", warn)
		w.text(m.What, plain)
		w.text(": ", plain)
		w.text(m.Why, plain)
		if m.Help != "" {
			w.text("; ", plain)
			w.text(m.Help, plain)
		}
		if n := len(v.sample.Missing); n > 1 {
			more := strconv.AppendInt(append(v.b[:0], " +"...), int64(n-1), 10)
			v.g.right(v.g.w-len(more), y, len(more), more, warn)
		}
		return
	}
	w.text("/ filter  s search  t tree  ", dim)
	if v.actions != nil {
		w.text("k kill  r renice  ", dim)
	}
	w.text("v view  <- past  a alerts", dim)
}
