package web_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sarn/internal/browsertest"
	"sarn/internal/monitor/sample"
)

func testAlerts(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 10}
	guests := `  - {name: guests, of: process, value: memory, careful: 1MiB, match: {name: "qemu*"}, message: "much memory"}` + "\n"
	m := newMonitor(t, h, func(m *monitor) { m.deps.Alerts, m.config.Interval = watches(t, rules+guests), 200*time.Millisecond })
	b := browser.Open(t, m.url("/"), desk())
	b.Until(`document.querySelector("#firing").innerText.includes("/var/lib/libvirt")`)
	b.Until(`document.querySelector("#alerts").innerText.includes("Pending")`)
	b.Until(`[...document.querySelectorAll("#alerts .alert")].some(a => a.innerText.includes("much memory") && a.innerText.includes("vm/"))`)
	if got := b.Text("#firing"); !strings.Contains(got, "!! warning") || !strings.Contains(got, "93.9%") {
		t.Errorf("what fires: %s", got)
	}
	h.set(func(s *sample.Sample) {
		s.Filesystems = s.Filesystems[:1]
		s.Processes = slices.DeleteFunc(s.Processes, func(p sample.Process) bool { return p.Machine != "" })
	})
	b.Until(`!document.querySelector("#firing").checkVisibility()`)
	b.Until(`[...document.querySelectorAll("#alerts .alert")].some(a => a.innerText.includes(" to ") && a.innerText.includes("libvirt") && a.innerText.includes("93.9% at worst"))`)
}

func testLogin(t *testing.T, browser *browsertest.Browser) {
	token := "0123456789abcdef012345"
	m := newMonitor(t, &hypervisor{processes: 10}, func(m *monitor) { m.config.Token = token })
	b := browser.Open(t, m.url("/"), browsertest.Look{Wide: 1000, High: 700})
	b.Expect("401")
	b.Picture("login")
	b.Do(chromedp.SendKeys(chromedp.CSS("#token"), "wrong"))
	b.Click("button")
	b.Until(`document.querySelector("#why")?.innerText.includes("not the token")`)
	b.Until(`document.activeElement.id === "token"`) // ready to type into
	b.Do(chromedp.SendKeys(chromedp.CSS("#token"), token))
	b.Click("button")
	b.Until(rows + `?.length > 5`)
	if strings.Contains(browsertest.JS[string](b, `document.documentElement.outerHTML + location.href + document.cookie`), token) {
		t.Error("the token is in the page")
	}
}

func testPhone(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 200, spike: time.Now().Add(-4 * time.Minute)}
	m := newMonitor(t, h, func(m *monitor) { m.deps.History, m.deps.Alerts = h.keeps(t, 12*time.Minute), watches(t, rules) })
	b := browser.Open(t, m.url("/"), phone())
	b.Until(rows + `.length === 15`)
	b.Until(`document.querySelectorAll("#charts canvas").length === 4 && document.body.dataset.charts === "live"`)
	b.Until(`document.querySelector("#firing").checkVisibility()`)
	b.Fits()
	b.Picture("phone")
	b.Click(`.jump a[href="#processes"]`)
	b.Until(`Math.abs(document.querySelector("#processes").getBoundingClientRect().top) < 60`)
	b.Click(`#processes tbody tr[data-id] td`)
	b.Until(`document.querySelector("#details").open`)
	b.Fits()
	b.Picture("phone-process")
	b.Click("#details .close")
	goTo(b, 0, h.spike.Add(4*time.Second)) // a tap
	b.Until(rows + `[0].innerText.includes("cc1plus")`)
	b.Fits()
	b.Click(`#ranges button[data-value="custom"]`)
	b.Fits()
	if small := browsertest.JS[string](b, `[...document.querySelectorAll("button, a[href], select, input")].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 24 && !e.matches(".skip, .link, th button, .up")).map(e => e.outerHTML.slice(0, 80)).join("\n")`); small != "" {
		t.Errorf("too small for a finger: %s", small)
	}
}

func testDark(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 200, spike: time.Now().Add(-4 * time.Minute)}
	m := newMonitor(t, h, func(m *monitor) { m.deps.History, m.deps.Alerts = h.keeps(t, 12*time.Minute), watches(t, rules) })
	for _, scheme := range []string{"host", "dark"} {
		b := browser.Open(t, m.url("/"), browsertest.Look{Wide: 1440, High: 1000, Dark: scheme == "dark"})
		b.Expect("willReadFrequently")
		b.Until(rows + `.length > 10`)
		b.Until(`document.body.dataset.charts === "live" && document.querySelector("#firing").checkVisibility()`)
		b.Until(`document.querySelector("#alerts").innerText.includes("Active")`)
		if bad := browsertest.JS[string](b, contrast); bad != "" {
			t.Errorf("%s: too little contrast (WCAG AA asks for 4.5): %s", scheme, bad)
		}
		b.Until(`document.querySelector("#machines canvas").getContext("2d").getImageData(0, 0, 100, 18).data.some(v => v > 0)`) // the trend, also of the time before
		b.Picture(scheme)
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
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/hosts")
	switch path {
	case "/stream":
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
	case "/top", "/machines":
		h := &hypervisor{processes: 30}
		all := []map[string]any{}
		s := h.at(time.Now())
		for i := range s.Machines {
			all = append(all, map[string]any{"host": []string{"hyper1", "hyper2"}[i%2], "machine": s.Machines[i], "process": s.Processes[i]})
		}
		json.NewEncoder(w).Encode(all)
	default:
		name, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if name == "liar" {
			f.lie(w, r)
			return
		}
		if name != "hyper1" {
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprintf(w, `{"error": "hyper3 does not answer: no route to host"}`)
			return
		}
		r.URL.Path, r.URL.RawPath, r.Host = "/api/v1/"+rest, "", f.real.Host
		f.proxy.ServeHTTP(w, r)
	}
}

// lie answers with what no monitor says.
func (f *fleet) lie(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/stream") {
		io.WriteString(w, `{"bounds": {"toString": 1}, "rules": {}, "active": [null, {"message": {"toString": 1}, "level": [], "since": {}}]}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	bad := `{"toString": 1, "valueOf": 2}`
	row := `{"pid": BAD, "name": BAD, "id": BAD, "user": 7, "cpu": "1e9", "state": [], "vcpus": [BAD], "interfaces": BAD, "mount": 3, "used": -1, "start": true}`
	rows := `[null, 7, "x", [], ` + row + `]`
	text := `{"time": "2026-01-01T00:00:00Z", "interval": "often", "host": {"name": BAD, "cpus": "<b>", "boot": BAD}, "load": BAD, "cpu": {"total": 5, "cores": ` + rows + `}, "pressure": 7,
		"memory": {"total": "much"}, "swap": [], "tasks": null, "disks": ` + rows + `, "machines": ` + rows + `, "processes": ` + rows + `, "missing": ` + rows + `, "sensors": {}, "interfaces": ` + rows + `}`
	text = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, "BAD", bad), "\n", ""), "\t", "")
	for range 3 {
		fmt.Fprintf(w, "event: sample\ndata: %s\n\nevent: alerts\ndata: 5\n\nevent: delta\ndata: {\"base\": \"2026-01-01T00:00:00Z\", \"sample\": 7, \"gone\": 3, \"changed\": {}}\n\n", text)
	}
	http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

func testHosts(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 40}
	one := newMonitor(t, h, nil)
	real, _ := url.Parse(one.url(""))
	proxy := httputil.NewSingleHostReverseProxy(real)
	proxy.FlushInterval, proxy.ErrorLog = -1, log.New(io.Discard, "", 0)
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
	b := browser.Open(t, m.url("/"), desk())
	b.Until(`document.querySelectorAll("#hosts tbody tr[data-id]").length === 6`)
	b.Until(rows + `.length > 3 && document.querySelectorAll("#machines tbody tr[data-id]").length > 3`)
	if got := b.Text("#hosts"); !strings.Contains(got, "down since "+down.Format(time.TimeOnly)) && !strings.Contains(got, "down since "+down.Format(time.DateOnly)) || !strings.Contains(got, "no route to host") || !strings.Contains(got, "85.0") || !strings.Contains(got, hostile) {
		t.Errorf("the list says: %s", got)
	}
	if got := b.Text("#facts"); !strings.Contains(got, "2 of 6") {
		t.Errorf("the facts are: %s", got)
	}
	b.Fits()
	b.Do(chromedp.SendKeys(chromedp.CSS("#hosts input"), "hyper"))
	b.Until(`document.querySelectorAll("#hosts tbody tr[data-id]").length === 4`)
	b.Picture("hosts")
	b.Act(`const i = document.querySelector("#hosts input"); i.value = ""; i.dispatchEvent(new Event("input"))`)
	if got := browsertest.JS[string](b, `[...document.querySelectorAll("#hosts a")].map(a => a.getAttribute("href")).join(" ")`); !strings.Contains(got, "/hosts/a%2F..%2Fb") {
		t.Errorf("the hosts' pages: %s", got)
	}
	b.Click(`#hosts tr[data-id="hyper1"] td:nth-child(3)`)
	b.Until(`location.pathname === "/hosts/hyper1" && document.body.dataset.state === "up"`)
	b.Until(rows + `.length > 10`)
	b.Click(`a.up`)
	b.Until(`location.pathname === "/hosts"`)

	t.Run("down", func(t *testing.T) {
		b := browser.Open(t, m.url("/hosts/hyper3"), desk())
		b.Expect("502", "Bad Gateway")
		b.Until(`document.body.dataset.state === "down" && document.querySelector("#problem").innerText.includes("no route to host")`)
		// Nothing is known of it: not that it has no processes either, whatever happens.
		b.Act(`dispatchEvent(new Event("resize")); document.querySelector('#processes th[data-column="pid"] button').click()`)
		browsertest.JS[bool](b, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
		if got := browsertest.JS[string](b, `[...document.querySelectorAll("main .none, main .count")].filter(e => e.checkVisibility()).map(e => e.innerText).join(" ")`); strings.TrimSpace(got) != "" {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("away", func(t *testing.T) {
		b := browser.Open(t, m.url("/hosts"), desk())
		b.Until(`document.body.dataset.state === "up"`)
		b.Act(`window.real = window.fetch; window.fetch = () => Promise.reject(new TypeError("no network"))`)
		b.Until(`document.body.dataset.state === "down"`)
		b.Act(`window.fetch = window.real`)
		b.Until(`document.body.dataset.state === "up"`)
	})
	t.Run("liar", func(t *testing.T) {
		b := browser.Open(t, m.url("/hosts/liar"), desk())
		b.Until(`document.querySelector("#machines tbody tr[aria-rowindex]") && document.querySelector("#facts").innerText.includes("load? ? ?")`)
		b.Fits()
	})
	t.Run("this", func(t *testing.T) {
		b := browser.Open(t, m.url("/this"), desk())
		b.Until(rows + `.length > 10`)
	})
	t.Run("phone", func(t *testing.T) {
		b := browser.Open(t, m.url("/hosts"), phone())
		b.Until(`document.querySelectorAll("#hosts tbody tr[data-id]").length === 6`)
		b.Until(rows + `.length > 3`)
		b.Fits()
		b.Picture("phone-hosts")
	})
}
