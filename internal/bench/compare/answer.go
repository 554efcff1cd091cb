package compare

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"sarn/internal/bench/load"
)

// mostBody is how much of an answer is looked at.
const mostBody = 64 << 20

// asker asks a server before it is measured, to see that it is ready and what it says.
type asker struct{ client *http.Client }

func newAsker(c *Config) *asker {
	t := &http.Transport{DisableKeepAlives: true, DisableCompression: true, Protocols: new(http.Protocols), TLSClientConfig: c.tls.Clone()}
	if c.HTTP2 {
		t.Protocols.SetHTTP2(true)
		t.Protocols.SetUnencryptedHTTP2(true)
	} else {
		t.Protocols.SetHTTP1(true)
	}
	return &asker{&http.Client{
		Transport:     t,
		Timeout:       time.Duration(c.Timeout),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a load test follows none
	}}
}

func (a *asker) close() { a.client.CloseIdleConnections() }

// get asks as a round will, and returns the answer with its body.
func (a *asker) get(ctx context.Context, test load.Config) (Answer, []byte, string, error) {
	method := test.Method
	if method == "" && len(test.Body) > 0 {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, test.URL.String(), bytes.NewReader(test.Body))
	if err != nil {
		return Answer{}, nil, "", err
	}
	req.Header = test.Header.Clone()
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return Answer{}, nil, "", inWords(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if err != nil {
		return Answer{}, nil, "", fmt.Errorf("read the answer of %s: %w", test.URL, err)
	}
	sum := sha256.Sum256(body)
	return Answer{
		Status: resp.StatusCode, Type: resp.Header.Get("Content-Type"), Bytes: len(body), SHA256: hex.EncodeToString(sum[:]),
	}, body, resp.Header.Get("Server"), nil
}

// inWords says why there is no answer, without the words of Go's client.
func inWords(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nobody listens there: connection refused")
	case errors.Is(err, http.ErrSchemeMismatch):
		return errors.New("the server speaks without TLS: write http:// in its URL")
	case errors.As(err, &name):
		return fmt.Errorf("nobody knows a host called %q", name.Name)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return errors.New("what listens there does not speak HTTP/1.1 without TLS: https:// in its URL, or `http2: true`, may be what it takes")
	}
	return err
}

// await waits until the server answers at its ready URL, with any status. died is why
// it will not, once that is known; it may be nil.
func (a *asker) await(ctx context.Context, s *ServerConfig, test load.Config, died func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.Ready.Timeout))
	defer cancel()
	const longest = 200 * time.Millisecond
	var last error
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, longest) {
		_, _, _, err := a.get(ctx, test)
		if gone := died(); gone != nil { // whoever answers then is somebody else
			return fmt.Errorf("%s did not become ready: %w", s.Name, gone)
		}
		var distrust *tls.CertificateVerificationError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &distrust): // which no time mends
			return fmt.Errorf("%s: %w (--tls-ca FILE says whom to trust, --insecure takes any)", s.Name, distrust)
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return ctx.Err()
			}
			if last == nil {
				last = err
			}
			return fmt.Errorf("%s does not answer at %s within %s: %w", s.Name, s.Ready.URL, s.Ready.Timeout, last)
		}
	}
}

// meets says in what an answer is not the one that is expected.
func (e *ExpectConfig) meets(a Answer, body []byte) error {
	switch {
	case !wanted(a.Status, e.Status) && e.Status == 0:
		return fmt.Errorf("answers %d %s instead of 2xx (`expect: {status: %[1]d}` allows it)", a.Status, http.StatusText(a.Status))
	case !wanted(a.Status, e.Status):
		return fmt.Errorf("answers %d %s instead of %d", a.Status, http.StatusText(a.Status), e.Status)
	case !strings.Contains(string(body), e.Body):
		const enough = 80
		return fmt.Errorf("answers %q, which does not hold %q", body[:min(len(body), enough)], e.Body)
	}
	return nil
}
