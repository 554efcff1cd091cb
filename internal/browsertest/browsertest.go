package browsertest

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"
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
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
)

// Step is something that a browser does.
type Step = chromedp.Action[chromedp.Void]

// Browser is a Chromium that ends with the test.
type Browser struct{ ctx context.Context } //nolint:containedctx // it is the browser

// Start starts a browser that asks nothing of the world outside.
func Start(t *testing.T) *Browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.WSURLReadTimeout(2*time.Minute), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("force-color-profile", "srgb"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	browser, end := chromedp.NewContext(allocator)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(browser); err != nil {
			t.Log(err) // how a browser ends is its own affair
		}
		end()
		stop()
	})
	return &Browser{browser}
}

// Look is how large a window is, in pixels; below 500 it is a phone. And whether who
// looks likes it dark.
type Look struct {
	Wide, High int64
	Dark       bool
}

// Tab is a page in the browser, with what went wrong in it.
type Tab struct {
	*testing.T
	ctx    context.Context //nolint:containedctx // it is the tab
	origin string
	wide   int64

	mu       sync.Mutex
	wrong    []string
	expected []string // parts of what may go wrong
}

// Open opens a tab at an address. The test fails if anything goes wrong in it: errors,
// dialogs, requests to elsewhere.
func (br *Browser) Open(t *testing.T, address string, look Look) *Tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(br.ctx)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	b := &Tab{T: t, ctx: ctx, wide: look.Wide, origin: u.Scheme + "://" + u.Host, expected: []string{
		"/history",            // 404 where none is kept
		"ERR_NETWORK_CHANGED", // by somebody else on this machine
	}}
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
	command(b, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}) // tests sign their own
	command(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"})
	if look.Dark {
		command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
		})
	}
	size := chromedp.EmulateViewport(look.Wide, look.High)
	if look.Wide < 500 {
		size = chromedp.EmulateViewport(look.Wide, look.High, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.Do(size, chromedp.Navigate(address))
	return b
}

// command is one of the protocol's.
func command[P, R any](b *Tab, c cdp.Command[P, R], params P) R {
	b.Helper()
	r, err := chromedp.Call(b.ctx, c, params)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// heard keeps what must not happen: errors, dialogs, requests to elsewhere.
func (b *Tab) heard(event any) {
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

func (b *Tab) blame(words string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, words)
}

// Expect lets go wrong what has one of these parts in its words.
func (b *Tab) Expect(parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, parts...)
}

// Do runs steps.
func (b *Tab) Do(steps ...Step) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// JS is the value of an expression, which may be a promise.
func JS[T any](b *Tab, expression string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

// Act runs statements.
func (b *Tab) Act(statements string) {
	b.Helper()
	JS[bool](b, "(() => { "+statements+"; return true })()")
}

// Until waits for an expression to be true, on this page or one that comes after it.
func (b *Tab) Until(expression string) {
	b.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var yes bool
		if yes, err = chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); yes && err == nil {
			return
		}
	}
	b.Fatalf("never true: %s\n%v\nthe page says:\n%s", expression, err, JS[string](b, "document.body.innerText.slice(0, 3000)"))
}

// Within reports whether an expression becomes true in a time.
func (b *Tab) Within(most time.Duration, expression string) bool {
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if yes, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); yes && err == nil {
			return true
		}
	}
	return false
}

// Click clicks an element where a person can: in sight, and with nothing over it. It looks
// and clicks in one go. Between the two steps of a driver a page that is being filled, or
// a table that is sorted anew, puts another element there.
func (b *Tab) Click(selector string) {
	b.Helper()
	clicks := fmt.Sprintf(`(() => { const e = document.querySelector(%q);
		if (!e?.checkVisibility()) return false;
		e.scrollIntoView({block: "nearest", behavior: "instant"});
		let r = e.getBoundingClientRect();
		const over = () => e.contains(document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2));
		if (!over()) { e.scrollIntoView({block: "center", behavior: "instant"}); r = e.getBoundingClientRect() }
		if (!over()) return false;
		e.focus(); e.click(); return true })()`, selector)
	if !b.Within(time.Minute, clicks) {
		b.Fatalf("nobody could click on %s", selector)
	}
}

// CPUTime is what the page's own thread has used of the CPU since the first call, in
// seconds.
func (b *Tab) CPUTime() float64 {
	b.Helper()
	command(b, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
	for _, m := range command(b, performance.GetMetrics, cdp.Empty{}).Metrics {
		if m.Name == "TaskDuration" {
			return m.Value
		}
	}
	b.Fatal("the browser does not tell its CPU time")
	return 0
}

// Text is what an element says.
func (b *Tab) Text(selector string) string {
	b.Helper()
	return JS[string](b, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// Picture keeps a screenshot where SARN_SCREENSHOTS says: that is how docs/img is made.
func (b *Tab) Picture(name string) {
	b.Helper()
	dir := os.Getenv("SARN_SCREENSHOTS")
	if dir == "" {
		return
	}
	raw, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.Fatal(err)
	}
	small, err := smaller(raw)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "monitor-"+name+".png"), small, 0o644); err != nil {
		b.Fatal(err)
	}
}

// smaller rounds colours by what nobody sees, so that a picture packs well.
func smaller(raw []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read the screenshot: %w", err)
	}
	out := image.NewRGBA(img.Bounds())
	draw.Draw(out, out.Bounds(), img, image.Point{}, draw.Src)
	for i, v := range out.Pix {
		out.Pix[i] = uint8(min((int(v)+4)/8*8, 255))
	}
	var b bytes.Buffer
	best := png.Encoder{CompressionLevel: png.BestCompression}
	if err := best.Encode(&b, out); err != nil {
		return nil, fmt.Errorf("write the screenshot: %w", err)
	}
	return b.Bytes(), nil
}

// Fits fails if a page scrolls sideways.
func (b *Tab) Fits() {
	b.Helper()
	over := JS[string](b, fmt.Sprintf(`[...document.querySelectorAll("html, header, main, nav, section, figure, table, h1, h2, p, li, dialog, dl, button, input")].filter(e => e.checkVisibility() && !e.matches(".sr, .skip") &&
		Math.max(e.getBoundingClientRect().right, e.matches("html") ? e.scrollWidth : 0) > %d + 1).map(e => e.tagName + "." + e.className + "#" + e.id).slice(0, 8).join(" ")`, b.wide))
	if over != "" {
		b.Errorf("wider than the screen: %s", over)
	}
}
