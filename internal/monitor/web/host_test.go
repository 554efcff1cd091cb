package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sarn/internal/browsertest"
	"sarn/internal/monitor/sample"
	"sarn/internal/netnstest"
)

const rules = `rules:
  - {name: disk-full, of: filesystem, value: used, warning: 85%, critical: 97%}
  - {name: cpu, of: system, value: cpu, warning: 1%, for: 1h}
  - {name: busy-guest, of: machine, value: cpu, careful: 380%}
`

const rows = `document.querySelectorAll("#processes tbody tr[data-id]")`

// TestPages runs everything in one browser, on a network of its own: Chromium breaks off
// what it loads when an interface comes or goes (ERR_NETWORK_CHANGED), as in tests of labs.
func TestPages(t *testing.T) { netnstest.Run(t, testPages) }

func testPages(t *testing.T) {
	browser := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, *browsertest.Browser){
		"live": testLive, "table": testTable, "details": testDetails, "hostile": testHostile, "reconnect": testReconnect, "history": testHistory,
		"alerts": testAlerts, "nothing": testNothingKept, "login": testLogin, "phone": testPhone, "dark": testDark, "hosts": testHosts, "many": testMany,
		"devices": testDevices, "places": testPlaces, "proxy": testPlacesByProxy, "again": testHistoryAgain,
	} {
		t.Run(name, func(t *testing.T) { test(t, browser) })
	}
}

// testLive holds what the page says against the sample, and sees it change.
func testLive(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 100}
	fixed := h.at(time.Now())
	busy := 0.0
	h.set(func(s *sample.Sample) {
		at := s.Time
		*s = *fixed
		s.Time = at
		s.CPU.Total = sample.Times{User: busy, System: 0.1, Idle: 0.9 - busy - 0.05, IOWait: 0.03, Steal: 0.02}
		s.Memory.Available = 48 * gib
		s.Processes = append([]sample.Process{}, s.Processes...)
		if busy > 0 {
			s.Processes = append(s.Processes, sample.Process{PID: 99999, Name: "latecomer", CPU: 3, Start: at})
		}
	})
	m := newMonitor(t, h, func(m *monitor) { m.config.Interval = 100 * time.Millisecond })
	b := browser.Open(t, m.url("/"), desk())
	b.Until(rows + `.length > 10`)
	b.Until(`document.body.dataset.state === "up"`)
	for selector, want := range map[string]string{
		"h1": "hyper1", "#state": "live since", "#facts": "load" + fmt.Sprintf("%.2f 3.71 3.02", fixed.Load[0]), "#cpu": "steal2.0", "#memory": "16.0G/64.0G",
		"#machines tbody": "web1", "#devices": "/var/lib/libvirt", "#missing": "run as root on a kernel with BPF", ".foot": "v1.2.3",
	} {
		if got := b.Text(selector); !strings.Contains(strings.ReplaceAll(got, "\n", " "), want) {
			t.Errorf("%s says %q, not %q", selector, got, want)
		}
	}
	if n := browsertest.JS[int](b, `document.querySelectorAll(".core").length`); n != 16 {
		t.Errorf("%d cores", n)
	}
	if got := b.Text("#devices"); !strings.Contains(got, "no reply!") || !strings.Contains(got, "94.0!") || !strings.Contains(got, "81 °C!") {
		t.Errorf("what is too much is not marked: %s", got)
	}
	h.while(func() { busy = 0.6 })
	b.Until(`document.querySelector("#cpu .big").innerText === "72.0%"`)
	b.Until(`[...document.querySelectorAll("#processes tbody tr")].some(r => r.innerText.includes("latecomer"))`)
	h.while(func() { busy = 0 })
	b.Until(`![...document.querySelectorAll("#processes tbody tr")].some(r => r.innerText.includes("latecomer"))`)
	b.Until(`document.querySelectorAll("#charts .uplot canvas").length === 4`)
}

// testTable sorts, filters, makes a tree, and goes by keys.
func testTable(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 50}
	h.set(func(s *sample.Sample) {
		for i := range s.Processes {
			p := &s.Processes[i]
			p.CPU, p.Parent = float64(p.PID%10)/10, 1
			if p.PID == 4003 {
				p.Parent = 4002
			}
		}
	})
	m := newMonitor(t, h, func(m *monitor) { m.config.Interval = 200 * time.Millisecond })
	b := browser.Open(t, m.url("/"), desk())
	b.Until(rows + `.length === 30`)
	first := func(want string) {
		t.Helper()
		b.Until(rows + `[0].cells[0].innerText === "` + want + `"`)
	}
	press := func(column string) {
		t.Helper()
		b.Click(`#processes th[data-column="` + column + `"] button`)
	}
	first("4009") // the busiest, the lowest PID of those
	press("cpu")
	first("2000")
	press("pid")
	first("1")
	press("pid")
	first("4049")
	press("resident")
	if got := browsertest.JS[string](b, `document.querySelector("#processes th[aria-sort]").dataset.column + " " + document.querySelector("#processes th[aria-sort]").ariaSort`); got != "resident descending" {
		t.Errorf("sorted by %s", got)
	}
	press("pid")
	b.Click("#processes .toggle")
	b.Until(`[...` + rows + `].find(r => r.cells[0].innerText === "4003").previousElementSibling.cells[0].innerText === "4002"`)
	if depth := browsertest.JS[string](b, `[...`+rows+`].find(r => r.cells[0].innerText === "4003").lastElementChild.style.getPropertyValue("--depth")`); depth != "2" {
		t.Errorf("a grandchild is %s deep", depth)
	}
	b.Do(chromedp.KeyEvent("/"))
	b.Until(`document.activeElement.type === "search"`)
	b.Act(`document.activeElement.value = ""`) // the driver's key also types
	b.Do(chromedp.KeyEvent("GUEST=db1"))
	b.Until(rows + `.length === 1`)
	if got := b.Text("#processes .count"); got != "1 of 57" {
		t.Errorf("counts %q", got)
	}
	b.Act(rows + `[0].lastElementChild.firstChild.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }))`)
	if got := browsertest.JS[string](b, rows+`[0].lastElementChild.firstChild.title`); !strings.HasSuffix(got, "-smp 4 -m 8192") {
		t.Errorf("of a command that is cut off the pointer is told %q", got)
	}
	b.Do(chromedp.KeyEvent(" nothing"))
	b.Until(`document.querySelector("#processes .none").innerText.includes("Nothing has")`)
	b.Act(`const i = document.querySelector("#processes input"); i.value = ""; i.dispatchEvent(new Event("input"))`)
	b.Until(rows + `.length === 30`)
	b.Click("#processes .more")
	b.Until(rows + `.length === 57`)
	// The focus follows a process, wherever it goes.
	b.Act(rows + `[0].focus()`)
	b.Do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
	pid := browsertest.JS[string](b, `document.activeElement.dataset.id`)
	b.Act(`document.querySelector('#processes .toggle').click()`)
	b.Until(`document.activeElement.dataset?.id === "` + pid + `"`)
	if pid == "" {
		t.Errorf("focus on %q", pid)
	}
}

// testDetails opens a process and a machine, which stay as they are when these end.
func testDetails(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 20}
	m := newMonitor(t, h, func(m *monitor) { m.deps.History = h.keeps(t, 10*time.Minute) })
	b := browser.Open(t, m.url("/"), desk())
	b.Until(rows + `.length > 10 && document.body.dataset.kept`)
	b.Click(`#machines tr[data-id="vm/web1"] td`)
	b.Until(`document.querySelector("#details").open`)
	b.Until(`document.querySelectorAll("#details canvas").length === 4 && [...document.querySelectorAll("#details .legend b")].every(e => e.checkVisibility() === false || e.innerText !== "-")`)
	if got := b.Text("#details"); !strings.Contains(got, "8.0G given") || !strings.Contains(got, "tap0") || !strings.Contains(got, "qemu") {
		t.Errorf("a machine: %s", got)
	}
	b.Picture("vm")
	b.Do(chromedp.KeyEvent(kb.Escape))
	b.Until(`!document.querySelector("#details").open`)
	if left := browsertest.JS[int](b, `document.querySelectorAll("#details canvas").length`); left != 0 {
		t.Errorf("%d charts stay", left)
	}
	b.Act(`document.querySelector('#processes tr[data-id="4007"] td').click()`)
	b.Until(`document.querySelector("#details").innerText.includes("/usr/sbin/nginx")`)
	h.set(func(s *sample.Sample) { s.Processes = s.Processes[:5] })
	b.Until(`document.querySelector("#details .note").checkVisibility()`)
	if got := b.Text("#details"); !strings.Contains(got, "has ended") || !strings.Contains(got, "/usr/sbin/nginx") {
		t.Errorf("after its end: %s", got)
	}
}

// testHostile has names that a browser must take for nothing but text.
func testHostile(t *testing.T, browser *browsertest.Browser) {
	script := `<script>document.title="owned"</script><img src=x onerror=alert(1)>"'&lt;`
	long := strings.Repeat("A", 4096)
	turned := "safe\u202egnp.exe\x1b[31m\x00\u2066"
	h := &hypervisor{processes: 3}
	h.set(func(s *sample.Sample) {
		s.Processes[0].Name, s.Processes[0].Command, s.Processes[0].User = script, script, script
		s.Processes[1].Name, s.Processes[1].Command = long, long
		s.Processes[2].Name, s.Processes[2].Command = turned, turned
		s.Processes[3].Command = "e" + strings.Repeat("\u0301", 500) + " zalgo"
		s.Processes[4].Command = "\xff\xfe not UTF-8"
		s.Host.Name, s.Host.OS, s.Host.Model = script, script, long
		s.Machines[0].Name, s.Machines[0].ID, s.Machines[0].State = script, script, script
		s.Machines[1].Name, s.Machines[1].ID, s.Machines[1].Interfaces = "__proto__", "constructor", []string{"].x[", script}
		s.Disks[0].Name, s.Interfaces[1].Name = script, script
		s.Interfaces[2].Name = "__proto__"
		s.Filesystems[0].Mount, s.Filesystems[1].Mount = script, "/mnt/"+long
		s.Sensors[0].Chip, s.Missing[0].What, s.Missing[0].Help = script, script, long
	})
	m := newMonitor(t, h, func(m *monitor) {
		m.deps.Alerts = watches(t, `rules: [{name: "<img src=x onerror=alert(2)>", of: process, value: threads, careful: 1, message: "<b>{subject}</b>"}]`)
		m.deps.History = h.keeps(t, 5*time.Second)
	})
	b := browser.Open(t, m.url("/"), desk())
	b.Until(rows + `.length >= 5`)
	b.Until(`document.querySelectorAll("#charts canvas").length === 4`)
	b.Until(`document.querySelectorAll("#alerts .alert").length > 0`)
	time.Sleep(1500 * time.Millisecond) // what would run, has run by then
	if got := b.Text("h1"); !strings.Contains(got, "<script>") {
		t.Errorf("the host is called %q", got)
	}
	if n := browsertest.JS[int](b, `document.querySelectorAll("main script, main img, header img, main b b, [onerror]").length`); n != 0 {
		t.Errorf("%d elements were made of names", n)
	}
	page := browsertest.JS[string](b, `document.body.textContent`)
	for _, want := range []string{`safe\u202egnp.exe\x1b[31m\x00\u2066`, `<img src=x onerror=alert(1)>`, `<img src=x onerror=alert(2)>`} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not there as text", want)
		}
	}
	if strings.ContainsAny(page, "\u202e\u2066\x1b") || strings.Contains(page, strings.Repeat("\u0301", 5)) {
		t.Error("a mark that turns or piles up the text is in the page")
	}
	b.Fits()
	if high := browsertest.JS[float64](b, `Math.max(...[...`+rows+`].map(r => r.offsetHeight))`); high > 40 {
		t.Errorf("a row is %v pixels high", high)
	}
	for _, id := range []string{script, "constructor"} {
		b.Act(fmt.Sprintf(`[...document.querySelectorAll("#machines tr[data-id]")].find(r => r.dataset.id === %q).cells[0].click()`, id))
		b.Until(`document.querySelectorAll("#details canvas").length === 4`)
		b.Do(chromedp.KeyEvent(kb.Escape))
		b.Until(`!document.querySelector("#details").open`)
	}
	b.Act(rows + `[0].cells[0].click()`)
	b.Until(`document.querySelector("#details").open`)
	b.Fits()
}

// testReconnect ends the server under the page.
func testReconnect(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 10}
	m := newMonitor(t, h, func(m *monitor) { m.config.Interval = 200 * time.Millisecond })
	b := browser.Open(t, m.url("/"), desk())
	b.Expect("net::ERR_") // what it is depends on when it hears of it
	b.Until(`document.body.dataset.state === "up"`)
	m.stop()
	b.Until(`document.body.dataset.state === "down"`)
	if got := b.Text("#state"); !strings.Contains(got, "no connection since") || !strings.Contains(got, "trying again") {
		t.Errorf("says %q", got)
	}
	if n := browsertest.JS[int](b, rows+`.length`); n == 0 {
		t.Error("what was seen last is gone")
	}
	h.set(func(s *sample.Sample) { s.Host.Name = "reborn" })
	m.start(t)
	b.Until(`document.body.dataset.state === "up" && document.querySelector("h1").innerText === "reborn"`)
}

// testMany has 5,000 processes that all change: only what is in sight is in the page.
func testMany(t *testing.T, browser *browsertest.Browser) {
	h := &hypervisor{processes: 5000}
	n := 0.0
	h.set(func(s *sample.Sample) {
		n++
		for i := range s.Processes {
			s.Processes[i].CPUTime += n
		}
	})
	m := newMonitor(t, h, func(m *monitor) { m.config.Interval = 500 * time.Millisecond })
	b := browser.Open(t, m.url("/"), desk())
	b.Until(rows + `.length === 30`)
	b.Click(`#processes th[data-column="pid"] button`)
	b.Click("#processes .more")
	b.Until(rows + `.length > 10`)
	b.Act(`scrollTo(0, document.querySelector("#processes table").getBoundingClientRect().top + scrollY + 2500 * 26)`)
	b.Until(`[...` + rows + `].some(r => Math.abs(r.getBoundingClientRect().top - 400) < 40)`)
	if n := browsertest.JS[int](b, rows+`.length`); n > 120 {
		t.Errorf("%d rows are in the page", n)
	}
	pid := browsertest.JS[int](b, `+[...`+rows+`].find(r => r.getBoundingClientRect().top > 300).cells[0].innerText`)
	if pid < 6000 || pid > 7000 {
		t.Errorf("in the middle stands %d", pid)
	}
	// Of ten times the processes there are as many rows in sight: a change costs little more.
	b.Act(`window.changes = 0; new MutationObserver(() => changes++).observe(document.querySelector("#processes tbody"), { subtree: true, childList: true, characterData: true })`)
	many := costOfAChange(b)
	h.while(func() { h.processes = 500 })
	b.Until(`parseInt(document.querySelector("#processes .count").innerText) < 600`)
	few := costOfAChange(b)
	t.Logf("CPU time of a change: %.1f ms with 5,000 processes, %.1f with 500", many*1000, few*1000)
	if many > 5*few {
		t.Errorf("a change of 5,000 processes takes %.0f ms of CPU time, of 500 %.0f", many*1000, few*1000)
	}
}

// costOfAChange is the CPU time that the page takes for one, in seconds: the mean of some.
func costOfAChange(b *browsertest.Tab) float64 {
	b.Helper()
	const some = 6
	from, used := browsertest.JS[float64](b, `changes`), b.CPUTime()
	b.Until(fmt.Sprintf(`changes >= %v`, from+some))
	used = b.CPUTime() - used
	return used / (browsertest.JS[float64](b, `changes`) - from)
}
