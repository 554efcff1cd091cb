package api

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sarn/internal/pki"
)

// What a client shows, and whom it believes, is what its files hold when it connects.
func TestRenewedCertificates(t *testing.T) {
	old, renewed, dir := t.TempDir(), t.TempDir(), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	pairs := map[string]pki.Pair{}
	for _, d := range []string{old, renewed} {
		if _, err := pki.Init(d); err != nil {
			t.Fatal(err)
		}
		for role, name := range map[pki.Role]string{pki.Server: "server", pki.Node: "host1"} {
			pair, err := pki.Issue(d, pki.Request{Role: role, Name: name, Addresses: []string{"127.0.0.1"}, Lifetime: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			pairs[d+name] = pair
		}
	}
	take := func(d string) {
		t.Helper()
		for from, to := range map[string]string{filepath.Join(d, "ca.crt"): "ca.crt", pairs[d+"host1"].Cert: "node.crt", pairs[d+"host1"].Key: "node.key"} {
			text, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file(to), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	controller := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("[]")) }))
	believes := func(d string) *tls.Config {
		pair, err := tls.LoadX509KeyPair(pairs[d+"server"].Cert, pairs[d+"server"].Key)
		if err != nil {
			t.Fatal(err)
		}
		pem, err := os.ReadFile(filepath.Join(d, "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	}
	configs := make(chan *tls.Config, 1)
	configs <- believes(old)
	controller.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := <-configs
		configs <- c
		return c, nil
	}}
	controller.Config.ErrorLog = log.New(io.Discard, "", 0)
	controller.StartTLS()
	defer controller.Close()

	take(old)
	c, err := New(Endpoint{Address: controller.URL, CA: file("ca.crt"), Cert: file("node.crt"), Key: file("node.key")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-configs
	configs <- believes(renewed)
	c.Close() // as when the connection is lost
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "not signed by") {
		t.Errorf("a controller of another authority: %v", err)
	}
	take(renewed)
	end := time.Now().Add(time.Minute)
	for _, err = c.Status(t.Context()); err != nil; _, err = c.Status(t.Context()) {
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.Close()
}
