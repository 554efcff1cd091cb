package cli

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"sarn/internal/api"
)

func (a *app) contextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Remember controllers by name",
		Long: `A context is a controller's address and the files to identify to it with, under a
name. Commands talk to the current context's controller unless told otherwise:
see ` + "`sarn help environment`.",
		Example: `  sarn context create prod --server https://10.0.0.1:7470 --tls-ca ca.crt --tls-cert admin-ann.crt --tls-key admin-ann.key
  sarn context use prod`,
	}
	cmd.AddCommand(a.contextCreate(), a.contextUse(), a.contextList(), a.contextDelete())
	return cmd
}

func (a *app) contextCreate() *cobra.Command {
	return &cobra.Command{
		Use:     "create NAME --server ADDRESS",
		Short:   "Remember a controller under a name",
		Example: "  sarn context create local --server unix:///run/sarn/api.sock",
		Args:    names("context", false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := required(cmd, "server"); err != nil {
				return err
			}
			conf, err := a.loadConfig()
			if err != nil {
				return err
			}
			name := args[0]
			if _, ok := conf.Contexts[name]; ok {
				return usageError("context %q is there already; delete it first", name)
			}
			e := entry{Server: a.target.server, CA: a.target.ca, Cert: a.target.cert, Key: a.target.key}
			for _, file := range []*string{&e.CA, &e.Cert, &e.Key} {
				if *file == "" {
					continue
				}
				if *file, err = filepath.Abs(*file); err != nil {
					return fmt.Errorf("find %s: %w", *file, err)
				}
			}
			if _, err := api.New(e.endpoint()); err != nil {
				return usageError("%w", err)
			}
			if conf.Contexts == nil {
				conf.Contexts = map[string]entry{}
			}
			conf.Contexts[name] = e
			if err := a.saveConfig(conf); err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "context/%s created\n", printable(name))
			if conf.Current != name {
				a.progress("`sarn context use %s` makes it the current one", name)
			}
			return nil
		},
	}
}

func (a *app) contextUse() *cobra.Command {
	return &cobra.Command{
		Use:               "use NAME",
		Short:             "Make a context the current one",
		Example:           "  sarn context use prod",
		Args:              names("context", false),
		ValidArgsFunction: a.contextNames,
		RunE: func(_ *cobra.Command, args []string) error {
			conf, err := a.loadConfig()
			if err != nil {
				return err
			}
			if err := conf.has(args[0]); err != nil {
				return err
			}
			conf.Current = args[0]
			if err := a.saveConfig(conf); err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "context/%s is current\n", printable(args[0]))
			return nil
		},
	}
}

func (a *app) contextList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the contexts",
		Example: "  sarn context list -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			conf, err := a.loadConfig()
			if err != nil {
				return err
			}
			type row struct {
				Name    string `json:"name"`
				Current bool   `json:"current"`
				Server  string `json:"server"`
				CA      string `json:"ca,omitempty"`
				Cert    string `json:"cert,omitempty"`
				Key     string `json:"key,omitempty"`
			}
			rows := []row{}
			t := newTable("CONTEXT", "CURRENT", "SERVER", "CERT")
			for _, name := range slices.Sorted(maps.Keys(conf.Contexts)) {
				e := conf.Contexts[name]
				rows = append(rows, row{name, name == conf.Current, e.Server, e.CA, e.Cert, e.Key})
				t.add(name, yes(name == conf.Current), e.Server, e.Cert)
			}
			return a.print(rows, func() error { return a.printTable(t) })
		},
	}
}

func (a *app) contextDelete() *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME...",
		Short:             "Forget contexts",
		Example:           "  sarn context delete prod",
		Args:              names("context", true),
		ValidArgsFunction: a.contextNames,
		RunE: func(_ *cobra.Command, args []string) error {
			conf, err := a.loadConfig()
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := conf.has(name); err != nil {
					return err
				}
			}
			for _, name := range args {
				delete(conf.Contexts, name)
				if conf.Current == name {
					conf.Current = ""
				}
			}
			if err := a.saveConfig(conf); err != nil {
				return err
			}
			for _, name := range args {
				fmt.Fprintf(a.Out, "context/%s deleted\n", printable(name))
			}
			return nil
		},
	}
}

func (c config) has(name string) error {
	if _, ok := c.Contexts[name]; ok {
		return nil
	}
	return usageError("no context %q%s; see `sarn context list`", name, suggest(name, slices.Sorted(maps.Keys(c.Contexts))))
}

func (a *app) contextNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	conf, err := a.loadConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return slices.Sorted(maps.Keys(conf.Contexts)), cobra.ShellCompDirectiveNoFileComp
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
