package alert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

type webhook struct {
	Webhook
	deps    *Deps
	timeout time.Duration
	client  *http.Client
}

func newWebhook(c *Webhook, d *Deps) (*webhook, error) {
	roots, err := rootsOf(c.CA)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, // alerts are rare
		ForceAttemptHTTP2: true,
	}
	client := &http.Client{
		Transport: transport,
		// The token is for this server and nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &webhook{Webhook: *c, deps: d, timeout: timeoutOr(c.Timeout, defaultTimeout), client: client}, nil
}

func rootsOf(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca %s holds no certificate in PEM", file)
	}
	return roots, nil
}

func (w *webhook) send(ctx context.Context, n *Notification) error {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	req, err := w.request(ctx, n)
	if err != nil {
		return err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL, which may be a secret
		}
		return fmt.Errorf("post: %w", err)
	}
	defer resp.Body.Close()
	const most = 64 << 10
	_, _ = io.CopyN(io.Discard, resp.Body, most)
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		const patience = 300
		if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && after > 0 {
			return &retryAfter{refusal(code), backoff.RetryAfterError{Duration: time.Duration(min(after, patience)) * time.Second}}
		}
		return refusal(code)
	case code >= 300 && code < 400:
		return backoff.Permanent(fmt.Errorf("%w: redirects are not followed; give the URL that it leads to", refusal(code)))
	case code >= 400 && code < 500:
		return backoff.Permanent(refusal(code))
	default:
		return refusal(code)
	}
}

func (w *webhook) request(ctx context.Context, n *Notification) (*http.Request, error) {
	// Secrets are read each time: they may be renewed while the program runs.
	token, err := secret(w.TokenFile, w.TokenEnv, w.deps.Getenv)
	if err != nil {
		return nil, err
	}
	address := w.URL
	if w.URLFile != "" {
		if address, err = secret(w.URLFile, "", nil); err != nil {
			return nil, err
		}
		if err := checkURL(address, true); err != nil {
			return nil, fmt.Errorf("what %s holds %w", w.URLFile, err)
		}
	}
	body, err := json.Marshal(n)
	if err != nil {
		return nil, backoff.Permanent(fmt.Errorf("encode: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, backoff.Permanent(errors.New("the URL cannot be used"))
	}
	for name, text := range w.Headers {
		req.Header.Set(name, text)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "sarn")
	// With it a receiver knows a notification that it has had before.
	req.Header.Set("Idempotency-Key", fmt.Sprintf("%s-%s-%s-%d", n.Alert.ID, n.Event, n.Alert.Level, n.Time.UnixMilli()))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// retryAfter is a refusal of a server that says when to try again.
type retryAfter struct {
	error
	after backoff.RetryAfterError
}

func (r *retryAfter) Unwrap() error { return &r.after }
