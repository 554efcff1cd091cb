package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sarn/internal/monitor/sample"
)

func testAlerts(t *testing.T, browser context.Context) {
	h := &hypervisor{processes: 10}
	m := newMonitor(t, h, func(m *monitor) { m.deps.Alerts, m.config.Interval = watches(t, rules), 200*time.Millisecond })
	b := open(t, browser, m.url("/"), 1440, 900)
	b.until(`document.querySelector("#firing").innerText.includes("/var/lib/libvirt")`)
	b.until(`document.querySelector("#alerts").innerText.includes("Pending")`)
	if got := b.text("#firing"); !strings.Contains(got, "!! warning") || !strings.Contains(got, "93.9%") {
		t.Errorf("what fires: %s", got)
	}
	h.set(func(s *sample.Sample) { s.Filesystems = s.Filesystems[:1] })
	b.until(`!document.querySelector("#firing").checkVisibility()`)
	b.until(`[...document.querySelectorAll("#alerts .alert")].some(a => a.innerText.includes(" to ") && a.innerText.includes("libvirt"))`)
}

func testLogin(t *testing.T, browser context.Context) {
	token := "0123456789abcdef012345"
	m := newMonitor(t, &hypervisor{processes: 10}, func(m *monitor) { m.config.Token = token })
	b := open(t, browser, m.url("/"), 1000, 700)
	b.expect("401")
	b.picture("login")
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), "wrong"), chromedp.Click(chromedp.CSS("button")))
	b.until(`document.querySelector("#why")?.innerText.includes("not the token")`)
	if js[string](b, `document.activeElement.id`) != "token" {
		t.Error("the field is not ready to type into")
	}
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), token), chromedp.Click(chromedp.CSS("button")))
	b.until(rows + `?.length > 5`)
	if strings.Contains(js[string](b, `document.documentElement.outerHTML + location.href + document.cookie`), token) {
		t.Error("the token is in the page")
	}
}

func testPhone(t *testing.T, browser context.Context) {
	h := &hypervisor{processes: 200, spike: time.Now().Add(-4 * time.Minute)}
	m := newMonitor(t, h, func(m *monitor) { m.deps.History, m.deps.Alerts = h.keeps(t, 12*time.Minute), watches(t, rules) })
	b := open(t, browser, m.url("/"), 390, 844)
	b.until(rows + `.length === 15`)
	b.until(`document.querySelectorAll("#charts canvas").length === 4 && document.body.dataset.charts === "live"`)
	b.until(`document.querySelector("#firing").checkVisibility()`)
	b.fits()
	b.picture("phone")
	b.do(chromedp.Click(chromedp.CSS(`.jump a[href="#processes"]`)))
	b.until(`Math.abs(document.querySelector("#processes").getBoundingClientRect().top) < 60`)
	b.do(chromedp.Click(chromedp.CSS(`#processes tbody tr[data-id] td`)))
	b.until(`document.querySelector("#details").open`)
	b.fits()
	b.picture("phone-process")
	b.do(chromedp.Click(chromedp.CSS("#details .close")))
	b.clickAt(0, h.spike.Add(4*time.Second)) // a tap
	b.until(`document.body.dataset.time === "past"`)
	b.until(rows + `[0].innerText.includes("cc1plus")`)
	b.fits()
	b.do(chromedp.Click(chromedp.CSS(`#ranges button[data-value="custom"]`)))
	b.fits()
	if small := js[string](b, `[...document.querySelectorAll("button, a[href], select, input")].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 24 && !e.matches(".skip, .link, th button, .up")).map(e => e.outerHTML.slice(0, 80)).join("\n")`); small != "" {
		t.Errorf("too small for a finger: %s", small)
	}
}

func testDark(t *testing.T, browser context.Context) {
	h := &hypervisor{processes: 200, spike: time.Now().Add(-4 * time.Minute)}
	m := newMonitor(t, h, func(m *monitor) { m.deps.History, m.deps.Alerts = h.keeps(t, 12*time.Minute), watches(t, rules) })
	for _, scheme := range []string{"host", "dark"} {
		var before []step
		if scheme == "dark" {
			before = append(before, dark)
		}
		b := open(t, browser, m.url("/"), 1440, 1000, before...)
		b.until(rows + `.length > 10`)
		b.until(`document.body.dataset.charts === "live" && document.querySelector("#firing").checkVisibility()`)
		b.until(`document.querySelector("#alerts").innerText.includes("Active")`)
		if bad := js[string](b, contrast); bad != "" {
			t.Errorf("%s: too little contrast (WCAG AA asks for 4.5): %s", scheme, bad)
		}
		b.picture(scheme)
	}
}

// contrast is the texts of a page that stand out too little from what is behind them.
const contrast = `(() => {
	const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length > 3 && m[3] === 0 ? null : m };
	const lum = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
	const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c) return c } return [255, 255, 255] };
	const out = new Set();
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || e.matches(":disabled, option, .skip, script, noscript, noscript *")) continue;
		const a = lum(parse(getComputedStyle(e).color)), b = lum(behind(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) out.add(e.tagName + "." + e.className + " " + e.textContent.slice(0, 20) + " " + ratio.toFixed(1));
	}
	return [...out].slice(0, 10).join("; ");
})()`

// fleet is a server of many hosts by the contract of the API, of which one is real.
type fleet struct {
	real  *url.URL
	proxy http.Handler
	list  func() []map[string]any
}

func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := strings.TrimPrefix(r.URL.Path, "/api/v1/hosts"); {
	case path == "/stream":
		w.Header().Set("Content-Type", "text/event-stream")
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			text, _ := json.Marshal(f.list())
			fmt.Fprintf(w, "event: hosts\ndata: %s\n\n", text)
			http.NewResponseController(w).Flush()
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	case path == "/top" || path == "/machines":
		h := &hypervisor{processes: 30}
		all := []map[string]any{}
		s := h.at(time.Now())
		for i := range s.Machines {
			all = append(all, map[string]any{"host": []string{"hyper1", "hyper2"}[i%2], "machine": s.Machines[i], "process": s.Processes[i]})
		}
		json.NewEncoder(w).Encode(all)
	default:
		name, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if name != "hyper1" {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprintf(w, `{"error": "hyper3 does not answer: no route to host"}`)
			return
		}
		r.URL.Path, r.URL.RawPath, r.Host = "/api/v1/"+rest, "", f.real.Host
		f.proxy.ServeHTTP(w, r)
	}
}

func testHosts(t *testing.T, browser context.Context) {
	h := &hypervisor{processes: 40}
	one := newMonitor(t, h, nil)
	real, _ := url.Parse(one.url(""))
	proxy := httputil.NewSingleHostReverseProxy(real)
	proxy.FlushInterval = -1
	summary := func(busy float64) map[string]any {
		s := h.at(time.Now())
		return map[string]any{"time": s.Time, "host": s.Host, "cpu": sample.Times{Idle: 1 - busy}, "load": s.Load, "memory": s.Memory, "read_bytes": 1e6, "write_bytes": 2e7, "rx_bytes": 3e7, "tx_bytes": 4e6, "vms": 6, "containers": 2, "alerts": 0}
	}
	down := time.Now().Add(-time.Hour).UTC()
	hostile := `<img src=x onerror=alert(3)>`
	f := &fleet{real: real, proxy: proxy, list: func() []map[string]any {
		warned := summary(0.85)
		warned["alerts"], warned["worst"] = 1, map[string]any{"level": "critical", "message": "CPU in use is 85%"}
		return []map[string]any{
			{"name": "hyper1", "address": "10.0.0.1:61208", "state": "up", "since": down, "summary": summary(0.31)},
			{"name": "hyper2", "address": "10.0.0.2:61208", "state": "up", "since": down, "summary": warned},
			{"name": "hyper3", "address": "10.0.0.3:61208", "state": "down", "since": down, "error": "no route to host"},
			{"name": "hyper4", "address": "10.0.0.4:61208", "state": "connecting", "since": down},
			{"name": hostile, "address": "10.0.0.5:61208", "state": "down", "since": down, "error": hostile},
			{"name": "a/../b", "address": "10.0.0.6:61208", "state": "down"},
		}
	}}
	m := newMonitor(t, h, func(m *monitor) { m.config.Hosts = f })
	b := open(t, browser, m.url("/"), 1440, 900)
	b.until(`document.querySelectorAll("#hosts tbody tr[data-id]").length === 6`)
	b.until(rows + `.length > 3 && document.querySelectorAll("#machines tbody tr[data-id]").length > 3`)
	if got := b.text("#hosts"); !strings.Contains(got, "down since "+down.Format(time.TimeOnly)) && !strings.Contains(got, "down since "+down.Format(time.DateOnly)) || !strings.Contains(got, "no route to host") || !strings.Contains(got, "85.0") || !strings.Contains(got, hostile) {
		t.Errorf("the list says: %s", got)
	}
	if got := b.text("#facts"); !strings.Contains(got, "2 of 6") {
		t.Errorf("the facts are: %s", got)
	}
	b.fits()
	b.picture("hosts")
	if got := js[string](b, `[...document.querySelectorAll("#hosts a")].map(a => a.getAttribute("href")).join(" ")`); !strings.Contains(got, "/hosts/a%2F..%2Fb") {
		t.Errorf("the hosts' pages: %s", got)
	}
	b.do(chromedp.Click(chromedp.CSS(`#hosts tr[data-id="hyper1"] td:nth-child(3)`)))
	b.until(`location.pathname === "/hosts/hyper1" && document.body.dataset.state === "up"`)
	b.until(rows + `.length > 10`)
	b.do(chromedp.Click(chromedp.CSS(`a.up`)))
	b.until(`location.pathname === "/hosts"`)

	t.Run("down", func(t *testing.T) {
		b := open(t, browser, m.url("/hosts/hyper3"), 1440, 900)
		b.expect("502", "Bad Gateway")
		b.until(`document.body.dataset.state === "down" && document.querySelector("#problem").innerText.includes("no route to host")`)
	})
	t.Run("this", func(t *testing.T) {
		b := open(t, browser, m.url("/this"), 1440, 900)
		b.until(rows + `.length > 10`)
	})
	t.Run("phone", func(t *testing.T) {
		b := open(t, browser, m.url("/hosts"), 390, 844)
		b.until(`document.querySelectorAll("#hosts tbody tr[data-id]").length === 6`)
		b.until(rows + `.length > 3`)
		b.fits()
		b.picture("phone-hosts")
	})
}
