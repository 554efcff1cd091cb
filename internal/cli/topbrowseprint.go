package cli

import (
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"time"

	"sarn/internal/monitor/fleet"
	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/sample"
)

// settling is how long hosts may take until they are up or down.
const settling = 25 * time.Second

// browseOnce prints the list when it is known of each host whether it is up. If there is
// none because who knows them could not be asked, that is the exit code.
func (a *app) browseOnce(ctx context.Context, t *topFlags, all *fleet.Fleet) error {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	late := time.NewTimer(settling)
	defer late.Stop()
	for waiting := true; waiting && !all.Settled(); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			waiting = false
		case <-look.C:
		}
	}
	notes, hosts := all.Notes(), all.Hosts()
	for _, note := range notes {
		a.progress("not found: %s", note)
	}
	if err := a.printHosts(t, hosts); err != nil {
		return err
	}
	if len(hosts) == 0 && len(notes) > 0 {
		return &exitError{code: exitUnreachable}
	}
	return nil
}

func (a *app) printHosts(t *topFlags, hosts []fleet.Status) error {
	for i := range hosts {
		hosts[i] = fleet.Brief(hosts[i])
		escapeHost(&hosts[i])
	}
	if t.output == topFormat(formatCSV) {
		return a.printHostsCSV(hosts)
	}
	a.format = format(t.output)
	return a.print(hosts, func() error { return a.printTable(hostTable(hosts)) })
}

// escapeHost makes harmless what a host says of itself.
func escapeHost(h *fleet.Status) {
	h.Error = printable(h.Error)
	s := h.Summary
	if s == nil {
		return
	}
	as := &sample.Sample{Host: s.Host, Machines: s.Machines, Processes: s.Processes}
	escape(as)
	s.Host = as.Host
	if s.Worst != nil {
		s.Worst = &sample.Notice{Level: printable(s.Worst.Level), Message: printable(s.Worst.Message), Since: s.Worst.Since}
	}
}

// hostTable is the list for people.
func hostTable(hosts []fleet.Status) *table {
	t := newTable("HOST", "STATE", "SINCE", "CPU", "LOAD", "MEMORY", "PRESSURE", "VMS", "CONTAINERS", "ALERTS", "TOP PROCESS", "NOTE")
	t.alarm = func(column, cell string) bool { return column == "STATE" && cell == string(remote.Down) }
	for _, h := range hosts {
		since := h.Since.Local().Format(time.DateTime)
		s := h.Summary
		if s == nil {
			t.add(h.Name, string(h.State), since, "", "", "", "", "", "", "", "", cut(h.Error, 80))
			continue
		}
		pressure, top, note, memory := "", "", "", ""
		if p := s.Pressure; p != nil {
			pressure = percent(max(p.CPU.Some10, p.Memory.Some10, p.IO.Some10))
		}
		if s.Memory.Total > 0 {
			memory = percent(float64(s.Memory.Used()) / float64(s.Memory.Total))
		}
		if len(s.Processes) > 0 {
			top = fmt.Sprintf("%s %s", s.Processes[0].Name, showShare(s.Processes[0].CPU))
		}
		if s.Worst != nil {
			note = s.Worst.Level + ": " + s.Worst.Message
		}
		t.add(h.Name, string(h.State), since, percent(s.CPU.Busy()), fmt.Sprintf("%.2f", s.Load[0]), memory, pressure,
			strconv.Itoa(s.VMs), strconv.Itoa(s.Containers), strconv.Itoa(s.Alerts), cut(top, 40), cut(note, 80))
	}
	return t
}

// hostFields are the columns of CSV. Of a host that is not up, figures are empty.
func hostFields() []struct {
	name string
	text func(*sample.Summary) string
} {
	type field = struct {
		name string
		text func(*sample.Summary) string
	}
	number := func(name string, of func(*sample.Summary) float64) field {
		return field{name, func(s *sample.Summary) string { return strconv.FormatFloat(of(s), 'f', -1, 64) }}
	}
	stall := func(name string, of func(*sample.Pressure) float64) field {
		return field{name, func(s *sample.Summary) string {
			if s.Pressure == nil {
				return ""
			}
			return strconv.FormatFloat(of(s.Pressure), 'f', -1, 64)
		}}
	}
	return []field{
		number("cpu", func(s *sample.Summary) float64 { return s.CPU.Busy() }),
		number("cpus", func(s *sample.Summary) float64 { return float64(s.Host.CPUs) }),
		number("load1", func(s *sample.Summary) float64 { return s.Load[0] }),
		number("load5", func(s *sample.Summary) float64 { return s.Load[1] }),
		number("load15", func(s *sample.Summary) float64 { return s.Load[2] }),
		number("memory_used", func(s *sample.Summary) float64 { return float64(s.Memory.Used()) }),
		number("memory_total", func(s *sample.Summary) float64 { return float64(s.Memory.Total) }),
		number("swap_used", func(s *sample.Summary) float64 { return float64(s.Swap.Total - min(s.Swap.Free, s.Swap.Total)) }),
		stall("pressure_cpu", func(p *sample.Pressure) float64 { return p.CPU.Some10 }),
		stall("pressure_memory", func(p *sample.Pressure) float64 { return p.Memory.Some10 }),
		stall("pressure_io", func(p *sample.Pressure) float64 { return p.IO.Some10 }),
		number("read_bytes", func(s *sample.Summary) float64 { return s.ReadBytes }),
		number("write_bytes", func(s *sample.Summary) float64 { return s.WriteBytes }),
		number("rx_bytes", func(s *sample.Summary) float64 { return s.RxBytes }),
		number("tx_bytes", func(s *sample.Summary) float64 { return s.TxBytes }),
		number("vms", func(s *sample.Summary) float64 { return float64(s.VMs) }),
		number("containers", func(s *sample.Summary) float64 { return float64(s.Containers) }),
		number("alerts", func(s *sample.Summary) float64 { return float64(s.Alerts) }),
		{"worst", func(s *sample.Summary) string {
			if s.Worst == nil {
				return ""
			}
			return s.Worst.Level + ": " + s.Worst.Message
		}},
		{"top_process", func(s *sample.Summary) string {
			if len(s.Processes) == 0 {
				return ""
			}
			return s.Processes[0].Name
		}},
	}
}

func (a *app) printHostsCSV(hosts []fleet.Status) error {
	fields := hostFields()
	w := csv.NewWriter(a.Out)
	if !a.noHeaders {
		head := []string{"name", "address", "state", "since", "error"}
		for _, f := range fields {
			head = append(head, f.name)
		}
		if err := w.Write(head); err != nil {
			return err
		}
	}
	for _, h := range hosts {
		row := []string{h.Name, h.Address, string(h.State), h.Since.Format(time.RFC3339), h.Error}
		for _, f := range fields {
			text := ""
			if h.Summary != nil {
				text = f.text(h.Summary)
			}
			row = append(row, text)
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
