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
// a deadline that is left behind would end a stream that has nothing to say. A machine that
// stalls for longer than the patience ends it too, but not each time.
func TestQuietStreamLives(t *testing.T) {
	for attempt := 1; ; attempt++ {
		err := quietStream(t)
		if err == nil {
			return
		}
		if attempt == 5 {
			t.Fatal(err)
		}
		t.Log(err)
	}
}

// quietStream reads a stream until something has changed.
func quietStream(t *testing.T) error {
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
		return err
	}
	defer a.Body.Close()
	if a.ProtoMajor != 2 {
		t.Fatal(a.Proto)
	}
	events := bufio.NewReader(a.Body)
	for {
		e, err := readEvent(events)
		if err != nil {
			return err
		}
		if e.name == "delta" {
			return nil
		}
	}
}
