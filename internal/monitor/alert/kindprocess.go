package alert

import (
	"strconv"

	"sarn/internal/monitor/sample"
)

func processKind() kind {
	v := func(name string, u unit, words string, rated bool, get func(*sample.Process) float64) value {
		return value{name: name, unit: u, words: words, rated: rated, get: func(s *sample.Sample, i int) float64 { return get(&s.Processes[i]) }}
	}
	text := func(name string, get func(*sample.Process) string) field {
		return field{name, func(s *sample.Sample, i int) string { return get(&s.Processes[i]) }}
	}
	return kind{
		name: "process", count: func(s *sample.Sample) int { return len(s.Processes) },
		subject: func(s *sample.Sample, i int) string {
			p := &s.Processes[i]
			name := p.Name + "[" + strconv.Itoa(p.PID) + "]"
			if p.Machine != "" {
				name += " (" + p.Machine + ")"
			}
			return name
		},
		fields: []field{
			text("name", func(p *sample.Process) string { return p.Name }),
			text("command", func(p *sample.Process) string { return p.Command }),
			text("user", func(p *sample.Process) string { return p.User }),
		},
		values: append([]value{
			v("cpu", cpus, "CPU in use", true, func(p *sample.Process) float64 { return known(p.CPU) }),
			v("memory", size, "memory in use", false, func(p *sample.Process) float64 { return float64(p.Resident) }),
			{name: "memory_share", unit: share, words: "memory in use, of the host's", get: func(s *sample.Sample, i int) float64 {
				return ratio(float64(s.Processes[i].Resident), float64(s.Memory.Total))
			}},
			v("read", rate, "read from disks", true, func(p *sample.Process) float64 { return known(p.ReadBytes) }),
			v("write", rate, "written to disks", true, func(p *sample.Process) float64 { return known(p.WriteBytes) }),
			v("io", rate, "read from and written to disks", true, func(p *sample.Process) float64 { return sum(p.ReadBytes, p.WriteBytes) }),
			v("rx", rate, "received", true, func(p *sample.Process) float64 { return known(p.RxBytes) }),
			v("tx", rate, "sent", true, func(p *sample.Process) float64 { return known(p.TxBytes) }),
			v("network", rate, "received and sent", true, func(p *sample.Process) float64 { return sum(p.RxBytes, p.TxBytes) }),
			v("threads", number, "threads", false, func(p *sample.Process) float64 { return float64(p.Threads) }),
		}, groupValues("processes")...),
	}
}

func groupValues(what string) []value {
	return []value{
		{name: "count", unit: number, words: "number of " + what, whole: true, group: count},
		{name: "absent", unit: number, words: "no such " + what, whole: true, group: absent},
		{name: "restarted", unit: number, words: "restarts", whole: true, group: restarts},
		{name: "flapping", unit: number, words: "restarts", whole: true, group: restarts},
	}
}

func machineKind() kind {
	v := func(name string, u unit, words string, rated bool, get func(*sample.Machine) float64) value {
		return value{name: name, unit: u, words: words, rated: rated, get: func(s *sample.Sample, i int) float64 { return get(&s.Machines[i]) }}
	}
	text := func(name string, get func(*sample.Machine) string) field {
		return field{name, func(s *sample.Sample, i int) string { return get(&s.Machines[i]) }}
	}
	return kind{
		name: "machine", count: func(s *sample.Sample) int { return len(s.Machines) },
		subject: func(s *sample.Sample, i int) string { return s.Machines[i].ID },
		fields: []field{
			text("name", func(m *sample.Machine) string { return m.Name }),
			text("kind", func(m *sample.Machine) string { return string(m.Kind) }),
			text("by", func(m *sample.Machine) string { return m.By }),
			text("id", func(m *sample.Machine) string { return m.ID }),
		},
		values: append([]value{
			v("cpu", cpus, "CPU in use", true, func(m *sample.Machine) float64 { return known(m.CPU) }),
			v("cpu_share", share, "CPU in use, of what it was given", true, func(m *sample.Machine) float64 { return ratio(known(m.CPU), m.CPUs) }),
			v("memory", size, "memory of the host in use", false, func(m *sample.Machine) float64 { return float64(m.Used) }),
			v("memory_share", share, "memory in use, of what it was given", false, func(m *sample.Machine) float64 {
				return ratio(float64(m.Used), float64(m.Memory))
			}),
			v("read", rate, "read from disks", true, func(m *sample.Machine) float64 { return known(m.ReadBytes) }),
			v("write", rate, "written to disks", true, func(m *sample.Machine) float64 { return known(m.WriteBytes) }),
			v("io", rate, "read from and written to disks", true, func(m *sample.Machine) float64 { return sum(m.ReadBytes, m.WriteBytes) }),
			v("rx", rate, "received", true, func(m *sample.Machine) float64 { return known(m.RxBytes) }),
			v("tx", rate, "sent", true, func(m *sample.Machine) float64 { return known(m.TxBytes) }),
			v("network", rate, "received and sent", true, func(m *sample.Machine) float64 { return sum(m.RxBytes, m.TxBytes) }),
			v("processes", number, "processes", false, func(m *sample.Machine) float64 { return float64(m.Processes) }),
		}, groupValues("machines")...),
	}
}

// runs reports whether the machine is there to be used. State is in its manager's words.
func runs(m *sample.Machine) bool {
	switch m.State {
	case "stopped", "exited", "dead", "created", "shutoff", "shut off", "shutdown":
		return false
	}
	return true
}
