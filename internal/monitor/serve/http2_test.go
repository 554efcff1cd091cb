package serve

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestQuietStreamLives: the patience is with each write. By HTTP/2, as browsers speak it,
// a deadline that is left behind would end a stream that has nothing to say.
func TestQuietStreamLives(t *testing.T) {
	dir := certificates(t)
	s, err := New(Config{
		Listen: "127.0.0.1:0", Interval: 4 * time.Second, Token: token,
		TLSCert: filepath.Join(dir, "server.crt"), TLSKey: filepath.Join(dir, "server.key"),
	}, Deps{Source: &machine{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.patience = 2 * time.Second
	run(t, s)
	pool := x509.NewCertPool()
	text, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Address()+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.ProtoMajor != 2 {
		t.Fatal(a.Proto)
	}
	events := bufio.NewReader(a.Body)
	for changed := false; !changed; {
		e, err := readEvent(events)
		if err != nil {
			t.Fatal(err)
		}
		changed = e.name == "delta"
	}
}
