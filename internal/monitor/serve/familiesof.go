package serve

import (
	"cmp"
	"slices"
	"strconv"

	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/sample"
)

func machineFamilies() []family {
	each := func(name, help string, value func(*sample.Machine) float64) family {
		return gauge("machine_"+name, help, []string{"machine"}, func(s scrape, e emit) {
			for i := range s.Machines {
				e(value(&s.Machines[i]), s.Machines[i].ID)
			}
		})
	}
	total := func(name, help string, at int) family {
		return column("machine_"+name+"_total", help, "machine", "machine", at, func(s scrape, each func(string)) {
			for i := range s.Machines {
				each(s.Machines[i].ID)
			}
		})
	}
	return []family{
		gauge("machine_info", "A VM or container; always 1.", []string{"machine", "kind", "name", "by", "state"}, func(s scrape, e emit) {
			for i := range s.Machines {
				m := &s.Machines[i]
				e(1, m.ID, string(m.Kind), m.Name, m.By, m.State)
			}
		}),
		each("cpus", "CPUs that it was given, 0 for no limit.", func(m *sample.Machine) float64 { return m.CPUs }),
		each("memory_given_bytes", "Memory that it was given, 0 for no limit.", func(m *sample.Machine) float64 { return float64(m.Memory) }),
		each("memory_used_bytes", "Memory of the host that it uses.", func(m *sample.Machine) float64 { return float64(m.Used) }),
		each("processes", "Its processes on the host.", func(m *sample.Machine) float64 { return float64(m.Processes) }),
		total("cpu_seconds", "Time of the host's CPUs.", 0),
		total("disk_read_bytes", "Bytes that it read.", 1),
		total("disk_written_bytes", "Bytes that it wrote.", 2),
		total("network_receive_bytes", "Bytes that it received.", 3),
		total("network_transmit_bytes", "Bytes that it sent.", 4),
	}
}

// topProcesses are by each of CPU and memory.
const topProcesses = 10

// top returns the first by CPU and the first by memory.
func top(all []sample.Process) []*sample.Process {
	order := make([]*sample.Process, len(all))
	for i := range all {
		order[i] = &all[i]
	}
	slices.SortFunc(order, func(a, b *sample.Process) int { return cmp.Or(cmp.Compare(b.CPU, a.CPU), cmp.Compare(a.PID, b.PID)) })
	n := min(topProcesses, len(order))
	first := slices.Clone(order[:n])
	rest := order[n:]
	slices.SortFunc(rest, func(a, b *sample.Process) int {
		return cmp.Or(cmp.Compare(b.Resident, a.Resident), cmp.Compare(a.PID, b.PID))
	})
	return append(first, rest[:min(topProcesses, len(rest))]...)
}

func processFamilies() []family {
	each := func(name, help string, value func(*sample.Process) float64) family {
		return gauge("process_"+name, help, []string{"pid", "name", "user", "machine"}, func(s scrape, e emit) {
			for _, p := range s.top {
				if v := value(p); v >= 0 { // -1 is what nobody tells
					e(v, strconv.Itoa(p.PID), p.Name, p.User, p.Machine)
				}
			}
		})
	}
	return []family{
		each("cpu_ratio", "CPUs that a process used over the last interval; 1 is one CPU, all of the time.", func(p *sample.Process) float64 { return p.CPU }),
		each("resident_bytes", "Memory of a process.", func(p *sample.Process) float64 { return float64(p.Resident) }),
		each("disk_read_bytes_per_second", "Bytes that a process read from disk.", func(p *sample.Process) float64 { return p.ReadBytes }),
		each("disk_written_bytes_per_second", "Bytes that a process wrote to disk.", func(p *sample.Process) float64 { return p.WriteBytes }),
		each("network_receive_bytes_per_second", "Bytes that a process received.", func(p *sample.Process) float64 { return p.RxBytes }),
		each("network_transmit_bytes_per_second", "Bytes that a process sent.", func(p *sample.Process) float64 { return p.TxBytes }),
	}
}

// mostAlerts have a series.
const mostAlerts = 200

func alertFamilies() []family {
	results := []struct {
		name string
		of   func(*alert.Delivery) uint64
	}{
		{"sent", func(d *alert.Delivery) uint64 { return d.Sent }},
		{"failed", func(d *alert.Delivery) uint64 { return d.Failed }},
		{"retried", func(d *alert.Delivery) uint64 { return d.Retried }},
		{"held_back", func(d *alert.Delivery) uint64 { return d.HeldBack }},
		{"dropped", func(d *alert.Delivery) uint64 { return d.Dropped }},
	}
	return []family{
		gauge("alert_rules", "Rules of alerts.", nil, one(func(s scrape) float64 { return float64(s.alerts.Rules) })),
		gauge("alerts", "Alerts that fire, and those that will if it stays so.", []string{"phase"}, func(s scrape, e emit) {
			e(float64(len(s.alerts.Active)), "active")
			e(float64(len(s.alerts.Pending)), "pending")
		}),
		gauge("alert_level", "Level of an alert that fires: 1 careful, 2 warning, 3 critical.", []string{"rule", "subject"}, func(s scrape, e emit) {
			for i, a := range s.alerts.Active {
				if i < mostAlerts { // the worst first
					e(float64(a.Level), a.Rule, a.Subject)
				}
			}
		}),
		counter("alert_deliveries_total", "What became of what an action was told.", []string{"action", "result"}, func(s scrape, e emit) {
			for _, d := range s.alerts.Deliveries {
				for _, r := range results {
					e(float64(r.of(&d)), d.Action, r.name)
				}
			}
		}),
		gauge("alert_queue_length", "What an action has yet to tell.", []string{"action"}, func(s scrape, e emit) {
			for _, d := range s.alerts.Deliveries {
				e(float64(d.Queued), d.Action)
			}
		}),
	}
}

// ownFamilies are about the monitor itself, besides process_* of its process.
func ownFamilies() []family {
	return []family{
		gauge("monitor_viewers", "Who looks on.", nil, one(func(s scrape) float64 { return float64(s.server.hub.viewers.Load()) })),
		counter("monitor_passes_total", "Looks at the machine.", nil, one(func(s scrape) float64 { return float64(s.passes) })),
		counter("monitor_pass_failures_total", "Looks at the machine that failed.", nil, one(func(s scrape) float64 { return float64(s.failures) })),
		gauge("monitor_pass_seconds", "How long the last look at the machine took.", nil, one(func(s scrape) float64 { return s.pass })),
		gauge("monitor_history_bytes", "History on disk.", []string{"step"}, func(s scrape, e emit) {
			if s.server.History == nil {
				return
			}
			bounds, err := s.server.History.Bounds()
			if err != nil {
				return
			}
			for _, b := range bounds {
				e(float64(b.Bytes), strconv.FormatFloat(b.Step, 'f', -1, 64)+"s")
			}
		}),
	}
}
