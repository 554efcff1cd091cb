package history

import (
	"strconv"
	"strings"

	"sarn/internal/monitor/sample"
)

func disksTable() table {
	type D = sample.Disk
	num := func(name string, m merge, scale float64, at func(*D) any) column[D] {
		return column[D]{name: name, merge: m, scale: scale, at: at}
	}
	return tableOf[D]{
		name:  "disks",
		key:   func(d *D, _ int) string { return d.Name },
		texts: []text[D]{func(d *D) *string { return &d.Name }},
		columns: []column[D]{
			num("reads", mean, cents, func(d *D) any { return &d.Reads }),
			num("writes", mean, cents, func(d *D) any { return &d.Writes }),
			num("read_bytes", mean, whole, func(d *D) any { return &d.ReadBytes }),
			num("write_bytes", mean, whole, func(d *D) any { return &d.WriteBytes }),
			num("wait", mean, micros, func(d *D) any { return &d.Wait }),
			num("busy", mean, shares, func(d *D) any { return &d.Busy }),
			num("stacked", last, whole, func(d *D) any { return &d.Stacked }),
		},
		read:  func(s *sample.Sample) []*D { return pointers(s.Disks) },
		write: func(s *sample.Sample, items []D) { s.Disks = items },
	}
}

func filesystemsTable() table {
	type F = sample.Filesystem
	num := func(name string, m merge, at func(*F) any) column[F] {
		return column[F]{name: name, merge: m, scale: whole, at: at}
	}
	return tableOf[F]{
		name: "filesystems",
		key:  func(f *F, _ int) string { return f.Mount },
		texts: []text[F]{
			func(f *F) *string { return &f.Mount },
			func(f *F) *string { return &f.Device },
			func(f *F) *string { return &f.Type },
		},
		columns: []column[F]{
			num("size", last, func(f *F) any { return &f.Size }),
			num("available", low, func(f *F) any { return &f.Available }),
			num("used", high, func(f *F) any { return &f.Used }),
			num("inodes", last, func(f *F) any { return &f.Inodes }),
			num("free_inodes", low, func(f *F) any { return &f.FreeNodes }),
			num("stale", high, func(f *F) any { return &f.Stale }),
		},
		read:  func(s *sample.Sample) []*F { return pointers(s.Filesystems) },
		write: func(s *sample.Sample, items []F) { s.Filesystems = items },
	}
}

func interfacesTable() table {
	type I = sample.Interface
	num := func(name string, m merge, scale float64, at func(*I) any) column[I] {
		return column[I]{name: name, merge: m, scale: scale, at: at}
	}
	return tableOf[I]{
		name:  "interfaces",
		key:   func(i *I, _ int) string { return i.Name },
		texts: []text[I]{func(i *I) *string { return &i.Name }},
		columns: []column[I]{
			num("up", last, whole, func(i *I) any { return &i.Up }),
			num("speed", last, whole, func(i *I) any { return &i.Speed }),
			num("rx_bytes", mean, whole, func(i *I) any { return &i.RxBytes }),
			num("tx_bytes", mean, whole, func(i *I) any { return &i.TxBytes }),
			num("rx_packets", mean, cents, func(i *I) any { return &i.RxPackets }),
			num("tx_packets", mean, cents, func(i *I) any { return &i.TxPackets }),
			num("rx_errors", mean, cents, func(i *I) any { return &i.RxErrors }),
			num("tx_errors", mean, cents, func(i *I) any { return &i.TxErrors }),
			num("rx_drops", mean, cents, func(i *I) any { return &i.RxDrops }),
			num("tx_drops", mean, cents, func(i *I) any { return &i.TxDrops }),
			num("physical", last, whole, func(i *I) any { return &i.Physical }),
		},
		read:  func(s *sample.Sample) []*I { return pointers(s.Interfaces) },
		write: func(s *sample.Sample, items []I) { s.Interfaces = items },
	}
}

func sensorsTable() table {
	type S = sample.Sensor
	return tableOf[S]{
		name: "sensors",
		key:  sensorKey,
		texts: []text[S]{
			func(s *S) *string { return &s.Chip },
			func(s *S) *string { return &s.Label },
			func(s *S) *string { return &s.Kind },
		},
		columns: []column[S]{
			{name: "value", merge: high, scale: cents, at: func(s *S) any { return &s.Value }},
			{name: "high", merge: last, scale: cents, at: func(s *S) any { return &s.High }},
		},
		read:  func(s *sample.Sample) []*S { return pointers(s.Sensors) },
		write: func(s *sample.Sample, items []S) { s.Sensors = items },
	}
}

// machine is a Machine with its interfaces as one string.
type machine struct {
	sample.Machine
	interfaces string
}

func machinesTable() table {
	type M = machine
	num := func(name string, m merge, scale float64, at func(*M) any) column[M] {
		return column[M]{name: name, merge: m, scale: scale, at: at}
	}
	return tableOf[M]{
		name: "machines",
		key:  func(m *M, _ int) string { return m.ID },
		texts: []text[M]{
			func(m *M) *string { return &m.ID },
			func(m *M) *string { return (*string)(&m.Kind) },
			func(m *M) *string { return &m.Name },
			func(m *M) *string { return &m.By },
			func(m *M) *string { return &m.State },
			func(m *M) *string { return &m.interfaces },
		},
		columns: []column[M]{
			num("pid", last, whole, func(m *M) any { return &m.PID }),
			num("cpus", last, cents, func(m *M) any { return &m.CPUs }),
			num("cpu", mean, shares, func(m *M) any { return &m.CPU }),
			num("memory", last, whole, func(m *M) any { return &m.Memory }),
			num("used", high, whole, func(m *M) any { return &m.Used }),
			num("read_bytes", mean, whole, func(m *M) any { return &m.ReadBytes }),
			num("write_bytes", mean, whole, func(m *M) any { return &m.WriteBytes }),
			num("rx_bytes", mean, whole, func(m *M) any { return &m.RxBytes }),
			num("tx_bytes", mean, whole, func(m *M) any { return &m.TxBytes }),
			num("processes", high, whole, func(m *M) any { return &m.Processes }),
		},
		read: func(s *sample.Sample) []*M {
			all := make([]*M, len(s.Machines))
			for i, m := range s.Machines {
				all[i] = &M{m, strings.Join(m.Interfaces, " ")} // no interface's name has a space: dev_valid_name() in the kernel
			}
			return all
		},
		write: func(s *sample.Sample, items []M) {
			for _, m := range items {
				m.Interfaces = strings.Fields(m.interfaces)
				s.Machines = append(s.Machines, m.Machine)
			}
		},
	}
}

// vcpu is one virtual CPU of a machine.
type vcpu struct {
	machine string
	number  int
	busy    float64
}

// vcpusTable stands after the machines, which must be there when it is restored.
func vcpusTable() table {
	return tableOf[vcpu]{
		name:  "vcpus",
		key:   func(v *vcpu, _ int) string { return v.machine + "/" + strconv.Itoa(v.number) },
		texts: []text[vcpu]{func(v *vcpu) *string { return &v.machine }},
		columns: []column[vcpu]{
			{name: "number", merge: last, scale: whole, at: func(v *vcpu) any { return &v.number }},
			{name: "busy", merge: mean, scale: shares, at: func(v *vcpu) any { return &v.busy }},
		},
		read: func(s *sample.Sample) []*vcpu {
			var all []*vcpu
			for _, m := range s.Machines {
				for i, busy := range m.VCPUs {
					all = append(all, &vcpu{clipped(m.ID), i, busy})
				}
			}
			return all
		},
		write: func(s *sample.Sample, items []vcpu) {
			for _, v := range items {
				for i := range s.Machines {
					if m := &s.Machines[i]; m.ID == v.machine && v.number == len(m.VCPUs) {
						m.VCPUs = append(m.VCPUs, v.busy)
					}
				}
			}
		},
	}
}

func missingTable() table {
	type M = sample.Missing
	return tableOf[M]{
		name: "missing",
		key:  func(m *M, _ int) string { return m.What },
		texts: []text[M]{
			func(m *M) *string { return &m.What },
			func(m *M) *string { return &m.Why },
			func(m *M) *string { return &m.Help },
		},
		read:  func(s *sample.Sample) []*M { return pointers(s.Missing) },
		write: func(s *sample.Sample, items []M) { s.Missing = items },
	}
}
