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

	"sarn/internal/keys"
	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

// Source makes samples, as package collect does.
type Source interface {
	Pass() (*sample.Sample, error)
}

// Alerts watches samples: *alert.Engine.
type Alerts interface {
	Observe(*sample.Sample)
	Rules() int
	Active() []alert.Alert
	Pending() []alert.Alert
	Past(n int) []alert.Alert
	Deliveries() []alert.Delivery
}

// History keeps samples: *history.Store.
type History interface {
	Add(*sample.Sample) error
	Bounds() ([]history.Extent, error)
	At(t time.Time, resolution time.Duration) (*history.Record, error)
	Range(from, to time.Time, step time.Duration, fields ...string) (*history.Series, error)
}

// Deps is what a server works with. Without Alerts nobody is told of anything, without
// History nothing is kept.
type Deps struct {
	Source  Source
	Alerts  Alerts
	History History
	Log     *slog.Logger
}

// Server is the monitor of one machine.
type Server struct {
	Deps
	config   Config
	hub      *hub
	keeper   *keeper
	totals   *totals
	exporter *exporter
	sessions *sessions
	tls      *keys.Fresh[*tls.Config] // nil without a certificate
	queries  chan struct{}            // what of the history is asked for at a time
	patience time.Duration            // with a client: for what it asks, and for each event that it reads
	ready    chan struct{}
	at       string // where it listens, once it is ready
}

// New makes a server, or says what is wrong with its config.
func New(c Config, d Deps) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Server{Deps: d, config: c, hub: newHub(), queries: make(chan struct{}, mostQueries), patience: 10 * time.Second, ready: make(chan struct{})}
	if err := s.readToken(); err != nil {
		return nil, err
	}
	s.totals = newTotals()
	s.exporter = newExporter(s)
	if d.History != nil {
		s.keeper = &keeper{to: d.History, log: d.Log, samples: make(chan *sample.Sample, mostUnkept)}
	}
	return s, nil
}

// String names the task.
func (s *Server) String() string { return "monitor" }

// Ready is closed when the server answers.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Address is where the server listens, once it is ready.
func (s *Server) Address() string { return s.at }

// Run serves until ctx ends. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	l, err := s.listen(ctx)
	if err != nil {
		return err
	}
	s.at = l.Addr().String()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	web := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: s.patience, IdleTimeout: 2 * s.patience, MaxHeaderBytes: 16 << 10,
		// Of an answer as a whole; a stream has patience for each event instead.
		WriteTimeout: 3 * s.patience,
		ErrorLog:     slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		// Streams end with the server.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	var all sync.WaitGroup
	all.Go(func() {
		s.watch(ctx)
		if s.keeper != nil {
			close(s.keeper.samples)
		}
	})
	if s.keeper != nil {
		all.Go(s.keeper.run)
	}
	failed := make(chan error, 1)
	all.Go(func() { failed <- web.Serve(l) })
	s.Log.Info("the monitor listens", "address", s.at, "tls", s.config.TLSCert != "")
	close(s.ready)
	select {
	case err = <-failed:
		stop()
		web.Close() //nolint:errcheck // err says more
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

// watch makes a pass each interval. A pass that fails is said once, until one succeeds.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(s.config.Interval)
	defer tick.Stop()
	failing := false
	for {
		began := time.Now()
		now, err := s.Source.Pass()
		if err == nil {
			failing = false
			s.totals.add(now, time.Since(began).Seconds())
			s.take(now)
		} else {
			s.totals.failed()
			if !failing {
				failing = true
				s.Log.Error("cannot look at the machine", "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// take hands a sample to all who want it. From here on nobody changes it.
func (s *Server) take(now *sample.Sample) {
	now.Sort()
	if s.Alerts != nil {
		s.Alerts.Observe(now)
	}
	s.hub.publish(now, func() any { return s.alertsNow() })
	if s.keeper != nil {
		s.keeper.take(now)
	}
}
