package term

import (
	"strconv"
	"strings"
	"time"

	"sarn/internal/monitor/alert"
)

// Alerts is what rules say, the lists in the order of package alert's Engine.
type Alerts struct {
	Rules                 int // 0 if nobody knows how many
	Active, Pending, Past []alert.Alert
	// Note says what is to be known of where they come from, such as that they are old.
	Note string
}

func (a *Alerts) lists() [][]alert.Alert { return [][]alert.Alert{a.Active, a.Past} }

// worst is the worst alert at the time that is shown, and how many more there are.
func (v *view) worst() (worst *alert.Alert, more int) {
	take := func(a *alert.Alert) {
		if worst != nil {
			more++
		}
		if worst == nil || a.Highest > worst.Highest {
			worst = a
		}
	}
	if !v.past.on { // they are in order
		for i := range v.alerts.Active {
			if a := &v.alerts.Active[i]; i == 0 {
				worst = a
			} else {
				more++
			}
		}
		return worst, more
	}
	from := v.past.cursor()
	to := from
	if r := v.past.record; r != nil && r.Peak != nil && !v.past.noPicture() {
		from, to = r.Time, r.Time.Add(time.Duration(r.Step*float64(time.Second)))
	}
	for _, all := range v.alerts.lists() {
		for i := range all {
			a := &all[i]
			if !a.Fired.IsZero() && !a.Fired.After(to) && (a.Ended.IsZero() || a.Ended.After(from)) {
				take(a)
			}
		}
	}
	return worst, more
}

// alertLine draws the worst alert, if there is one, and returns the row below.
func (v *view) alertLine(y int) int {
	a, more := v.worst()
	if a == nil {
		return y
	}
	level := a.Level
	if v.past.on {
		level = a.Highest
	}
	w := v.line(0, y)
	w.text(levelMark(level), levelLook(level))
	w.text(" "+alertName(a), strong)
	w.text("  "+a.Message, plain)
	end := "  since " + timeOfDay(a.Since, v.sample.Time)
	if more > 0 {
		end += "  +" + strconv.Itoa(more) + " more"
	}
	end += "  a: all "
	if len(end)+20 < v.g.w {
		v.g.text(v.g.w-len(end), y, len(end), end, dim)
	}
	return y + 1
}

// levelMark says a level in words, as colours alone say nothing to some.
func levelMark(l alert.Level) string {
	return [...]string{" OK ", " CAREFUL ", " WARNING ", " CRITICAL "}[min(max(l, alert.OK), alert.Critical)]
}

func levelLook(l alert.Level) look {
	switch {
	case l >= alert.Critical:
		return critical
	case l >= alert.Warning:
		return warned
	}
	return strong
}

func alertName(a *alert.Alert) string {
	if a.Subject == "" {
		return a.Rule
	}
	return a.Rule + " " + a.Subject
}

// timeOfDay is a time of day, with the date if that is another than now's.
func timeOfDay(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return t.Format("01-02 15:04:05")
}

// alertsText is the page of alerts.
func (v *view) alertsText() []item {
	title := "Alerts"
	switch {
	case !v.hasAlerts:
		return []item{{title, ""}, {"", "Nobody watches here: give sarn top rules with --alerts FILE, or run sarn monitor serve."}}
	case v.alerts.Rules > 0:
		title += " of " + strconv.Itoa(v.alerts.Rules) + " rules"
	}
	items := []item{{title, ""}}
	if v.alerts.Note != "" {
		items = append(items, item{"", v.alerts.Note})
	}
	now := time.Time{}
	if v.sample != nil {
		now = v.sample.Time
		if v.latest != nil {
			now = v.latest.Time
		}
	}
	list := func(title string, all []alert.Alert, line func(a *alert.Alert) item) {
		items = append(items, item{title + " " + strconv.Itoa(len(all)), ""})
		for i := range all {
			items = append(items, line(&all[i]))
		}
	}
	list("Active", v.alerts.Active, func(a *alert.Alert) item {
		return item{strings.TrimSpace(levelMark(a.Level)), alertWords(a, "since "+timeOfDay(a.Since, now)+", for "+brevity(now.Sub(a.Since)))}
	})
	list("Pending", v.alerts.Pending, func(a *alert.Alert) item {
		return item{"pending", alertWords(a, "since "+timeOfDay(a.Since, now)+", for "+brevity(now.Sub(a.Since))+", not long enough yet")}
	})
	list("Past", v.alerts.Past, func(a *alert.Alert) item {
		return item{strings.TrimSpace(levelMark(a.Highest)), alertWords(a, timeOfDay(a.Since, now)+" to "+timeOfDay(a.Ended, now)+", "+brevity(a.Ended.Sub(a.Since)))}
	})
	return items
}

// alertWords are what an alert is about, its value, and when.
func alertWords(a *alert.Alert, times string) string {
	words := alertName(a) + ": " + a.Message
	value, at := a.Text, ""
	if !a.Ended.IsZero() { // how well it was at the end says nothing
		value, at = a.WorstText, "at worst "
	}
	if value != "" && !strings.Contains(a.Message, value) {
		words += " (" + at + value + ")"
	}
	if a.Gone {
		words += ", which is no more"
	}
	return words + "  " + times
}

// alertTime goes to where the next alert began, or the one before.
func (v *view) alertTime(by int) {
	if len(v.alerts.Active)+len(v.alerts.Past) == 0 {
		v.say("there is no alert to go to")
		return
	}
	if !v.enterPast() {
		return
	}
	at := v.past.cursor()
	var best time.Time
	for _, all := range v.alerts.lists() {
		for i := range all {
			t := all[i].Since
			if by < 0 && t.Before(at) && (best.IsZero() || t.After(best)) || by > 0 && t.After(at) && (best.IsZero() || t.Before(best)) {
				best = t
			}
		}
	}
	if best.IsZero() {
		v.say("there is no alert before this")
		if by > 0 {
			v.say("there is no alert after this")
		}
		return
	}
	v.visit(best, 0)
}
