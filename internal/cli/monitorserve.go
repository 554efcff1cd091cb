package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sarn/internal/daemon"
	"sarn/internal/keys"
	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/collect"
	"sarn/internal/monitor/history"
	"sarn/internal/monitor/serve"
	"sarn/internal/monitor/web"
)

// monitorFlags are what a monitor that serves is asked for.
type monitorFlags struct {
	listen      string
	names       []string
	interval    time.Duration
	viewers     int
	tokenFile   string
	alerts      string
	state       string
	noHistory   bool
	historySize size
	historyKeep times // by tier
	hosts       hostsFlags
	log         logFlags
}

const defaultHistory size = 512 << 20

func (a *app) monitorServeCommand() *cobra.Command {
	m := monitorFlags{historySize: defaultHistory}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Let others see this machine: pages, API, Prometheus, alerts, history",
		Long: `One process looks at this machine once a second, and serves what it sees: pages for
browsers, a JSON API with server-sent events, and /metrics for Prometheus. It keeps
history on disk, and watches it for alerts with nobody looking.

It listens on this machine alone. An address that others can reach takes --tls-cert and
--tls-key, and of those who come a token (--token-file) or a certificate of the
authority in --tls-ca, as ` + "`sarn pki`" + ` makes them for admins.

SIGHUP reads the file of alerts again; one that is wrong changes nothing.`,
		Example: `  sarn monitor serve
  sarn monitor serve --alerts /etc/sarn/alerts.yaml
  sarn monitor serve --hosts hosts.yaml
  sarn monitor serve --listen 0.0.0.0:61208 --tls-cert web1.crt --tls-key web1.key --token-file token
  sarn monitor serve --listen 0.0.0.0:61208 --tls-cert node-web1.crt --tls-key node-web1.key --tls-ca ca.crt`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.monitorServe(cmd, &m) },
	}
	f := cmd.Flags()
	f.StringVar(&m.listen, "listen", serve.DefaultListen, "`host:port` to serve at")
	f.StringArrayVar(&m.names, "name", nil, "another `name` that clients call this machine by (repeatable)")
	secondsVar(f, &m.interval, "interval", time.Second, "`time` between readings: seconds, or such as 500ms")
	f.IntVar(&m.viewers, "viewers", 200, "how `many` may look on at a time")
	f.StringVar(&m.tokenFile, "token-file", "", "`file` with the token that clients must show")
	f.StringVar(&m.alerts, "alerts", "", "`file` of alerts; see `sarn monitor check`")
	m.storeFlags(f, a.stateDir())
	m.hosts.flags(cmd)
	m.log.flags(cmd)
	return cmd
}

// storeFlags are those of what is kept on disk.
func (m *monitorFlags) storeFlags(f *pflag.FlagSet, dir string) {
	f.StringVar(&m.state, "state", dir, "`directory` of the history and of the alerts' state")
	f.BoolVar(&m.noHistory, "no-history", false, "keep no history")
	f.Var(&m.historySize, "history-size", "most `bytes` of history on disk, such as 2GiB")
	m.historyKeep = times{10 * time.Minute, 24 * time.Hour, 30 * 24 * time.Hour}
	f.Var(&m.historyKeep, "history-keep", "for how long seconds, 10 seconds and minutes are kept, as three `times`")
}

// stateDir is where the monitor keeps what it knows: "" if there is no place.
func (a *app) stateDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/sarn/monitor"
	}
	dir := a.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home := a.Getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "sarn", "monitor")
}

// size is a flag in bytes.
type size int64

// String implements pflag.Value.
func (s *size) String() string { return strings.ReplaceAll(humanize.IBytes(uint64(*s)), " ", "") }

// Type implements pflag.Value.
func (s *size) Type() string { return "bytes" }

// Set implements pflag.Value.
func (s *size) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<50 {
		return errors.New("write bytes such as 512MiB or 2GiB")
	}
	*s = size(n)
	return nil
}

func (a *app) monitorServe(cmd *cobra.Command, m *monitorFlags) error {
	log, err := m.log.logger(a.Err)
	if err != nil {
		return err
	}
	for _, flag := range []string{"server", "lab"} {
		if cmd.Flags().Changed(flag) && !m.hosts.nodes {
			return usageError("--%s has no use with `%s`, which talks to no controller but for --nodes", flag, cmd.CommandPath())
		}
	}
	if m.viewers < 1 || m.viewers > serve.MostViewers {
		return usageError("--viewers %d: from 1 to %d may look on, such as --viewers 200", m.viewers, serve.MostViewers)
	}
	conf, err := a.monitorConfig(m)
	if err != nil {
		return err
	}
	if err := conf.Validate(); err != nil {
		return usageError("%w", err)
	}
	beside, err := a.monitorHosts(&m.hosts, &conf, log)
	if err != nil {
		return err
	}
	spareHeap(a.Getenv)
	spareProgram()
	box, err := a.openMonitor(m, conf, log)
	if err != nil {
		return err
	}
	spareProgram()
	defer onHangup(cmd.Context(), box.reload)()
	return errors.Join(daemon.Run(cmd.Context(), log, a.Getenv("NOTIFY_SOCKET"), append(beside, box)...), box.Close())
}

// monitorConfig is what the flags say of serving.
func (a *app) monitorConfig(m *monitorFlags) (serve.Config, error) {
	c := serve.Config{
		Listen: m.listen, Interval: m.interval, Viewers: m.viewers, Version: a.version(),
		TLSCert: a.target.cert, TLSKey: a.target.key, ClientCA: a.target.ca, Admit: admitPeople,
		Names: append([]string{hostname()}, m.names...),
	}
	if name, err := os.Hostname(); err == nil {
		c.Names = append(c.Names, name)
	}
	if m.interval < leastInterval || m.interval > time.Hour {
		return c, usageError("--interval %s: give %s to 1h, such as --interval 1s", m.interval, leastInterval)
	}
	if !m.noHistory && m.interval < time.Second {
		return c, usageError("--interval %s: history has a record a second at most; give 1s or more, or --no-history", m.interval)
	}
	if m.tokenFile != "" {
		var err error
		if c.Token, c.TokenFile, err = keys.TakeToken(m.tokenFile); err != nil {
			return c, usageError("%w", err)
		}
	}
	return c, nil
}

// monitorBox is a monitor with what it works with.
type monitorBox struct {
	server    *serve.Server
	collector *collect.Collector
	store     *history.Store
	alerts    *alert.File
}

// openMonitor makes a monitor. What cannot be opened is closed again.
func (a *app) openMonitor(m *monitorFlags, conf serve.Config, log *slog.Logger) (_ *monitorBox, err error) {
	box := &monitorBox{}
	defer func() {
		if err != nil {
			err = errors.Join(err, box.Close())
		}
	}()
	d := serve.Deps{Log: log}
	if m.state == "" && (m.alerts != "" || !m.noHistory) {
		return nil, usageError("no place for history: neither XDG_STATE_HOME nor HOME is set; give --state DIR")
	}
	// What is wrong with the input is told before anything is made.
	keep, err := m.historyConfig()
	if err != nil {
		return nil, err
	}
	if m.alerts != "" {
		box.alerts, err = alert.OpenFile(m.alerts, alert.Deps{Log: log, Getenv: a.Getenv, StateFile: filepath.Join(m.state, "alerts.json")})
		if err != nil {
			return nil, usageError("%w", err)
		}
		d.Alerts = box.alerts
	}
	if d.Alerts != nil || !m.noHistory {
		if err := os.MkdirAll(m.state, 0o700); err != nil {
			return nil, fmt.Errorf("make the monitor's directory: %w", err)
		}
	}
	if !m.noHistory {
		if box.store, err = history.Open(keep); err != nil {
			return nil, err
		}
		d.History = box.store
	}
	if box.collector, err = collect.New(collect.Config{}); err != nil {
		return nil, err
	}
	d.Source = box.collector
	if conf.Web, err = web.New(web.Config{Version: a.version(), Hosts: conf.Hosts != nil}); err != nil {
		return nil, err
	}
	box.server, err = serve.New(conf, d)
	return box, err
}

// historyConfig is what the flags say of history.
func (m *monitorFlags) historyConfig() (history.Config, error) {
	c := history.Config{Dir: filepath.Join(m.state, "history"), Tiers: history.DefaultTiers(), MaxBytes: int64(m.historySize)}
	if len(m.historyKeep) > 0 { // an agent has no flag for it
		if len(m.historyKeep) != len(c.Tiers) {
			return c, usageError("--history-keep takes three times, of seconds, 10 seconds and minutes, such as 10m,24h,720h")
		}
		for i, keep := range m.historyKeep {
			c.Tiers[i].Keep = keep
		}
	}
	if err := c.Validate(); err != nil {
		return c, usageError("%w", err)
	}
	return c, nil
}

// Close writes what waits. The tasks have ended.
func (b *monitorBox) Close() error {
	if b.collector != nil {
		b.collector.Close()
	}
	if b.store != nil {
		return b.store.Close()
	}
	return nil
}

// String implements daemon.Task.
func (b *monitorBox) String() string { return b.server.String() }

// Ready implements daemon.Task.
func (b *monitorBox) Ready() <-chan struct{} { return b.server.Ready() }

// Run implements daemon.Task.
func (b *monitorBox) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var told error
	var all sync.WaitGroup
	if b.alerts != nil {
		all.Go(func() {
			defer stop()
			told = b.alerts.Run(ctx)
		})
	}
	err := b.server.Run(ctx)
	stop()
	all.Wait()
	return errors.Join(err, told)
}

func (b *monitorBox) reload() {
	if b.alerts != nil {
		b.alerts.Reload()
	}
}
