package web_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// clickAt clicks a chart where a time is.
func (b *tab) clickAt(chart int, at time.Time) {
	b.Helper()
	over := fmt.Sprintf(`document.querySelectorAll(".charts .u-over")[%d]`, chart)
	b.act(over + `.scrollIntoView({block: "center"})`)
	type point struct{ X, Y, W float64 }
	p := js[point](b, `(() => { const r = `+over+`.getBoundingClientRect(); return {X: r.left, Y: r.top + r.height / 2, W: r.width} })()`)
	bounds := js[[]float64](b, `(() => { const t = document.body.dataset; return [+t.from, +t.to] })()`)
	share := (float64(at.UnixMilli())/1000 - bounds[0]) / (bounds[1] - bounds[0])
	b.do(chromedp.MouseEvent("mouseMoved", p.X+share*p.W, p.Y), chromedp.MouseClickXY(p.X+share*p.W, p.Y))
}

// testHistory asks who made that spike, in all ways that there are.
func testHistory(t *testing.T, browser context.Context) {
	h := &hypervisor{processes: 20, spike: time.Now().Add(-40 * time.Minute)}
	m := newMonitor(t, h, func(m *monitor) { m.deps.History = h.keeps(t, 65*time.Minute) })
	b := open(t, browser, m.url("/"), 1440, 1000)
	b.until(rows + `.length > 10`)
	b.until(`document.querySelectorAll("#ranges button:not(:disabled)").length === 7`)
	b.do(chromedp.Click(chromedp.CSS(`#ranges button[data-value="1h"]`)))
	b.until(`location.hash === "#range=1h" && document.body.dataset.charts === "1h"`)
	b.clickAt(0, h.spike.Add(4*time.Second))
	b.until(`document.body.dataset.time === "past"`)
	b.until(rows + `[0].innerText.includes("cc1plus")`)
	b.picture("spike")
	when := b.text("#when")
	at, err := time.Parse("15:04:05", when)
	if err != nil {
		t.Fatalf("%q: %v", when, err)
	}
	spike := h.spike.UTC()
	if off := at.Sub(time.Date(0, 1, 1, spike.Hour(), spike.Minute(), spike.Second(), 0, time.UTC)); off < -11*time.Second || off > spikeTime {
		t.Errorf("the spike was at %s, the page says %s", spike.Format(time.TimeOnly), when)
	}
	if cpu := js[string](b, rows+`[0].querySelector("td:nth-child(6)").innerText`); cpu != "780.0" {
		t.Errorf("its peak is said to be %s", cpu)
	}
	b.do(chromedp.Click(chromedp.CSS(`#which button[data-value="mean"]`)))
	b.until(`parseFloat(` + rows + `[0].querySelector("td:nth-child(6)").innerText) < 780`)
	b.do(chromedp.Click(chromedp.CSS("#after")))
	b.until(`document.querySelector("#when").innerText !== "` + when + `"`)
	b.do(chromedp.NavigateBack())
	b.until(`document.querySelector("#when").innerText === "` + when + `"`)
	link := js[string](b, `location.href`)
	b.do(chromedp.Click(chromedp.CSS("#live")))
	b.until(`document.body.dataset.time === "now" && !document.querySelector("#processes").innerText.includes("cc1plus")`)

	t.Run("link", func(t *testing.T) {
		b := open(t, browser, link, 1440, 1000)
		b.until(`document.body.dataset.time === "past" && document.querySelector("#when").innerText === "` + when + `"`)
		b.until(rows + `[0].innerText.includes("cc1plus")`)
	})
	t.Run("drag", func(t *testing.T) {
		b := open(t, browser, m.url("/#range=1h"), 1440, 1000)
		b.until(`document.body.dataset.charts === "1h"`)
		type box struct{ X, Y, W float64 }
		p := js[box](b, `(() => { const r = document.querySelector(".u-over").getBoundingClientRect(); return {X: r.left, Y: r.top + 20, W: r.width} })()`)
		b.do(chromedp.DragAndDropXY(p.X+p.W*0.2, p.Y, p.X+p.W*0.5, p.Y, 10)) // 12 to 30 minutes into the hour; the spike is at 20
		b.until(`location.hash.includes("from=") && document.body.dataset.time === "past"`)
		b.until(rows + `[0].innerText.includes("cc1plus")`)
		if off := js[float64](b, `+document.body.dataset.to - +document.body.dataset.from`); off < 900 || off > 1260 {
			t.Errorf("18 minutes were chosen, %v s are shown", off)
		}
		if b.text("#ranges [aria-pressed=true]") != "custom" {
			t.Error("the range is not said to be one of one's own")
		}
	})
	t.Run("keys", func(t *testing.T) {
		b := open(t, browser, m.url("/"), 1440, 1000)
		b.until(`document.querySelectorAll("#ranges button:not(:disabled)").length === 7`)
		b.until(`document.querySelector("#charts .area canvas")`)
		b.until(`document.body.dataset.charts === "live"`)
		b.act(`document.querySelector("#charts .area").focus()`)
		for range 20 {
			b.do(chromedp.KeyEvent(kb.ArrowLeft))
		}
		b.until(`document.querySelector("#charts .area").ariaLabel.includes(", at ")`)
		b.do(chromedp.KeyEvent(kb.Enter))
		b.until(`document.body.dataset.time === "past"`)
	})
	t.Run("before", func(t *testing.T) {
		b := open(t, browser, m.url("/#at=2001-01-01T00:00:00Z"), 1440, 1000)
		b.expect("404")
		b.until(`document.querySelector("#problem").checkVisibility()`)
		if got := b.text("#problem"); !strings.Contains(got, "2001-01-01 00:00:00") || !strings.Contains(got, "nothing is recorded") {
			t.Errorf("says %q", got)
		}
	})
	t.Run("machine", func(t *testing.T) {
		b := open(t, browser, m.url("/#range=1h"), 1440, 1000)
		b.until(`document.body.dataset.charts === "1h"`)
		b.do(chromedp.Click(chromedp.CSS(`#machines tr[data-id="vm/build"] td`)))
		b.until(`document.querySelector("#details .legend b")?.innerText.endsWith("%")`)
	})
}

// testNothingKept has neither history nor alerts, and says how to get them.
func testNothingKept(t *testing.T, browser context.Context) {
	m := newMonitor(t, &hypervisor{processes: 10}, nil)
	b := open(t, browser, m.url("/"), 1440, 900)
	b.until(rows + `.length > 10`)
	b.until(`document.querySelector("#alerts").innerText.includes("--alerts FILE")`)
	b.until(`document.querySelector("#ranges").title.includes("no history is kept")`)
	if n := js[int](b, `document.querySelectorAll("#ranges button:disabled").length`); n != 6 {
		t.Errorf("%d ranges cannot be chosen", n)
	}
	b.until(`document.querySelectorAll("#charts canvas").length === 4`)
	b.clickAt(0, time.Now().Add(-time.Minute))
	if js[bool](b, `document.body.dataset.time === "past"`) {
		t.Error("a click goes to a time of which nothing is kept")
	}
}
