package cli

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/monitor/serve"
)

// monitorOff is the value of --monitor for none.
const monitorOff = "off"

// agentFlags are the flags of an agent's monitor.
func (m *monitorFlags) agentFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.listen, "monitor", "", "`host:port` to serve this machine's monitor at, or off; default: every address with --tls-cert, else "+serve.DefaultListen)
	f.StringVar(&m.alerts, "monitor-alerts", "", "`file` of alerts for the monitor")
	f.StringVar(&m.state, "monitor-state", "/var/lib/sarn/monitor", "`directory` of the monitor's history and alerts")
	complete(cmd, "monitor", monitorOff, serve.DefaultListen)
	m.interval, m.historySize = time.Second, defaultHistory
}

// newAgentMonitor is the monitor beside an agent, nil for none. It is open to whom the
// agent's own authority has made a certificate for, but not to other agents.
func (a *app) newAgentMonitor(m *monitorFlags, node string, log *slog.Logger) (*agentMonitor, error) {
	if m.listen == monitorOff {
		return nil, nil
	}
	if m.listen == "" {
		m.listen = serve.DefaultListen
		if a.target.cert != "" && a.target.ca != "" {
			m.listen = ":" + serve.DefaultPort
		}
	}
	m.names = []string{node}
	conf, err := a.monitorConfig(m)
	if err == nil {
		err = conf.Validate()
	}
	if err != nil {
		return nil, usageError("--monitor: %w", err)
	}
	t := &agentMonitor{log: log, ready: make(chan struct{}), open: func() (*monitorBox, error) { return a.openMonitor(m, conf, log) }}
	close(t.ready)
	return t, nil
}

// agentMonitor runs a monitor beside an agent, which no fault of the monitor stops.
type agentMonitor struct {
	open  func() (*monitorBox, error)
	log   *slog.Logger
	ready chan struct{}
	box   atomic.Pointer[monitorBox] // that runs, or nil
}

// reload has the monitor that runs read its alerts again. One that does not run does so
// when it starts.
func (t *agentMonitor) reload() {
	if box := t.box.Load(); box != nil {
		box.reload()
	}
}

// String implements daemon.Task.
func (*agentMonitor) String() string { return "monitor" }

// Ready implements daemon.Task: the agent does not wait for its monitor.
func (t *agentMonitor) Ready() <-chan struct{} { return t.ready }

// Run implements daemon.Task.
func (t *agentMonitor) Run(ctx context.Context) error {
	const first, last = 2 * time.Second, time.Minute
	pause, said := first, ""
	for ctx.Err() == nil {
		began := time.Now()
		err := t.once(ctx)
		if ctx.Err() != nil {
			return err
		}
		if time.Since(began) > last {
			pause, said = first, ""
		}
		if err != nil && err.Error() != said { // once, however long it stays so
			said = err.Error()
			t.log.Error("the monitor does not run; it is tried again, and the agent goes on", "error", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, last)
	}
	return nil
}

func (t *agentMonitor) once(ctx context.Context) error {
	box, err := t.open()
	if err != nil {
		return err
	}
	t.box.Store(box)
	defer t.box.Store(nil)
	return errors.Join(box.Run(ctx), box.Close())
}
