package web_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sarn/internal/browsertest"
	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/history"
	"sarn/internal/monitor/serve"
	"sarn/internal/monitor/web"
)

// desk is the window of somebody at a desk; phone is a phone's.
func desk() browsertest.Look { return browsertest.Look{Wide: 1440, High: 900} }

func phone() browsertest.Look { return browsertest.Look{Wide: 390, High: 844} }

// monitor is a real server of a made-up machine.
type monitor struct {
	config serve.Config
	deps   serve.Deps
	stop   func()
	at     string
}

func newMonitor(t *testing.T, source serve.Source, change func(*monitor)) *monitor {
	t.Helper()
	m := &monitor{
		config: serve.Config{Listen: "127.0.0.1:0", Interval: time.Second, Version: "v1.2.3"},
		deps:   serve.Deps{Source: source, Log: slog.New(slog.DiscardHandler)},
	}
	if change != nil {
		change(m)
	}
	site, err := web.New(web.Config{Version: "v1.2.3", Hosts: m.config.Hosts != nil})
	if err != nil {
		t.Fatal(err)
	}
	m.config.Web = site
	m.start(t)
	t.Cleanup(func() { m.stop() })
	return m
}

// start starts it, again where it was before.
func (m *monitor) start(t *testing.T) {
	t.Helper()
	if m.at != "" {
		m.config.Listen = m.at
	}
	s, err := serve.New(m.config, m.deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	m.at = s.Address()
}

func (m *monitor) url(path string) string { return "http://" + m.at + path }

// keeps gives the monitor a history of the time before.
func (h *hypervisor) keeps(t *testing.T, before time.Duration) *history.Store {
	t.Helper()
	store, err := history.Open(history.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	now := time.Now()
	for at := now.Add(-before); at.Before(now); at = at.Add(time.Second) {
		if err := store.Add(h.at(at)); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func watches(t *testing.T, rules string) *alert.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alerts.yaml")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := alert.OpenFile(path, alert.Deps{Log: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	return f
}
