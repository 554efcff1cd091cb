package term

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"sarn/internal/monitor/sample"
)

// pidStart tells a process from all that had or will have its PID.
type pidStart struct {
	pid   int
	start int64 // nanoseconds, as time.Time's == looks at more than the time
}

func processID(p *sample.Process) pidStart { return pidStart{p.PID, p.Start.UnixNano()} }

// processes is the table of processes with its filter and tree.
type processes struct {
	table[sample.Process, pidStart]
	tree bool
	// peaks are beside the means of a record of the past, nil without.
	peaks map[pidStart]float64

	// Memory of the last tree, used again.
	place map[int]int
	first []int
	after []int
	stack []branch
	flat  []*sample.Process
}

type branch struct{ row, depth int }

func newProcesses() *processes {
	p := &processes{place: map[int]int{}}
	p.columns = withPeak(processColumns(), p.peak)
	p.id, p.matches = processID, processMatches
	p.tie = func(a, b *sample.Process) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.Start.UnixNano(), b.Start.UnixNano()))
	}
	p.sort = slices.IndexFunc(p.columns, func(c column[sample.Process]) bool { return c.key == 'C' })
	return p
}

func processColumns() []column[sample.Process] {
	type P = sample.Process
	whole := func(title string, key rune, width, rank int, of func(*P) int) column[P] {
		return column[P]{title: title, key: key, width: width, rank: rank,
			value: func(b []byte, p *P) []byte { return strconv.AppendInt(b, int64(of(p)), 10) },
			order: func(a, b *P) int { return cmp.Compare(of(a), of(b)) }}
	}
	amount := func(title string, key rune, rank int, of func(*P) float64) column[P] {
		return column[P]{title: title, key: key, width: 6, rank: rank, most: true,
			value: func(b []byte, p *P) []byte { return size(b, of(p)) },
			order: func(a, b *P) int { return cmp.Compare(of(a), of(b)) }}
	}
	words := func(title string, key rune, width, rank int, of func(*P) string) column[P] {
		return column[P]{title: title, key: key, width: width, rank: rank, text: of,
			order: func(a, b *P) int { return strings.Compare(of(a), of(b)) }}
	}
	return []column[P]{
		whole("PID", 'P', 7, 0, func(p *P) int { return p.PID }),
		words("USER", 'U', 8, 3, func(p *P) string { return p.User }),
		words("S", 'S', 2, 3, func(p *P) string { return p.State }),
		whole("NI", 'I', 3, 5, func(p *P) int { return p.Nice }),
		whole("THR", 'H', 6, 5, func(p *P) int { return p.Threads }),
		{title: cpuTitle, key: 'C', width: 6, rank: 0, most: true,
			value: func(b []byte, p *P) []byte { return percent(b, p.CPU) },
			order: func(a, b *P) int { return cmp.Compare(a.CPU, b.CPU) }},
		{title: "TIME", key: 'T', width: 8, rank: 4, most: true,
			value: func(b []byte, p *P) []byte { return cpuTime(b, p.CPUTime) },
			order: func(a, b *P) int { return cmp.Compare(a.CPUTime, b.CPUTime) }},
		amount("RES", 'M', 1, func(p *P) float64 { return float64(p.Resident) }),
		amount("VIRT", 'V', 6, func(p *P) float64 { return float64(p.Virtual) }),
		amount("SHR", 'B', 7, func(p *P) float64 { return float64(p.Shared) }),
		amount("RD/s", 'D', 2, func(p *P) float64 { return p.ReadBytes }),
		amount("WR/s", 'W', 2, func(p *P) float64 { return p.WriteBytes }),
		amount("RX/s", 'X', 2, func(p *P) float64 { return p.RxBytes }),
		amount("TX/s", 'Y', 2, func(p *P) float64 { return p.TxBytes }),
		words("MACHINE", 'G', 16, 8, func(p *P) string { return p.Machine }),
		words("COMMAND", 'A', 0, 0, commandOf),
	}
}

func (p *processes) peak(r *sample.Process) float64 { return p.peaks[processID(r)] }

// setPeaks takes the peaks of a record; nil if there are none.
func (p *processes) setPeaks(s *sample.Sample) {
	p.peaks = nil
	if s != nil {
		p.peaks = make(map[pidStart]float64, len(s.Processes))
		for i := range s.Processes {
			p.peaks[processID(&s.Processes[i])] = s.Processes[i].CPU
		}
	}
	p.showPeaks(s != nil)
}

func commandOf(p *sample.Process) string {
	if p.Command != "" {
		return p.Command
	}
	return p.Name
}

// take makes the rows from a new sample or after a change of order, filter or tree.
func (p *processes) take(s *sample.Sample) {
	p.rows = p.rows[:0]
	for i := range s.Processes {
		if r := &s.Processes[i]; p.filter == "" || p.matches(r, p.filter) {
			p.rows = append(p.rows, r)
		}
	}
	p.arrange()
	p.indent = p.indent[:0]
	if p.tree {
		p.grow()
	}
}

// grow puts children under their parents, siblings in the order of the table. What has
// no parent among the rows is a root. Rows in a circle, which only a lying source has,
// come last.
func (p *processes) grow() {
	n := len(p.rows)
	p.flat = append(p.flat[:0], p.rows...)
	clear(p.place)
	p.first, p.after = p.first[:0], p.after[:0]
	for i, r := range p.flat {
		p.place[r.PID] = i
		p.first, p.after = append(p.first, -1), append(p.after, -1)
	}
	p.stack = p.stack[:0]
	for i := n - 1; i >= 0; i-- { // from the end, as lists grow at the front
		r := p.flat[i]
		if parent, ok := p.place[r.Parent]; ok && parent != i {
			p.after[i], p.first[parent] = p.first[parent], i
		} else {
			p.stack = append(p.stack, branch{i, 0})
		}
	}
	p.rows = p.rows[:0]
	p.descend()
	for i := 0; len(p.rows) < n && i < n; i++ {
		if p.flat[i] != nil {
			p.stack = append(p.stack, branch{i, 0})
			p.descend()
		}
	}
}

// descend empties the stack into rows; a row that was placed is nil in flat.
func (p *processes) descend() {
	for len(p.stack) > 0 {
		at := p.stack[len(p.stack)-1]
		p.stack = p.stack[:len(p.stack)-1]
		if p.flat[at.row] == nil {
			continue
		}
		p.rows, p.indent = append(p.rows, p.flat[at.row]), append(p.indent, at.depth)
		p.flat[at.row] = nil
		from := len(p.stack)
		for c := p.first[at.row]; c >= 0; c = p.after[c] {
			p.stack = append(p.stack, branch{c, at.depth + 1})
		}
		slices.Reverse(p.stack[from:])
	}
}

// processMatches looks for text in what names a process, whatever the case.
func processMatches(p *sample.Process, text string) bool {
	var pid [20]byte
	return holds(p.Command, text) || holds(p.Name, text) || holds(p.User, text) || holds(p.Machine, text) ||
		string(strconv.AppendInt(pid[:0], int64(p.PID), 10)) == text
}

// holds says whether s has text in it, whatever the case.
func holds(s, text string) bool {
	for i := 0; i+len(text) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(text)], text) {
			return true
		}
	}
	return false
}
