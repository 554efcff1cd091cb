package alert

import (
	"fmt"
	"math"
	"strings"

	"sarn/internal/monitor/sample"
)

// Report is what a file of alerts means.
type Report struct {
	Rules []RuleReport `json:"rules"`
	// Sampled says that the rules were asked of a sample.
	Sampled bool `json:"sampled"`
}

// RuleReport is what one rule means, and what it says of a sample.
type RuleReport struct {
	Name    string    `json:"name"`
	Means   string    `json:"means"`
	Matches int       `json:"matches"` // things in the sample
	Now     []Finding `json:"now,omitempty"`
}

// Finding is a thing that is past a threshold, or whose value is not known.
type Finding struct {
	Subject string `json:"subject,omitempty"`
	Level   Level  `json:"level"`
	Text    string `json:"text"`
}

const mostFindings = 20

// Check reads a file of alerts and says what each rule means and, with a sample, what
// the rule would say of it, whatever its `for:` is. The error is Problems if the file is
// wrong.
func Check(name string, data []byte, s *sample.Sample) (*Report, error) {
	c, err := Parse(name, data)
	if err != nil {
		return nil, err
	}
	rules, ps := compile(c)
	if len(ps) > 0 {
		return nil, ps
	}
	report := &Report{Sampled: s != nil}
	for _, r := range rules {
		one := RuleReport{Name: r.Name, Means: r.means(c)}
		if s != nil {
			r.ask(s, &one)
		}
		report.Rules = append(report.Rules, one)
	}
	return report, nil
}

// ask fills in what the rule says of a sample.
func (r *rule) ask(s *sample.Sample, out *RuleReport) {
	say := func(subject string, v float64) {
		level, text := r.levelOf(v), r.value.unit.text(v)
		if math.IsNaN(v) {
			level, text = OK, "not known"
			if r.value.rated && s.Interval <= 0 {
				text = "not known from the first pass alone"
			}
		}
		if (level > OK || math.IsNaN(v)) && len(out.Now) < mostFindings {
			out.Now = append(out.Now, Finding{Subject: subject, Level: level, Text: text})
		}
	}
	for i := range r.kind.count(s) {
		if !r.matches(s, i) || r.kind.name == "machine" && r.value.group != notGroup && !runs(&s.Machines[i]) {
			continue
		}
		out.Matches++
		if r.value.group == notGroup {
			say(r.kind.subject(s, i), r.reads(s, i))
		}
	}
	switch n := float64(out.Matches); {
	case r.value.group == count:
		say("", n)
	case r.value.group == absent && n == 0:
		say("", 1)
		out.Now[0].Text = "nothing matches"
	}
}

// means says in words what the rule does.
func (r *rule) means(c *Config) string {
	var b strings.Builder
	who := r.matchWords()
	if len(r.fields) > 0 {
		who = "each " + r.kind.name + " with " + who
	}
	switch {
	case r.value.group == absent:
		fmt.Fprintf(&b, "%s when no %s is there with %s", r.levels[0].level, r.kind.name, r.matchWords())
	case r.value.group == restarts:
		fmt.Fprintf(&b, "restarts of %s within %s: %s", who, r.window, r.levelWords())
	case r.value.group == count:
		fmt.Fprintf(&b, "the number of those that are %s: %s", strings.Replace(who, "each ", "a ", 1), r.levelWords())
	case r.kind.name == "system":
		fmt.Fprintf(&b, "%s: %s", r.value.words, r.levelWords())
	default:
		fmt.Fprintf(&b, "%s of %s: %s", r.value.words, who, r.levelWords())
	}
	if r.wait > 0 {
		fmt.Fprintf(&b, ", for %s", r.wait)
	}
	if r.value.group != absent {
		side := "below"
		if r.below {
			side = "at or above"
		}
		fmt.Fprintf(&b, "; clears %s %s", side, r.value.unit.text(r.levels[0].clear))
	} else {
		b.WriteString("; clears when it is there")
	}
	if r.settle > 0 {
		fmt.Fprintf(&b, " for %s", r.settle)
	}
	switch r.Missing {
	case "fire":
		b.WriteString("; fires when the value is not known")
	case "clear":
		b.WriteString("; clears when the value is not known")
	}
	if len(r.actions) == 0 {
		b.WriteString("; is shown, nobody is told")
		return b.String()
	}
	names := make([]string, len(r.actions))
	for i, a := range r.actions {
		names[i] = c.Actions[a].Name
	}
	b.WriteString("; tells " + strings.Join(names, ", "))
	return b.String()
}

func (r *rule) levelWords() string {
	side := "at or above"
	if r.below {
		side = "below"
	}
	words := make([]string, len(r.levels))
	for i, t := range r.levels {
		words[i] = fmt.Sprintf("%s %s %s", t.level, side, r.value.unit.text(t.at))
	}
	return strings.Join(words, ", ")
}
