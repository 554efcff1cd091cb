package term

import (
	"testing"
	"time"
)

func TestTypedTimes(t *testing.T) {
	zone := time.FixedZone("here", 2*3600)
	now := time.Date(2026, 5, 4, 10, 30, 0, 0, zone) // a Monday
	for text, want := range map[string]string{
		"03:12": "2026-05-04 03:12:00", "3:12": "2026-05-04 03:12:00", "03:12:07": "2026-05-04 03:12:07",
		"23:50": "2026-05-03 23:50:00", "10:30": "2026-05-04 10:30:00", "10:31": "2026-05-03 10:31:00",
		"yesterday 14:00": "2026-05-03 14:00:00", " Yesterday   14:00 ": "2026-05-03 14:00:00", "yesterday": "2026-05-03 00:00:00",
		"today 01:00": "2026-05-04 01:00:00", "mon 9:30": "2026-05-04 09:30:00", "Sunday 9:30": "2026-05-03 09:30:00", "tue 1:00": "2026-04-28 01:00:00",
		"-2h": "2026-05-04 08:30:00", "-90s": "2026-05-04 10:28:30", "2h ago": "2026-05-04 08:30:00", "-1d12h": "2026-05-02 22:30:00", "-3d": "2026-05-01 10:30:00", "5m ago": "2026-05-04 10:25:00",
		"2026-04-01 03:12": "2026-04-01 03:12:00", "2026-04-01T03:12:05": "2026-04-01 03:12:05", "2026-04-01": "2026-04-01 00:00:00", "2026-04-01T03:12:00Z": "2026-04-01 05:12:00",
	} {
		got, err := parseTime(text, now)
		if s := got.In(zone).Format(time.DateTime); err != nil || s != want {
			t.Errorf("%q is %s (%v), not %s", text, s, err, want)
		}
	}
	for _, text := range []string{"", "never", "25:00", "-", "-h", "- 2x", "--2h", "14:00 yesterday", "2026-13-01", "ago", "-1d-2h", "-999999999999999d"} {
		if got, err := parseTime(text, now); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func FuzzTypedTime(f *testing.F) {
	f.Add("yesterday 14:00")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseTime(text, when()) })
}
