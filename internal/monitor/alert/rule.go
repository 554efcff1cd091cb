package alert

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"sarn/internal/monitor/sample"
)

// Level is how bad it is.
type Level int

// The levels, from the least on.
const (
	OK Level = iota
	Careful
	Warning
	Critical
)

func levelWords() []string { return []string{"ok", "careful", "warning", "critical"} }

// String returns the level's word.
func (l Level) String() string { return levelWords()[min(max(l, OK), Critical)] }

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(text []byte) error {
	i := slices.Index(levelWords(), string(text))
	if i < 0 {
		return fmt.Errorf("%q is not a level; use one of %s", text, strings.Join(levelWords(), ", "))
	}
	*l = Level(i)
	return nil
}

const (
	defaultClear  = 0.9 // of the threshold, for what must not be above it
	defaultWindow = 10 * time.Minute
	longest       = 30 * 24 * time.Hour
	mostRules     = 1000
)

// rule is a Rule that can be asked.
type rule struct {
	Rule
	kind    kind
	value   value
	fields  []fieldMatch
	below   bool
	levels  []threshold
	wait    time.Duration // For
	settle  time.Duration // ClearFor
	window  time.Duration
	actions []int
}

type fieldMatch struct {
	name    string
	get     func(*sample.Sample, int) string
	pattern pattern
}

type threshold struct {
	level     Level
	at, clear float64
}

func (r *rule) matches(s *sample.Sample, i int) bool {
	for f := range r.fields {
		if m := &r.fields[f]; !m.pattern.matches(m.get(s, i)) {
			return false
		}
	}
	return true
}

// reads returns the value of a thing, NaN if it is not known.
func (r *rule) reads(s *sample.Sample, i int) float64 {
	if r.value.rated && s.Interval <= 0 {
		return unknown
	}
	return r.value.get(s, i)
}

// beyond reports whether v is past a threshold, and back whether it is on the good side
// of the value that clears it.
func (r *rule) beyond(t threshold, v float64) bool {
	if r.below {
		return v < t.at
	}
	return v >= t.at
}

func (r *rule) back(t threshold, v float64) bool {
	if r.below {
		return v >= t.clear
	}
	return v < t.clear || v == 0 && t.clear == 0
}

// levelOf returns the level that the value has by itself, whatever was before.
func (r *rule) levelOf(v float64) Level {
	for _, t := range slices.Backward(r.levels) {
		if r.beyond(t, v) {
			return t.level
		}
	}
	return OK
}

func (r *rule) threshold(l Level) threshold {
	for _, t := range r.levels {
		if t.level == l {
			return t
		}
	}
	return r.levels[0]
}

// compiler makes rules of a config and notes what is wrong with it.
type compiler struct {
	Problems
	c       *Config
	actions map[string]int
	words   *regexp.Regexp
}

// validate returns what is wrong with a config.
func validate(c *Config) Problems {
	_, ps := compile(c)
	return ps
}

func compile(c *Config) ([]*rule, Problems) {
	b := &compiler{c: c, actions: map[string]int{}, words: regexp.MustCompile(`\{[^{}\s]*\}`)}
	b.checkActions()
	b.duration("defaults.for", c.Defaults.For, 0)
	b.duration("defaults.clear_for", c.Defaults.ClearFor, 0)
	b.actionsNamed("defaults.actions", c.Defaults.Actions)
	if len(c.Rules) == 0 {
		b.Add("rules", "is missing or empty; a file of alerts has at least one rule")
	}
	if len(c.Rules) > mostRules {
		b.Add("rules", "are %d; %d is the most", len(c.Rules), mostRules)
		return nil, b.Problems
	}
	names := map[string]int{}
	rules := make([]*rule, 0, len(c.Rules))
	for i, r := range c.Rules {
		at := fmt.Sprintf("rules.%d", i)
		switch first, twice := names[r.Name]; {
		case r.Name == "":
			b.Add(at+".name", "is missing; alerts are told apart by it")
		case twice:
			b.Add(at+".name", "%q is also the name of rules.%d; give each its own", r.Name, first)
		default:
			names[r.Name] = i
		}
		rules = append(rules, b.rule(at, r))
	}
	return rules, b.Problems
}

func (b *compiler) rule(at string, src Rule) *rule {
	r := &rule{Rule: src}
	names := src.Actions
	if names == nil {
		names = b.c.Defaults.Actions
	} else {
		b.actionsNamed(at+".actions", names)
	}
	for _, n := range names {
		if i, ok := b.actions[n]; ok {
			r.actions = append(r.actions, i)
		}
	}
	r.wait = b.duration(at+".for", src.For, timeoutOr(b.c.Defaults.For, 0))
	r.settle = b.duration(at+".clear_for", src.ClearFor, timeoutOr(b.c.Defaults.ClearFor, 0))
	r.window = b.duration(at+".window", src.Window, defaultWindow)
	b.oneOf(at+".when", src.When, "above", "below")
	b.oneOf(at+".missing", src.Missing, "hold", "clear", "fire")
	b.message(at+".message", src.Message)
	r.below = src.When == "below"
	if !b.what(at, r) {
		return r
	}
	b.match(at, r)
	b.levels(at, r)
	return r
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// what finds the kind and value that the rule is about.
func (b *compiler) what(at string, r *rule) bool {
	var words []string
	for _, k := range kinds() {
		words = append(words, k.name)
	}
	k, ok := kindNamed(r.Of)
	if !ok {
		b.Add(at+".of", "%s; use one of %s", isNot(r.Of, "a thing to watch"), strings.Join(words, ", "))
		return false
	}
	r.kind, words = k, nil
	for _, v := range k.values {
		words = append(words, v.name)
		if v.name == r.Value {
			r.value = v
		}
	}
	if r.value.name == "" {
		b.Add(at+".value", "%s; use one of %s", isNot(r.Value, "a value of a "+k.name), strings.Join(words, ", "))
		return false
	}
	return true
}

func isNot(word, what string) string {
	if word == "" {
		return "is missing"
	}
	return fmt.Sprintf("%q is not %s", word, what)
}

func (b *compiler) match(at string, r *rule) {
	var known []string
	for _, f := range r.kind.fields {
		known = append(known, f.name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Match)) {
		field := at + ".match." + name
		i := slices.Index(known, name)
		if i < 0 && len(known) == 0 {
			b.Add(field, "there is only one %s: leave `match` out", r.kind.name)
			continue
		}
		if i < 0 {
			b.Add(field, "is not a field of a %s; use %s", r.kind.name, strings.Join(known, ", "))
			continue
		}
		p, err := newPattern(r.Match[name])
		if err != nil {
			b.Add(field, "%v", err)
			continue
		}
		r.fields = append(r.fields, fieldMatch{name, r.kind.fields[i].get, p})
	}
	if r.value.group == absent && len(r.fields) == 0 {
		b.Add(at+".match", "is missing: say which %s must be there", r.kind.name)
	}
	if r.Window != "" && r.value.group != restarts {
		b.Add(at+".window", "is for restarted and flapping; leave it out")
	}
}

func (b *compiler) levels(at string, r *rule) {
	given := []string{r.Careful, r.Warning, r.Critical}
	last := ""
	for i, text := range given {
		if text == "" {
			continue
		}
		name := levelWords()[i+1]
		v, err := r.value.unit.parse(text)
		switch {
		case r.value.group == absent:
			b.Add(at+"."+name, "%s has no threshold; write `severity: %s`", r.Value, name)
			continue
		case err != nil:
			b.Add(at+"."+name, "%v", err)
			continue
		case v == 0:
			b.Add(at+"."+name, "is 0, which is always or never reached; give what is too much, or with `when: below` too little")
			continue
		}
		if n := len(r.levels); n > 0 && !r.beyond(r.levels[n-1], v) || n > 0 && v == r.levels[n-1].at {
			b.Add(at+"."+name, "%s is not worse than the %s level's %s", text, last, given[r.levels[n-1].level-1])
		}
		r.levels, last = append(r.levels, threshold{level: Level(i + 1), at: v}), name
	}
	b.severity(at, r)
	if len(r.levels) > 0 {
		b.clear(at, r)
	}
}

// severity gives a level to the rules that may go without thresholds.
func (b *compiler) severity(at string, r *rule) {
	given := r.Careful != "" || r.Warning != "" || r.Critical != ""
	optional := r.value.group == absent || r.value.group == restarts
	switch {
	case !given && !optional:
		b.Add(at, "%s has no threshold; give careful, warning or critical, such as `warning: %s`", either(r.Name, "the rule"), strings.Fields(r.value.unit.example())[0])
		return
	case r.Severity != "" && (given || !optional):
		b.Add(at+".severity", "the thresholds say the level; leave it out")
		return
	case given:
		return
	}
	level := Warning
	if r.Severity != "" {
		if err := level.UnmarshalText([]byte(r.Severity)); err != nil || level == OK {
			b.Add(at+".severity", "%q is not a level; use one of careful, warning, critical", r.Severity)
		}
	}
	least := 1.0
	if r.Value == "flapping" {
		least = 3
	}
	if optional && r.below {
		b.Add(at+".when", "%s is not about less; leave it out", r.Value)
	}
	r.levels = []threshold{{level: level, at: least}}
}

// clear sets what clears each level: as given for the lowest, the others in proportion.
func (b *compiler) clear(at string, r *rule) {
	proportion := defaultClear
	if r.below {
		proportion = 1 / defaultClear
	}
	if r.value.whole {
		proportion = 1
	}
	if r.Clear != "" {
		lowest := r.levels[0]
		v, err := r.value.unit.parse(r.Clear)
		switch {
		case err != nil:
			b.Add(at+".clear", "%v", err)
		case r.value.group == absent:
			b.Add(at+".clear", "absent has no threshold; leave it out")
		case r.below && v < lowest.at, !r.below && v > lowest.at:
			b.Add(at+".clear", "%s is worse than the %s threshold; an alert would clear and fire at once", r.Clear, lowest.level)
		default:
			proportion = v / lowest.at
		}
	}
	for i := range r.levels {
		r.levels[i].clear = r.levels[i].at * proportion
	}
}

func (b *compiler) duration(field, text string, missing time.Duration) time.Duration {
	if text == "" {
		return missing
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > longest {
		b.Add(field, "%q is not a time up to %d days; write it like 30s, 5m or 1h", text, int(longest.Hours()/24))
		return missing
	}
	return d
}

func (b *compiler) oneOf(field, word string, words ...string) {
	if word != "" && !slices.Contains(words, word) {
		b.Add(field, "%q is not known; use %s", word, strings.Join(words, ", "))
	}
}
