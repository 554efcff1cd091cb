package term

import "sarn/internal/monitor/sample"

// part is a part of a bar: a share of it, in a letter and a look of its own.
type part struct {
	share  float64
	letter byte
	look   look
}

// bar draws [parts  label] in w cells. The label lies over the right end.
func (g *grid) bar(x, y, w int, parts []part, label []byte) {
	inside := w - 2
	if inside < 1 {
		return
	}
	g.ascii(x, y, '[', dim)
	g.ascii(x+w-1, y, ']', dim)
	sum, from := 0.0, 0
	for _, p := range parts {
		if p.share > 0 {
			sum += p.share
		}
		to := int(min(sum, 1)*float64(inside) + 0.5)
		for ; from < to; from++ {
			g.ascii(x+1+from, y, p.letter, p.look)
		}
	}
	if len(label) < inside {
		g.ascii(x+inside-len(label), y, ' ', plain)
		g.right(x+1, y, inside, label, strong)
	}
}

// cpuParts are the times that are shown, in the order of proc_stat(5) as far as it
// makes sense: work first, waiting last.
func cpuParts(parts []part, t *sample.Times) []part {
	return append(parts[:0],
		part{t.User, '|', user}, part{t.Nice, 'n', nice}, part{t.System, '#', system},
		part{t.IRQ + t.SoftIRQ, 'i', irq}, part{t.Steal, 's', steal}, part{t.IOWait, 'w', iowait})
}
