package alert

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// messageWords are what a message may hold in braces.
func messageWords() []string {
	return []string{"rule", "level", "subject", "what", "value", "threshold", "host"}
}

func (b *compiler) message(field, text string) {
	for _, word := range b.words.FindAllString(text, -1) {
		if !slices.Contains(messageWords(), strings.Trim(word, "{}")) {
			b.Add(field, "%s is not known; use {%s}", word, strings.Join(messageWords(), "}, {"))
		}
	}
}

// messageOf writes what there is to say of an alert.
func (r *rule) messageOf(a *Alert) string {
	text := r.Message
	switch {
	case text != "":
	case a.Phase == Cleared && r.value.group == absent:
		text = "{host}: a " + r.kind.name + " is there again with " + r.matchWords()
	case a.Phase == Cleared && a.Gone && r.value.group == notGroup:
		text = "{host}: {subject} is there no more; {what} was {value}, threshold {threshold}"
	case r.value.group == absent:
		text = "{host}: no " + r.kind.name + " is there with " + r.matchWords()
	case r.value.group == restarts:
		text = "{host}: {subject} restarted {value} times in " + r.window.String()
	case r.value.group == count:
		text = "{host}: {value} of " + r.matchWords() + ", threshold {threshold}"
	default:
		text = "{host}: {subject} {what} is {value}, threshold {threshold}"
	}
	return r.fill(text, a)
}

// pastMessageOf writes what there is to say of an alert that is over: how bad it was.
func (r *rule) pastMessageOf(a *Alert) string {
	if r.value.group == absent || a.Worst == nil {
		return a.Message
	}
	worst := *a
	worst.Level, worst.Missing, worst.Value, worst.Threshold = a.Highest, false, *a.Worst, r.threshold(a.Highest).at
	text := r.Message
	switch {
	case text != "":
	case r.value.group == restarts:
		text = "{host}: {subject} restarted {value} times in " + r.window.String()
	case r.value.group == count:
		text = "{host}: {value} of " + r.matchWords() + " at worst, threshold {threshold}"
	case a.Gone:
		text = "{host}: {subject} is there no more; {what} was {value} at worst, threshold {threshold}"
	default:
		text = "{host}: {subject} {what} was {value} at worst, threshold {threshold}"
	}
	return r.fill(text, &worst)
}

// fill puts an alert's words into a text. Names come from outside; in a message they are
// one line without control characters.
func (r *rule) fill(text string, a *Alert) string {
	value := r.value.unit.text(a.Value)
	if a.Missing {
		value = "not known"
	}
	text = strings.NewReplacer(
		"{rule}", oneLine(a.Rule), "{level}", a.Level.String(), "{subject}", oneLine(a.Subject), "{what}", r.value.words,
		"{value}", value, "{threshold}", r.value.unit.text(a.Threshold), "{host}", oneLine(a.Host),
	).Replace(text)
	if a.Subject == "" {
		text = strings.ReplaceAll(text, ":  ", ": ")
	}
	return text
}

// matchWords says what the rule matches.
func (r *rule) matchWords() string {
	if len(r.fields) == 0 {
		return "any " + r.kind.name
	}
	words := make([]string, len(r.fields))
	for i, f := range r.fields {
		words[i] = f.name + " " + strconv.Quote(r.Match[f.name])
	}
	return strings.Join(words, " and ")
}

// bounded cuts a name that is too long to be read.
func bounded(s string) string {
	const most = 300 // bytes
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// oneLine escapes what is not to be seen.
func oneLine(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
