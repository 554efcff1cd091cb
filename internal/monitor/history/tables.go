package history

import (
	"strconv"
	"strings"

	"sarn/internal/monitor/sample"
)

// sections are the tables that are compressed together: who asks for one chart need not
// unpack the processes. To add a table or a column is a new version of the format.
func sections(top int) [nSections][]table {
	return [nSections][]table{
		{systemTable(), cpuTable(), pressureTable()},
		{coresTable()},
		{disksTable(), filesystemsTable(), interfacesTable(), sensorsTable(), machinesTable(), vcpusTable(), missingTable()},
		{processesTable(top)},
	}
}

const (
	nSections = 4
	processes = 3 // the section of the processes, which holds nothing else
)

// pointers to the items of a list.
func pointers[T any](list []T) []*T {
	all := make([]*T, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return all
}

func systemTable() table {
	type S = sample.Sample
	num := func(name string, m merge, scale float64, at func(*S) any) column[S] {
		return column[S]{name: name, merge: m, scale: scale, at: at}
	}
	return tableOf[S]{
		name: "", single: true,
		texts: []text[S]{
			func(s *S) *string { return &s.Host.Name },
			func(s *S) *string { return &s.Host.OS },
			func(s *S) *string { return &s.Host.Kernel },
			func(s *S) *string { return &s.Host.Model },
			func(s *S) *string { return &s.Host.Reader },
		},
		columns: []column[S]{
			num("host.cpus", last, whole, func(s *S) any { return &s.Host.CPUs }),
			num("host.boot", last, whole, func(s *S) any { return &s.Host.Boot }),
			num("load.1", high, cents, func(s *S) any { return &s.Load[0] }),
			num("load.5", high, cents, func(s *S) any { return &s.Load[1] }),
			num("load.15", high, cents, func(s *S) any { return &s.Load[2] }),
			num("tasks.processes", high, whole, func(s *S) any { return &s.Tasks.Processes }),
			num("tasks.threads", high, whole, func(s *S) any { return &s.Tasks.Threads }),
			num("tasks.running", high, whole, func(s *S) any { return &s.Tasks.Running }),
			num("tasks.blocked", high, whole, func(s *S) any { return &s.Tasks.Blocked }),
			num("tasks.zombie", high, whole, func(s *S) any { return &s.Tasks.Zombie }),
			num("tasks.context_switches", mean, whole, func(s *S) any { return &s.Tasks.ContextSwitches }),
			num("tasks.forks", mean, cents, func(s *S) any { return &s.Tasks.Forks }),
			num("memory.total", last, whole, func(s *S) any { return &s.Memory.Total }),
			num("memory.available", low, whole, func(s *S) any { return &s.Memory.Available }),
			num("memory.free", low, whole, func(s *S) any { return &s.Memory.Free }),
			num("memory.buffers", last, whole, func(s *S) any { return &s.Memory.Buffers }),
			num("memory.cached", last, whole, func(s *S) any { return &s.Memory.Cached }),
			num("memory.shared", last, whole, func(s *S) any { return &s.Memory.Shared }),
			num("memory.slab", last, whole, func(s *S) any { return &s.Memory.Slab }),
			num("memory.dirty", high, whole, func(s *S) any { return &s.Memory.Dirty }),
			{name: "memory.used", merge: high, scale: whole, derived: func(s *S) float64 { return float64(s.Memory.Used()) }},
			num("swap.total", last, whole, func(s *S) any { return &s.Swap.Total }),
			num("swap.free", low, whole, func(s *S) any { return &s.Swap.Free }),
			num("swap.in", mean, whole, func(s *S) any { return &s.Swap.In }),
			num("swap.out", mean, whole, func(s *S) any { return &s.Swap.Out }),
		},
		read:  func(s *S) []*S { return []*S{s} },
		write: func(s *S, items []S) { *s = items[0] },
	}
}

func timesColumns() []column[sample.Times] {
	type T = sample.Times
	num := func(name string, at func(*T) any) column[T] {
		return column[T]{name: name, merge: mean, scale: shares, at: at}
	}
	return []column[T]{
		num("user", func(t *T) any { return &t.User }),
		num("nice", func(t *T) any { return &t.Nice }),
		num("system", func(t *T) any { return &t.System }),
		num("idle", func(t *T) any { return &t.Idle }),
		num("iowait", func(t *T) any { return &t.IOWait }),
		num("irq", func(t *T) any { return &t.IRQ }),
		num("softirq", func(t *T) any { return &t.SoftIRQ }),
		num("steal", func(t *T) any { return &t.Steal }),
		num("guest", func(t *T) any { return &t.Guest }),
		{name: "busy", merge: mean, scale: shares, derived: func(t *T) float64 { return t.Busy() }},
	}
}

// timesTable also makes the idle time of a peak such that its Busy is the peak's: the
// longest idle time would say nothing.
type timesTable struct{ tableOf[sample.Times] }

func (t timesTable) restore(s *sample.Sample, rows []row, peak bool) {
	if !peak {
		t.tableOf.restore(s, rows, false)
		return
	}
	const idle, iowait = 3, 4
	busy := len(t.columns) - 1
	changed := make([]row, len(rows))
	for i, r := range rows {
		if r.peak != nil {
			r.peak = append([]int64(nil), r.peak...)
			r.peak[idle] = shares - r.peak[iowait] - r.peak[busy]
		}
		changed[i] = r
	}
	t.tableOf.restore(s, changed, true)
}

func cpuTable() table {
	return timesTable{tableOf[sample.Times]{
		name: "cpu", single: true, columns: timesColumns(),
		read:  func(s *sample.Sample) []*sample.Times { return []*sample.Times{&s.CPU.Total} },
		write: func(s *sample.Sample, items []sample.Times) { s.CPU.Total = items[0] },
	}}
}

func coresTable() table {
	return timesTable{tableOf[sample.Times]{
		name: "cores", columns: timesColumns(),
		key:   func(_ *sample.Times, i int) string { return strconv.Itoa(i) },
		read:  func(s *sample.Sample) []*sample.Times { return pointers(s.CPU.Cores) },
		write: func(s *sample.Sample, items []sample.Times) { s.CPU.Cores = items },
	}}
}

func pressureTable() table {
	type P = sample.Pressure
	var columns []column[P]
	for _, of := range []struct {
		name string
		at   func(*P) *sample.Stall
	}{
		{"cpu", func(p *P) *sample.Stall { return &p.CPU }},
		{"memory", func(p *P) *sample.Stall { return &p.Memory }},
		{"io", func(p *P) *sample.Stall { return &p.IO }},
	} {
		columns = append(columns,
			column[P]{name: of.name + ".some10", merge: high, scale: shares, at: func(p *P) any { return &of.at(p).Some10 }},
			column[P]{name: of.name + ".some60", merge: high, scale: shares, at: func(p *P) any { return &of.at(p).Some60 }},
			column[P]{name: of.name + ".full10", merge: high, scale: shares, at: func(p *P) any { return &of.at(p).Full10 }},
			column[P]{name: of.name + ".full60", merge: high, scale: shares, at: func(p *P) any { return &of.at(p).Full60 }})
	}
	return tableOf[P]{
		name: "pressure", single: true, columns: columns,
		read: func(s *sample.Sample) []*P {
			if s.Pressure == nil {
				return nil
			}
			return []*P{s.Pressure}
		},
		write: func(s *sample.Sample, items []P) { s.Pressure = &items[0] },
	}
}

func processesTable(top int) table {
	type P = ranked
	num := func(name string, m merge, scale float64, at func(*P) any) column[P] {
		return column[P]{name: name, merge: m, scale: scale, at: at}
	}
	return tableOf[P]{
		name: "processes",
		key:  func(p *P, _ int) string { return ProcessKey(p.Process) },
		texts: []text[P]{
			func(p *P) *string { return &p.User },
			func(p *P) *string { return &p.Name },
			func(p *P) *string { return &p.Command },
			func(p *P) *string { return &p.State },
			func(p *P) *string { return &p.Machine },
		},
		columns: []column[P]{
			// The order of the first ones is that of the constants in top.go.
			num("cpu", mean, shares, func(p *P) any { return &p.CPU }),
			num("resident", high, whole, func(p *P) any { return &p.Resident }),
			num("read_bytes", mean, whole, func(p *P) any { return &p.ReadBytes }),
			num("write_bytes", mean, whole, func(p *P) any { return &p.WriteBytes }),
			num("rx_bytes", mean, whole, func(p *P) any { return &p.RxBytes }),
			num("tx_bytes", mean, whole, func(p *P) any { return &p.TxBytes }),
			num("first", flags, whole, func(p *P) any { return &p.first }),
			num("pid", last, whole, func(p *P) any { return &p.PID }),
			num("parent", last, whole, func(p *P) any { return &p.Parent }),
			num("start", last, whole, func(p *P) any { return &p.Start }),
			num("threads", high, whole, func(p *P) any { return &p.Threads }),
			num("nice", last, whole, func(p *P) any { return &p.Nice }),
			num("cpu_time", last, cents, func(p *P) any { return &p.CPUTime }),
			num("virtual", last, whole, func(p *P) any { return &p.Virtual }),
			num("shared", last, whole, func(p *P) any { return &p.Shared }),
		},
		read: func(s *sample.Sample) []*P { return topProcesses(s.Processes, top) },
		write: func(s *sample.Sample, items []P) {
			s.Processes = make([]sample.Process, len(items))
			for i := range items {
				s.Processes[i] = items[i].Process
			}
		},
	}
}

// ProcessKey is how Range names a process: its number and when it started, since numbers
// are used again.
func ProcessKey(p sample.Process) string {
	key := strconv.Itoa(p.PID)
	if !p.Start.IsZero() {
		key += "@" + strconv.FormatInt(p.Start.UnixMilli(), 10)
	}
	return key
}

func sensorKey(s *sample.Sensor, _ int) string {
	return strings.Join([]string{s.Chip, s.Label, s.Kind}, "/")
}
