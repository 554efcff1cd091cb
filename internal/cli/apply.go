package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sarn/internal/api"
	"sarn/internal/intent"
	"sarn/internal/lab"
)

func (a *app) applyCommand() *cobra.Command {
	var (
		files  []string
		dryRun bool
		w      waiting
	)
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create or update what files declare",
		Long: `Files hold YAML documents, each an object with its kind. They are one change: all
of it is made, or nothing if anything is wrong. What is not in the files stays as it is.`,
		Example: `  sarn apply -f examples/two-hosts.yaml --wait
  sarn apply -f nodes.yaml -f subnets --dry-run
  sarn apply -f - -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.check(cmd); err != nil {
				return err
			}
			if dryRun && w.wait {
				return usageError("--dry-run changes nothing to --wait for; give one of them")
			}
			docs, objects, err := a.readFiles(cmd, files)
			if err != nil {
				return err
			}
			change := api.Change{Set: objects, DryRun: dryRun}
			if ps := change.Check(); len(ps) > 0 {
				return intent.Locate(ps, docs)
			}
			return a.change(cmd.Context(), change, docs, w, func(r api.Result) error { return a.printResult(r, dryRun) })
		},
	}
	fileFlag(cmd, &files)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would change and change nothing")
	w.flags(cmd)
	return cmd
}

func (a *app) deleteCommand() *cobra.Command {
	var (
		files []string
		w     waiting
	)
	cmd := &cobra.Command{
		Use:     "delete -f FILE",
		Short:   "Delete what files declare",
		Example: "  sarn delete -f examples/two-hosts.yaml --wait",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.check(cmd); err != nil {
				return err
			}
			docs, objects, err := a.readFiles(cmd, files)
			if err != nil {
				return err
			}
			var change api.Change
			for _, o := range slices.Backward(objects.Objects()) {
				change.Delete = append(change.Delete, intent.RefOf(o))
			}
			return a.change(cmd.Context(), change, docs, w, func(r api.Result) error { return a.printResult(r, false) })
		},
	}
	fileFlag(cmd, &files)
	w.flags(cmd)
	return cmd
}

func fileFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVarP(files, "file", "f", nil, "`file`, directory of *.yaml files, or - for standard input (repeatable)")
}

// change sends the change, prints what became of it and waits if that is asked for.
// Problems are located in docs, the documents that it came from.
func (a *app) change(ctx context.Context, change api.Change, docs []intent.Document, w waiting, print func(api.Result) error) error {
	client, err := a.connect()
	if err != nil {
		return err
	}
	result, err := ask(ctx, a, change, docs, client.Apply)
	if err != nil {
		return err
	}
	if err := print(result); err != nil {
		return err
	}
	if !w.wait {
		return nil
	}
	return a.wait(ctx, client, result.Revision, w.timeout)
}

// ask sends the change by send. Problems are located in docs.
func ask[T any](ctx context.Context, a *app, change api.Change, docs []intent.Document, send func(context.Context, api.Change) (T, error)) (T, error) {
	defer a.patience("the controller")()
	answer, err := send(ctx, change)
	var ps intent.Problems
	if errors.As(err, &ps) {
		return answer, intent.Locate(ps, docs)
	}
	return answer, err
}

func (a *app) printResult(r api.Result, dryRun bool) error {
	return a.print(r, func() error { return a.printOutcomes(r, dryRun) })
}

func (a *app) printOutcomes(r api.Result, dryRun bool) error {
	note := ""
	if dryRun {
		note = " (dry run)"
	}
	for _, o := range r.Outcomes {
		if _, err := fmt.Fprintf(a.Out, "%s/%s %s%s\n", o.Kind.Noun(), printable(o.Name), o.Action, note); err != nil {
			return err
		}
	}
	return nil
}

// readFiles decodes the documents of all files, and notes which are no intent.
func (a *app) readFiles(cmd *cobra.Command, names []string) ([]intent.Document, intent.Set, error) {
	var set intent.Set
	if len(names) == 0 {
		return nil, set, usageError("`%s` needs -f FILE; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())
	}
	var docs []intent.Document
	var problems intent.Problems
	for _, name := range names {
		got, err := a.readFile(name)
		var ps intent.Problems
		switch {
		case errors.As(err, &ps):
			problems = append(problems, ps...)
		case err != nil:
			return nil, set, err
		}
		docs = append(docs, got...)
	}
	if len(problems) > 0 {
		return nil, set, problems
	}
	for _, d := range docs {
		if o, ok := d.Value.(intent.Object); ok {
			set.Add(o)
		} else {
			a.progress("%s:%d: a document of the lab is left out: `sarn lab` reads it", d.File, d.Line)
		}
	}
	if len(set.Objects()) == 0 {
		return nil, set, usageError("no objects in %s", strings.Join(names, ", "))
	}
	return docs, set, nil
}

// readFile decodes one -f: standard input, a directory's files or a file.
func (a *app) readFile(name string) ([]intent.Document, error) {
	if name == "-" {
		data, err := io.ReadAll(a.In)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return intent.Decode("stdin", data, lab.Extra())
	}
	fi, err := os.Stat(name)
	if err != nil {
		return nil, usageError("read file: %w", err)
	}
	paths := []string{name}
	if fi.IsDir() {
		if paths, err = yamlFiles(name); err != nil {
			return nil, err
		}
	}
	var docs []intent.Document
	var problems intent.Problems
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, usageError("read file: %w", err)
		}
		got, err := intent.Decode(path, data, lab.Extra())
		var ps intent.Problems
		switch {
		case errors.As(err, &ps):
			problems = append(problems, ps...)
		case err != nil:
			return nil, err
		}
		docs = append(docs, got...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return docs, nil
}

// yamlFiles lists a directory's own YAML files, by name.
func yamlFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, usageError("read directory: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	if len(paths) == 0 {
		return nil, usageError("%s has no *.yaml files", dir)
	}
	return paths, nil
}
