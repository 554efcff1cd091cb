package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/pki"
)

// maxDays is the longest that a certificate may be asked for: a hundred years.
const maxDays = 36500

func (a *app) pkiCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pki",
		Short: "Make certificates for controllers, agents and people",
		Long: `A controller that listens beyond its own machine takes only clients with a
certificate of its authority. An admin's certificate may do everything, a node's only
what the agent of that node needs; the node's monitor shows it too.`,
		Example: `  sarn pki init pki
  sarn pki issue --dir pki --server controller --address 10.0.0.1
  sarn pki issue --dir pki --node host1
  sarn pki issue --dir pki --admin ann`,
	}
	cmd.AddCommand(a.pkiInit(), a.pkiIssue())
	return cmd
}

func (a *app) pkiInit() *cobra.Command {
	return &cobra.Command{
		Use:     "init DIR",
		Short:   "Make an authority in a directory",
		Example: "  sarn pki init pki",
		Args:    names("directory", false),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := pki.Init(args[0])
			if err != nil {
				return err
			}
			return a.printPair(p)
		},
	}
}

func (a *app) pkiIssue() *cobra.Command {
	var (
		dir, admin, node, server string
		addresses                []string
		days                     int
	)
	cmd := &cobra.Command{
		Use:   "issue --dir DIR --admin NAME | --node NAME | --server NAME",
		Short: "Issue a certificate",
		Example: `  sarn pki issue --dir pki --server controller --address 10.0.0.1 --address controller.example
  sarn pki issue --dir pki --node host1 --address 10.0.0.2 --days 365`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "dir"); err != nil {
				return err
			}
			r := pki.Request{Addresses: addresses}
			given := 0
			for _, f := range []struct {
				role pki.Role
				name string
			}{{pki.Admin, admin}, {pki.Node, node}, {pki.Server, server}} {
				if f.name != "" {
					r.Role, r.Name = f.role, f.name
					given++
				}
			}
			switch {
			case given != 1:
				return usageError("say whom the certificate is for, with one of --admin NAME, --node NAME and --server NAME")
			case days < 1 || days > maxDays:
				return usageError("--days %d: a certificate is valid for 1 to %d days", days, maxDays)
			case r.Role == pki.Node:
				if err := checkNode(node); err != nil {
					return err
				}
			}
			r.Lifetime = time.Duration(days) * 24 * time.Hour
			p, err := pki.Issue(dir, r)
			if errors.Is(err, pki.ErrRequest) {
				return usageError("%w", err)
			}
			if err != nil {
				return err
			}
			return a.printPair(p)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "", "`directory` of the authority")
	f.StringVar(&admin, "admin", "", "`name` of the person or program that it is for, who may do everything")
	f.StringVar(&node, "node", "", "name of the `node` whose agent it is for")
	f.StringVar(&server, "server", "", "host `name` of the controller that it is for")
	f.StringArrayVar(&addresses, "address", nil, "another host name or IP `address` of the controller, or of the node, whose monitor others reach there (repeatable)")
	f.IntVar(&days, "days", 730, "for how many `days` it is valid")
	return cmd
}

func (a *app) printPair(p pki.Pair) error {
	v := struct {
		Cert string `json:"cert"`
		Key  string `json:"key"`
	}{p.Cert, p.Key}
	return a.print(v, func() error {
		_, err := fmt.Fprintf(a.Out, "%s\n%s\n", p.Cert, p.Key)
		return err
	})
}
