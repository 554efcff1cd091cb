package term

import (
	"strconv"

	"sarn/internal/monitor/sample"
)

// header draws what the machine is and does, at the top, in at most most rows, and
// returns the row below.
func (v *view) header(most int) int {
	y := v.banner(most)
	if v.past.on && v.past.noPicture() {
		return y
	}
	for _, line := range []func(y int){v.taskLine, v.cpuLine} {
		if y < most {
			line(y)
			y++
		}
	}
	if most-y > 3 {
		y = v.cores(y, min(most-y-2, max(v.g.h/5, 1)))
	}
	if y < most {
		y = v.memory(y, most)
	}
	return y
}

// banner draws what is to be seen first: the host, or that this is the past, with the
// strip of it; and the worst alert.
func (v *view) banner(most int) int {
	switch {
	case most < 1:
		return 0
	case v.past.on:
		v.pastLine(0)
	default:
		v.hostLine(0)
	}
	y := 1
	if y < most {
		y = v.alertLine(y)
	}
	if v.past.on {
		y = v.strip(y, most-y)
	}
	return y
}

// words is a line that is written piece by piece.
type words struct {
	g         *grid
	x, y, end int
}

func (v *view) line(x, y int) words { return words{&v.g, x, y, v.g.w} }

func (w *words) text(s string, l look)  { w.x = w.g.text(w.x, w.y, max(w.end-w.x, 0), s, l) }
func (w *words) bytes(b []byte, l look) { w.x = w.g.bytes(w.x, w.y, max(w.end-w.x, 0), b, l) }

// figure writes a name and what it is.
func (w *words) figure(name string, b []byte, l look) {
	if w.x+len(name)+len(b)+3 > w.end {
		w.x = w.end // whole figures only
		return
	}
	w.text("  ", plain)
	if name != "" {
		w.text(name, dim)
		w.text(" ", plain)
	}
	w.bytes(b, l)
}

func (v *view) hostLine(y int) {
	s := v.sample
	w := v.line(v.g.text(0, y, min(v.g.w/3, 40), s.Host.Name, strong), y)
	clock := s.Time.Local().AppendFormat(v.b[:0], "15:04:05")
	v.g.right(v.g.w-len(clock), y, len(clock), clock, plain)
	w.end -= len(clock) + 1
	if v.origin.From != "" {
		w.text("  from ", dim)
		w.text(v.origin.From, plain)
	}
	if v.origin.Down {
		w.text("  NO CONNECTION", bad)
	}
	if v.paused {
		w.text("  PAUSED", warn)
	}
	w.figure("up", uptime(v.b[:0], s.Time.Sub(s.Host.Boot)), plain)
	b := number(v.b[:0], s.Load[0], 2)
	b = number(append(b, ' '), s.Load[1], 2)
	w.figure("load", number(append(b, ' '), s.Load[2], 2), plain)
	w.figure("every", append(number(v.b[:0], v.interval.Seconds(), -1), 's'), plain)
	if room := w.end - w.x - 2; room > 20 {
		v.g.text(w.x+2, y, room, s.Host.Model, dim)
	}
}

func (v *view) taskLine(y int) {
	s, t := v.sample, &v.sample.Tasks
	w := v.line(0, y)
	w.text("tasks ", dim)
	w.bytes(strconv.AppendInt(v.b[:0], int64(t.Processes), 10), plain)
	if v.past.on { // history keeps the first ones by CPU, memory, disk and network
		w.figure("kept", strconv.AppendInt(v.b[:0], int64(len(s.Processes)), 10), plain)
	}
	w.figure("thr", strconv.AppendInt(v.b[:0], int64(t.Threads), 10), plain)
	w.figure("run", strconv.AppendInt(v.b[:0], int64(t.Running), 10), plain)
	if t.Blocked > 0 {
		w.figure("blocked", strconv.AppendInt(v.b[:0], int64(t.Blocked), 10), warn)
	}
	if t.Zombie > 0 {
		w.figure("zombie", strconv.AppendInt(v.b[:0], int64(t.Zombie), 10), warn)
	}
	if p := s.Pressure; p != nil {
		w.figure("psi cpu", percent(v.b[:0], p.CPU.Some10), pressed(p.CPU.Some10))
		w.figure("mem", percent(v.b[:0], p.Memory.Some10), pressed(p.Memory.Some10))
		w.figure("io", percent(v.b[:0], p.IO.Some10), pressed(p.IO.Some10))
	}
	w.figure("ctx/s", size(v.b[:0], t.ContextSwitches), plain)
	w.figure("forks/s", size(v.b[:0], t.Forks), plain)
}

// pressed is the look of a share of stalled time.
func pressed(share float64) look {
	if share >= 0.1 {
		return warn
	}
	return plain
}

func (v *view) cpuLine(y int) {
	t := &v.sample.CPU.Total
	v.parts = cpuParts(v.parts, t)
	width := min(v.g.w-4, max(v.g.w/3, 20))
	v.g.text(0, y, 4, "CPU", dim)
	v.g.bar(4, y, width, v.parts, append(percent(v.b[:0], t.Busy()), '%'))
	w := v.line(4+width, y)
	if r := v.past.record; v.past.on && r != nil && r.Peak != nil && !v.past.peaks {
		w.figure("peak", percent(v.b[:0], r.Peak.CPU.Total.Busy()), strong)
	}
	w.figure("|us", percent(v.b[:0], t.User), plain)
	w.figure("#sy", percent(v.b[:0], t.System), plain)
	w.figure("wait", percent(v.b[:0], t.IOWait), pressed(t.IOWait))
	w.figure("steal", percent(v.b[:0], t.Steal), pressed(t.Steal))
	w.figure("nice", percent(v.b[:0], t.Nice), plain)
	w.figure("irq", percent(v.b[:0], t.IRQ+t.SoftIRQ), plain)
	w.figure("guest", percent(v.b[:0], t.Guest), plain)
}

// cores draws a bar for each, folded into as few columns as most rows allow. Where not
// even narrow ones fit, each has one character: 0 to 9 are tenths, * is all.
func (v *view) cores(y, most int) int {
	all := v.sample.CPU.Cores
	if len(all) == 0 || most < 1 {
		return y
	}
	const narrow, wide = 14, 40
	columns := max((len(all)+most-1)/most, min(v.g.w/wide, len(all)))
	if v.g.w/columns < narrow {
		return v.dense(y, most)
	}
	rows, width := (len(all)+columns-1)/columns, v.g.w/columns
	for i := range all {
		x, row := i/rows*width, y+i%rows
		name := strconv.AppendInt(v.b[:0], int64(i), 10)
		v.g.right(x, row, 3, name, dim)
		v.parts = cpuParts(v.parts, &all[i])
		v.g.bar(x+3, row, width-4, v.parts, percent(v.b[:0], all[i].Busy()))
	}
	return y + rows
}

func (v *view) dense(y, most int) int {
	all := v.sample.CPU.Cores
	rows := min((len(all)+v.g.w-1)/v.g.w, most)
	for i := range min(len(all), rows*v.g.w) {
		c, l := byte('*'), warn
		if busy := all[i].Busy(); busy < 0.95 {
			c, l = byte('0'+int(busy*10+0.5)), plain
			if c == '0' {
				c, l = '.', dim
			}
		}
		v.g.ascii(i%v.g.w, y+i/v.g.w, c, l)
	}
	if more := len(all) - rows*v.g.w; more > 0 {
		b := append(strconv.AppendInt(append(v.b[:0], " +"...), int64(more), 10), " CPUs"...)
		v.g.right(0, y+rows-1, v.g.w, b, strong)
	}
	return y + rows
}

// memory draws memory and swap, side by side if that leaves both some room.
func (v *view) memory(y, most int) int {
	m, s := &v.sample.Memory, &v.sample.Swap
	width, beside := v.g.w, false
	if v.g.w >= 70 && s.Total > 0 {
		width, beside = v.g.w/2, true
	}
	v.memoryBar(0, y, width, m)
	if s.Total == 0 || (!beside && y+1 >= most) {
		return y + 1
	}
	x := width
	if !beside {
		y, x = y+1, 0
	}
	used := s.Total - min(s.Free, s.Total)
	v.g.text(x, y, 4, "Swp", dim)
	v.parts = append(v.parts[:0], part{float64(used) / float64(s.Total), '|', bad})
	label := size(v.b[:0], float64(used))
	label = size(append(label, '/'), float64(s.Total))
	if s.In+s.Out > 0 {
		label = size(append(label, " in "...), s.In)
		label = size(append(label, " out "...), s.Out)
	}
	v.g.bar(x+4, y, v.g.w-x-4, v.parts, label)
	return y + 1
}

func (v *view) memoryBar(x, y, w int, m *sample.Memory) {
	v.g.text(x, y, 4, "Mem", dim)
	if m.Total == 0 {
		return
	}
	total := float64(m.Total)
	cache := m.Available - min(m.Free, m.Available)
	v.parts = append(v.parts[:0], part{float64(m.Used()) / total, '|', user}, part{float64(cache) / total, 'c', cached})
	label := size(v.b[:0], float64(m.Used()))
	label = size(append(label, '/'), total)
	v.g.bar(x+4, y, w-5, v.parts, label)
}
