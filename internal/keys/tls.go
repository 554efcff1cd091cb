package keys

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// DialTLS is a way to connect for http.Transport.DialTLSContext that takes the config as
// it is at that moment. A handshake has patience.
func DialTLS(dialer *net.Dialer, patience time.Duration, config func() *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		conn := tls.Client(raw, config())
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close() //nolint:errcheck // err says more
			return nil, err
		}
		return conn, nil
	}
}
