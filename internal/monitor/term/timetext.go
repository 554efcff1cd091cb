package term

import (
	"errors"
	"strings"
	"time"
)

var errTime = errors.New("that is no time: write 03:12, yesterday 14:00, mon 9:30, 2026-05-04 03:12 or -2h")

// parseTime reads a time as people type it, seen from now and in its zone: a time of day
// is the last one there was, -2h is so long ago.
func parseTime(text string, now time.Time) (time.Time, error) {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	if back, ok := ago(text); ok {
		return now.Add(-back), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02t15:04:05", "2006-01-02t15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, strings.ToLower(text), now.Location()); err == nil {
			return t, nil
		}
		if t, err := time.ParseInLocation(layout, strings.ToUpper(text), now.Location()); err == nil {
			return t, nil
		}
	}
	day, clock, has := cutDay(text, now)
	if clock == "" {
		return day, either(has, nil, errTime)
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		c, err := time.Parse(layout, clock)
		if err != nil {
			continue
		}
		t := time.Date(day.Year(), day.Month(), day.Day(), c.Hour(), c.Minute(), c.Second(), 0, now.Location())
		if !has && t.After(now) {
			t = time.Date(day.Year(), day.Month(), day.Day()-1, c.Hour(), c.Minute(), c.Second(), 0, now.Location())
		}
		return t, nil
	}
	return time.Time{}, errTime
}

func either[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// ago reads -2h, 2h ago and -1d12h.
func ago(text string) (time.Duration, bool) {
	rest, minus := strings.CutPrefix(text, "-")
	rest, word := strings.CutSuffix(rest, " ago")
	if !minus && !word {
		return 0, false
	}
	rest = strings.ReplaceAll(rest, " ", "")
	if rest == "" {
		return 0, false
	}
	var total time.Duration
	if days, after, ok := strings.Cut(rest, "d"); ok {
		d, err := time.ParseDuration(days + "h")
		if err != nil || d < 0 {
			return 0, false
		}
		total, rest = 24*d, after
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, false
		}
		total += d
	}
	return total, true
}

// cutDay cuts the name of a day off, and says whether there was one: the last such day,
// today too.
func cutDay(text string, now time.Time) (day time.Time, clock string, has bool) {
	name, clock, _ := strings.Cut(text, " ")
	midnight := func(back int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()-back, 0, 0, 0, 0, now.Location())
	}
	switch name {
	case "today":
		return midnight(0), clock, true
	case "yesterday":
		return midnight(1), clock, true
	}
	for back := range 7 {
		d := midnight(back)
		full := strings.ToLower(d.Weekday().String())
		if name == full || name == full[:3] {
			return d, clock, true
		}
	}
	return now, text, false
}
