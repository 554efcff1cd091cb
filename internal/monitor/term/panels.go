package term

import (
	"cmp"
	"slices"
	"strconv"

	"sarn/internal/monitor/sample"
)

// panel is a list of things with figures, beside others.
type panel struct {
	title   string
	figures string // over the columns of figures
	n       int
	weight  func(i int) float64 // which go first when not all have room
	name    func(i int) string
	row     func(b []byte, i int) ([]byte, look)
}

// panels draws disks, interfaces, filesystems and sensors in at most most rows from y,
// and returns the row below. What has no room is not drawn, sensors first.
func (v *view) panels(y, most int) int {
	const narrow = 40
	all := v.shownPanels()
	across := max(min(v.g.w/narrow, len(all)), 1)
	width := v.g.w / across
	for len(all) > 0 && most >= 2 {
		row := all[:min(across, len(all))]
		all = all[len(row):]
		left := (len(all) + across - 1) / across
		height := 0
		for i := range row {
			height = max(height, row[i].n+1)
		}
		height = min(height, max(most/(left+1), 2), most)
		for i := range row {
			v.panel(&row[i], i*width, y, width-1, height)
		}
		y, most = y+height, most-height
	}
	return y
}

// shownPanels is the panels that have something to show.
func (v *view) shownPanels() []panel {
	s := v.sample
	v.all = v.all[:0]
	for _, p := range []panel{disks(s.Disks), interfaces(s.Interfaces), filesystems(s.Filesystems), sensors(s.Sensors)} {
		if p.n > 0 {
			v.all = append(v.all, p)
		}
	}
	return v.all
}

// panel draws one. With more things than rows the weightiest are shown, and the title
// says how many are not.
func (v *view) panel(p *panel, x, y, w, h int) {
	end := v.g.text(x, y, w, p.title, heading)
	v.order = v.order[:0]
	for i := range p.n {
		v.order = append(v.order, i)
	}
	if p.n > h-1 {
		slices.SortStableFunc(v.order, func(a, b int) int { return cmp.Compare(p.weight(b), p.weight(a)) })
		v.order = v.order[:h-1]
		slices.Sort(v.order) // in their places, as long as they are the same ones
		more := strconv.AppendInt(append(v.b[:0], " +"...), int64(p.n-len(v.order)), 10)
		end = v.g.bytes(end, y, x+w-end, more, dim)
	}
	if end+len(p.figures)+1 <= x+w {
		v.g.text(x+w-len(p.figures), y, len(p.figures), p.figures, dim)
	}
	for row, i := range v.order {
		figures, l := p.row(v.b[:0], i)
		at := x + w - len(figures)
		v.g.bytes(at, y+1+row, len(figures), figures, l)
		v.g.text(x, y+1+row, max(at-x-1, 0), p.name(i), plain)
	}
}

// pad makes what was appended since from width characters wide, aligned right.
func pad(b []byte, from, width int) []byte {
	for n := width - (len(b) - from); n > 0; n-- {
		b = slices.Insert(b, from, ' ')
	}
	return b
}

func column6(b []byte, v float64) []byte { return pad(size(b, v), len(b), 7) }

func disks(all []sample.Disk) panel {
	return panel{"Disks", "READ/s WRIT/s    wait busy% ", len(all),
		func(i int) float64 { return all[i].Busy },
		func(i int) string { return all[i].Name },
		func(b []byte, i int) ([]byte, look) {
			d := &all[i]
			b = column6(b, d.ReadBytes)
			b = column6(b, d.WriteBytes)
			from := len(b)
			b = pad(append(number(b, d.Wait*1000, 1), "ms"...), from, 8)
			from = len(b)
			b = pad(percent(b, d.Busy), from, 6)
			return mark(b, d.Busy >= 0.9)
		}}
}

func interfaces(all []sample.Interface) panel {
	return panel{"Network", "RX/s   TX/s err drop ", len(all),
		func(i int) float64 {
			if !all[i].Up {
				return -1
			}
			return all[i].RxBytes + all[i].TxBytes
		},
		func(i int) string { return all[i].Name },
		func(b []byte, i int) ([]byte, look) {
			n := &all[i]
			if !n.Up {
				return append(b, "down "...), dim
			}
			b = column6(b, n.RxBytes)
			b = column6(b, n.TxBytes)
			from := len(b)
			b = pad(size(b, n.RxErrors+n.TxErrors), from, 4)
			from = len(b)
			b = pad(size(b, n.RxDrops+n.TxDrops), from, 5)
			return mark(b, n.RxErrors+n.TxErrors+n.RxDrops+n.TxDrops > 0)
		}}
}

func filesystems(all []sample.Filesystem) panel {
	full := func(f *sample.Filesystem) float64 {
		if f.Used+f.Available == 0 {
			return 0
		}
		return float64(f.Used) / (float64(f.Used) + float64(f.Available))
	}
	return panel{"Filesystems", "used   size full% ", len(all),
		func(i int) float64 {
			if all[i].Stale {
				return 2
			}
			return full(&all[i])
		},
		func(i int) string { return all[i].Mount },
		func(b []byte, i int) ([]byte, look) {
			f := &all[i]
			if f.Stale {
				return append(b, "does not answer!"...), bad
			}
			b = column6(b, float64(f.Used))
			b = column6(b, float64(f.Size))
			from := len(b)
			b = pad(percent(b, full(f)), from, 6)
			return mark(b, full(f) >= 0.9)
		}}
}

func sensors(all []sample.Sensor) panel {
	high := func(s *sample.Sensor) bool { return s.High > 0 && s.Value >= s.High }
	return panel{"Sensors", "now ", len(all),
		func(i int) float64 {
			if all[i].High > 0 {
				return all[i].Value / all[i].High
			}
			return 0
		},
		func(i int) string {
			if all[i].Label == "" {
				return all[i].Chip
			}
			return all[i].Chip + " " + all[i].Label
		},
		func(b []byte, i int) ([]byte, look) {
			s := &all[i]
			switch s.Kind {
			case "temperature":
				b = append(number(b, s.Value, 0), " C"...)
			case "fan":
				b = append(number(b, s.Value, 0), " rpm"...)
			case "power":
				b = append(number(b, s.Value, 1), " W"...)
			default:
				b = number(b, s.Value, 1)
			}
			return mark(b, high(s))
		}}
}

// mark ends a row: with a "!" if it is too much.
func mark(b []byte, much bool) ([]byte, look) {
	if much {
		return append(b, '!'), bad
	}
	return append(b, ' '), plain
}
