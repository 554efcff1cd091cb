package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/api"
	"sarn/internal/intent"
)

// noun is one kind of object as the commands show it.
type noun struct {
	kind     intent.Kind
	short    string
	long     string
	columns  []string
	row      func(intent.Object) []string
	describe func(context.Context, *api.Client, intent.Object, *sheet) error
	create   func() creation
}

// creation is a new object with the flags that fill it in.
type creation struct {
	object   intent.Object
	flags    func(*cobra.Command)
	required []string
	example  string
}

// command returns the noun's command with its verbs.
func (a *app) command(n noun) *cobra.Command {
	word := n.kind.Noun()
	cmd := &cobra.Command{
		Use: word, Short: n.short, Long: n.long, Aliases: []string{word + "s"},
		Example: fmt.Sprintf("  sarn %s list\n%s", word, n.create().example),
	}
	cmd.AddCommand(a.createCommand(n), a.getCommand(n), a.listCommand(n), a.describeCommand(n), a.deleteNounCommand(n))
	return cmd
}

func (a *app) createCommand(n noun) *cobra.Command {
	c := n.create()
	var w waiting
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   fmt.Sprintf("Create a %s", n.kind.Noun()),
		Example: c.example,
		Args:    names(n.kind.Noun(), false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := required(cmd, c.required...); err != nil {
				return err
			}
			if err := w.check(cmd); err != nil {
				return err
			}
			c.object.Head().Name = args[0]
			change := api.Change{Create: true}
			change.Add(c.object)
			if ps := change.Check(); len(ps) > 0 {
				return ps
			}
			return a.change(cmd.Context(), change, nil, w, func(r api.Result) error {
				if a.format == "" || a.format == formatTable {
					return a.printOutcomes(r, false)
				}
				return a.printObjects(r.Objects.Objects(), nil, nil)
			})
		},
	}
	c.flags(cmd)
	w.flags(cmd)
	return cmd
}

func (a *app) getCommand(n noun) *cobra.Command {
	word := n.kind.Noun()
	return &cobra.Command{
		Use:               "get [NAME...]",
		Short:             fmt.Sprintf("Show the named %ss, or all", word),
		Example:           fmt.Sprintf("  sarn %s get %s -o yaml", word, exampleName(n.kind)),
		ValidArgsFunction: a.objectNames(n.kind, true),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.list(cmd.Context(), client, n)
			}
			objects := make([]intent.Object, len(args))
			for i, name := range args {
				if objects[i], err = client.Get(cmd.Context(), intent.Ref{Kind: n.kind, Name: name}); err != nil {
					return err
				}
			}
			return a.printObjects(objects, newTable(n.columns...), n.row)
		},
	}
}

func (a *app) listCommand(n noun) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   fmt.Sprintf("List every %s", n.kind.Noun()),
		Example: fmt.Sprintf("  sarn %s list\n  sarn %s list -o json", n.kind.Noun(), n.kind.Noun()),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.connect()
			if err != nil {
				return err
			}
			return a.list(cmd.Context(), client, n)
		},
	}
}

func (a *app) list(ctx context.Context, client *api.Client, n noun) error {
	defer a.patience("the controller")()
	objects, err := client.List(ctx, n.kind)
	if err != nil {
		return err
	}
	return a.printObjects(objects, newTable(n.columns...), n.row)
}

func (a *app) describeCommand(n noun) *cobra.Command {
	return &cobra.Command{
		Use:               "describe NAME",
		Short:             fmt.Sprintf("Tell everything about one %s", n.kind.Noun()),
		Example:           fmt.Sprintf("  sarn %s describe %s", n.kind.Noun(), exampleName(n.kind)),
		Args:              names(n.kind.Noun(), false),
		ValidArgsFunction: a.objectNames(n.kind, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.format == formatJSON || a.format == formatYAML {
				return usageError("describe is for people; `sarn %s get %s -o %s` is for programs", n.kind.Noun(), args[0], a.format)
			}
			client, err := a.connect()
			if err != nil {
				return err
			}
			defer a.patience("the controller")()
			o, err := client.Get(cmd.Context(), intent.Ref{Kind: n.kind, Name: args[0]})
			if err != nil {
				return err
			}
			var s sheet
			s.line(string(n.kind), "%s", o.Head().Name)
			if err := n.describe(cmd.Context(), client, o, &s); err != nil {
				return err
			}
			s.line("Revision", "%d", o.Head().Revision)
			return s.write(a.Out)
		},
	}
}

func (a *app) deleteNounCommand(n noun) *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:               "delete NAME...",
		Aliases:           []string{"rm"},
		Short:             fmt.Sprintf("Delete %ss", n.kind.Noun()),
		Example:           fmt.Sprintf("  sarn %s delete %s --wait", n.kind.Noun(), exampleName(n.kind)),
		Args:              names(n.kind.Noun(), true),
		ValidArgsFunction: a.objectNames(n.kind, true),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := w.check(cmd); err != nil {
				return err
			}
			var change api.Change
			for _, name := range args {
				change.Delete = append(change.Delete, intent.Ref{Kind: n.kind, Name: name})
			}
			return a.change(cmd.Context(), change, nil, w, func(r api.Result) error { return a.printResult(r, false) })
		},
	}
	w.flags(cmd)
	return cmd
}

// exampleName is what the examples call an object of the kind.
func exampleName(k intent.Kind) string {
	switch k {
	case intent.KindVPC:
		return "main"
	case intent.KindSubnet:
		return "net1"
	case intent.KindNode:
		return "host1"
	default:
		return "vm1"
	}
}

// objectNames completes the names of objects, those not yet given if there may be
// many.
func (a *app) objectNames(k intent.Kind, many bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !many {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
		defer cancel()
		client, err := a.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		objects, err := client.List(ctx, k)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var found []string
		for _, o := range objects {
			if name := o.Head().Name; !slices.Contains(args, name) {
				found = append(found, name)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// nameFlag completes a flag that names an object.
func (a *app) nameFlag(cmd *cobra.Command, flag string, k intent.Kind) {
	byArgs := a.objectNames(k, true)
	completeBy(cmd, flag, func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return byArgs(cmd, nil, prefix)
	})
}

// join lists words, or says that there are none.
func join(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
