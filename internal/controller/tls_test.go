package controller

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"sarn/internal/api"
)

// authority signs certificates into files of a directory.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{dir: dir}
	a.sign(t, "ca", pkix.Name{CommonName: "test CA"})
	return a
}

// sign writes NAME.crt and NAME.key. The first certificate is the authority's own.
func (a *authority) sign(t *testing.T, name string, subject pkix.Name) (cert, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		parent, signer = template, pair
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &pair.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert == nil {
		a.key = pair
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := x509.MarshalECPrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(a.dir, name+".crt"), filepath.Join(a.dir, name+".key")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestCertificatesDecide(t *testing.T) {
	ca := newAuthority(t, t.TempDir())
	caFile := filepath.Join(ca.dir, "ca.crt")
	r := run(t, t.TempDir(), func(c *Config) {
		c.Listen, c.TLSClientCA = "127.0.0.1:0", caFile
		c.TLSCert, c.TLSKey = ca.sign(t, "server", pkix.Name{CommonName: "controller"})
	})
	r.apply(t, change(t, base))
	as := func(signer *authority, name string, subject pkix.Name, caFile string) *api.Client {
		cert, key := signer.sign(t, name, subject)
		client, err := api.New(api.Endpoint{Address: "https://" + r.addresses[1], CA: caFile, Cert: cert, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return client
	}
	admin := as(ca, "admin", pkix.Name{CommonName: "ann", Organization: []string{orgAdmin}}, caFile)
	host1 := as(ca, "host1", pkix.Name{CommonName: "host1", Organization: []string{orgNode}}, caFile)
	nobody := as(ca, "nobody", pkix.Name{CommonName: "host1"}, caFile)
	strangers := newAuthority(t, t.TempDir())
	stranger := as(strangers, "stranger", pkix.Name{CommonName: "ann", Organization: []string{orgAdmin}}, caFile)

	enough := context.Canceled
	for _, test := range []struct {
		name    string
		client  *api.Client
		allowed string
	}{
		{"admin", admin, "status apply follow1 follow2 report1 report2"},
		{"node", host1, "follow1 report1"},
		{"no organization", nobody, ""},
		{"another CA", stranger, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			follow := func(node string) error {
				err := test.client.Follow(t.Context(), node, "", func(api.NodeEvent) error { return enough })
				if err == enough {
					return nil
				}
				return err
			}
			report := func(node string) error {
				return test.client.Report(t.Context(), node, api.NodeReport{Version: "1", AppliedAt: time.Now()})
			}
			_, status := test.client.Status(t.Context())
			_, apply := test.client.Apply(t.Context(), api.Change{})
			for what, err := range map[string]error{
				"status": status, "apply": apply,
				"follow1": follow("host1"), "follow2": follow("host2"),
				"report1": report("host1"), "report2": report("host2"),
			} {
				if allowed := strings.Contains(test.allowed, what); (err == nil) != allowed {
					t.Errorf("%s = %v, want allowed: %v", what, err, allowed)
				}
			}
		})
	}
	for name, test := range map[string]struct {
		client *api.Client
		want   string
	}{
		"the client's": {stranger, "refused the certificate --tls-cert " + strangers.dir},
		"ours":         {as(strangers, "other", pkix.Name{CommonName: "ann"}, filepath.Join(strangers.dir, "ca.crt")), "not signed by --tls-ca " + strangers.dir},
	} {
		if _, err := test.client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("a certificate of another CA, %s: %v, want %q", name, err, test.want)
		}
	}
	if _, err := nobody.Status(t.Context()); err == nil || !strings.Contains(err.Error(), orgAdmin) {
		t.Errorf("refusal is %v, want that it names the organization that may", err)
	}
}

// etcd runs an etcd that listens on a unix socket and returns its URL.
func etcd(t *testing.T) string {
	t.Helper()
	dir := shortDir(t)
	at := []url.URL{{Scheme: "unix", Path: filepath.Join(dir, "etcd.sock")}}
	conf := embed.NewConfig()
	conf.Dir = filepath.Join(dir, "data")
	conf.ListenPeerUrls = nil
	conf.ListenClientUrls, conf.AdvertiseClientUrls = at, at
	conf.TickMs, conf.ElectionMs = 20, 100
	conf.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	return at[0].String()
}
