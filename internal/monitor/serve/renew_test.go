package serve

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// asked is what a new connection learns: the server's certificate and the answer's status,
// 0 if there is none.
func asked(t *testing.T, s *Server, pair *tls.Certificate, token string) (serial string, status int) {
	t.Helper()
	conf := &tls.Config{InsecureSkipVerify: true} // the test looks at the certificate itself
	if pair != nil {
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	transport := &http.Transport{TLSClientConfig: conf}
	defer transport.CloseIdleConnections()
	_, port, err := net.SplitHostPort(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:"+port+"/api/v1/alerts", nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := transport.RoundTrip(r)
	if err != nil {
		return "", 0
	}
	defer a.Body.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil {
		t.Fatal(err)
	}
	return a.TLS.PeerCertificates[0].Issuer.CommonName + a.TLS.PeerCertificates[0].SerialNumber.String() + string(a.TLS.PeerCertificates[0].Signature), a.StatusCode
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func awaited(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("not within a minute: " + what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A certificate, an authority and a token that are renewed are those that count for who
// comes then; one that is spoiled changes nothing, and the log is told once.
func TestRenewed(t *testing.T) {
	old, renewed := certificates(t), certificates(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"server.crt", "server.key", "ca.crt"} {
		copyFile(t, filepath.Join(old, name), file(name))
	}
	const other = "fedcba9876543210fedcba"
	if err := os.WriteFile(file("token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	friend := func(dir string) *tls.Certificate {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "friend.crt"), filepath.Join(dir, "friend.key"))
		if err != nil {
			t.Fatal(err)
		}
		return &pair
	}
	log := &lines{}
	s := servingDeps(t, Config{Listen: "0.0.0.0:0", TLSCert: file("server.crt"), TLSKey: file("server.key"), ClientCA: file("ca.crt"), TokenFile: file("token")},
		Deps{Source: &machine{}, Log: slog.New(slog.NewTextHandler(log, nil))})
	first, status := asked(t, s, friend(old), "")
	if status != http.StatusOK {
		t.Fatalf("at first: %d", status)
	}
	if _, status := asked(t, s, nil, token); status != http.StatusOK {
		t.Fatalf("with the token: %d", status)
	}

	for _, name := range []string{"server.crt", "token"} { // as when a disk is full
		if err := os.WriteFile(file(name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	awaited(t, "the log is told", func() bool {
		asked(t, s, nil, token)
		return log.count("server.crt")+log.count("find any PEM") > 0 && log.count("too short") > 0
	})
	for range 3 {
		if now, status := asked(t, s, nil, token); now != first || status != http.StatusOK {
			t.Errorf("what was before is not what counts: %d", status)
		}
	}
	if n := log.count("cannot be read"); n != 2 {
		t.Errorf("the log was told %d times", n)
	}

	for _, name := range []string{"server.crt", "server.key", "ca.crt"} {
		copyFile(t, filepath.Join(renewed, name), file(name))
	}
	if err := os.WriteFile(file("token"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	awaited(t, "the renewed ones count", func() bool {
		now, withCertificate := asked(t, s, friend(renewed), "")
		_, withToken := asked(t, s, nil, other)
		return now != first && withCertificate == http.StatusOK && withToken == http.StatusOK
	})
	if _, status := asked(t, s, friend(old), ""); status != 0 {
		t.Errorf("a certificate of the authority that was: %d", status)
	}
	if _, status := asked(t, s, nil, token); status != http.StatusUnauthorized {
		t.Errorf("the token that was: %d", status)
	}
}
