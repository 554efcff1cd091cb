package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sarn/internal/browsertest"
)

// clickAt clicks a chart where a time is.
func clickAt(b *browsertest.Tab, chart int, at time.Time) {
	b.Helper()
	over := fmt.Sprintf(`document.querySelectorAll(".charts .u-over")[%d]`, chart)
	b.Act(over + `.scrollIntoView({block: "center"})`)
	type point struct{ X, Y, W float64 }
	p := browsertest.JS[point](b, `(() => { const r = `+over+`.getBoundingClientRect(); return {X: r.left, Y: r.top + r.height / 2, W: r.width} })()`)
	bounds := browsertest.JS[[]float64](b, `(() => { const t = document.body.dataset; return [+t.from, +t.to] })()`)
	share := (float64(at.UnixMilli())/1000 - bounds[0]) / (bounds[1] - bounds[0])
	b.Do(chromedp.MouseEvent("mouseMoved", p.X+share*p.W, p.Y), chromedp.MouseClickXY(p.X+share*p.W, p.Y))
}

// goTo clicks there until the page shows the past: while a page is being filled its charts
// move, and one is missed.
func goTo(b *browsertest.Tab, chart int, at time.Time) {
	b.Helper()
	for range 5 {
		clickAt(b, chart, at)
		if b.Within(10*time.Second, `document.body.dataset.time === "past"`) {
			return
		}
	}
	b.Fatal("a click on a chart shows no past")
}

// testHistory asks who made that spike, in all ways that there are.
func testHistory(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 20, spike: time.Now().Add(-40 * time.Minute)}
	m := newMonitor(t, h, func(m *monitor) { m.deps.History = h.keeps(t, 65*time.Minute) })
	b := browser.Open(t, m.url("/"), desk())
	b.Until(rows + `.length > 10`)
	b.Until(`document.querySelector("#ranges").checkVisibility()`)
	b.Click(`#ranges button[data-value="1h"]`)
	b.Until(`location.hash === "#range=1h" && document.body.dataset.charts === "1h"`)
	goTo(b, 0, h.spike.Add(12*time.Second))
	b.Until(rows + `[0].innerText.includes("cc1plus")`)
	b.Until(`document.querySelector("#first").innerText.includes("most CPU: cc1plus[31337] 780.0%, VM build 390.0%")`)
	b.Fits()
	b.Picture("spike")
	when := b.Text("#when")
	at, err := time.Parse(time.TimeOnly, when[max(len(when)-len(time.TimeOnly), 0):]) // behind the day, if that is not today
	if err != nil {
		t.Fatalf("%q: %v", when, err)
	}
	const day = 24 * time.Hour
	spike := h.spike.UTC()
	off := at.Sub(time.Date(0, 1, 1, spike.Hour(), spike.Minute(), spike.Second(), 0, time.UTC))
	if off = (off+day+day/2)%day - day/2; off < -11*time.Second || off > spikeTime {
		t.Errorf("the spike was at %s, the page says %s", spike.Format(time.TimeOnly), when)
	}
	if cpu := browsertest.JS[string](b, rows+`[0].querySelector("td:nth-child(6)").innerText`); cpu != "780.0" {
		t.Errorf("its peak is said to be %s", cpu)
	}
	busy := b.Text("#cpu .big")
	b.Click(`#which button[data-value="mean"]`)
	b.Until(`parseFloat(document.querySelector("#cpu .big").innerText) < parseFloat("` + busy + `")`)
	b.Click("#after")
	b.Until(`document.querySelector("#when").innerText !== "` + when + `"`)
	b.Do(chromedp.NavigateBack())
	b.Until(`document.querySelector("#when").innerText === "` + when + `"`)
	link := browsertest.JS[string](b, `location.href`)
	b.Click("#live")
	b.Until(`document.body.dataset.time === "now" && !document.querySelector("#processes").innerText.includes("cc1plus")`)

	t.Run("disk", func(t *testing.T) {
		b := browser.Open(t, m.url("/#range=1h&by=__proto__"), desk())
		b.Until(`document.body.dataset.charts === "1h"`)
		goTo(b, 2, time.Now().Add(-20*time.Minute))
		b.Until(`document.querySelector("#first").innerText.startsWith("most disk: ") && location.hash.includes("by=io")`)
		b.Until(`document.querySelector("#processes th[aria-sort]").dataset.column === "write"`)
	})
	t.Run("link", func(t *testing.T) {
		b := browser.Open(t, link, desk())
		b.Until(`document.body.dataset.time === "past" && document.querySelector("#when").innerText === "` + when + `"`)
		b.Until(rows + `[0].innerText.includes("cc1plus")`)
	})
	t.Run("drag", func(t *testing.T) {
		b := browser.Open(t, m.url("/#range=1h"), desk())
		b.Until(`document.body.dataset.charts === "1h"`)
		type box struct{ X, Y, W float64 }
		p := browsertest.JS[box](b, `(() => { const r = document.querySelector(".u-over").getBoundingClientRect(); return {X: r.left, Y: r.top + 20, W: r.width} })()`)
		b.Do(chromedp.DragAndDropXY(p.X+p.W*0.2, p.Y, p.X+p.W*0.5, p.Y, 10)) // 12 to 30 minutes into the hour; the spike is at 20
		b.Until(`location.hash.includes("from=") && document.body.dataset.time === "past"`)
		b.Until(rows + `[0].innerText.includes("cc1plus")`)
		// Of the 18 minutes that were chosen, give or take what a chart's step and pixels are.
		b.Until(`(d => d.to - d.from > 900 && d.to - d.from < 1260)(document.body.dataset)`)
		b.Until(`document.querySelector("#ranges [aria-pressed=true]").innerText === "custom"`)
	})
	t.Run("keys", func(t *testing.T) {
		b := browser.Open(t, m.url("/"), desk())
		b.Until(`document.querySelector("#ranges").checkVisibility()`)
		b.Until(`document.querySelector("#charts .area canvas")`)
		b.Until(`document.body.dataset.charts === "live"`)
		b.Act(`document.querySelector("#charts .area").focus()`)
		for range 20 {
			b.Do(chromedp.KeyEvent(kb.ArrowLeft))
		}
		b.Until(`document.querySelector("#charts .area").ariaLabel.includes(", at ")`)
		b.Do(chromedp.KeyEvent(kb.Enter))
		b.Until(`document.body.dataset.time === "past"`)
	})
	t.Run("before", func(t *testing.T) {
		b := browser.Open(t, m.url("/#at=2001-01-01T00:00:00Z"), desk())
		b.Expect("404")
		b.Until(`document.querySelector("#problem").checkVisibility()`)
		if got := b.Text("#problem"); !strings.Contains(got, "2001-01-01 00:00:00") || !strings.Contains(got, "nothing is recorded") {
			t.Errorf("says %q", got)
		}
	})
	t.Run("machine", func(t *testing.T) {
		b := browser.Open(t, m.url("/#range=1h"), desk())
		b.Until(`document.body.dataset.charts === "1h"`)
		b.Click(`#machines tr[data-id="vm/build"] td`)
		b.Until(`document.querySelector("#details .legend b")?.innerText.endsWith("%")`)
	})
}

// testNothingKept has neither history nor alerts, and says how to get them.
func testNothingKept(t *testing.T, browser *browsertest.Browser) {
	m := newMonitor(t, &hypervisor{processes: 10}, nil)
	b := browser.Open(t, m.url("/"), desk())
	b.Until(rows + `.length > 10`)
	b.Until(`document.querySelector("#alerts").innerText.includes("--alerts FILE")`)
	b.Until(`document.querySelector("#unkept").innerText.includes("no history is kept")`)
	if browsertest.JS[bool](b, `document.querySelector("#ranges").checkVisibility()`) {
		t.Error("there are ranges to choose of which nothing is kept")
	}
	b.Until(`document.querySelectorAll("#charts canvas").length === 4`)
	clickAt(b, 0, time.Now().Add(-time.Minute))
	if browsertest.JS[bool](b, `document.body.dataset.time === "past"`) {
		t.Error("a click goes to a time of which nothing is kept")
	}
}
