package web_test

import (
	"testing"
	"time"
)

const rules = `rules:
  - {name: disk-full, of: filesystem, value: used, warning: 85%, critical: 97%}
  - {name: cpu, of: system, value: cpu, warning: 1%, for: 1h}
  - {name: memory, of: machine, value: cpu, careful: 380%}
`

// TestPages runs everything in one browser.
func TestPages(t *testing.T) {
	browser := chromium(t)
	h := &hypervisor{processes: 300, spike: time.Now().Add(-4 * time.Minute)}
	m := newMonitor(t, h, func(m *monitor) { m.deps.History, m.deps.Alerts = h.keeps(t, 20*time.Minute), watches(t, rules) })

	t.Run("host", func(t *testing.T) {
		b := open(t, browser, m.url("/"), 1440, 1000)
		b.until(`document.querySelectorAll("#processes tbody tr[data-id]").length > 10`)
		b.until(`document.querySelectorAll("#charts canvas").length === 4`)
		b.fits()
		time.Sleep(3 * time.Second)
		b.picture("host")
	})
}
