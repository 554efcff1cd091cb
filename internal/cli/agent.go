package cli

import (
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"sarn/internal/agent"
	"sarn/internal/api"
	"sarn/internal/daemon"
	"sarn/internal/intent"
	"sarn/internal/kernel"
)

func (a *app) agentCommand() *cobra.Command {
	var (
		node, netnsDir string
		logs           logFlags
		monitor        monitorFlags
	)
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run a node's agent",
		Long: `Follows what the controller wants of this node and keeps the kernel so: a host or a
router, by the node's role. It needs root. An agent that stops, or that cannot reach
its controller, leaves the network running as it is.

It talks to the controller that --server, --lab or SARN_SERVER names, otherwise to
the one on this machine; contexts are for people and do not concern it.

Beside that it serves the machine's monitor, as ` + "`sarn monitor serve`" + ` does: with
certificates at port 61208 of every address, for whom --tls-ca has signed an admin's
certificate; without, to this machine alone.`,
		Example: `  sarn agent
  sarn agent --node host1 --server https://10.0.0.1:7470 --tls-ca ca.crt --tls-cert node-host1.crt --tls-key node-host1.key`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := logs.logger(a.Err)
			if err != nil {
				return err
			}
			task, err := a.newAgent(node, netnsDir, log)
			if err != nil {
				return err
			}
			tasks := []daemon.Task{task}
			beside, err := a.newAgentMonitor(&monitor, node, log)
			if err != nil {
				return err
			}
			reload := func() {}
			if beside != nil {
				tasks, reload = append(tasks, beside), beside.reload
			}
			defer onHangup(cmd.Context(), reload)()
			return daemon.Run(cmd.Context(), log, a.Getenv("NOTIFY_SOCKET"), tasks...)
		},
	}
	f := cmd.Flags()
	f.StringVar(&node, "node", hostname(), "`name` of the node that this machine is")
	f.StringVar(&netnsDir, "netns-dir", kernel.DefaultNetnsDir, "`directory` of the network namespaces that ports end in")
	monitor.agentFlags(cmd)
	logs.flags(cmd)
	return cmd
}

// checkNode checks the value of --node.
func checkNode(name string) error {
	var bad intent.Problems
	if errors.As(api.CheckName(intent.Ref{Kind: intent.KindNode, Name: name}), &bad) {
		return usageError("--node %s", bad[0].Message)
	}
	return nil
}

func (a *app) newAgent(node, netnsDir string, log *slog.Logger) (*agent.Agent, error) {
	if err := checkNode(node); err != nil {
		return nil, err
	}
	where := choice{endpoint: a.override(socket(a.defaultSocket()))}
	if a.target.server != "" || a.target.lab != "" || a.Getenv("SARN_SERVER") != "" {
		var err error
		if where, err = a.choose(); err != nil {
			return nil, err
		}
	}
	where.endpoint.Wrong = func(err error) {
		log.Warn("a file has changed and cannot be read; what it held before is used", "error", err)
	}
	client, err := api.New(where.endpoint)
	if err != nil {
		return nil, usageError("%w", err)
	}
	host, err := kernel.New(kernel.Config{NetnsDir: netnsDir, Logger: log})
	if err != nil {
		return nil, err
	}
	return agent.New(
		agent.Config{Node: node, Version: a.version()},
		agent.Deps{Source: client, Kernel: host, Log: log.With("node", node)},
	)
}
