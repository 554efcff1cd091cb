package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sarn/internal/api"
	"sarn/internal/intent"
)

func (a *app) planCommand() *cobra.Command {
	var files, deleteFiles []string
	var refs refList
	cmd := &cobra.Command{
		Use:   "plan [-f FILE] [--delete KIND/NAME]",
		Short: "Say what would change on which node, as commands",
		Long: `Takes the files that ` + "`sarn apply`" + ` takes, and what ` + "`sarn delete`" + ` deletes, as one change, and
says what would become of each object and which ip, bridge, sysctl and nft commands each
node would run, in their order. Nothing is written. What is wrong is told as ` + "`sarn apply`" + `
does. A node that is not in sync first mends what it finds, which nobody knows here.`,
		Example: `  sarn plan -f examples/two-hosts.yaml
  sarn plan -f nodes.yaml -f subnets -o json
  sarn plan --delete port/vm1 --delete port/vm2`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			change, docs, err := a.planned(cmd, files, deleteFiles, refs)
			if err != nil {
				return err
			}
			return a.plan(cmd.Context(), change, docs)
		},
	}
	fileFlag(cmd, &files)
	cmd.Flags().Var(&refs, "delete", "`object` to delete, such as port/vm1 (repeatable)")
	cmd.Flags().StringArrayVar(&deleteFiles, "delete-file", nil, "`file`, directory or - whose objects to delete (repeatable)")
	completeBy(cmd, "delete", a.refNames)
	return cmd
}

// planned returns the change that the flags ask about, and the documents that it came
// from.
func (a *app) planned(cmd *cobra.Command, files, deleteFiles []string, refs refList) (api.Change, []intent.Document, error) {
	var change api.Change
	if len(files)+len(deleteFiles)+len(refs) == 0 {
		return change, nil, usageError("`%s` needs -f FILE, --delete or --delete-file; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())
	}
	if n := len(slices.DeleteFunc(slices.Concat(files, deleteFiles), func(f string) bool { return f != "-" })); n > 1 {
		return change, nil, usageError("standard input can be read once only; give one - alone")
	}
	var docs []intent.Document
	if len(files) > 0 {
		got, objects, err := a.readFiles(cmd, files)
		if err != nil {
			return change, nil, err
		}
		docs, change.Set = got, objects
		if ps := change.Check(); len(ps) > 0 {
			return change, nil, intent.Locate(ps, docs)
		}
	}
	if len(deleteFiles) > 0 {
		got, objects, err := a.readFiles(cmd, deleteFiles)
		if err != nil {
			return change, nil, err
		}
		docs = append(docs, got...)
		for _, o := range slices.Backward(objects.Objects()) {
			change.Delete = append(change.Delete, intent.RefOf(o))
		}
	}
	change.Delete = append(change.Delete, refs...)
	return change, docs, nil
}

func (a *app) plan(ctx context.Context, change api.Change, docs []intent.Document) error {
	client, err := a.connect()
	if err != nil {
		return err
	}
	plan, err := ask(ctx, a, change, docs, client.Plan)
	if err != nil {
		return err
	}
	return a.print(plan, func() error { return a.printPlan(plan) })
}

func (a *app) printPlan(p api.Plan) error {
	if err := a.printOutcomes(p.Result, true); err != nil {
		return err
	}
	var b strings.Builder
	if len(p.Nodes) == 0 {
		b.WriteString("\nno node has anything to do\n")
	}
	for _, n := range p.Nodes {
		head := fmt.Sprintf("%s: %s", printable(n.Node), plural(len(n.Commands), "command"))
		if a.colourful() {
			head = bold(head)
		}
		if n.Note != "" {
			head += " (" + printable(n.Note) + ")"
		}
		b.WriteString("\n" + head + "\n")
		for _, c := range n.Commands {
			b.WriteString("    " + printable(c) + "\n")
		}
	}
	_, err := io.WriteString(a.Out, b.String())
	return err
}

// refList is a flag that adds an object each time it is given, as port/vm1.
type refList []intent.Ref

// String implements pflag.Value.
func (l *refList) String() string {
	words := make([]string, len(*l))
	for i, r := range *l {
		words[i] = r.Kind.Noun() + "/" + r.Name
	}
	return strings.Join(words, ",")
}

// Type implements pflag.Value.
func (l *refList) Type() string { return "object" }

// Set implements pflag.Value.
func (l *refList) Set(s string) error {
	noun, name, ok := strings.Cut(s, "/")
	if !ok || name == "" {
		return fmt.Errorf("%q names no object; write it like port/vm1", s)
	}
	nouns := make([]string, len(intent.Kinds))
	for i, k := range intent.Kinds {
		if nouns[i] = k.Noun(); nouns[i] == noun {
			*l = append(*l, intent.Ref{Kind: k, Name: name})
			return nil
		}
	}
	return fmt.Errorf("%q is no kind of object; use %s", noun, strings.Join(nouns, ", "))
}

// refNames completes KIND/NAME: the kind first, then the names that there are.
func (a *app) refNames(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var all []string
	noun, _, chosen := strings.Cut(typed, "/")
	for _, k := range intent.Kinds {
		switch {
		case !chosen:
			all = append(all, k.Noun()+"/")
		case k.Noun() == noun:
			names, _ := a.objectNames(k, true)(cmd, nil, "")
			for _, n := range names {
				all = append(all, noun+"/"+n)
			}
		}
	}
	if !chosen {
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}
