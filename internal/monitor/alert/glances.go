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
		g.lines = append(g.lines, glancesLine{number, section, strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+1:])})
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
	g.patterns()
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
	hides := (key == "hide" || key == "show") && slices.Contains([]string{"fs", "network", "diskio", "sensors", "docker", "containers"}, l.section)
	if hides && !g.disabled[l.section] {
		g.no(l, "rules are of all there are; give them a `match`")
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

// patterns takes over the numbers of processes that a pattern must match: of [amp_NAME],
// and of the list of [monitor] in older versions.
func (g *glances) patterns() {
	type group struct{ section, prefix string }
	var order []group
	found := map[group]map[string]glancesLine{}
	for _, l := range g.lines {
		at := group{section: l.section}
		key := l.key
		if parts := strings.SplitN(key, "_", 3); l.section == "monitor" && len(parts) == 3 {
			at.prefix, key = parts[1], parts[2]
		} else if !strings.HasPrefix(l.section, "amp_") {
			continue
		}
		if found[at] == nil {
			found[at] = map[string]glancesLine{}
			order = append(order, at)
		}
		found[at][key] = l
	}
	for _, at := range order {
		name := strings.TrimSuffix("glances-"+at.section+"-"+at.prefix, "-")
		g.pattern(name, found[at])
	}
}

func (g *glances) pattern(name string, keys map[string]glancesLine) {
	expr, ok := keys["regex"]
	if l, amp := keys["enable"]; amp && !strings.EqualFold(l.value, "true") || !ok {
		return
	}
	r := Rule{Name: name, Of: "process", Value: "count", Match: map[string]string{"command": "~" + expr.value}}
	if l, ok := keys["countmin"]; ok {
		few := r
		few.Name, few.When, few.Warning = name+"-few", "below", l.value
		g.counted(l, few)
	}
	if l, ok := keys["countmax"]; ok {
		n, err := strconv.Atoi(l.value)
		if err != nil {
			g.no(l, "is not a number")
			return
		}
		many := r
		many.Name, many.Warning = name+"-many", strconv.Itoa(n+1)
		g.counted(l, many)
	}
}

func (g *glances) counted(l glancesLine, r Rule) {
	if ps := validate(&Config{Rules: []Rule{r}}); len(ps) > 0 {
		g.no(l, ps[0].Message)
		return
	}
	g.c.Rules = append(g.c.Rules, r)
}
