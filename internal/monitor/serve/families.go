package serve

import (
	"strconv"

	"sarn/internal/monitor/sample"
)

func systemFamilies() []family {
	all := []family{
		gauge("host_info", "The machine and the program that looks at it; always 1.", []string{"host", "os", "kernel", "model", "version"}, func(s scrape, e emit) {
			e(1, s.Host.Name, s.Host.OS, s.Host.Kernel, s.Host.Model, s.server.config.Version)
		}),
		gauge("boot_time_seconds", "When the machine started, since 1970.", nil, one(func(s scrape) float64 { return float64(s.Host.Boot.Unix()) })),
		counter("cpu_seconds_total", "Time of all CPUs together, by what they did.", []string{"mode"}, func(s scrape, e emit) {
			v := s.of("cpu", "")
			for i, mode := range []string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"} {
				e(v[i], mode)
			}
		}),
		gauge("cpu_busy_ratio", "Share of the last interval in which a CPU did something.", []string{"cpu"}, func(s scrape, e emit) {
			for i, c := range s.CPU.Cores {
				e(c.Busy(), strconv.Itoa(i))
			}
		}),
		gauge("cpus", "CPUs that are online.", nil, one(func(s scrape) float64 { return float64(len(s.CPU.Cores)) })),
		gauge("load_average", "Tasks that run or want to.", []string{"window"}, func(s scrape, e emit) {
			for i, window := range []string{"1m", "5m", "15m"} {
				e(s.Load[i], window)
			}
		}),
		gauge("processes", "Processes.", nil, one(func(s scrape) float64 { return float64(s.Tasks.Processes) })),
		gauge("processes_by_state", "Processes that run, wait for a device, or have ended and were not waited for.", []string{"state"}, func(s scrape, e emit) {
			e(float64(s.Tasks.Running), "running")
			e(float64(s.Tasks.Blocked), "blocked")
			e(float64(s.Tasks.Zombie), "zombie")
		}),
		gauge("threads", "Threads of all processes.", nil, one(func(s scrape) float64 { return float64(s.Tasks.Threads) })),
		counter("context_switches_total", "Switches from one task to another.", nil, one(func(s scrape) float64 { return s.of("system", "")[0] })),
		counter("forks_total", "Processes and threads that began.", nil, one(func(s scrape) float64 { return s.of("system", "")[1] })),
		counter("swap_in_bytes_total", "Read from swap.", nil, one(func(s scrape) float64 { return s.of("system", "")[2] })),
		counter("swap_out_bytes_total", "Written to swap.", nil, one(func(s scrape) float64 { return s.of("system", "")[3] })),
		gauge("pressure_ratio", "Share of the time in which some or all tasks waited (PSI).", []string{"resource", "tasks", "window"}, pressure),
	}
	return append(all, memoryFamilies()...)
}

func pressure(s scrape, e emit) {
	if s.Pressure == nil {
		return
	}
	for _, r := range []struct {
		name string
		sample.Stall
	}{{"cpu", s.Pressure.CPU}, {"memory", s.Pressure.Memory}, {"io", s.Pressure.IO}} {
		e(r.Some10, r.name, "some", "10s")
		e(r.Some60, r.name, "some", "60s")
		e(r.Full10, r.name, "full", "10s")
		e(r.Full60, r.name, "full", "60s")
	}
}

func memoryFamilies() []family {
	bytes := func(name, help string, value func(scrape) uint64) family {
		return gauge(name+"_bytes", help, nil, one(func(s scrape) float64 { return float64(value(s)) }))
	}
	return []family{
		bytes("memory_size", "Memory.", func(s scrape) uint64 { return s.Memory.Total }),
		bytes("memory_available", "Memory that programs could have without swapping.", func(s scrape) uint64 { return s.Memory.Available }),
		bytes("memory_free", "Memory that nobody uses.", func(s scrape) uint64 { return s.Memory.Free }),
		bytes("memory_buffers", "Memory for blocks of devices.", func(s scrape) uint64 { return s.Memory.Buffers }),
		bytes("memory_cached", "Memory for files.", func(s scrape) uint64 { return s.Memory.Cached }),
		bytes("memory_shared", "Shared memory and tmpfs.", func(s scrape) uint64 { return s.Memory.Shared }),
		bytes("memory_slab", "Memory for the kernel's objects.", func(s scrape) uint64 { return s.Memory.Slab }),
		bytes("memory_dirty", "Memory that is yet to be written to disk.", func(s scrape) uint64 { return s.Memory.Dirty }),
		bytes("swap_size", "Swap.", func(s scrape) uint64 { return s.Swap.Total }),
		bytes("swap_free", "Swap that nobody uses.", func(s scrape) uint64 { return s.Swap.Free }),
	}
}

// column is a counter of each disk, interface or machine: one of the values that totals has.
func column(name, help, label, kind string, at int, names func(scrape, func(string))) family {
	return counter(name, help, []string{label}, func(s scrape, e emit) {
		names(s, func(n string) { e(s.of(kind, n)[at], n) })
	})
}

func deviceFamilies() []family {
	var all []family
	disk := func(name, help string, at int) {
		all = append(all, column("disk_"+name+"_total", help, "disk", "disk", at, func(s scrape, each func(string)) {
			for i := range s.Disks {
				each(s.Disks[i].Name)
			}
		}))
	}
	disk("reads", "Requests that read.", 0)
	disk("writes", "Requests that wrote.", 1)
	disk("read_bytes", "Bytes that were read.", 2)
	disk("written_bytes", "Bytes that were written.", 3)
	disk("busy_seconds", "Time in which the disk did something.", 4)
	port := func(name, help string, at int) {
		all = append(all, column("network_"+name+"_total", help, "interface", "interface", at, func(s scrape, each func(string)) {
			for i := range s.Interfaces {
				each(s.Interfaces[i].Name)
			}
		}))
	}
	port("receive_bytes", "Bytes that came in.", 0)
	port("transmit_bytes", "Bytes that went out.", 1)
	port("receive_packets", "Packets that came in.", 2)
	port("transmit_packets", "Packets that went out.", 3)
	port("receive_errors", "Packets that came in damaged.", 4)
	port("transmit_errors", "Packets that could not be sent.", 5)
	port("receive_drops", "Packets that came in and were thrown away.", 6)
	port("transmit_drops", "Packets that were thrown away instead of sent.", 7)
	all = append(all, gauge("network_up", "1 if the interface is up and has a carrier.", []string{"interface"}, func(s scrape, e emit) {
		for i := range s.Interfaces {
			e(flag(s.Interfaces[i].Up), s.Interfaces[i].Name)
		}
	}))
	return append(append(all, filesystemFamilies()...), sensorFamilies()...)
}

func filesystemFamilies() []family {
	each := func(name, help string, value func(*sample.Filesystem) float64) family {
		return gauge("filesystem_"+name, help, []string{"mount", "device", "type"}, func(s scrape, e emit) {
			for i := range s.Filesystems {
				f := &s.Filesystems[i]
				e(value(f), f.Mount, f.Device, f.Type)
			}
		})
	}
	return []family{
		each("size_bytes", "Size.", func(f *sample.Filesystem) float64 { return float64(f.Size) }),
		each("available_bytes", "Room for users who are not root.", func(f *sample.Filesystem) float64 { return float64(f.Available) }),
		each("used_bytes", "What is used.", func(f *sample.Filesystem) float64 { return float64(f.Used) }),
		each("inodes", "Inodes.", func(f *sample.Filesystem) float64 { return float64(f.Inodes) }),
		each("free_inodes", "Inodes that are free.", func(f *sample.Filesystem) float64 { return float64(f.FreeNodes) }),
		each("stale", "1 if the file system does not answer.", func(f *sample.Filesystem) float64 { return flag(f.Stale) }),
	}
}

func sensorFamilies() []family {
	each := func(name, help, kind string) family {
		return gauge("sensor_"+name, help, []string{"chip", "sensor"}, func(s scrape, e emit) {
			for i := range s.Sensors {
				if n := &s.Sensors[i]; n.Kind == kind {
					e(n.Value, n.Chip, n.Label)
				}
			}
		})
	}
	return []family{
		each("celsius", "Temperature.", "temperature"),
		each("fan_rpm", "Turns of a fan a minute.", "fan"),
		each("power_watts", "Power.", "power"),
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
