package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"

	"sarn/internal/monitor/sample"
)

const token = "0123456789abcdef012345"

// site is pages that say who asked for what.
type site struct{}

func (site) ServeHTTP(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "page %s", r.URL.Path) }
func (site) Login(w http.ResponseWriter, message string) {
	w.WriteHeader(http.StatusUnauthorized)
	fmt.Fprintf(w, "form %s", message)
}

func post(t *testing.T, c *http.Client, address string, form url.Values, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return do(t, c, r)
}

func do(t *testing.T, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	a, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(t, a)); err != nil {
		t.Fatal(err)
	}
	return a, b.String()
}

func TestLogin(t *testing.T) {
	var log strings.Builder
	s := servingDeps(t, Config{Token: token, Web: site{}}, Deps{Source: &machine{}, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	at := "http://" + s.Address()
	if a, body := get(t, at+"/", "", ""); a.StatusCode != http.StatusUnauthorized || body != "form " {
		t.Errorf("a page without a session: %s %s", a.Status, body)
	}
	if a, body := get(t, at+"/static/style.css", "", ""); a.StatusCode != http.StatusOK || body != "page /static/style.css" {
		t.Errorf("the form's looks: %s %s", a.Status, body)
	}
	for _, path := range []string{"/static/../api/v1/sample", "/static/%2e%2e/api/v1/sample", "/static/%2e%2e%2fapi/v1/sample", "//static/../api/v1/sample"} {
		if a, body := get(t, at+path, "", ""); a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusNotFound {
			t.Errorf("%s, which only begins so: %s %s", path, a.Status, body)
		}
	}
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar}
	if a, body := post(t, c, at+"/login", url.Values{"token": {"nonsense"}}); a.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "not the token") {
		t.Errorf("a wrong token: %s %s", a.Status, body)
	}
	if a, _ := post(t, c, at+"/login", url.Values{"token": {token}}, "Sec-Fetch-Site", "cross-site"); a.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another page: %s", a.Status)
	}
	if a, body := post(t, c, at+"/login", url.Values{"token": {token}}); a.StatusCode != http.StatusOK || body != "page /" {
		t.Fatalf("the right token: %s %s", a.Status, body)
	}
	cookie := jar.Cookies(mustURL(at))[0]
	if cookie.Name != "sarn-monitor" || strings.Contains(cookie.Value, token) {
		t.Errorf("got %v", cookie)
	}
	if a, err := c.Get(at + "/api/v1/sample"); err != nil || a.StatusCode != http.StatusOK {
		t.Errorf("with the session: %v %v", a, err)
	}
	for _, forged := range []string{"", "9999999999." + strings.Repeat("0", 64), strings.Replace(cookie.Value, ".", "9.", 1), s.sessions.signed(time.Now().Unix() - 1), newSessions("another token, long enough").signed(time.Now().Unix() + 60)} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/api/v1/sample", nil)
		r.AddCookie(&http.Cookie{Name: "sarn-monitor", Value: forged})
		if a, _ := do(t, http.DefaultClient, r); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("session %q: %s", forged, a.Status)
		}
	}
	if strings.Contains(log.String(), token) || strings.Contains(log.String(), cookie.Value) {
		t.Errorf("the log tells secrets: %s", log.String())
	}
}

// TestManyWrongTokens: who comes from where somebody guesses, such as by the same proxy,
// comes in; and the log is told of the guesses, but not of each.
func TestManyWrongTokens(t *testing.T) {
	var log strings.Builder
	s := servingDeps(t, Config{Token: token, Web: site{}}, Deps{Source: &machine{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	at := "http://" + s.Address()
	for i := range 100 {
		if a, _ := get(t, at+"/api/v1/sample", "", fmt.Sprint("guess", i)); a.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d: %s", i, a.Status)
		}
		if a, _ := post(t, http.DefaultClient, at+"/login", url.Values{"token": {fmt.Sprint("guess", i)}}); a.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d in the form: %s", i, a.Status)
		}
	}
	if a, _ := get(t, at+"/api/v1/sample", "", token); a.StatusCode != http.StatusOK {
		t.Errorf("the right token: %s", a.Status)
	}
	jar, _ := cookiejar.New(nil)
	if a, body := post(t, &http.Client{Jar: jar}, at+"/login", url.Values{"token": {token}}); a.StatusCode != http.StatusOK || body != "page /" {
		t.Errorf("the right token in the form: %s %s", a.Status, body)
	}
	// A line a minute: the first at once.
	if n := strings.Count(log.String(), "wrong tokens were shown"); n < 1 || n > 20 {
		t.Errorf("%d lines of wrong tokens:\n%s", n, log.String())
	}
}

// TestLongLogin: a form that is too long, or does not come, ends.
func TestLongLogin(t *testing.T) {
	s := serving(t, Config{Token: token, Web: site{}}, &machine{})
	if a, _ := post(t, http.DefaultClient, "http://"+s.Address()+"/login", url.Values{"token": {strings.Repeat("x", 1<<20)}}); a.StatusCode != http.StatusBadRequest {
		t.Error(a.Status)
	}
}

// certificates are an authority and what it signed, as files by name.
func certificates(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	var caKey *ecdsa.PrivateKey
	for i, name := range []string{"ca", "server", "friend", "other", "stranger"} {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 2)), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"web1.example"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		parent, by := ca, caKey
		switch name {
		case "ca":
			c, caKey, by = ca, key, key
		case "stranger":
			parent, by = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".crt", "CERTIFICATE", der)
		text, _ := x509.MarshalPKCS8PrivateKey(key)
		write(name+".key", "PRIVATE KEY", text)
	}
	return dir
}

func TestMutualTLS(t *testing.T) {
	dir := certificates(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	admit := func(c *x509.Certificate) error {
		if c.Subject.CommonName == "other" {
			return errors.New("not you")
		}
		return nil
	}
	conf := Config{Listen: "0.0.0.0:0", TLSCert: file("server.crt"), TLSKey: file("server.key"), ClientCA: file("ca.crt"), Admit: admit}
	s := serving(t, conf, &machine{})
	conf.Token = token
	both := serving(t, conf, &machine{})
	pool := x509.NewCertPool()
	text, _ := os.ReadFile(file("ca.crt"))
	pool.AppendCertsFromPEM(text)
	_, port, _ := net.SplitHostPort(s.Address())
	_, bothPort, _ := net.SplitHostPort(both.Address())
	for _, c := range []struct {
		port, who, token, host string
		want                   int
	}{
		{port, "friend", "", "", 200},
		{port, "friend", "", "web1.example", 200},
		{port, "friend", "", "evil.example", 421},
		{port, "other", "", "", 403},
		{port, "", "", "", 401},
		{port, "", token, "", 401},
		{port, "stranger", "", "", 0},
		{bothPort, "friend", "", "", 200},
		{bothPort, "other", token, "", 200},
		{bothPort, "", token, "", 200},
		{bothPort, "", "", "", 401},
	} {
		trust := &tls.Config{RootCAs: pool}
		if c.who != "" {
			pair, err := tls.LoadX509KeyPair(file(c.who+".crt"), file(c.who+".key"))
			if err != nil {
				t.Fatal(err)
			}
			trust.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true}}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:"+c.port+"/api/v1/sample", nil)
		r.Host = c.host
		if c.token != "" {
			r.Header.Set("Authorization", "bearer "+c.token)
		}
		got := 0
		if a, err := client.Do(r); err == nil {
			got = a.StatusCode
			a.Body.Close()
		}
		client.CloseIdleConnections()
		if got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestCertificatesThatAreNot(t *testing.T) {
	dir := certificates(t)
	for want, c := range map[string]Config{
		"read the certificate":  {TLSCert: "/nowhere", TLSKey: "/nowhere"},
		"read who signs":        {TLSCert: dir + "/server.crt", TLSKey: dir + "/server.key", ClientCA: "/nowhere"},
		"holds no PEM":          {TLSCert: dir + "/server.crt", TLSKey: dir + "/server.key", ClientCA: "/dev/null"},
		"listen on 127.0.0.1:1": {Listen: "127.0.0.1:1"},
	} {
		if want == "listen on 127.0.0.1:1" { // that somebody else has
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			c.Listen, want = l.Addr().String(), "another program listens on "+l.Addr().String()
		}
		s, err := New(c, Deps{Source: fixed{&sample.Sample{}}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}
