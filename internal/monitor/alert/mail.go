package alert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/wneessen/go-mail"
)

type mailer struct {
	Mail
	deps    *Deps
	timeout time.Duration
	tls     *tls.Config
}

func newMailer(c *Mail, d *Deps) (*mailer, error) {
	roots, err := rootsOf(c.CA)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	return &mailer{
		Mail: *c, deps: d, timeout: timeoutOr(c.Timeout, 3*defaultTimeout),
		tls: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12},
	}, nil
}

func (m *mailer) send(ctx context.Context, n *Notification) error {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	client, err := m.client()
	if err != nil {
		return err
	}
	msg, err := m.message(n)
	if err != nil {
		return backoff.Permanent(err)
	}
	err = client.DialAndSendWithContext(ctx, msg)
	var refused *mail.SendError
	if errors.As(err, &refused) && !refused.IsTemp() && refused.ErrorCode() >= 500 {
		return backoff.Permanent(fmt.Errorf("send mail: %w", err))
	}
	if err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	return nil
}

func (m *mailer) client() (*mail.Client, error) {
	host, port, err := net.SplitHostPort(m.Server)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	options := []mail.Option{mail.WithPort(number), mail.WithTimeout(m.timeout), mail.WithTLSConfig(m.tls)}
	switch m.TLS {
	case "none":
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	case "tls":
		options = append(options, mail.WithSSL())
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	password, err := secret(m.PasswordFile, m.PasswordEnv, m.deps.Getenv)
	if err != nil {
		return nil, err
	}
	if m.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.User), mail.WithPassword(password))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	return client, nil
}

func (m *mailer) message(n *Notification) (*mail.Msg, error) {
	msg := mail.NewMsg()
	if err := msg.From(m.From); err != nil {
		return nil, err
	}
	if err := msg.To(m.To...); err != nil {
		return nil, err
	}
	msg.Subject(n.title())
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday replies
	msg.SetBodyString(mail.TypeTextPlain, n.body())
	return msg, nil
}

// body is the notification for people.
func (n *Notification) body() string {
	a := &n.Alert
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, oneLine(text))
		}
	}
	when := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.RFC3339)
	}
	fmt.Fprintf(&b, "%s\n\n", oneLine(a.Message))
	line("event", string(n.Event))
	line("host", a.Host)
	line("rule", a.Rule)
	line("subject", a.Subject)
	line("level", a.Level.String())
	line("value", a.Text)
	line("since", when(a.Since))
	line("fired", when(a.Fired))
	line("cleared", when(a.Ended))
	for name, text := range a.Labels {
		line("label", name+"="+text)
	}
	line("id", a.ID)
	return b.String()
}
