package term

import (
	"strconv"
	"strings"
	"time"

	"sarn/internal/monitor/sample"
)

// item is a line of a page of text. A value that is too long goes on in the next lines.
type item struct{ name, value string }

const nameWidth = 16

// text draws a page of items, scrolled.
func (v *view) text(items []item) {
	h := v.g.h - 1
	lines := 0
	for _, it := range items {
		lines += lineCount(it.value, v.valueWidth())
	}
	v.scroll = min(max(v.scroll, 0), max(lines-h, 0))
	y := -v.scroll
	for _, it := range items {
		if it.value == "" && y < h { // a title
			v.g.text(0, y, v.g.w, it.name, heading)
			y++
			continue
		}
		if y < h {
			v.g.text(0, y, min(nameWidth, v.g.w), it.name, dim)
		}
		for rest := it.value; rest != "" && y < h; y++ {
			rest = v.wrap(y, h, rest)
		}
	}
	if lines > h && h > 0 {
		b := append(strconv.AppendInt(v.b[:0], int64(min(v.scroll+h, lines)), 10), '/')
		b = strconv.AppendInt(b, int64(lines), 10)
		v.g.right(v.g.w-len(b), v.g.h-1, len(b), b, dim)
	}
}

func (v *view) valueWidth() int { return max(v.g.w-nameWidth-1, 8) }

// wrap draws one line of s, if the line is on the page, and returns the rest.
func (v *view) wrap(y, h int, s string) string {
	for x, end := nameWidth, nameWidth+v.valueWidth(); s != ""; {
		_, rest, cells := next(s)
		if x+cells > end {
			break
		}
		if y >= 0 && y < h {
			v.g.text(x, y, cells, s[:len(s)-len(rest)], plain)
		}
		x, s = x+cells, rest
	}
	return s
}

func lineCount(s string, width int) int {
	n, x := 1, 0
	for s != "" {
		_, rest, cells := next(s)
		if x+cells > width {
			n, x = n+1, 0
		}
		x, s = x+cells, rest
	}
	return n
}

// amount is a size or a rate for a page.
func amount(bytes float64, unit string) string {
	if bytes < 0 {
		return "not told to this user"
	}
	return string(size(nil, bytes)) + unit
}

func (v *view) processText() []item {
	p := v.process
	title := "Process " + strconv.Itoa(p.PID) + " " + p.Name
	if v.ended {
		title += " (has ended; its last sample)"
	}
	items := []item{
		{title, ""},
		{"user", orNone(p.User)},
		{"state", p.State + " " + stateName(p.State)},
		{"parent", strconv.Itoa(p.Parent)},
		{"started", p.Start.Local().Format(time.DateTime) + ", " + string(uptime(nil, v.sample.Time.Sub(p.Start))) + " ago"},
		{"threads", strconv.Itoa(p.Threads)},
		{"nice", strconv.Itoa(p.Nice)},
		{"CPU", string(percent(nil, p.CPU)) + "% of one CPU"},
		{"CPU time", string(cpuTime(nil, p.CPUTime))},
		{"resident", amount(float64(p.Resident), "")},
		{"virtual", amount(float64(p.Virtual), "")},
		{"shared", amount(float64(p.Shared), "")},
		{"disk read", amount(p.ReadBytes, "/s")},
		{"disk written", amount(p.WriteBytes, "/s")},
		{"net received", amount(p.RxBytes, "/s")},
		{"net sent", amount(p.TxBytes, "/s")},
	}
	if p.Machine != "" {
		items = append(items, item{"machine", p.Machine})
	}
	return append(items, item{"command", orNone(p.Command)}) // last, as it may be long
}

func (v *view) machineText() []item {
	m := v.machine
	title := string(m.Kind) + " " + machineName(m)
	if v.ended {
		title += " (has gone; its last sample)"
	}
	items := []item{
		{title, ""},
		{"id", orNone(m.ID)},
		{"run by", m.By + ", process " + strconv.Itoa(m.PID)},
		{"state", orNone(m.State)},
		{"CPU", string(percent(nil, m.CPU)) + "% of one CPU; may use " + string(limitCPUs(nil, m))},
		{"memory", amount(float64(m.Used), "") + " of the host's; given " + string(limitMemory(nil, m))},
		{"disk read", amount(m.ReadBytes, "/s")},
		{"disk written", amount(m.WriteBytes, "/s")},
		{"net received", amount(m.RxBytes, "/s")},
		{"net sent", amount(m.TxBytes, "/s")},
		{"interfaces", orNone(strings.Join(m.Interfaces, " "))},
		{"processes", strconv.Itoa(m.Processes)},
	}
	for i, share := range m.VCPUs {
		items = append(items, item{"vCPU " + strconv.Itoa(i), string(percent(nil, share)) + "%"})
	}
	for _, p := range v.sample.Processes {
		if p.Machine == m.ID {
			items = append(items, item{"process " + strconv.Itoa(p.PID), processLine(&p)})
		}
	}
	return items
}

func processLine(p *sample.Process) string {
	return string(percent(nil, p.CPU)) + "%  " + string(size(nil, float64(p.Resident))) + "  " + commandOf(p)
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// stateName says what the letter of proc_pid_stat(5) means.
func stateName(state string) string {
	switch state {
	case "R":
		return "running"
	case "S":
		return "sleeping"
	case "D":
		return "waiting for a device, not interruptible"
	case "Z":
		return "has ended, its parent has not asked"
	case "T":
		return "stopped"
	case "t":
		return "stopped by a debugger"
	case "I":
		return "idle"
	}
	return ""
}

func (v *view) helpText() []item {
	items := []item{
		{"sarn top " + v.version, ""},
		{"↑ ↓ PgUp PgDn", "choose a row; Home and End too; Esc lets go and clears the filter"},
		{"Enter", "the process or machine in full"},
		{"/", "show only rows with a text in command, user, machine or PID; as you type"},
		{"s n N", "search; next and previous match"},
		{"< > R", "sort by the column beside; the other way round"},
		{"t", "tree of processes"},
		{"v Tab", "processes and machines, processes, machines"},
		{"k r", "send a signal; set the nice value; both ask first"},
		{"p Space", "pause, go on"},
		{"+ -", "longer and shorter interval"},
		{"a", "alerts: active, pending, past"},
		{"← →", "a column back or forward in time; with Shift, or [ ], ten; held down ever faster"},
		{"g", "go to a time: 03:12, yesterday 14:00, mon 9:30, 2026-05-04 03:12, -2h"},
		{"( ) m", "the spike before and after; in which metric"},
		{"{ }", "where the alert before and after began"},
		{"z Z", "more and less time in a column of the strip"},
		{"e", "of a record of the past the peaks, or the means"},
		{"l Esc", "from the past to now"},
		{"mouse", "click a heading to sort, a row to choose it; the wheel scrolls"},
		{"Ctrl-L", "draw the screen again, after something else has written on it"},
		{"q Ctrl-C", "quit"},
		{"Sort processes", ""},
	}
	for _, c := range v.processes.columns {
		items = append(items, item{string(c.key), c.title})
	}
	items = append(items, item{"Sort machines", ""})
	for _, c := range v.machines.columns {
		items = append(items, item{string(c.key), c.title})
	}
	items = append(items, item{"Signs", ""},
		item{"bars", "| user or used, # system, n nice, i interrupts, s stolen, w waiting for I/O, c cache"},
		item{"CPU in one sign", ". is idle, 1 to 9 tenths, * all"},
		item{"strip of time", "the same signs, of the largest in the time of a column; blank: nothing is known; !: an alert began"},
		item{"!", "too much"},
		item{"?", "the kernel does not tell this user"})
	if v.sample != nil && len(v.sample.Missing) > 0 {
		items = append(items, item{"Not seen", ""})
		for _, m := range v.sample.Missing {
			items = append(items, item{m.What, strings.TrimSuffix(m.Why+"; "+m.Help, "; ")})
		}
	}
	return items
}
