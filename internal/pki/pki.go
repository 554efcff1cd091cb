package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// The organisations that a client's certificate can name.
const (
	// OrgAdmin may read and change everything.
	OrgAdmin = "sarn:admin"
	// OrgNode is an agent: it may follow and report on the node of its common name.
	OrgNode = "sarn:node"
)

// ErrRequest is the error of a Request that nobody could fulfil.
var ErrRequest = errors.New("bad request for a certificate")

// Role is what a certificate is for.
type Role string

// The roles.
const (
	Admin  Role = "admin"
	Node   Role = "node"
	Server Role = "server"
)

// Request says what to issue.
type Request struct {
	Role Role
	Name string
	// Addresses are the host names and IP addresses that a Server, or the monitor of a
	// Node, is reached at.
	Addresses []string
	Lifetime  time.Duration
}

// Pair is where a certificate and its key are.
type Pair struct{ Cert, Key string }

const (
	caName     = "ca"
	caLifetime = 10 * 365 * 24 * time.Hour
	// slack lets a machine whose clock is a little behind accept a new certificate.
	slack = 5 * time.Minute
)

// The name becomes a file's name, so nothing that leads out of the directory.
var nameRE = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)

// Init makes an authority in dir, which is made if it is not there. It never
// replaces one.
func Init(dir string) (Pair, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Pair{}, fmt.Errorf("make the authority's directory: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Sarn authority"},
		NotBefore:             time.Now().Add(-slack),
		NotAfter:              time.Now().Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	return sign(dir, caName, template, key, template, key)
}

// Issue makes a key and a certificate signed by the authority in dir, in files
// there named after role and name. It never replaces one.
func Issue(dir string, r Request) (Pair, error) {
	template, err := r.template()
	if err != nil {
		return Pair{}, err
	}
	ca, caKey, err := load(dir)
	if err != nil {
		return Pair{}, err
	}
	if template.NotAfter.After(ca.NotAfter) {
		return Pair{}, fmt.Errorf("%w: it would outlive its authority, which ends on %s; ask for a shorter time", ErrRequest, ca.NotAfter.Format(time.DateOnly))
	}
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	return sign(dir, string(r.Role)+"-"+r.Name, template, key, ca, caKey)
}

func (r Request) template() (*x509.Certificate, error) {
	switch {
	case !nameRE.MatchString(r.Name):
		return nil, fmt.Errorf("%w: %q is not a name; use letters, digits, '-', '.' and '_'", ErrRequest, r.Name)
	case r.Role == Admin && len(r.Addresses) > 0:
		return nil, fmt.Errorf("%w: addresses belong to a server's or a node's; nobody connects to an admin", ErrRequest)
	case r.Lifetime <= 0:
		return nil, fmt.Errorf("%w: it must be valid for some time", ErrRequest)
	}
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: r.Name},
		NotBefore:   time.Now().Add(-slack),
		NotAfter:    time.Now().Add(r.Lifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	switch r.Role {
	case Admin:
		t.Subject.Organization = []string{OrgAdmin}
	case Node:
		t.Subject.Organization = []string{OrgNode}
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth) // of its monitor
		r.reachable(t)
	case Server:
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		r.reachable(t)
	default:
		return nil, fmt.Errorf("%w: %q is not a role", ErrRequest, r.Role)
	}
	return t, nil
}

// reachable puts into a certificate where its owner is reached.
func (r Request) reachable(t *x509.Certificate) {
	t.DNSNames = []string{r.Name}
	for _, a := range r.Addresses {
		if ip := net.ParseIP(a); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, a)
		}
	}
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

// sign writes template's certificate and key as dir/name.crt and dir/name.key.
func sign(dir, name string, template *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return Pair{}, fmt.Errorf("sign certificate %s: %w", name, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode key %s: %w", name, err)
	}
	p := Pair{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	if _, err := os.Lstat(p.Cert); err == nil {
		return Pair{}, exists(p.Cert)
	}
	if err := write(p.Key, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return Pair{}, err
	}
	return p, write(p.Cert, "CERTIFICATE", der, 0o644)
}

func write(path, block string, der []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return exists(path)
	}
	if err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: block, Bytes: der}), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func exists(path string) error {
	return fmt.Errorf("%s is there already and is never overwritten; move it away first, or use another name", path)
}

// load reads the authority in dir.
func load(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certDER, err := read(filepath.Join(dir, caName+".crt"), "CERTIFICATE")
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := read(filepath.Join(dir, caName+".key"), "PRIVATE KEY")
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, nil, fmt.Errorf("parse the authority's certificate in %s: %w", dir, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, nil, fmt.Errorf("parse the authority's key in %s: %w", dir, err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok || !ec.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("%s.key in %s is not the key of %s.crt", caName, dir, caName)
	}
	return cert, ec, nil
}

func read(path, block string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no authority: there is no %s; make one with `sarn pki init %s`", path, filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	b, _ := pem.Decode(data)
	if b == nil || b.Type != block {
		return nil, fmt.Errorf("%s holds no PEM block %q", path, block)
	}
	return b.Bytes, nil
}
