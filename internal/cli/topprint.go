package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sarn/internal/monitor/sample"
)

// topRows is how many processes the table shows.
const topRows = 20

// escape makes what others have named harmless to read, in every form: processes, VMs and
// mounts can be called anything.
func escape(s *sample.Sample) {
	for _, p := range []*string{&s.Host.Name, &s.Host.OS, &s.Host.Kernel, &s.Host.Model} {
		*p = printable(*p)
	}
	for i := range s.Disks {
		s.Disks[i].Name = printable(s.Disks[i].Name)
	}
	for i := range s.Filesystems {
		f := &s.Filesystems[i]
		f.Mount, f.Device, f.Type = printable(f.Mount), printable(f.Device), printable(f.Type)
	}
	for i := range s.Interfaces {
		s.Interfaces[i].Name = printable(s.Interfaces[i].Name)
	}
	for i := range s.Sensors {
		n := &s.Sensors[i]
		n.Chip, n.Label, n.Kind = printable(n.Chip), printable(n.Label), printable(n.Kind)
	}
	for i := range s.Missing {
		n := &s.Missing[i]
		n.What, n.Why, n.Help = printable(n.What), printable(n.Why), printable(n.Help)
	}
	for i := range s.Machines {
		m := &s.Machines[i]
		m.ID, m.Name, m.By, m.State = printable(m.ID), printable(m.Name), printable(m.By), printable(m.State)
		m.Kind = sample.MachineKind(printable(string(m.Kind)))
		for j := range m.Interfaces {
			m.Interfaces[j] = printable(m.Interfaces[j])
		}
	}
	for i := range s.Processes {
		p := &s.Processes[i]
		p.User, p.Name, p.Command, p.Machine, p.State = printable(p.User), printable(p.Name), printable(p.Command), printable(p.Machine), printable(p.State)
	}
}

func (a *app) printSample(t *topFlags, s *sample.Sample, first bool) error {
	switch t.output {
	case topFormat(formatCSV):
		return a.printSampleCSV(t, s, first)
	case topFormat(formatJSON), topFormat(formatYAML):
		return a.printSampleData(t, s, first)
	}
	if !first {
		fmt.Fprintln(a.Out)
	}
	return a.printSampleTable(t, s)
}

func (a *app) printSampleCSV(t *topFlags, s *sample.Sample, first bool) error {
	picked := fields()
	if len(t.fields) > 0 {
		picked = pickFields(t.fields)
	}
	w := csv.NewWriter(a.Out)
	row := make([]string, len(picked))
	if first && !a.noHeaders {
		for i, f := range picked {
			row[i] = f.name
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	for i := range s.Processes {
		for j, f := range picked {
			row[j] = f.text(s, &s.Processes[i])
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// printSampleData writes JSON or YAML. With --fields, processes have those alone.
func (a *app) printSampleData(t *topFlags, s *sample.Sample, first bool) error {
	var v any = s
	if len(t.fields) > 0 {
		picked := pickFields(t.fields)
		rows := make([]map[string]any, len(s.Processes))
		for i := range s.Processes {
			rows[i] = map[string]any{}
			for _, f := range picked {
				rows[i][f.name] = f.value(s, &s.Processes[i])
			}
		}
		v = struct {
			*sample.Sample
			Processes []map[string]any `json:"processes"`
		}{s, rows}
	}
	switch {
	case t.output == topFormat(formatYAML):
		text, err := asYAML(v)
		if err != nil {
			return err
		}
		if !first {
			text = append([]byte("---\n"), text...)
		}
		_, err = a.Out.Write(text)
		return err
	case t.count > 1:
		var line bytes.Buffer
		e := json.NewEncoder(&line)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return err
		}
		_, err := a.Out.Write(line.Bytes())
		return err
	default:
		return writeJSON(a.Out, v)
	}
}

func (a *app) printSampleTable(t *topFlags, s *sample.Sample) error {
	if err := systemSheet(s).write(a.Out); err != nil {
		return err
	}
	if len(s.Machines) > 0 {
		fmt.Fprintln(a.Out)
		if err := a.printTable(machineTable(s)); err != nil {
			return err
		}
	}
	names := t.fields
	if len(names) == 0 {
		names = []string{"pid", "user", "cpu", "resident", "read_bytes", "write_bytes", "rx_bytes", "tx_bytes", "state", "threads", "command"}
	}
	picked := pickFields(names)
	table := newTable()
	for _, f := range picked {
		table.head = append(table.head, f.head)
	}
	for i := range s.Processes[:min(len(s.Processes), topRows)] {
		row := make([]string, len(picked))
		for j, f := range picked {
			row[j] = cut(f.cell(s, &s.Processes[i]), 60)
		}
		table.add(row...)
	}
	fmt.Fprintln(a.Out)
	if err := a.printTable(table); err != nil {
		return err
	}
	if more := len(s.Processes) - topRows; more > 0 {
		fmt.Fprintf(a.Out, "%d more processes; -o csv has all\n", more)
	}
	return nil
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// systemSheet is the machine as a whole.
func systemSheet(s *sample.Sample) *sheet {
	out := &sheet{}
	h := s.Host
	out.line(orElse(h.Name, "host"), "%s, Linux %s, %d CPUs %s, up %s", h.OS, h.Kernel, h.CPUs, h.Model, s.Time.Sub(h.Boot).Round(time.Minute))
	c := s.CPU.Total
	out.line("cpu", "%s busy: user %s, system %s, nice %s, irq %s, iowait %s, steal %s", percent(c.Busy()), percent(c.User),
		percent(c.System), percent(c.Nice), percent(c.IRQ+c.SoftIRQ), percent(c.IOWait), percent(c.Steal))
	out.line("cores", "%s", coreWords(s.CPU.Cores))
	k := s.Tasks
	out.line("load", "%.2f %.2f %.2f; %d processes, %d threads, %d running, %d blocked, %d zombies", s.Load[0], s.Load[1], s.Load[2],
		k.Processes, k.Threads, k.Running, k.Blocked, k.Zombie)
	if p := s.Pressure; p != nil {
		out.line("pressure", "some of 10 s: cpu %s, memory %s, io %s; all: memory %s, io %s", percent(p.CPU.Some10), percent(p.Memory.Some10),
			percent(p.IO.Some10), percent(p.Memory.Full10), percent(p.IO.Full10))
	}
	m, w := s.Memory, s.Swap
	out.line("memory", "%s of %s used, %s cached, %s free", showSize(m.Used()), showSize(m.Total), showSize(m.Cached), showSize(m.Free))
	if w.Total > 0 {
		out.line("swap", "%s of %s used, in %s, out %s", showSize(w.Total-min(w.Free, w.Total)), showSize(w.Total), rateWords(w.In), rateWords(w.Out))
	}
	deviceLines(out, s)
	return out
}

// deviceLines are disks, file systems, interfaces and sensors, and what is missing.
func deviceLines(out *sheet, s *sample.Sample) {
	var disks, mounts, links, sensors, missing []string
	for _, d := range s.Disks {
		disks = append(disks, fmt.Sprintf("%s: read %s, write %s, busy %s, wait %.1f ms", d.Name, rateWords(d.ReadBytes), rateWords(d.WriteBytes),
			percent(d.Busy), d.Wait*1000))
	}
	for _, f := range s.Filesystems {
		line := fmt.Sprintf("%s: %s of %s used, %s free (%s)", f.Mount, showSize(f.Used), showSize(f.Size), showSize(f.Available), f.Type)
		if f.Stale {
			line += ", DOES NOT ANSWER"
		}
		mounts = append(mounts, line)
	}
	for _, i := range s.Interfaces {
		if !i.Up && i.RxBytes+i.TxBytes == 0 {
			continue
		}
		line := fmt.Sprintf("%s: rx %s, tx %s", i.Name, rateWords(i.RxBytes), rateWords(i.TxBytes))
		if bad := i.RxErrors + i.TxErrors + i.RxDrops + i.TxDrops; bad > 0 {
			line += fmt.Sprintf(", %.0f errors and drops/s", bad)
		}
		links = append(links, line)
	}
	for _, n := range s.Sensors {
		sensors = append(sensors, fmt.Sprintf("%s %s: %.1f %s", n.Chip, n.Label, n.Value, n.Kind))
	}
	for _, n := range s.Missing {
		missing = append(missing, strings.TrimSuffix(fmt.Sprintf("%s: %s; %s", n.What, n.Why, n.Help), "; "))
	}
	for _, part := range []struct {
		label string
		lines []string
	}{{"disks", disks}, {"files", mounts}, {"network", links}, {"sensors", sensors}, {"not seen", missing}} {
		if len(part.lines) > 0 {
			out.list(part.label, part.lines)
		}
	}
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", share*100) }

// coreWords says how busy each core is, of many the first.
func coreWords(cores []sample.Times) string {
	const most = 16
	var words []string
	for _, t := range cores[:min(len(cores), most)] {
		words = append(words, fmt.Sprintf("%.0f%%", t.Busy()*100))
	}
	if more := len(cores) - most; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, " ")
}

func machineTable(s *sample.Sample) *table {
	t := newTable("MACHINE", "BY", "STATE", "CPU", "CPUS", "MEMORY", "GIVEN", "READ", "WRITE", "RX", "TX", "INTERFACES")
	for _, m := range s.Machines {
		cpus, given := "", ""
		if m.CPUs > 0 {
			cpus = fmt.Sprintf("%.4g", m.CPUs)
		}
		if m.Memory > 0 {
			given = showSize(m.Memory)
		}
		t.add(m.Name, m.By, m.State, showShare(m.CPU), cpus, showSize(m.Used), given, rateWords(m.ReadBytes), rateWords(m.WriteBytes),
			rateWords(m.RxBytes), rateWords(m.TxBytes), strings.Join(m.Interfaces, " "))
	}
	return t
}
