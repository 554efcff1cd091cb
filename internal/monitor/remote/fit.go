package remote

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"sarn/internal/monitor/sample"
)

// What a machine can have at most.
const (
	mostProcesses = 100_000
	mostMachines  = 10_000
	mostDevices   = 10_000  // of each kind
	mostText      = 4 << 10 // bytes of one text
	mostTexts     = 32 << 20
	mostCPUs      = 1 << 14
	mostAmount    = 1e18 // of bytes, of bytes a second
)

var errNoSample = errors.New("it sends what is not a sample")

// fitter cuts what a server says to what can be.
type fitter struct{ bytes int }

// fit makes a sample harmless, or says why it is none. It changes s.
func fit(s *sample.Sample) error {
	if s == nil || s.Time.IsZero() {
		return errNoSample
	}
	if err := fitFigures(s); err != nil {
		return err
	}
	last := 0
	for i := range s.Processes {
		if s.Processes[i].PID <= last {
			return errNoSample // twice the same, or not in order: no delta could be right
		}
		last = s.Processes[i].PID
	}
	return nil
}

// fitFigures is fit for what has values of a sample and is none.
func fitFigures(s *sample.Sample) error {
	for _, l := range []struct{ n, most int }{
		{len(s.Processes), mostProcesses}, {len(s.Machines), mostMachines}, {len(s.Disks), mostDevices}, {len(s.Filesystems), mostDevices},
		{len(s.Interfaces), mostDevices}, {len(s.Sensors), mostDevices}, {len(s.CPU.Cores), mostCPUs}, {len(s.Missing), mostDevices},
	} {
		if l.n > l.most {
			return errTooMany
		}
	}
	f := &fitter{}
	f.system(s)
	f.devices(s)
	for i := range s.Machines {
		f.machine(&s.Machines[i])
	}
	f.processes(s.Processes)
	for i := range s.Missing {
		f.texts(&s.Missing[i].What, &s.Missing[i].Why, &s.Missing[i].Help)
	}
	if f.bytes > mostTexts {
		return errTooLarge
	}
	return nil
}

func (f *fitter) system(s *sample.Sample) {
	h := &s.Host
	f.texts(&h.Name, &h.OS, &h.Kernel, &h.Model, &h.Reader)
	counts(&h.CPUs, &s.Tasks.Processes, &s.Tasks.Threads, &s.Tasks.Running, &s.Tasks.Blocked, &s.Tasks.Zombie)
	amounts(&s.Interval, &s.Load[0], &s.Load[1], &s.Load[2], &s.Tasks.ContextSwitches, &s.Tasks.Forks, &s.Swap.In, &s.Swap.Out)
	spent(&s.CPU.Total)
	for i := range s.CPU.Cores {
		spent(&s.CPU.Cores[i])
	}
	if p := s.Pressure; p != nil {
		for _, t := range []*sample.Stall{&p.CPU, &p.Memory, &p.IO} {
			shares(&t.Some10, &t.Some60, &t.Full10, &t.Full60)
		}
	}
}

func (f *fitter) devices(s *sample.Sample) {
	for i := range s.Disks {
		d := &s.Disks[i]
		f.texts(&d.Name)
		amounts(&d.Reads, &d.Writes, &d.ReadBytes, &d.WriteBytes, &d.Wait)
		shares(&d.Busy)
	}
	for i := range s.Filesystems {
		f.texts(&s.Filesystems[i].Mount, &s.Filesystems[i].Device, &s.Filesystems[i].Type)
	}
	for i := range s.Interfaces {
		n := &s.Interfaces[i]
		f.texts(&n.Name)
		amounts(&n.RxBytes, &n.TxBytes, &n.RxPackets, &n.TxPackets, &n.RxErrors, &n.TxErrors, &n.RxDrops, &n.TxDrops)
	}
	for i := range s.Sensors {
		n := &s.Sensors[i]
		f.texts(&n.Chip, &n.Label, &n.Kind)
		between(-mostAmount, mostAmount, &n.Value, &n.High)
	}
}

func (f *fitter) machine(m *sample.Machine) {
	f.texts(&m.ID, (*string)(&m.Kind), &m.Name, &m.By, &m.State)
	for i := range m.Interfaces {
		f.texts(&m.Interfaces[i])
	}
	counts(&m.PID, &m.Processes)
	amounts(&m.CPUs, &m.CPU)
	amounts(pointers(m.VCPUs)...)
	rates(&m.ReadBytes, &m.WriteBytes, &m.RxBytes, &m.TxBytes)
}

func (f *fitter) processes(all []sample.Process) {
	for i := range all {
		p := &all[i]
		f.texts(&p.User, &p.Name, &p.Command, &p.State, &p.Machine)
		counts(&p.Parent, &p.Threads)
		p.Nice = min(max(p.Nice, -20), 19)
		p.CPU, p.CPUTime = cut(p.CPU, 0, mostCPUs), cut(p.CPUTime, 0, 1e12)
		rates(&p.ReadBytes, &p.WriteBytes, &p.RxBytes, &p.TxBytes)
	}
}

// texts cuts texts and counts their bytes.
func (f *fitter) texts(all ...*string) {
	for _, t := range all {
		if len(*t) > mostText {
			*t = strings.Clone(strings.ToValidUTF8((*t)[:mostText], ""))
		}
		f.bytes += len(*t)
	}
}

func pointers(values []float64) []*float64 {
	all := make([]*float64, len(values))
	for i := range values {
		all[i] = &values[i]
	}
	return all
}

func spent(t *sample.Times) {
	shares(&t.User, &t.Nice, &t.System, &t.Idle, &t.IOWait, &t.IRQ, &t.SoftIRQ, &t.Steal, &t.Guest)
}

func shares(all ...*float64)  { between(0, 1, all...) }
func amounts(all ...*float64) { between(0, mostAmount, all...) }

func between(low, high float64, all ...*float64) {
	for _, v := range all {
		*v = cut(*v, low, high)
	}
}

func cut(v, low, high float64) float64 { return min(max(v, low), high) }

// rates may be -1, which is not known.
func rates(all ...*float64) {
	for _, v := range all {
		if *v < 0 {
			*v = -1
		}
		*v = min(*v, mostAmount)
	}
}

func counts(all ...*int) {
	for _, v := range all {
		*v = min(max(*v, 0), 1<<30)
	}
}

// mostFirst is how many processes a summary may have.
const mostFirst = 1000

// fitSummary is fit for a summary.
func fitSummary(s *sample.Summary) error {
	if s.Time.IsZero() {
		return errNoSample
	}
	if len(s.Processes) > mostFirst {
		return errTooMany
	}
	as := &sample.Sample{Host: s.Host, Load: s.Load, Tasks: s.Tasks, Pressure: s.Pressure, Swap: s.Swap, Machines: s.Machines, Processes: s.Processes}
	as.CPU.Total = s.CPU
	if err := fitFigures(as); err != nil {
		return err
	}
	s.Host, s.Load, s.Tasks, s.Swap, s.CPU = as.Host, as.Load, as.Tasks, as.Swap, as.CPU.Total
	amounts(&s.Interval, &s.ReadBytes, &s.WriteBytes, &s.RxBytes, &s.TxBytes)
	counts(&s.VMs, &s.Containers, &s.Alerts)
	if s.Worst != nil {
		(&fitter{}).texts(&s.Worst.Level, &s.Worst.Message)
	}
	return nil
}

// skewed is how far another machine's clock may be off before that is said.
const skewed = time.Minute

// tellSkew says in the sample that the server's clock is another.
func tellSkew(s *sample.Sample, now time.Time) {
	d := s.Time.Sub(now)
	if d.Abs() < skewed {
		return
	}
	word := "behind"
	if d > 0 {
		word = "ahead of"
	}
	s.Missing = append(s.Missing[:len(s.Missing):len(s.Missing)], sample.Missing{
		What: "the same time", Why: fmt.Sprintf("that machine's clock is %s %s this one's", d.Abs().Round(time.Second), word), Help: "let both follow a time server",
	})
}
