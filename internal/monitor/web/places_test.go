package web_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sarn/internal/browsertest"
	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

// testPlaces opens more pages than a browser has connections to a server without TLS: all
// load, all go on, and who has no stream says so until another page is closed.
func testPlaces(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 5}
	load := 0.0
	h.set(func(s *sample.Sample) { s.Load[0] = load })
	m := newMonitor(t, h, func(m *monitor) { m.config.Interval = 200 * time.Millisecond })
	var tabs []*browsertest.Tab
	for range 7 {
		b := browser.Open(t, m.url("/"), browsertest.Look{Wide: 800, High: 600})
		b.Until(`document.body.dataset.state === "up" && ` + rows + `.length > 5`)
		tabs = append(tabs, b)
	}
	waitFor(t, "four pages have a stream", func() bool { return live(tabs) == 4 })
	h.while(func() { load = 77.25 })
	for _, b := range tabs {
		b.Until(`document.querySelector("#facts").innerText.includes("77.25")`)
	}
	// Of seven, four go: the places are for the others.
	for _, b := range tabs[:4] {
		b.Expect("404")
		b.Do(chromedp.Navigate(m.url("/nothing")))
	}
	waitFor(t, "all that are left have a stream", func() bool { return live(tabs[4:]) == 3 })
}

// testPlacesByProxy comes by TLS to a reverse proxy: if that does not speak HTTP/2, there are
// no more connections than without TLS, and a stream takes a place.
func testPlacesByProxy(t *testing.T, browser *browsertest.Browser) {
	m := newMonitor(t, &hypervisor{processes: 5}, func(m *monitor) { m.config.Interval = 200 * time.Millisecond })
	for _, http2 := range []bool{false, true} {
		proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{
			Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: m.at}) },
			ErrorLog: log.New(io.Discard, "", 0),
		})
		proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
		proxy.EnableHTTP2 = http2
		proxy.StartTLS()
		t.Cleanup(func() {
			proxy.CloseClientConnections() // of streams, which do not end by themselves
			proxy.Close()
		})
		taken := map[bool]int{false: 1, true: 0}[http2]
		b := browser.Open(t, proxy.URL, browsertest.Look{Wide: 800, High: 600})
		b.Until(`document.querySelector("#state").innerText.startsWith("live since")`)
		b.Until(fmt.Sprintf(`(navigator.locks.query().then(q => (window.taken = q.held.length)), window.taken === %d)`, taken))
	}
}

// live is how many pages have a stream.
func live(tabs []*browsertest.Tab) (n int) {
	for _, b := range tabs {
		switch got := b.Text("#state"); {
		case strings.Contains(got, "live since"):
			n++
		case !strings.Contains(got, "too many pages are open"):
			b.Logf("a page says %q", got)
		}
	}
	return n
}

func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never so: %s", what)
		}
	}
}

// forgetful is a history that does not answer at first.
type forgetful struct {
	*history.Store
	answers atomic.Bool
}

func (f *forgetful) Bounds() ([]history.Extent, error) {
	if !f.answers.Load() {
		return nil, io.ErrUnexpectedEOF
	}
	return f.Store.Bounds()
}

// testHistoryAgain: history that does not answer when a page is opened is there when it does.
func testHistoryAgain(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 10, spike: time.Now().Add(-4 * time.Minute)}
	kept := &forgetful{Store: h.keeps(t, 6*time.Minute)}
	m := newMonitor(t, h, func(m *monitor) { m.deps.History = kept })
	at := h.spike.Add(5 * time.Second).UTC().Format(time.RFC3339)
	b := browser.Open(t, m.url("/#at="+at), desk())
	b.Expect(http.StatusText(http.StatusInternalServerError))
	b.Until(`document.querySelector("#unkept").innerText.includes("trying again") && document.body.dataset.state === "up"`)
	if browsertest.JS[bool](b, `document.querySelector("#ranges").checkVisibility()`) {
		t.Error("there are ranges to choose of which nobody knows")
	}
	kept.answers.Store(true)
	b.Until(`document.querySelector("#ranges").checkVisibility() && !document.querySelector("#unkept").checkVisibility()`)
	b.Until(`document.body.dataset.time === "past" && ` + rows + `[0].innerText.includes("cc1plus")`)
}

// testDevices: the sums are over whole disks and interfaces with a device, by what the
// sample says of them and not by their names.
func testDevices(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 5}
	physical := true
	h.set(func(s *sample.Sample) {
		s.Disks = []sample.Disk{{Name: "md-like"}, {Name: "sdz", Stacked: true}, {Name: "loopy"}}
		s.Interfaces = []sample.Interface{{Name: "lo"}, {Name: "br-wan", Physical: physical}, {Name: "eth0"}, {Name: "tap9"}}
		s.Machines = s.Machines[:1]
		s.Machines[0].Interfaces = []string{"tap9"}
	})
	m := newMonitor(t, h, func(m *monitor) { m.config.Interval = 200 * time.Millisecond })
	b := browser.Open(t, m.url("/"), desk())
	sums := func(disks, links string) {
		t.Helper()
		b.Until(`[...document.querySelectorAll("#charts select")].map(s => s.options[0]?.text).join() === "` + disks + "," + links + `"`)
	}
	sums("md-like + loopy", "br-wan")
	h.while(func() { physical = false })
	sums("md-like + loopy", "br-wan + eth0")
}
