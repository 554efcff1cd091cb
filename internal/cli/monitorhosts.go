package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/daemon"
	"sarn/internal/monitor/fleet"
	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/serve"
)

// hostsFlags are what a monitor that serves is asked of other machines.
type hostsFlags struct {
	fleetFlags
	announce string
}

func (h *hostsFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&h.file, "hosts", "", "serve the machines in this `file` of hosts too: see docs/monitor-hosts.md")
	h.fleetFlags.flags(cmd)
	interfaceFlag(cmd, &h.announce, "announce", "answer to who looks for monitors by multicast DNS on this `interface`, if none is given on that with the default route")
}

// any says whether there are other machines to look at.
func (h *hostsFlags) any() bool { return h.file != "" || h.nodes || h.mdns != "" }

// monitorHosts puts the API of other machines into the server's config, and returns what
// runs beside the server.
func (a *app) monitorHosts(h *hostsFlags, conf *serve.Config, log *slog.Logger) ([]daemon.Task, error) {
	var tasks []daemon.Task
	if h.announce != "" {
		t := &announcement{Announcement: fleet.Announcement{Name: hostname(), Listen: conf.Listen, Interface: mdnsInterface(h.announce)}, log: log}
		if err := t.Validate(); err != nil {
			return nil, usageError("--announce: %w", err)
		}
		tasks = append(tasks, t)
	}
	if !h.any() {
		return tasks, nil
	}
	// The TLS flags are the server's own; how to identify to others, files and the
	// context say.
	if h.mdns != "" && h.file == "" {
		return nil, usageError("--mdns: with what this monitor comes to the hosts that answer is said by a file of hosts: give --hosts FILE with tls_ca, and token_file or tls_cert and tls_key, in its defaults")
	}
	const ca = "tls_ca in the defaults of the file of hosts"
	c, err := a.fleetConfig(&h.fleetFlags, remote.Config{}, ca)
	if err != nil {
		return nil, err
	}
	c.Log = log
	all, err := fleet.New(c)
	if err != nil {
		return nil, usageError("%w", err)
	}
	conf.Hosts = fleet.Handler(all)
	return append(tasks, all), nil
}

// announcement is a daemon.Task. A network that is not there yet, or is no more, is no
// reason to end.
type announcement struct {
	fleet.Announcement
	log *slog.Logger
}

// String implements daemon.Task.
func (*announcement) String() string { return "announcement" }

// Ready implements daemon.Task.
func (*announcement) Ready() <-chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}

// Run implements daemon.Task.
func (t *announcement) Run(ctx context.Context) error {
	const fresh = time.Minute // addresses come and go
	failing := ""
	for ctx.Err() == nil {
		soon, cancel := context.WithTimeout(ctx, fresh)
		err := fleet.Announce(soon, t.Announcement)
		switch {
		case err == nil:
			failing = ""
		case err.Error() != failing:
			failing = err.Error()
			t.log.Warn("nobody is told of this monitor", "error", err)
		}
		<-soon.Done()
		cancel()
	}
	return nil
}
