package web_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/history"
	"sarn/internal/monitor/serve"
	"sarn/internal/monitor/web"
)

// step is something that a browser does.
type step = chromedp.Action[chromedp.Void]

// chromium starts a browser that asks nothing of the world outside.
func chromium(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("force-color-profile", "srgb"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	browser, end := chromedp.NewContext(allocator)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(browser); err != nil {
			t.Error(err)
		}
		end()
		stop()
	})
	return browser
}

// tab is a page in the browser, with what went wrong in it.
type tab struct {
	*testing.T
	ctx    context.Context
	origin string
	wide   int64

	mu       sync.Mutex
	wrong    []string
	expected []string // parts of what may go wrong
}

// open opens a tab of a size at an address.
func open(t *testing.T, browser context.Context, address string, wide, high int64, before ...step) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	b := &tab{T: t, ctx: ctx, wide: wide, origin: u.Scheme + "://" + u.Host, expected: []string{"/history"}} // 404 where none is kept
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, w := range b.wrong {
			if !slices.ContainsFunc(b.expected, func(part string) bool { return strings.Contains(w, part) }) {
				t.Error(w)
			}
		}
		cancel()
		stop()
	})
	command(b, network.Enable, network.EnableParams{})
	command(b, cdplog.Enable, cdp.Empty{})
	command(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"})
	size := chromedp.EmulateViewport(wide, high)
	if wide < 500 {
		size = chromedp.EmulateViewport(wide, high, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.do(append([]step{size}, before...)...)
	b.do(chromedp.Navigate(address))
	return b
}

// command is one of the protocol's.
func command[P, R any](b *tab, c cdp.Command[P, R], params P) R {
	b.Helper()
	r, err := chromedp.Call(b.ctx, c, params)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// heard keeps what must not happen: errors, dialogs, requests to elsewhere.
func (b *tab) heard(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.blame("exception: " + describe(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, a := range e.Args {
				words = append(words, string(a.Value)+a.Description)
			}
			b.blame("console: " + strings.Join(words, " "))
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			b.blame("log: " + e.Entry.Text + " " + e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		b.blame("a name opened a dialog: " + e.Message)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.origin+"/") && !strings.HasPrefix(e.Request.URL, "data:") { // data: are the browser's own icons
			b.blame("asked elsewhere: " + e.Request.URL)
		}
	}
}

func describe(e *runtime.ExceptionDetails) string {
	if e.Exception != nil {
		return e.Text + " " + e.Exception.Description
	}
	return e.Text
}

func (b *tab) blame(words string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, words)
}

// expect lets go wrong what has one of these parts in its words.
func (b *tab) expect(parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, parts...)
}

func (b *tab) do(steps ...step) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// js is the value of an expression, which may be a promise.
func js[T any](b *tab, expression string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

// act runs statements.
func (b *tab) act(statements string) {
	b.Helper()
	js[bool](b, "(() => { "+statements+"; return true })()")
}

// until waits for an expression to be true, on this page or one that comes after it.
func (b *tab) until(expression string) {
	b.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var yes bool
		if yes, err = chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); yes && err == nil {
			return
		}
	}
	b.Fatalf("never true: %s\n%v\nthe page says:\n%s", expression, err, js[string](b, "document.body.innerText.slice(0, 3000)"))
}

func (b *tab) text(selector string) string {
	b.Helper()
	return js[string](b, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// picture keeps a screenshot where SARN_SCREENSHOTS says: that is how docs/img is made.
func (b *tab) picture(name string) {
	b.Helper()
	dir := os.Getenv("SARN_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "monitor-"+name+".png"), png, 0o644); err != nil {
		b.Fatal(err)
	}
}

// fits fails if a page scrolls sideways.
func (b *tab) fits() {
	b.Helper()
	over := js[string](b, fmt.Sprintf(`[...document.querySelectorAll("html, header, main, nav, section, figure, table, h1, h2, p, li, dialog, dl, button, input")].filter(e => e.checkVisibility() && !e.matches(".sr, .skip") &&
		Math.max(e.getBoundingClientRect().right, e.matches("html") ? e.scrollWidth : 0) > %d + 1).map(e => e.tagName + "." + e.className + "#" + e.id).slice(0, 8).join(" ")`, b.wide))
	if over != "" {
		b.Errorf("wider than the screen: %s", over)
	}
}

// dark is for who likes it dark.
func dark(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	return chromedp.Void{}, err
}

// monitor is a real server of a made-up machine.
type monitor struct {
	config serve.Config
	deps   serve.Deps
	stop   func()
	at     string
}

func newMonitor(t *testing.T, source serve.Source, change func(*monitor)) *monitor {
	t.Helper()
	m := &monitor{
		config: serve.Config{Listen: "127.0.0.1:0", Interval: time.Second, Version: "v1.2.3"},
		deps:   serve.Deps{Source: source, Log: slog.New(slog.DiscardHandler)},
	}
	if change != nil {
		change(m)
	}
	site, err := web.New(web.Config{Version: "v1.2.3", Hosts: m.config.Hosts != nil})
	if err != nil {
		t.Fatal(err)
	}
	m.config.Web = site
	m.start(t)
	t.Cleanup(func() { m.stop() })
	return m
}

// start starts it, again where it was before.
func (m *monitor) start(t *testing.T) {
	t.Helper()
	if m.at != "" {
		m.config.Listen = m.at
	}
	s, err := serve.New(m.config, m.deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	m.at = s.Address()
}

func (m *monitor) url(path string) string { return "http://" + m.at + path }

// keeps gives the monitor a history of the time before.
func (h *hypervisor) keeps(t *testing.T, before time.Duration) *history.Store {
	t.Helper()
	store, err := history.Open(history.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	now := time.Now()
	for at := now.Add(-before); at.Before(now); at = at.Add(time.Second) {
		if err := store.Add(h.at(at)); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func watches(t *testing.T, rules string) *alert.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alerts.yaml")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := alert.OpenFile(path, alert.Deps{Log: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	return f
}
