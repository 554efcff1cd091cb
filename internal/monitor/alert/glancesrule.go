package alert

import (
	"slices"
	"strings"
)

// glancesRule returns the rule that a threshold belongs to, and the threshold as that
// rule has it, or why there is none.
func glancesRule(l glancesLine, what string) (r Rule, text, why string) {
	percent := l.value + "%"
	r = Rule{Name: "glances-" + l.section, Of: "system"}
	if what != "" {
		r.Name += "-" + what
	}
	const noValue = "Sarn has no such value"
	switch l.section {
	case "cpu":
		r.Value, text = what, percent
		if what == "total" {
			r.Value = "cpu"
		}
		if what == "ctx_switches" {
			r.Value, text = "context_switches", l.value
		} else if !slices.Contains([]string{"total", "user", "system", "iowait", "steal", "nice", "irq", "softirq", "guest"}, what) {
			why = noValue
		}
	case "percpu":
		r.Of, r.Value, text = "core", what, percent
		if !slices.Contains([]string{"user", "system", "iowait", "steal", "nice", "irq", "softirq", "guest"}, what) {
			why = noValue
		}
	case "quicklook":
		why = "is about the colour of a bar; [cpu], [mem] and [memswap] are the alerts"
	case "mem", "memswap":
		r.Value, text = map[string]string{"mem": "memory", "memswap": "swap"}[l.section], percent
		if what != "" {
			why = noValue
		}
	case "load":
		r.Value, text = "load15_per_cpu", l.value
		if what != "" {
			why = noValue
		}
	case "fs":
		r.Of, r.Value, text = "filesystem", "used", percent
		if what != "" {
			r.Match = map[string]string{"mount": "=" + what}
		}
	case "diskio":
		return glancesDisk(r, l, what)
	case "network":
		return glancesNetwork(r, l, what)
	case "sensors":
		return glancesSensor(r, l, what)
	case "processlist":
		switch what {
		case "cpu":
			r.Of, r.Value, text = "process", "cpu", percent
		case "mem":
			r.Of, r.Value, text = "process", "memory_share", percent
		default:
			why = noValue
		}
	case "docker", "containers", "vms":
		return glancesMachine(r, l, what)
	default:
		why = noValue
	}
	return r, text, why
}

// glancesNetwork has shares of the speed for all interfaces, and bits a second for one.
func glancesNetwork(r Rule, l glancesLine, what string) (Rule, string, string) {
	r.Of = "interface"
	name, way := "", what
	if i := strings.LastIndexByte(what, '_'); i >= 0 {
		name, way = what[:i], what[i+1:]
	}
	if way != "rx" && way != "tx" {
		return r, "", "Sarn has no such value"
	}
	if name == "" {
		r.Value = way + "_share"
		return r, l.value + "%", ""
	}
	r.Value, r.Match = way, map[string]string{"name": "=" + name}
	return r, l.value + "bit/s", ""
}

// glancesDisk has bytes a second, of one disk or of all.
func glancesDisk(r Rule, l glancesLine, what string) (Rule, string, string) {
	r.Of = "disk"
	name, way := "", what
	if i := strings.LastIndexByte(what, '_'); i >= 0 {
		name, way = what[:i], what[i+1:]
	}
	value, ok := map[string]string{"rx": "read", "tx": "write"}[way]
	if !ok {
		return r, "", "Sarn has no such value"
	}
	r.Value = value
	if name != "" {
		r.Match = map[string]string{"name": "=" + name}
	}
	return r, l.value + "B/s", ""
}

func glancesSensor(r Rule, l glancesLine, what string) (Rule, string, string) {
	r.Of, r.Value = "sensor", "reading"
	switch what {
	case "temperature_core":
		r.Match = map[string]string{"kind": "temperature"}
	case "temperature_hdd":
		r.Match = map[string]string{"kind": "temperature", "chip": "~^(drivetemp|nvme)"}
	default:
		return r, "", "Sarn has no such value"
	}
	return r, l.value, ""
}

// glancesMachine has thresholds of all containers, and of one by its name.
func glancesMachine(r Rule, l glancesLine, what string) (Rule, string, string) {
	kind := "container"
	if l.section == "vms" {
		kind = "vm"
	}
	r.Of, r.Match = "machine", map[string]string{"kind": kind}
	name, figure := "", what
	if i := strings.LastIndexByte(what, '_'); i >= 0 {
		name, figure = what[:i], what[i+1:]
	}
	value, ok := map[string]string{"cpu": "cpu", "mem": "memory_share"}[figure]
	if !ok {
		return r, "", "Sarn has no such value"
	}
	if name != "" {
		r.Match["name"] = "=" + name
	}
	r.Value = value
	return r, l.value + "%", ""
}
