package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// app holds what all commands share: the state and the global flags.
type app struct {
	State
	target    target
	format    format
	noHeaders bool
}

const (
	groupIntent  = "intent"
	groupSystem  = "system"
	groupProgram = "program"
)

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sarn",
		Short: "A private cloud's network on plain Linux",
		Long: `Sarn is a private cloud's network on plain Linux: bridges, proxy ARP, policy
routing, host routes and nftables, kept as declared by an agent on each machine.`,
		Example: `  sarn apply -f examples/two-hosts.yaml --wait
  sarn port create vm7 --subnet net1 --node host1
  sarn status`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.AddGroup(
		&cobra.Group{ID: groupIntent, Title: "What the network should be:"},
		&cobra.Group{ID: groupSystem, Title: "What makes it so:"},
		&cobra.Group{ID: groupProgram, Title: "This program:"},
	)
	group(root, groupIntent, a.applyCommand(), a.deleteCommand(), a.planCommand(), a.vpcCommand(), a.subnetCommand(), a.nodeCommand(), a.portCommand())
	group(root, groupSystem, a.statusCommand(), a.traceCommand(), a.doctorCommand(), a.ipamCommand(), a.serverCommand(), a.agentCommand(), a.labCommand(), a.topCommand(), a.monitorCommand(), a.benchCommand(), a.pkiCommand())
	group(root, groupProgram, a.contextCommand(), a.versionCommand())
	root.SetHelpCommandGroupID(groupProgram)
	root.SetCompletionCommandGroupID(groupProgram)
	root.AddCommand(
		&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodesHelp},
		&cobra.Command{Use: "environment", Short: "Environment variables, and which controller a command talks to", Long: environmentHelp},
	)
	a.globalFlags(root)
	strict(root)
	return root
}

func group(root *cobra.Command, id string, cmds ...*cobra.Command) {
	for _, c := range cmds {
		c.GroupID = id
		root.AddCommand(c)
	}
}

func (a *app) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.VarP(&a.format, "output", "o", "how to print: `table`, json or yaml")
	f.BoolVar(&a.noHeaders, "no-headers", false, "leave a table's first line out")
	f.StringVar(&a.target.server, "server", "", "controller to talk to: `unix:///path`, http://127.0.0.1:port or https://host:port")
	f.StringVar(&a.target.lab, "lab", "", "talk to the controller of this `lab`")
	f.StringVar(&a.target.ca, "tls-ca", "", "PEM `file`: who signs the other side's certificates")
	f.StringVar(&a.target.cert, "tls-cert", "", "PEM `file`: the certificate to show")
	f.StringVar(&a.target.key, "tls-key", "", "PEM `file`: the certificate's key")
	complete(root, "output", formats...)
}

// complete offers words for a flag. It panics if there is no such flag, which a
// test of the command tree would see.
func complete(cmd *cobra.Command, flag string, words ...string) {
	completeBy(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeList offers words for a flag that takes several, with commas between.
func completeList(cmd *cobra.Command, flag string, words ...string) {
	completeBy(cmd, flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndex(typed, ",")+1]
		offered := make([]string, len(words))
		for i, word := range words {
			offered[i] = before + word
		}
		return offered, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

func completeBy(cmd *cobra.Command, flag string, fn cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, fn); err != nil {
		panic(err)
	}
}

// strict makes every mistake on the command line one line and exit code 2.
func strict(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(flagError)
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		}
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError("%w; see `%s --help`", err, cmd.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

func unknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
			names = append(names, sub.Name())
			names = append(names, sub.Aliases...)
		}
	}
	return usageError("`%s` has no command %q%s; see `%s --help`", cmd.CommandPath(), word, suggest(word, names), cmd.CommandPath())
}

// suggest returns a question about the name that word is nearest to, if one is near.
func suggest(word string, names []string) string {
	const near = 2
	best, least := "", near+1
	for _, n := range names {
		d := distance(word, n)
		if len(word) > 1 && strings.HasPrefix(n, word) {
			d = 1
		}
		if d < least && d < max(len(word), len(n)) {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance counts the letters to add, drop or change between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// names checks that at least one and, unless many, at most one argument is given.
func names(what string, many bool) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return fmt.Errorf("name the %s", what)
		case len(args) > 1 && !many:
			return fmt.Errorf("one %s at a time: %q is too much", what, args[1])
		}
		return nil
	}
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is too much: this command takes no names", args[0])
	}
	return nil
}

// required reports the first of the flags that is not given.
func required(cmd *cobra.Command, flags ...string) error {
	at := slices.IndexFunc(flags, func(f string) bool { return !cmd.Flags().Changed(f) })
	if at < 0 {
		return nil
	}
	return usageError("`%s` needs --%s; see `%s --help`", cmd.CommandPath(), flags[at], cmd.CommandPath())
}
