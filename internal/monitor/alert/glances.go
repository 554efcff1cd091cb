package alert

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// FromGlances makes rules of the thresholds in a glances.conf. What does not map is
// returned as lines of text: `line 12: [gpu] proc_careful: why`. What says nothing of
// alerts, such as a theme, is left out without a word.
func FromGlances(from io.Reader) (*Config, []string, error) {
	g := &glances{c: &Config{}, minimum: "6s", disabled: map[string]bool{}}
	scan := bufio.NewScanner(from)
	section, number := "", 0
	for scan.Scan() {
		number++
		text := strings.TrimSpace(scan.Text())
		if text == "" || strings.ContainsRune("#;", rune(text[0])) {
			continue
		}
		if name, ok := strings.CutPrefix(text, "["); ok {
			section, _, _ = strings.Cut(name, "]")
			continue
		}
		at := strings.IndexAny(text, "=:")
		if at < 0 || section == "" {
			g.unmapped = append(g.unmapped, fmt.Sprintf("line %d: is not `name=value` in a [section]", number))
			continue
		}
		g.lines = append(g.lines, glancesLine{number, section, strings.ToLower(strings.TrimSpace(text[:at])), strings.TrimSpace(text[at+1:])})
	}
	if err := scan.Err(); err != nil {
		return nil, nil, fmt.Errorf("read glances.conf: %w", err)
	}
	for _, l := range g.lines {
		if l.key == "disable" && strings.EqualFold(l.value, "true") {
			g.disabled[l.section] = true
		}
		if n, err := strconv.Atoi(l.value); l.section == "alert" && l.key == "min_duration" && err == nil && n >= 0 {
			g.minimum = strconv.Itoa(n) + "s"
		}
	}
	g.c.Defaults = Defaults{For: g.minimum}
	for _, l := range g.lines {
		g.line(l)
	}
	return g.c, g.unmapped, nil
}

type glances struct {
	c        *Config
	lines    []glancesLine
	minimum  string // that a state lasts, of [alert]
	disabled map[string]bool
	unmapped []string
}

type glancesLine struct {
	number              int
	section, key, value string
}

func (g *glances) no(l glancesLine, why string) {
	g.unmapped = append(g.unmapped, fmt.Sprintf("line %d: [%s] %s: %s", l.number, l.section, l.key, why))
}

func (g *glances) line(l glancesLine) {
	key, action := l.key, false
	for _, suffix := range []string{"_action", "_action_repeat"} {
		if cut, ok := strings.CutSuffix(key, suffix); ok {
			key, action = cut, true
		}
	}
	level, what := key, ""
	if i := strings.LastIndexByte(key, '_'); i >= 0 {
		what, level = key[:i], key[i+1:]
	}
	if !slices.Contains(levelWords()[1:], level) {
		return
	}
	switch {
	case g.disabled[l.section]:
		g.no(l, "the section is disabled")
	case action:
		g.no(l, "a shell's command is not taken over; write an action with exec, which has the names in its environment")
	default:
		g.threshold(l, what, level)
	}
}

func (g *glances) threshold(l glancesLine, what, level string) {
	r, text, why := glancesRule(l, what)
	if why != "" {
		g.no(l, why)
		return
	}
	i := slices.IndexFunc(g.c.Rules, func(have Rule) bool { return have.Name == r.Name })
	if i < 0 {
		i = len(g.c.Rules)
		g.c.Rules = append(g.c.Rules, r)
	}
	before := g.c.Rules[i]
	switch have := &g.c.Rules[i]; level {
	case "careful":
		have.Careful = text
	case "warning":
		have.Warning = text
	default:
		have.Critical = text
	}
	trial := g.c.Rules[i]
	if ps := validate(&Config{Rules: []Rule{trial}}); len(ps) > 0 {
		g.no(l, ps[0].Message)
		if g.c.Rules[i] = before; before.Careful == "" && before.Warning == "" && before.Critical == "" {
			g.c.Rules = slices.Delete(g.c.Rules, i, i+1)
		}
	}
}

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
