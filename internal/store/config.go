package store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Config says where intent is kept: in Dir, or in the cluster at Endpoints.
type Config struct {
	// Dir is the data directory of the embedded store. It is made if it is not there.
	Dir string

	// Endpoints are the client URLs of an external etcd cluster. Its members must
	// run with --max-txn-ops and --max-request-bytes raised for large changes.
	Endpoints []string
	// CA, Cert and Key are PEM files: who signed the cluster's certificates, and
	// with what to identify to it. They belong to https endpoints.
	CA, Cert, Key string
}

// Validate reports the first thing that is wrong with the configuration or with the
// files that it names.
func (c Config) Validate() error {
	switch {
	case c.Dir == "" && len(c.Endpoints) == 0:
		return errors.New("no place for the store: give a data directory, or the endpoints of an etcd cluster")
	case c.Dir != "" && len(c.Endpoints) > 0:
		return errors.New("both a data directory and etcd endpoints are given: the store is in one or the other")
	case len(c.Endpoints) == 0 && (c.CA != "" || c.Cert != "" || c.Key != ""):
		return errors.New("etcd TLS files are given without etcd endpoints")
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("an etcd client certificate and its key go together: give both or neither")
	}
	for _, e := range c.Endpoints {
		scheme, rest, ok := strings.Cut(e, "://")
		if !ok || rest == "" || !(scheme == "http" || scheme == "https" || scheme == "unix") {
			return fmt.Errorf("etcd endpoint %q is not a URL; write it like https://10.0.0.1:2379", e)
		}
		if scheme != "https" && (c.CA != "" || c.Cert != "") {
			return fmt.Errorf("etcd TLS files have no use with etcd endpoint %s, which is not https://", e)
		}
	}
	_, err := c.tls()
	return err
}

// tls returns the TLS configuration for the cluster, or nil when no file is given.
func (c Config) tls() (*tls.Config, error) {
	if c.CA == "" && c.Cert == "" {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read etcd CA: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("etcd CA %s holds no PEM certificate", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read etcd client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}
