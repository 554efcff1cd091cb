package alert

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Active returns the alerts that fire, the worst first.
func (e *Engine) Active() []Alert {
	return e.states(func(a *Alert) bool { return a.Level > OK })
}

// Pending returns what is past a threshold, not yet for long enough.
func (e *Engine) Pending() []Alert {
	return e.states(func(a *Alert) bool { return a.Level == OK })
}

func (e *Engine) states(keep func(*Alert) bool) []Alert {
	e.mu.Lock()
	defer e.mu.Unlock()
	alerts := []Alert{}
	for _, w := range e.watches {
		for _, st := range w.states {
			if keep(&st.Alert) {
				alerts = append(alerts, st.Alert)
			}
		}
	}
	worstFirst(alerts)
	for i := range alerts {
		alerts[i].Labels = maps.Clone(alerts[i].Labels)
	}
	return alerts
}

func worstFirst(alerts []Alert) {
	slices.SortFunc(alerts, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), a.Since.Compare(b.Since), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject))
	})
}

// Past returns up to n alerts that are over, the latest first.
func (e *Engine) Past(n int) []Alert {
	e.mu.Lock()
	defer e.mu.Unlock()
	alerts := slices.Clone(e.past[max(len(e.past)-max(n, 0), 0):])
	slices.Reverse(alerts)
	return alerts
}

// Rules returns how many there are.
func (e *Engine) Rules() int { return len(e.rules) }

// Refused returns by rule how often a thing was not watched because too many were past
// the rule's thresholds.
func (e *Engine) Refused() map[string]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	refused := map[string]uint64{}
	for i, w := range e.watches {
		if w.refused > 0 {
			refused[e.rules[i].Name] = w.refused
		}
	}
	return refused
}

// Deliveries returns what became of what there was to tell, by action.
func (e *Engine) Deliveries() []Delivery {
	all := make([]Delivery, len(e.out))
	for i, o := range e.out {
		all[i] = o.delivery()
	}
	return all
}

// alertID tells episodes apart.
func alertID(a *Alert) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %s", a.Host, a.Rule, a.Subject, a.Fired.UTC().Format(time.RFC3339Nano)))
	return hex.EncodeToString(h[:8])
}
