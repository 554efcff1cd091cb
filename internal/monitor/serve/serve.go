package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"sarn/internal/monitor/sample"
)

// Source makes samples, as package collect does.
type Source interface {
	Pass() (*sample.Sample, error)
}

// Server is the monitor of one machine.
type Server struct {
	config Config
	source Source
	log    *slog.Logger
	hub    *hub
	ready  chan struct{}
	at     string // where it listens, once it is ready
}

// New makes a server, or says what is wrong with its config.
func New(c Config, source Source, log *slog.Logger) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Server{config: c, source: source, log: log, hub: newHub(), ready: make(chan struct{})}, nil
}

// String names the task.
func (s *Server) String() string { return "monitor" }

// Ready is closed when the server answers.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Address is where the server listens, once it is ready.
func (s *Server) Address() string { return s.at }

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	l, err := s.listen()
	if err != nil {
		return err
	}
	s.at = l.Addr().String()
	web := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// Streams end with the server.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	var all sync.WaitGroup
	all.Go(func() { s.watch(ctx) })
	failed := make(chan error, 1)
	all.Go(func() { failed <- web.Serve(l) })
	close(s.ready)
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = nil
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if web.Shutdown(soon) != nil {
			web.Close() //nolint:errcheck // nothing is lost
		}
	}
	all.Wait()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", s.config.Listen, err)
	}
	return nil
}

func (s *Server) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", s.config.Listen, err)
	}
	if s.config.TLSCert == "" {
		return l, nil
	}
	pair, err := tls.LoadX509KeyPair(s.config.TLSCert, s.config.TLSKey)
	if err != nil {
		l.Close() //nolint:errcheck // err says more
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}), nil
}

// watch makes a pass each interval. A pass that fails is said once, until one succeeds.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(s.config.Interval)
	defer tick.Stop()
	failing := false
	for {
		now, err := s.source.Pass()
		switch {
		case err == nil:
			failing = false
			now.Sort()
			s.hub.publish(now)
		case !failing:
			failing = true
			s.log.Error("cannot look at the machine", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
