package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/api"
)

func (a *app) statusCommand() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how far each node is",
		Long: `WANTED is the revision at which what a node should hold last changed, APPLIED the
one that it last applied and found in its kernel, AGE how long ago that was. REPAIRS
counts the commands by which its agent undid what others had changed.`,
		Example: "  sarn status\n  sarn status --wait --timeout 30s",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.check(cmd); err != nil {
				return err
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			if w.wait {
				if err := a.wait(cmd.Context(), client, 0, w.timeout); err != nil {
					return err
				}
			}
			defer a.patience("the controller")()
			nodes, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.printStatus(nodes, time.Now())
		},
	}
	w.flags(cmd)
	return cmd
}

func (a *app) printStatus(nodes []api.NodeStatus, now time.Time) error {
	if nodes == nil {
		nodes = []api.NodeStatus{}
	}
	t := newTable("NODE", "ROLE", "CONNECTED", "WANTED", "APPLIED", "AGE", "PORTS", "REPAIRS", "ERROR")
	t.alarm = func(column, cell string) bool {
		return (column == "CONNECTED" && cell == "no") || (column == "ERROR" && cell != "-")
	}
	for _, n := range nodes {
		wrong := n.Error
		if wrong == "" && !n.Connected {
			wrong = "its agent is not connected"
		}
		t.add(n.Node, n.Role, yes(n.Connected), fmt.Sprint(n.Wanted), fmt.Sprint(n.Applied), age(n.AppliedAt, now), fmt.Sprint(n.Ports), fmt.Sprint(n.Repairs), wrong)
	}
	return a.print(nodes, func() error { return a.printTable(t) })
}

// statusOf returns one node's status.
func statusOf(ctx context.Context, client *api.Client, node string) (api.NodeStatus, error) {
	all, err := client.Status(ctx)
	if err != nil {
		return api.NodeStatus{}, err
	}
	for _, n := range all {
		if n.Node == node {
			return n, nil
		}
	}
	return api.NodeStatus{}, fmt.Errorf("the controller has no status of node %q", node)
}

// age says how long ago t was, in the largest unit that fits.
func age(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := max(now.Sub(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func agentWords(n api.NodeStatus) string {
	switch {
	case !n.Connected:
		return "not connected"
	case n.Version == "":
		return "connected"
	}
	return "connected, version " + n.Version
}

// syncWords says, in one line, whether the node holds what it should, and if not, why.
func syncWords(n api.NodeStatus) string {
	n.Error = printable(n.Error)
	switch {
	case n.Error != "" && !n.Connected:
		return fmt.Sprintf("%s failed at revision %d: %s; its agent is not connected any more", n.Node, n.Wanted, n.Error)
	case n.Error != "":
		return fmt.Sprintf("%s failed at revision %d: %s", n.Node, n.Wanted, n.Error)
	case !n.InSync() && !n.Connected:
		return fmt.Sprintf("%s has not applied revision %d: its agent is not connected", n.Node, n.Wanted)
	case !n.InSync():
		return fmt.Sprintf("%s has not applied revision %d yet; it holds %d", n.Node, n.Wanted, n.Applied)
	case !n.Connected:
		return fmt.Sprintf("%s held revision %d when its agent was last connected", n.Node, n.Applied)
	}
	return fmt.Sprintf("%s holds revision %d, applied and verified", n.Node, n.Applied)
}
