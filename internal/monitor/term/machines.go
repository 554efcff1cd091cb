package term

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"sarn/internal/monitor/sample"
)

// machines is the table of VMs and containers.
type machines struct {
	table[sample.Machine, string]
	peaks map[string]float64 // as of processes
}

func newMachines() *machines {
	m := &machines{}
	m.columns = withPeak(machineColumns(), m.peak)
	m.id = func(r *sample.Machine) string { return r.ID }
	m.matches = machineMatches
	m.tie = func(a, b *sample.Machine) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	}
	m.sort = slices.IndexFunc(m.columns, func(c column[sample.Machine]) bool { return c.key == 'C' })
	return m
}

func machineColumns() []column[sample.Machine] {
	type M = sample.Machine
	amount := func(title string, key rune, rank int, of func(*M) float64) column[M] {
		return column[M]{title: title, key: key, width: 6, rank: rank, most: true,
			value: func(b []byte, m *M) []byte { return size(b, of(m)) },
			order: func(a, b *M) int { return cmp.Compare(of(a), of(b)) }}
	}
	words := func(title string, key rune, width, rank int, of func(*M) string) column[M] {
		return column[M]{title: title, key: key, width: width, rank: rank, text: of,
			order: func(a, b *M) int { return strings.Compare(of(a), of(b)) }}
	}
	return []column[M]{
		words("KIND", 'I', 5, 3, func(m *M) string {
			if m.Kind == sample.Container {
				return "ctr"
			}
			return string(m.Kind)
		}),
		words("STATE", 'S', 7, 3, func(m *M) string { return m.State }),
		{title: "CPUS", key: 'V', width: 6, rank: 4, most: true,
			value: func(b []byte, m *M) []byte { return limitCPUs(b, m) },
			order: func(a, b *M) int { return cmp.Compare(a.CPUs, b.CPUs) }},
		{title: cpuTitle, key: 'C', width: 6, rank: 0, most: true,
			value: func(b []byte, m *M) []byte { return percent(b, m.CPU) },
			order: func(a, b *M) int { return cmp.Compare(a.CPU, b.CPU) }},
		amount("MEM", 'M', 0, func(m *M) float64 { return float64(m.Used) }),
		{title: "GIVEN", key: 'L', width: 6, rank: 4, most: true,
			value: func(b []byte, m *M) []byte { return limitMemory(b, m) },
			order: func(a, b *M) int { return cmp.Compare(a.Memory, b.Memory) }},
		amount("RD/s", 'D', 2, func(m *M) float64 { return m.ReadBytes }),
		amount("WR/s", 'W', 2, func(m *M) float64 { return m.WriteBytes }),
		amount("RX/s", 'X', 1, func(m *M) float64 { return m.RxBytes }),
		amount("TX/s", 'Y', 1, func(m *M) float64 { return m.TxBytes }),
		{title: "PROC", key: 'H', width: 6, rank: 5, most: true,
			value: func(b []byte, m *M) []byte { return strconv.AppendInt(b, int64(m.Processes), 10) },
			order: func(a, b *M) int { return cmp.Compare(a.Processes, b.Processes) }},
		words("BY", 'B', 10, 6, func(m *M) string { return m.By }),
		words("NAME", 'A', 0, 0, machineName),
	}
}

func (m *machines) peak(r *sample.Machine) float64 { return m.peaks[r.ID] }

func (m *machines) setPeaks(s *sample.Sample) {
	m.peaks = nil
	if s != nil {
		m.peaks = make(map[string]float64, len(s.Machines))
		for i := range s.Machines {
			m.peaks[s.Machines[i].ID] = s.Machines[i].CPU
		}
	}
	m.showPeaks(s != nil)
}

func machineName(m *sample.Machine) string {
	if m.Name != "" {
		return m.Name
	}
	return m.ID
}

func limitCPUs(b []byte, m *sample.Machine) []byte {
	if m.CPUs == 0 {
		return append(b, '-')
	}
	decimals := 0
	if m.CPUs != float64(int(m.CPUs)) {
		decimals = 1
	}
	return number(b, m.CPUs, decimals)
}

func limitMemory(b []byte, m *sample.Machine) []byte {
	if m.Memory == 0 {
		return append(b, '-')
	}
	return size(b, float64(m.Memory))
}

func (m *machines) take(s *sample.Sample) {
	m.rows = m.rows[:0]
	for i := range s.Machines {
		if r := &s.Machines[i]; m.filter == "" || m.matches(r, m.filter) {
			m.rows = append(m.rows, r)
		}
	}
	m.arrange()
}

func machineMatches(m *sample.Machine, text string) bool {
	return holds(m.Name, text) || holds(m.ID, text) || holds(m.By, text)
}
