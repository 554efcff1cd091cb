package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"sarn/internal/browsertest"
)

// beside runs a program until the test ends.
func beside(t *testing.T, argv ...string) (pid int) {
	t.Helper()
	cmd := bounded(t, argv...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // Wait tells
		cmd.Wait()         //nolint:errcheck // it was killed
	})
	return cmd.Process.Pid
}

// TestPages shows this machine in a browser: what the page says is what the kernel says,
// who makes a load stands first, also afterwards, and a server that dies is waited for.
func TestPages(t *testing.T) {
	alerts := filepath.Join(t.TempDir(), "alerts.yaml")
	if err := os.WriteFile(alerts, []byte("rules:\n  - {name: spinner, of: process, value: cpu, match: {command: '*sarn-test-load*'}, warning: 10%}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--state", t.TempDir(), "--alerts", alerts}
	one := watch(t, args...)
	odd := filepath.Join(t.TempDir(), "<img src=x onerror=alert(1)>")
	text, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(odd, text, 0o700); err != nil {
		t.Fatal(err)
	}
	oddPID := beside(t, odd, "300")
	loadPID := beside(t, "/bin/sh", "-c", "while :; do :; done # sarn-test-load")

	browser := browsertest.Start(t)
	b := browser.Open(t, one.at, browsertest.Look{Wide: 1440, High: 1000})
	b.Until(`document.body.dataset.state === "up"`)
	host, _ := os.Hostname()
	if got := b.Text("h1"); got != host {
		t.Errorf("the host is %q, the page says %q", host, got)
	}
	if n := browsertest.JS[int](b, `document.querySelectorAll(".core").length`); n != runtime.NumCPU() {
		t.Errorf("%d CPUs, the page has %d", runtime.NumCPU(), n)
	}
	meminfo, _ := os.ReadFile("/proc/meminfo")
	kib, _ := strconv.ParseFloat(strings.Fields(string(meminfo))[1], 64)
	if want := fmt.Sprintf("/%.1fG", kib/(1<<20)); !strings.Contains(b.Text("#memory"), want) {
		t.Errorf("memory is %s, the page says %s", want, b.Text("#memory"))
	}
	row := func(pid int) string { return fmt.Sprintf(`document.querySelector('#processes tr[data-id="%d"]')`, pid) }
	b.Until(row(loadPID) + ` && parseFloat(` + row(loadPID) + `.querySelector(".is-cpu").innerText) > 10`)
	b.Until(`document.querySelector("#firing").innerText.includes("spinner")`)
	b.Do(chromedp.SendKeys(chromedp.CSS("#processes input"), strconv.Itoa(oddPID)))
	b.Until(row(oddPID) + `?.innerText.includes("<img src=x onerror=alert(1)>")`)

	b.Until(`document.querySelector("#ranges").checkVisibility()`)
	b.Until(`document.querySelector("#charts .area").ariaLabel.includes("%")`)
	time.Sleep(3 * time.Second) // so that there is a time before
	b.Act(`location.hash = "at=" + new Date(Date.now() - 2000).toISOString()`)
	b.Until(`document.body.dataset.time === "past"`)
	b.Act(`document.querySelector("#processes input").value = ""`)
	b.Do(chromedp.SendKeys(chromedp.CSS("#processes input"), "sarn-test-load"))
	b.Until(row(loadPID))
	b.Do(chromedp.Click(chromedp.CSS("#live")))
	b.Until(`document.body.dataset.time === "now"`)

	b.Expect("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_CONNECTION_CLOSED", "ERR_SOCKET_NOT_CONNECTED", "ERR_EMPTY_RESPONSE")
	if err := one.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	one.cmd.Wait() //nolint:errcheck // it was killed
	b.Until(`document.body.dataset.state === "down" && document.querySelector("#state").innerText.includes("no connection since")`)
	again := one.again(args...)
	b.Until(`document.body.dataset.state === "up"`)

	t.Run("hosts", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "hosts.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, "hosts:\n  - {name: alpha, address: %s}\n  - {name: beta, address: \"127.0.0.1:9\"}\n", again.address()), 0o600); err != nil {
			t.Fatal(err)
		}
		all := quiet(t, "--hosts", file)
		b := browser.Open(t, all.at, browsertest.Look{Wide: 1440, High: 1000})
		b.Expect("/stream") // what is under way when the page is left
		b.Until(`document.querySelector('#hosts tr[data-id="alpha"] .is-since')?.innerText.startsWith("up since")`)
		b.Until(`document.querySelector('#hosts tr[data-id="beta"] .is-since')?.innerText.startsWith("down since")`)
		b.Until(`[...document.querySelectorAll("#processes tr[data-id]")].some(r => r.innerText.includes("sarn-test-load"))`)
		b.Fits()
		b.Do(chromedp.Click(chromedp.CSS(`#hosts tr[data-id="alpha"] .is-cpu`)))
		b.Until(`location.pathname === "/hosts/alpha" && document.body.dataset.state === "up"`)
		b.Until(row(loadPID))
		b.Until(`document.querySelector("#firing").innerText.includes("spinner")`)
		b.Until(`document.querySelector("#ranges").checkVisibility()`) // its history, by way of this one
	})
}
