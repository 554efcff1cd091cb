package pki

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func authority(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	if _, err := Init(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func issue(t *testing.T, dir string, r Request) Pair {
	t.Helper()
	if r.Lifetime == 0 {
		r.Lifetime = time.Hour
	}
	p, err := Issue(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pool(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(pem)
	return p
}

func pair(t *testing.T, p Pair) tls.Certificate {
	t.Helper()
	c, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMutualTLS(t *testing.T) {
	dir := authority(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := r.TLS.PeerCertificates[0].Subject
		io.WriteString(w, s.Organization[0]+" "+s.CommonName)
	}))
	srv.TLS = &tls.Config{
		Certificates: []tls.Certificate{pair(t, issue(t, dir, Request{Role: Server, Name: "ctl", Addresses: []string{"127.0.0.1", "ctl.example"}}))},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool(t, dir),
	}
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	defer srv.Close()
	get := func(certs ...tls.Certificate) (string, error) {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(t, dir), Certificates: certs}}
		defer tr.CloseIdleConnections()
		r, err := (&http.Client{Transport: tr}).Get(srv.URL)
		if err != nil {
			return "", err
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		return string(b), err
	}
	for _, c := range []struct {
		role Role
		want string
	}{{Admin, "sarn:admin x"}, {Node, "sarn:node x"}} {
		if got, err := get(pair(t, issue(t, dir, Request{Role: c.role, Name: "x"}))); err != nil || got != c.want {
			t.Errorf("%s is seen as %q, %v; want %q", c.role, got, err, c.want)
		}
	}
	if _, err := get(); err == nil {
		t.Error("a client without a certificate got in")
	}
	if _, err := get(pair(t, issue(t, authority(t), Request{Role: Admin, Name: "x"}))); err == nil {
		t.Error("a client of another authority got in")
	}
	if _, err := get(pair(t, issue(t, dir, Request{Role: Server, Name: "other"}))); err == nil {
		t.Error("a server's certificate passed as a client's")
	}
}

func TestKeysArePrivate(t *testing.T) {
	dir := authority(t)
	issue(t, dir, Request{Role: Node, Name: "host1"})
	for name, want := range map[string]os.FileMode{"ca.key": 0o600, "ca.crt": 0o644, "node-host1.key": 0o600, "node-host1.crt": 0o644} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %o", name, fi, err, want)
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := authority(t)
	r := Request{Role: Admin, Name: "ann", Lifetime: time.Hour}
	p := issue(t, dir, r)
	before, _ := os.ReadFile(p.Key)
	if _, err := Issue(dir, r); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("second issue: %v", err)
	}
	if after, _ := os.ReadFile(p.Key); string(after) != string(before) {
		t.Error("the key has changed")
	}
	if _, err := Init(dir); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("second init: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	dir := authority(t)
	for _, c := range []struct {
		dir  string
		r    Request
		want string
	}{
		{dir, Request{Role: Admin, Name: "../ca", Lifetime: time.Hour}, "not a name"},
		{dir, Request{Role: "king", Name: "x", Lifetime: time.Hour}, "not a role"},
		{dir, Request{Role: Admin, Name: "x", Addresses: []string{"1.2.3.4"}, Lifetime: time.Hour}, "belong to a server's"},
		{dir, Request{Role: Node, Name: "x"}, "valid for some time"},
		{dir, Request{Role: Node, Name: "x", Lifetime: 20 * 365 * 24 * time.Hour}, "outlive"},
		{t.TempDir(), Request{Role: Node, Name: "x", Lifetime: time.Hour}, "sarn pki init"},
	} {
		if _, err := Issue(c.dir, c.r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Issue(%+v) = %v, want %q", c.r, err, c.want)
		}
	}
}
