package alert

import (
	"math"
	"slices"
	"strconv"

	"sarn/internal/monitor/sample"
)

// kind is what a rule can be of: things that a sample holds several of.
type kind struct {
	name    string
	count   func(*sample.Sample) int
	subject func(*sample.Sample, int) string
	fields  []field
	values  []value
}

// field is a text of a thing, to match by.
type field struct {
	name string
	get  func(*sample.Sample, int) string
}

// value is a figure of a thing. get returns NaN for what nobody knows.
type value struct {
	name  string
	unit  unit
	words string
	get   func(*sample.Sample, int) float64
	// rated values are over an interval, and unknown in the first pass.
	rated bool
	// whole values have no hysteresis unless a rule gives one.
	whole bool
	// group is set for values of all things that match together.
	group group
}

type group int

const (
	notGroup group = iota
	count
	absent
	restarts
)

var unknown = math.NaN()

// machineOf returns the ID of the machine that a thing is, or that it belongs to; "" for none.
func (k *kind) machineOf(s *sample.Sample, i int) string {
	switch k.name {
	case "process":
		return s.Processes[i].Machine
	case "machine":
		return s.Machines[i].ID
	}
	return ""
}

func ratio(a, b float64) float64 {
	if b <= 0 {
		return unknown
	}
	return a / b
}

// known returns v unless it is negative, which is how a sample says that it was not told.
func known(v float64) float64 {
	if v < 0 {
		return unknown
	}
	return v
}

// sum is unknown only if neither is known.
func sum(a, b float64) float64 {
	if a < 0 && b < 0 {
		return unknown
	}
	return max(a, 0) + max(b, 0)
}

func kinds() []kind {
	return []kind{systemKind(), coreKind(), filesystemKind(), diskKind(), interfaceKind(), sensorKind(), processKind(), machineKind()}
}

func kindNamed(name string) (kind, bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}

// timesValues are those of one CPU, or of the mean of them.
func timesValues(of func(*sample.Sample, int) sample.Times) []value {
	share := func(name, words string, get func(sample.Times) float64) value {
		return value{name: name, unit: share, words: words, rated: true, get: func(s *sample.Sample, i int) float64 { return get(of(s, i)) }}
	}
	return []value{
		share("cpu", "CPU in use", sample.Times.Busy),
		share("user", "CPU in programs", func(t sample.Times) float64 { return t.User }),
		share("nice", "CPU in programs of low priority", func(t sample.Times) float64 { return t.Nice }),
		share("system", "CPU in the kernel", func(t sample.Times) float64 { return t.System }),
		share("iowait", "CPU waiting for disks", func(t sample.Times) float64 { return t.IOWait }),
		share("irq", "CPU in interrupts", func(t sample.Times) float64 { return t.IRQ }),
		share("softirq", "CPU in soft interrupts", func(t sample.Times) float64 { return t.SoftIRQ }),
		share("steal", "CPU that the hypervisor took", func(t sample.Times) float64 { return t.Steal }),
		share("guest", "CPU in guests", func(t sample.Times) float64 { return t.Guest }),
	}
}

func systemKind() kind {
	v := func(name string, u unit, words string, get func(*sample.Sample) float64) value {
		return value{name: name, unit: u, words: words, get: func(s *sample.Sample, _ int) float64 { return get(s) }}
	}
	rated := func(v value) value { v.rated = true; return v }
	whole := func(v value) value { v.whole = true; return v }
	k := kind{
		name:    "system",
		count:   func(*sample.Sample) int { return 1 },
		subject: func(*sample.Sample, int) string { return "" },
		values:  timesValues(func(s *sample.Sample, _ int) sample.Times { return s.CPU.Total }),
	}
	for i, minutes := range []string{"1", "5", "15"} {
		k.values = append(k.values,
			v("load"+minutes, number, "load over "+minutes+" min", func(s *sample.Sample) float64 { return s.Load[i] }),
			v("load"+minutes+"_per_cpu", number, "load over "+minutes+" min for each CPU", func(s *sample.Sample) float64 { return ratio(s.Load[i], float64(s.Host.CPUs)) }))
	}
	k.values = append(k.values, pressureValues()...)
	k.values = append(k.values,
		v("memory", share, "memory in use", func(s *sample.Sample) float64 { return ratio(float64(s.Memory.Used()), float64(s.Memory.Total)) }),
		v("memory_used", size, "memory in use", func(s *sample.Sample) float64 { return float64(s.Memory.Used()) }),
		v("memory_available", size, "memory that is available", func(s *sample.Sample) float64 {
			if s.Memory.Total == 0 {
				return unknown
			}
			return float64(s.Memory.Available)
		}),
		v("swap", share, "swap in use", func(s *sample.Sample) float64 {
			return ratio(float64(s.Swap.Total-min(s.Swap.Free, s.Swap.Total)), float64(s.Swap.Total))
		}),
		rated(v("swap_in", rate, "reading from swap", func(s *sample.Sample) float64 { return s.Swap.In })),
		rated(v("swap_out", rate, "writing to swap", func(s *sample.Sample) float64 { return s.Swap.Out })),
		whole(v("processes", number, "processes", func(s *sample.Sample) float64 { return float64(s.Tasks.Processes) })),
		whole(v("threads", number, "threads", func(s *sample.Sample) float64 { return float64(s.Tasks.Threads) })),
		whole(v("running", number, "processes that run", func(s *sample.Sample) float64 { return float64(s.Tasks.Running) })),
		whole(v("blocked", number, "processes that wait for a disk", func(s *sample.Sample) float64 { return float64(s.Tasks.Blocked) })),
		whole(v("zombies", number, "zombies", func(s *sample.Sample) float64 { return float64(s.Tasks.Zombie) })),
		rated(v("context_switches", persec, "context switches", func(s *sample.Sample) float64 { return s.Tasks.ContextSwitches })),
		rated(v("forks", persec, "forks", func(s *sample.Sample) float64 { return s.Tasks.Forks })),
	)
	return k
}

func pressureValues() []value {
	var vs []value
	for _, of := range []struct {
		name string
		get  func(*sample.Pressure) sample.Stall
	}{
		{"cpu", func(p *sample.Pressure) sample.Stall { return p.CPU }},
		{"memory", func(p *sample.Pressure) sample.Stall { return p.Memory }},
		{"io", func(p *sample.Pressure) sample.Stall { return p.IO }},
	} {
		for _, t := range []struct {
			name, words string
			get         func(sample.Stall) float64
		}{
			{"some10", "some tasks stalled over 10 s", func(s sample.Stall) float64 { return s.Some10 }},
			{"some60", "some tasks stalled over a minute", func(s sample.Stall) float64 { return s.Some60 }},
			{"full10", "all tasks stalled over 10 s", func(s sample.Stall) float64 { return s.Full10 }},
			{"full60", "all tasks stalled over a minute", func(s sample.Stall) float64 { return s.Full60 }},
		} {
			vs = append(vs, value{
				name: "pressure_" + of.name + "_" + t.name, unit: share, words: of.name + " pressure, " + t.words,
				get: func(s *sample.Sample, _ int) float64 {
					if s.Pressure == nil {
						return unknown
					}
					return t.get(of.get(s.Pressure))
				},
			})
		}
	}
	return vs
}

func coreKind() kind {
	name := func(_ *sample.Sample, i int) string { return "cpu" + strconv.Itoa(i) }
	return kind{
		name: "core", count: func(s *sample.Sample) int { return len(s.CPU.Cores) }, subject: name,
		fields: []field{{"name", name}},
		values: timesValues(func(s *sample.Sample, i int) sample.Times { return s.CPU.Cores[i] }),
	}
}
