package alert

import (
	"sarn/internal/monitor/sample"
)

func filesystemKind() kind {
	at := func(s *sample.Sample, i int) *sample.Filesystem { return &s.Filesystems[i] }
	v := func(name string, u unit, words string, get func(*sample.Filesystem) float64) value {
		return value{name: name, unit: u, words: words, get: func(s *sample.Sample, i int) float64 {
			if at(s, i).Stale {
				return unknown
			}
			return get(at(s, i))
		}}
	}
	mount := func(s *sample.Sample, i int) string { return at(s, i).Mount }
	return kind{
		name: "filesystem", count: func(s *sample.Sample) int { return len(s.Filesystems) }, subject: mount,
		fields: []field{
			{"mount", mount},
			{"device", func(s *sample.Sample, i int) string { return at(s, i).Device }},
			{"type", func(s *sample.Sample, i int) string { return at(s, i).Type }},
		},
		values: []value{
			// As df(1) has it: what root alone may use counts as neither.
			v("used", share, "space in use", func(f *sample.Filesystem) float64 {
				return ratio(float64(f.Used), float64(f.Used)+float64(f.Available))
			}),
			v("available", size, "space that is left", func(f *sample.Filesystem) float64 {
				if f.Size == 0 {
					return unknown
				}
				return float64(f.Available)
			}),
			v("inodes", share, "inodes in use", func(f *sample.Filesystem) float64 {
				return ratio(float64(f.Inodes-min(f.FreeNodes, f.Inodes)), float64(f.Inodes))
			}),
		},
	}
}

func diskKind() kind {
	v := func(name string, u unit, words string, get func(*sample.Disk) float64) value {
		return value{name: name, unit: u, words: words, rated: true, get: func(s *sample.Sample, i int) float64 { return get(&s.Disks[i]) }}
	}
	name := func(s *sample.Sample, i int) string { return s.Disks[i].Name }
	return kind{
		name: "disk", count: func(s *sample.Sample) int { return len(s.Disks) }, subject: name, fields: []field{{"name", name}},
		values: []value{
			v("busy", share, "disk busy", func(d *sample.Disk) float64 { return d.Busy }),
			v("wait", seconds, "time for a request", func(d *sample.Disk) float64 { return d.Wait }),
			v("read", rate, "read from the disk", func(d *sample.Disk) float64 { return d.ReadBytes }),
			v("write", rate, "written to the disk", func(d *sample.Disk) float64 { return d.WriteBytes }),
			v("io", rate, "read from and written to the disk", func(d *sample.Disk) float64 { return d.ReadBytes + d.WriteBytes }),
			v("requests", persec, "requests to the disk", func(d *sample.Disk) float64 { return d.Reads + d.Writes }),
		},
	}
}

func interfaceKind() kind {
	v := func(name string, u unit, words string, get func(*sample.Interface) float64) value {
		return value{name: name, unit: u, words: words, rated: true, get: func(s *sample.Sample, i int) float64 { return get(&s.Interfaces[i]) }}
	}
	name := func(s *sample.Sample, i int) string { return s.Interfaces[i].Name }
	return kind{
		name: "interface", count: func(s *sample.Sample) int { return len(s.Interfaces) }, subject: name, fields: []field{{"name", name}},
		values: []value{
			v("rx", rate, "received", func(n *sample.Interface) float64 { return n.RxBytes }),
			v("tx", rate, "sent", func(n *sample.Interface) float64 { return n.TxBytes }),
			v("rx_share", share, "received, of the speed", func(n *sample.Interface) float64 { return ratio(8*n.RxBytes, float64(n.Speed)) }),
			v("tx_share", share, "sent, of the speed", func(n *sample.Interface) float64 { return ratio(8*n.TxBytes, float64(n.Speed)) }),
			v("packets", persec, "packets", func(n *sample.Interface) float64 { return n.RxPackets + n.TxPackets }),
			v("errors", persec, "errors", func(n *sample.Interface) float64 { return n.RxErrors + n.TxErrors }),
			v("drops", persec, "packets dropped", func(n *sample.Interface) float64 { return n.RxDrops + n.TxDrops }),
		},
	}
}

func sensorKind() kind {
	at := func(s *sample.Sample, i int) *sample.Sensor { return &s.Sensors[i] }
	return kind{
		name: "sensor", count: func(s *sample.Sample) int { return len(s.Sensors) },
		subject: func(s *sample.Sample, i int) string { return at(s, i).Chip + " " + at(s, i).Label },
		fields: []field{
			{"chip", func(s *sample.Sample, i int) string { return at(s, i).Chip }},
			{"label", func(s *sample.Sample, i int) string { return at(s, i).Label }},
			{"kind", func(s *sample.Sample, i int) string { return at(s, i).Kind }},
		},
		values: []value{
			{name: "reading", unit: number, words: "reading", get: func(s *sample.Sample, i int) float64 { return at(s, i).Value }},
			{name: "high_share", unit: share, words: "reading, of what is too much", get: func(s *sample.Sample, i int) float64 {
				return ratio(at(s, i).Value, at(s, i).High)
			}},
		},
	}
}
