package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"sarn/internal/pki"
)

// onHangup calls f at each SIGHUP until ctx ends, or the function that it returns is
// called.
func onHangup(ctx context.Context, f func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer signal.Stop(hangups)
		for {
			select {
			case <-hangups:
				f()
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// admitPeople keeps agents from reading other machines: what runs there is none of their
// business, and one that is broken into must not tell it.
func admitPeople(c *x509.Certificate) error {
	if slices.Contains(c.Subject.Organization, pki.OrgNode) {
		return errors.New("a node's certificate is for its agent; show one that was issued with `sarn pki issue --admin`")
	}
	return nil
}
