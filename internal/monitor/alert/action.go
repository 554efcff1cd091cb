package alert

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/net/http/httpguts"

	"sarn/internal/keys"
)

const (
	defaultTimeout = 10 * time.Second // of a try
	programTimeout = 30 * time.Second
	defaultLimit   = "120/h"
)

func (b *compiler) checkActions() {
	for i, a := range b.c.Actions {
		at := fmt.Sprintf("actions.%d", i)
		if _, twice := b.actions[a.Name]; twice {
			b.Add(at+".name", "%q is given twice", a.Name)
		}
		if a.Name == "" {
			b.Add(at+".name", "is missing; rules call it by that")
		}
		b.actions[a.Name] = i
		for n, word := range a.On {
			b.oneOf(fmt.Sprintf("%s.on.%d", at, n), word, string(Fire), string(Change), string(Clear))
		}
		if _, err := newLimit(a.Limit); err != nil {
			b.Add(at+".limit", "%v", err)
		}
		given := 0
		if a.Log != nil {
			given++
		}
		if a.Webhook != nil {
			given++
			b.checkWebhook(at+".webhook", a.Webhook)
		}
		if a.Mail != nil {
			given++
			b.checkMail(at+".mail", a.Mail)
		}
		if a.Exec != nil {
			given++
			b.checkExec(at+".exec", a.Exec)
		}
		if given != 1 {
			b.Add(at, "has %d of log, webhook, mail and exec; give one, such as `log: {}`", given)
		}
	}
}

func (b *compiler) actionsNamed(field string, names []string) {
	for i, n := range names {
		if _, ok := b.actions[n]; !ok {
			known := make([]string, 0, len(b.c.Actions))
			for _, a := range b.c.Actions {
				known = append(known, a.Name)
			}
			if len(known) == 0 {
				b.Add(fmt.Sprintf("%s.%d", field, i), "%q is not an action; there are none, so add it under `actions:`", n)
			} else {
				b.Add(fmt.Sprintf("%s.%d", field, i), "%q is not an action; there are %s", n, strings.Join(known, ", "))
			}
		}
	}
}

func (b *compiler) checkWebhook(at string, w *Webhook) {
	b.duration(at+".timeout", w.Timeout, 0)
	b.tries(at, w.Tries)
	if (w.URL == "") == (w.URLFile == "") {
		b.Add(at+".url", "give one of url and url_file")
	}
	if w.URL != "" {
		if err := checkURL(w.URL, w.TokenFile != "" || w.TokenEnv != ""); err != nil {
			b.Add(at+".url", "%v", err)
		}
	}
	b.secretFile(at+".url_file", w.URLFile)
	b.secretFile(at+".token_file", w.TokenFile)
	if w.TokenFile != "" && w.TokenEnv != "" {
		b.Add(at+".token_env", "give one of token_file and token_env")
	}
	for name, text := range w.Headers {
		switch {
		case !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(text):
			b.Add(at+".headers."+name, "is not an HTTP header")
		case strings.EqualFold(name, "Authorization"):
			b.Add(at+".headers."+name, "is a secret; put it into a file and name it with token_file")
		}
	}
}

// checkURL says what is wrong with a webhook's URL, without the URL: it may be a secret.
func checkURL(text string, secret bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("is not a URL to post to; write it like https://host/path")
	case u.User != nil:
		return fmt.Errorf("holds a password; use token_file or url_file")
	case u.Scheme == "http" && secret && !loopback(u.Hostname()):
		return fmt.Errorf("would send the token in clear; use https")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (b *compiler) checkMail(at string, m *Mail) {
	b.duration(at+".timeout", m.Timeout, 0)
	b.tries(at, m.Tries)
	host, port, err := net.SplitHostPort(m.Server)
	if n, e := strconv.Atoi(port); err != nil || e != nil || host == "" || n < 1 || n > 65535 {
		b.Add(at+".server", "%q is not a server; write it like mail.example.net:587", m.Server)
	}
	if _, err := mail.ParseAddress(m.From); err != nil {
		b.Add(at+".from", "%q is not an address", m.From)
	}
	if len(m.To) == 0 {
		b.Add(at+".to", "is missing; give at least one address")
	}
	for i, to := range m.To {
		if _, err := mail.ParseAddress(to); err != nil {
			b.Add(fmt.Sprintf("%s.to.%d", at, i), "%q is not an address", to)
		}
	}
	b.secretFile(at+".password_file", m.PasswordFile)
	b.oneOf(at+".tls", m.TLS, "starttls", "tls", "none")
	password := m.PasswordFile != "" || m.PasswordEnv != ""
	switch {
	case m.PasswordFile != "" && m.PasswordEnv != "":
		b.Add(at+".password_env", "give one of password_file and password_env")
	case password != (m.User != ""):
		b.Add(at+".user", "user and a password belong together; give both or none")
	case m.TLS == "none" && password && !loopback(host):
		b.Add(at+".tls", "none would send the password in clear; use starttls or tls")
	}
}

func (b *compiler) checkExec(at string, x *Exec) {
	b.duration(at+".timeout", x.Timeout, 0)
	if len(x.Command) == 0 || x.Command[0] == "" {
		b.Add(at+".command", "is missing; write it like [/usr/local/bin/on-alert, --page]")
		return
	}
	for i, word := range x.Command {
		if strings.ContainsRune(word, 0) {
			b.Add(fmt.Sprintf("%s.command.%d", at, i), "holds a zero byte")
		}
	}
}

// secretFile refuses a file that others can read. One that is not there yet may come.
func (b *compiler) secretFile(field, file string) {
	if file == "" {
		return
	}
	if err := keys.CheckPrivate(file); err != nil {
		b.Add(field, "%v", err)
	}
}

func (b *compiler) tries(at string, n int) {
	if n < 0 || n > mostTries {
		b.Add(at+".tries", "%d is not from 1 to %d", n, mostTries)
	}
}

func newLimit(text string) (*limit, error) {
	n, unit, ok := strings.Cut(either(text, defaultLimit), "/")
	most, err := strconv.Atoi(strings.TrimSpace(n))
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[strings.TrimSpace(unit)]
	if !ok || err != nil || most < 1 || per == 0 {
		return nil, fmt.Errorf("%q is not a limit; write it like 60/h, with s, m or h", text)
	}
	return &limit{most: float64(most), per: per, tokens: float64(most)}, nil
}

// newOutlet makes what delivers for an action that has been checked.
func newOutlet(a Action, d *Deps) (*outlet, error) {
	l, err := newLimit(a.Limit)
	if err != nil {
		return nil, err
	}
	a.Limit = either(a.Limit, defaultLimit)
	o := &outlet{Action: a, deps: d, limit: l, tries: defaultTries, wake: make(chan struct{}, 1)}
	switch {
	case a.Log != nil:
		o.sender, o.tries, o.limit = logSender{d.Log}, 1, nil
	case a.Webhook != nil:
		o.tries = triesOr(a.Webhook.Tries)
		o.sender, err = newWebhook(a.Webhook, d)
	case a.Mail != nil:
		o.tries = triesOr(a.Mail.Tries)
		o.sender, err = newMailer(a.Mail, d)
	default:
		o.sender, o.tries = &program{Exec: *a.Exec, deps: d, name: a.Name, timeout: timeoutOr(a.Exec.Timeout, programTimeout)}, 1
	}
	if err != nil {
		return nil, fmt.Errorf("action %q: %w", a.Name, err)
	}
	return o, nil
}

func triesOr(n int) int {
	if n == 0 {
		return defaultTries
	}
	return n
}

// timeoutOr reads a time that has been checked.
func timeoutOr(text string, missing time.Duration) time.Duration {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d
	}
	return missing
}

// secret reads what a file or a variable of the environment holds; "" if none is named.
// A file may be mended while the program runs, its environment not: that error is
// permanent.
func secret(file, env string, getenv func(string) string) (string, error) {
	switch {
	case file != "":
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read a secret: %w", err)
		}
		text := strings.TrimSpace(string(b))
		return text, checkSecret(text, "the file "+file, "is empty")
	case env != "":
		text := getenv(env)
		if err := checkSecret(text, "the environment's "+env, "is not set"); err != nil {
			return "", backoff.Permanent(err)
		}
		return text, nil
	}
	return "", nil
}

func checkSecret(text, where, none string) error {
	switch {
	case text == "":
		return fmt.Errorf("%s, which is to hold a secret, %s", where, none)
	case strings.ContainsAny(text, "\r\n"):
		return fmt.Errorf("%s, which is to hold a secret, has more than one line", where)
	}
	return nil
}

type logSender struct{ log *slog.Logger }

func (l logSender) send(ctx context.Context, n *Notification) error {
	level := slog.LevelWarn
	switch {
	case n.Event == Clear:
		level = slog.LevelInfo
	case n.Alert.Level == Critical:
		level = slog.LevelError
	}
	a := &n.Alert
	attrs := []slog.Attr{
		slog.String("event", string(n.Event)), slog.String("rule", a.Rule), slog.String("subject", a.Subject), slog.String("level", a.Level.String()),
		slog.String("value", a.Text), slog.String("message", a.Message), slog.String("id", a.ID),
	}
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		attrs = append(attrs, slog.String("label."+name, a.Labels[name]))
	}
	l.log.LogAttrs(ctx, level, "alert", attrs...)
	return nil
}

// refusal is an HTTP answer that is not 2xx.
func refusal(code int) error {
	return fmt.Errorf("the server answers %d %s", code, http.StatusText(code))
}
