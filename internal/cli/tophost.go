package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/keys"
	"sarn/internal/monitor/remote"
	"sarn/internal/monitor/sample"
	"sarn/internal/monitor/term"
)

// monitorTokenVariable holds a monitor's token, for who has no file of it.
const monitorTokenVariable = "SARN_MONITOR_TOKEN"

// hostFlags are what `sarn top` is told of another machine.
type hostFlags struct {
	hosts     []string
	tokenFile string
}

func (h *hostFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&h.hosts, "host", nil, "show the machine whose monitor serves at this `address`: name, name:port or https://name:port (repeatable with --browse)")
	f.StringVar(&h.tokenFile, "token-file", "", "`file` with the monitor's token alone, that nobody else can read")
}

// remoteConfig is how to reach a monitor with the flags' token and certificates.
func (a *app) remoteConfig(h *hostFlags, address string) (remote.Config, error) {
	c := remote.Config{Address: address, CA: a.target.ca, Cert: a.target.cert, Key: a.target.key}
	var err error
	switch {
	case h.tokenFile != "":
		c.Token, c.TokenFile, err = keys.TakeToken(h.tokenFile)
	case a.Getenv(monitorTokenVariable) != "":
		c.Token, err = keys.CheckToken(a.Getenv(monitorTokenVariable), monitorTokenVariable)
	}
	if err != nil {
		return c, usageError("%w", err)
	}
	return c, nil
}

// topHost shows another machine. The first answer is awaited: what is wrong with the
// address or the token is told before the screen is taken.
func (a *app) topHost(ctx context.Context, t *topFlags) error {
	conf, err := a.remoteConfig(&t.hostFlags, t.hosts[0])
	if err != nil {
		return err
	}
	client, err := remote.New(conf)
	if err != nil {
		return usageError("%w", err)
	}
	defer client.Close()
	if !t.once {
		if err := a.needsTerminal(); err != nil {
			return err
		}
	}
	if _, err := client.Sample(ctx); err != nil {
		return unreachable(err)
	}
	defer running(ctx, client.Run)()
	if t.once {
		return a.printSamples(ctx, t, func() (*sample.Sample, error) { return awaited(ctx, client) })
	}
	return term.Run(ctx, a.remoteView(client, client.Where(), t.interval))
}

// awaited is a client's next sample, unless there is none for too long.
func awaited(ctx context.Context, client *remote.Client) (*sample.Sample, error) {
	const most = 90 * time.Second // a monitor's pass is each second, some are slower
	soon, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	s, err := client.Next(soon)
	if err != nil && ctx.Err() == nil {
		return nil, unreachable(&remote.Error{Where: client.Where(), Why: orElse(client.Status().Error, "no sample within "+most.String()), Err: err})
	}
	return s, err
}

// unreachable gives an error of a monitor's the exit code that it has.
func unreachable(err error) error {
	var nobody *remote.Error
	if errors.As(err, &nobody) {
		return &exitError{exitUnreachable, err}
	}
	return err
}

// remoteView is the live view of what a client follows.
func (a *app) remoteView(client *remote.Client, name string, interval time.Duration) term.Config {
	c := a.screen()
	c.Source, c.Interval, c.History = client, interval, client
	c.Alerts = func() term.Alerts {
		all := client.Alerts()
		return term.Alerts{Rules: all.Rules, Active: all.Active, Pending: all.Pending, Past: all.Past}
	}
	c.Status = func() term.Status {
		s := client.Status()
		return term.Status{From: name, Down: s.State == remote.Down, Since: s.Since, Error: s.Error}
	}
	return c
}
