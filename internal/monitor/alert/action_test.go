package alert

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/goleak"

	"sarn/internal/monitor/sample"
)

// deliver fires one alert of a process with the given name, and runs the engine until
// the action has no more to do.
func deliver(t *testing.T, action, name string, env map[string]string) (Delivery, string) {
	t.Helper()
	c, err := Parse("test.yaml", []byte(`
actions: [`+action+`]
rules: [{name: hog, of: process, value: cpu, warning: 1, actions: [a], labels: {team: infra}}]`))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	e, err := New(*c, Deps{Log: slog.New(slog.NewTextHandler(&log, nil)), Getenv: func(n string) string { return env[n] }})
	if err != nil {
		t.Fatal(err)
	}
	e.Observe(&sample.Sample{Time: morning, Interval: 1, Host: sample.Host{Name: "host1"}, Processes: []sample.Process{{PID: 7, Name: name, CPU: 2}}})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if d := e.Deliveries()[0]; d.Queued == 0 {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return e.Deliveries()[0], log.String()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWebhook(t *testing.T) {
	const token = "s3cr3t-t0ken"
	for name, c := range map[string]struct {
		answers []int
		want    Delivery
		posts   int
	}{
		"done":           {[]int{204}, Delivery{Sent: 1}, 1},
		"tried again":    {[]int{500, 503, 429, 200}, Delivery{Sent: 1, Retried: 3}, 4},
		"never":          {[]int{500, 500, 500, 500}, Delivery{Failed: 1, Retried: 3}, 4},
		"refused":        {[]int{404}, Delivery{Failed: 1}, 1},
		"sent elsewhere": {[]int{302}, Delivery{Failed: 1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var bodies []Notification
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				var n Notification
				if err := json.NewDecoder(r.Body).Decode(&n); err != nil || r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer "+token {
					t.Errorf("%s %v: %v", r.Method, r.Header, err)
				}
				code := c.answers[min(len(bodies), len(c.answers)-1)]
				bodies = append(bodies, n)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(code)
			}))
			defer srv.Close()
			d, log := deliver(t, fmt.Sprintf(`{name: a, webhook: {url: "%s/hook", ca: "%s", token_env: T, tries: 4}}`, srv.URL, caFile(t, srv)),
				"hog\n<b>", map[string]string{"T": token})
			if d.Sent != c.want.Sent || d.Failed != c.want.Failed || d.Retried != c.want.Retried || (d.Error != "") != (c.want.Failed+c.want.Retried > 0) {
				t.Errorf("%+v, want %+v", d, c.want)
			}
			if len(bodies) != c.posts {
				t.Errorf("%d posts, want %d", len(bodies), c.posts)
			}
			if n := bodies[0]; n.Event != Fire || n.Alert.Subject != "hog\n<b>[7]" || n.Alert.Level != Warning || strings.Contains(n.Alert.Message, "\n") {
				t.Errorf("%+v", n)
			}
			if strings.Contains(log+d.Error, token) || strings.Contains(log+d.Error, "/hook") {
				t.Errorf("a secret is in the log: %s", log)
			}
		})
	}
}

// TestASecretThatIsNotThere: what is wrong is said, and once; a variable of the environment
// will not come by itself.
func TestASecretThatIsNotThere(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for action, want := range map[string]struct {
		words   string
		retried uint64
	}{
		`mail: {server: "127.0.0.1:9", from: a@example.net, to: [b@example.net], user: me, password_env: P}`:                        {"the environment's P, which is to hold a secret, is not set", 0},
		`webhook: {url: "http://127.0.0.1:9", token_env: P}`:                                                                        {"the environment's P, which is to hold a secret, is not set", 0},
		`webhook: {url: "http://127.0.0.1:9", token_env: TWO}`:                                                                      {"has more than one line", 0},
		`webhook: {url: "http://127.0.0.1:9", tries: 3, token_file: ` + empty + `}`:                                                 {"the file " + empty + ", which is to hold a secret, is empty", 2},
		`mail: {server: "127.0.0.1:9", from: a@example.net, to: [b@example.net], tries: 3, user: me, password_file: ` + empty + `}`: {"is empty", 2},
	} {
		d, log := deliver(t, `{name: a, `+action+`}`, "x", map[string]string{"TWO": "a\nb"})
		if d.Failed != 1 || d.Retried != want.retried || !strings.Contains(d.Error, want.words) {
			t.Errorf("%s: %+v", action, d)
		}
		if n := strings.Count(log, "level=WARN"); n != min(1, int(want.retried)) || strings.Count(log, "level=ERROR") != 1 {
			t.Errorf("%s: told more than once: %s", action, log)
		}
	}
}

// TestADifferentEventHasADifferentKey, and all tries of one the same.
func TestADifferentEventHasADifferentKey(t *testing.T) {
	w, err := newWebhook(&Webhook{URL: "http://127.0.0.1:9"}, &Deps{})
	if err != nil {
		t.Fatal(err)
	}
	key := func(n Notification) string {
		r, err := w.request(t.Context(), &n)
		if err != nil {
			t.Fatal(err)
		}
		return r.Header.Get("Idempotency-Key")
	}
	first := Notification{Event: Change, Time: morning, Alert: Alert{ID: "1", Level: Critical}}
	again := first
	again.Time = morning.Add(time.Minute) // critical, warning, and critical again
	one, retry, other := key(first), key(first), key(again)
	if one != retry || one == other {
		t.Errorf("%s, %s, %s", one, retry, other)
	}
}

func TestAWebhookThatHangsEnds(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer srv.Close()
	defer close(stop)
	d, _ := deliver(t, `{name: a, webhook: {url: "`+srv.URL+`", timeout: 50ms, tries: 2}}`, "x", nil)
	if d.Failed != 1 || d.Retried != 1 {
		t.Errorf("%+v", d)
	}
}

func TestAServerWithAnotherCertificateIsNotTold(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("told") }))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer srv.Close()
	if d, _ := deliver(t, `{name: a, webhook: {url: "`+srv.URL+`", tries: 1}}`, "x", nil); d.Failed != 1 {
		t.Errorf("%+v", d)
	}
}

func caFile(t *testing.T, srv *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A name of a process is whatever its owner likes.
const hostile = "x\n'\"$(touch pwned)`touch pwned`;touch pwned\x1b[2J\x00%s"

func TestExecInterpretsNothing(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "on-alert")
	text := "#!/bin/sh\ncd '" + dir + "'\nprintf '%s|' \"$#\" \"$SARN_ALERT_SUBJECT\" \"$SARN_ALERT_EVENT\" \"$SARN_ALERT_LABEL_TEAM\" \"${SECRET-none}\" >out\ncat >in\necho heard\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	d, log := deliver(t, `{name: a, exec: {command: ["`+script+`", "$SARN_ALERT_SUBJECT"]}}`, hostile, map[string]string{"PATH": os.Getenv("PATH"), "SECRET": "hidden"})
	out, _ := os.ReadFile(filepath.Join(dir, "out"))
	want := "1|" + strings.ReplaceAll(hostile, "\x00", "\uFFFD") + "[7]|fire|infra|none|"
	if d.Sent != 1 || string(out) != want {
		t.Errorf("%+v %q, want %q", d, out, want)
	}
	var n Notification
	in, _ := os.ReadFile(filepath.Join(dir, "in"))
	if err := json.Unmarshal(in, &n); err != nil || n.Alert.Subject != hostile+"[7]" {
		t.Errorf("%v %q", err, in)
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Error("a process's name was run")
	}
	if !strings.Contains(log, `output="heard\n"`) {
		t.Errorf("what it wrote is not in the log: %s", log)
	}
}

func TestAProgramThatHangsIsKilledWithItsChildren(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	var pid []byte
	// On a machine that stalls it may be killed before it has a child.
	for timeout := time.Second; !bytes.HasSuffix(pid, []byte("\n")); timeout *= 4 {
		if timeout > time.Minute {
			t.Fatal("it never had a child")
		}
		d, _ := deliver(t, fmt.Sprintf(`{name: a, exec: {timeout: %s, command: [sh, -c, "sleep 1000 & echo $! >%s; wait"]}}`, timeout, file), "x", map[string]string{"PATH": os.Getenv("PATH")})
		if d.Failed != 1 || !strings.Contains(d.Error, "was killed") {
			t.Errorf("%+v", d)
		}
		pid, _ = os.ReadFile(file)
	}
	// What is killed ends a little later, and is a zombie as long as nobody waits for it.
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		status, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/status")
		if err != nil || strings.Contains(string(status), "State:\tZ") || strings.Contains(string(status), "State:\tX") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("its child lives on: %s", status)
		}
	}
}

func TestALimitHoldsBackFiringAndNotClearing(t *testing.T) {
	b := newBed(t, `
actions: [{name: log, limit: 2/h, log: {}}, {name: hook, limit: 2/h, webhook: {url: "https://example.net"}}]
rules: [{name: cpu, of: system, value: user, warning: 80%, actions: [log, hook]}]`, "")
	for range 4 {
		b.pass(busy(.9))
		b.pass(busy(.1))
	}
	if got := b.told(1); got != "fire:warning clear:ok fire:warning clear:ok" || b.e.Deliveries()[1].HeldBack != 2 {
		t.Errorf("%q %+v", got, b.e.Deliveries()[1])
	}
}

func TestMail(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	srv := newSMTP(t, web.TLS.Certificates[0])
	d, log := deliver(t, fmt.Sprintf(`{name: a, mail: {server: "%s", ca: "%s", from: sarn@example.net, to: [ops@example.net], user: me, password_env: P}}`,
		srv.addr, caFile(t, web)), hostile+"\r\nBcc: all@example.net", map[string]string{"P": "pa55word"})
	text := first(srv.mails)
	if d.Sent != 1 || !strings.Contains(text, "Subject: [warning] host1:") || !strings.Contains(text, "To: <ops@example.net>") {
		t.Errorf("%+v\n%s", d, text)
	}
	if strings.Contains(text, "\nBcc:") || strings.Contains(log, "pa55word") {
		t.Errorf("%s\n%s", text, log)
	}
	if got := first(srv.logins); got != "\x00me\x00pa55word" {
		t.Errorf("login %q", got)
	}
}

// first is what has come first, if anything has.
func first(of chan string) string {
	select {
	case text := <-of:
		return text
	default:
		return ""
	}
}

func TestMailThatIsRefusedIsNotTriedAgain(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	srv := newSMTP(t, web.TLS.Certificates[0])
	d, _ := deliver(t, `{name: a, mail: {server: "`+srv.addr+`", tls: none, from: sarn@example.net, to: [nobody@example.net]}}`, "x", nil)
	if d.Failed != 1 || d.Retried != 0 || !strings.Contains(d.Error, "no such user") {
		t.Errorf("%+v", d)
	}
}

// smtpServer keeps RFC 5321 as far as one mail needs it, with STARTTLS and AUTH PLAIN.
type smtpServer struct {
	addr          string
	mails, logins chan string
}

func newSMTP(t *testing.T, cert tls.Certificate) *smtpServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &smtpServer{addr: l.Addr().String(), mails: make(chan string, 9), logins: make(chan string, 9)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.talk(c, &tls.Config{Certificates: []tls.Certificate{cert}}) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return s
}

func (s *smtpServer) talk(c net.Conn, conf *tls.Config) {
	defer func() { c.Close() }()
	c.SetDeadline(time.Now().Add(time.Minute))
	in, secure := bufio.NewReader(c), false
	say := func(text string) { io.WriteString(c, text+"\r\n") }
	say("220 test ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch word := strings.ToUpper(strings.Fields(line + " x")[0]); {
		case word == "EHLO" && secure:
			say("250-test\r\n250 AUTH PLAIN")
		case word == "EHLO":
			say("250-test\r\n250 STARTTLS")
		case word == "STARTTLS":
			say("220 go on")
			c, secure = tls.Server(c, conf), true
			in = bufio.NewReader(c)
		case word == "AUTH":
			s.logins <- unbase64(strings.Fields(line)[2])
			say("235 welcome")
		case word == "RCPT" && strings.Contains(line, "nobody@"):
			say("550 no such user")
		case word == "DATA":
			say("354 go on")
			var text strings.Builder
			for line, err = in.ReadString('\n'); err == nil && line != ".\r\n"; line, err = in.ReadString('\n') {
				text.WriteString(line)
			}
			s.mails <- text.String()
			say("250 taken")
		case word == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func unbase64(text string) string {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestAServerSaysWhenToTryAgain(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer srv.Close()
	w, err := newWebhook(&Webhook{URL: srv.URL}, &Deps{Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	var after *backoff.RetryAfterError
	if err := w.send(t.Context(), &Notification{}); !errors.As(err, &after) || after.Duration != 7*time.Second {
		t.Errorf("%v, try again after %+v", err, after)
	}
}
