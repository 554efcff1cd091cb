package term

import (
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"sarn/internal/monitor/alert"
)

func someAlerts() Alerts {
	ago := func(d time.Duration) time.Time { return when().Add(-d) }
	const m = time.Minute
	return Alerts{Rules: 4, Note: "As of now.",
		Active: []alert.Alert{
			{Rule: "cpu-high", Subject: "vm/web1", Level: alert.Critical, Highest: alert.Critical, Text: "97 %", Message: "CPU in use is 97 %", Since: ago(12 * m), Fired: ago(11 * m)},
			{Rule: "disk", Subject: "/srv\x1b[31m", Level: alert.Warning, Highest: alert.Warning, Text: "91 %", Message: "space", Since: ago(5 * m), Fired: ago(5 * m)},
		},
		Pending: []alert.Alert{{Rule: "load", Text: "12", Message: "load is 12", Since: ago(20 * time.Second)}},
		Past: []alert.Alert{
			{Rule: "memory", Highest: alert.Careful, Text: "20 %", WorstText: "60 %", Message: "memory", Since: ago(3 * time.Hour), Fired: ago(3 * time.Hour), Ended: ago(170 * m)},
		},
	}
}

// Alerts are on the main screen, the worst first, in words; all of them on a page.
func TestAlerts(t *testing.T) {
	b := newBench(t, 80, 24, busy(4, 30, 2))
	b.lacks("CRITICAL")
	b.key("a")
	b.wants("Nobody watches here")
	b.key(tcell.KeyEscape)
	b.view.hasAlerts, b.view.alerts = true, someAlerts()
	b.draw()
	b.wants(" CRITICAL  cpu-high vm/web1", "since "+here(12*time.Minute), "+1 more", "a: all")
	if y := 1; !strings.Contains(b.lines()[y], "CRITICAL") {
		t.Errorf("it is not in the second line:\n%s", b.text())
	}
	b.key("a")
	b.wants("Alerts of 4 rules", "As of now.", "Active 2", "CRITICAL", "cpu-high vm/web1: CPU in use is 97 %", "for 12m", "WARNING", `\x1b[31m`, "91 %",
		"Pending 1", "load: load is 12", "for 20s, not long enough yet", "Past 1", "CAREFUL", "memory (at worst 60 %)", here(3*time.Hour)+" to "+here(170*time.Minute)+", 10m")
	b.lacks("20 %")
	b.key("a")
	b.wants("PID")
	b.view.alerts = Alerts{}
	b.draw()
	b.lacks("CRITICAL")
}

// In the past those alerts are shown that there were, and one goes from one to the next.
func TestAlertsOfThePast(t *testing.T) {
	b := withPast(t, 100, 30, recorded(t, 20*time.Minute, nil, nil))
	b.settles("{")
	b.wants("there is no alert to go to")
	b.view.hasAlerts, b.view.alerts = true, someAlerts()
	b.settles("{")
	b.wants("PAST", here(5*time.Minute), " CRITICAL  cpu-high", "+1 more")
	b.settles("{")
	b.wants(here(12 * time.Minute))
	b.lacks("CRITICAL") // it had not fired yet
	b.settles("}")
	b.wants(here(5 * time.Minute))
	b.settles("}")
	b.wants("no alert after this")
	b.settles("{{")
	b.wants("Nothing was recorded at", "CAREFUL  memory")
	b.settles("g", "-11m30s", tcell.KeyEnter)
	if _, y := b.where("^"); !strings.Contains(b.lines()[y], "!") {
		t.Errorf("the alert is not marked below the strip: %q", b.lines()[y])
	}
}
