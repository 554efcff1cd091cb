package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/api"
	"sarn/internal/doctor"
	"sarn/internal/intent"
)

const (
	// asking is how long the controller may take to answer all that doctor asks it.
	asking = 10 * time.Second
	// storeDir is where `sarn server` keeps its store unless told otherwise.
	storeDir = "/var/lib/sarn"
)

func (a *app) doctorCommand() *cobra.Command {
	var (
		node    string
		offline bool
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what keeps this machine's network from working",
		Long: `Examines the machine that it runs on, in the network namespace that it runs in, and
says for each trouble its cause and its cure as commands to type. It changes nothing.
The controller says which addresses and interfaces the node should have: the one that
the agent here talks to, unless --server, --lab or SARN_SERVER names one. Without it,
or with --offline, what can be checked all the same is checked. In a lab:
` + "`sarn lab exec host1 -- sarn doctor`" + `.

The exit code is 5 if there is a problem, and 0 if there are warnings at most.`,
		Example: "  sarn doctor\n  sarn doctor --node host1 -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("node") {
				if err := checkNode(node); err != nil {
					return err
				}
			}
			if offline && (a.target.server != "" || a.target.lab != "") {
				return usageError("--offline asks no controller; give it, or --server or --lab")
			}
			told, err := a.askForDoctor(cmd.Context(), node, offline)
			if err != nil {
				return err
			}
			defer a.patience("answers of the kernel and of the other nodes")()
			facts, err := doctor.Gather(cmd.Context(), told, storeDir)
			if err != nil {
				return err
			}
			return a.printDiagnosis(told, doctor.Examine(facts))
		},
	}
	f := cmd.Flags()
	f.StringVar(&node, "node", "", "`name` of the node that this machine is (default: as its agent says, otherwise the host name)")
	f.BoolVar(&offline, "offline", false, "do not ask the controller")
	completeBy(cmd, "node", a.objectNames(intent.KindNode, false))
	return cmd
}

// askForDoctor asks the controller what this machine is for. One that does not answer
// is for doctor to tell; an error is that the command line makes no sense.
func (a *app) askForDoctor(ctx context.Context, node string, offline bool) (doctor.Intent, error) {
	agents, err := doctor.Agents()
	if err != nil {
		return doctor.Intent{}, err
	}
	var agent doctor.Agent
	if len(agents) > 0 {
		agent = agents[0]
	}
	told := doctor.Intent{Offline: offline, Name: firstOf(node, agent.Flag("node"), a.Getenv("SARN_LAB_NODE"), hostname())}
	if offline {
		return told, nil
	}
	where, err := a.chooseForDoctor(agent)
	if err != nil {
		return told, err
	}
	told.Where, told.Default = where.endpoint.Address, where.why == ""
	client, err := api.New(where.endpoint)
	if err != nil {
		return told, usageError("%w", err)
	}
	defer client.Close()
	defer a.patience("the controller")()
	limited, stop := context.WithTimeout(ctx, asking)
	defer stop()
	told.Err = fetchIntent(limited, client, &told)
	var nobody *api.UnreachableError
	switch {
	case told.Err == nil:
	case !errors.As(told.Err, &nobody): // refused: a node's certificate may read its own state only
		if err := fetchState(limited, client, &told); err == nil {
			told.Err = nil
		}
	case nobody.Why == "":
		told.Err = nobody.Err // without the address, which the finding names
	}
	return told, ctx.Err()
}

// chooseForDoctor prefers the controller that the agent here talks to, over the one that
// a person's other commands go to. It gives no reason if there is none but the default.
func (a *app) chooseForDoctor(agent doctor.Agent) (choice, error) {
	named := a.target.server != "" || a.target.lab != "" || a.Getenv("SARN_SERVER") != ""
	conf, err := a.loadConfig()
	if err != nil {
		return choice{}, err
	}
	switch address := agent.Flag("server"); {
	case named:
		return a.choose()
	case address != "":
		e := api.Endpoint{Address: address, CA: agent.Flag("tls-ca"), Cert: agent.Flag("tls-cert"), Key: agent.Flag("tls-key")}
		if current := conf.Contexts[conf.Current]; current.Server == address {
			e = current.endpoint() // a person may read more than a node
		}
		return choice{a.override(e), "the agent here talks to it"}, nil
	case a.Getenv("SARN_LAB") != "":
		return a.chooseLab(a.Getenv("SARN_LAB"))
	}
	c, err := a.choose()
	if conf.Current == "" && c.endpoint.Address == "unix://"+a.defaultSocket() {
		c.why = ""
	}
	return c, err
}

// fetchIntent fills in what the controller knows.
func fetchIntent(ctx context.Context, client *api.Client, told *doctor.Intent) error {
	w := intent.NewWorld()
	for _, kind := range intent.Kinds {
		objects, err := client.List(ctx, kind)
		if err != nil {
			return err
		}
		for _, o := range objects {
			w.Put(o)
		}
	}
	nodes, err := client.Status(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Node == told.Name {
			told.Connected, told.Trouble = n.Connected, n.Error
		}
	}
	told.World = w
	return nil
}

// fetchState fills in what the node's own certificate gets to know.
func fetchState(ctx context.Context, client *api.Client, told *doctor.Intent) error {
	m, err := client.State(ctx, told.Name)
	if err != nil {
		return err
	}
	told.State = m[""]
	return nil
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// printDiagnosis prints what is wrong first, and ends the program accordingly.
func (a *app) printDiagnosis(told doctor.Intent, all []doctor.Finding) error {
	if err := a.print(all, func() error { return a.printSickList(told, all) }); err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(f doctor.Finding) bool { return f.Status == doctor.Problem }) {
		return errMissed()
	}
	return nil
}

func (a *app) printSickList(told doctor.Intent, all []doctor.Finding) error {
	const margin = "         "
	var b strings.Builder
	counts := map[doctor.Status]int{}
	for _, status := range []doctor.Status{doctor.Problem, doctor.Warning, doctor.OK, doctor.Skipped} {
		for _, f := range all {
			if f.Status != status {
				continue
			}
			counts[status]++
			switch status {
			case doctor.OK:
				fmt.Fprintf(&b, "%-9s%-17s%s\n", status, f.Check, printable(f.Seen))
				continue
			case doctor.Skipped:
				continue // they follow by their reasons
			}
			word := fmt.Sprintf("%-9s", strings.ToUpper(string(status)))
			if a.colourful() {
				word = red(word)
			}
			fmt.Fprintf(&b, "%s%s: %s\n", word, f.Check, printable(f.Cause))
			for _, line := range f.Cure {
				fmt.Fprintf(&b, "%s  %s\n", margin, printable(line))
			}
			b.WriteByte('\n')
		}
	}
	for _, line := range skippedLines(all) {
		fmt.Fprintf(&b, "%-9s%s\n", doctor.Skipped, printable(line))
	}
	if !a.noHeaders {
		fmt.Fprintf(a.Out, "%s: problems %d, warnings %d, ok %d, skipped %d\n\n", printable(told.Name),
			counts[doctor.Problem], counts[doctor.Warning], counts[doctor.OK], counts[doctor.Skipped])
	}
	_, err := fmt.Fprint(a.Out, b.String())
	return err
}

// skippedLines names, for each reason, the checks that were skipped for it.
func skippedLines(all []doctor.Finding) []string {
	var reasons []string
	checks := map[string][]string{}
	for _, f := range all {
		if f.Status != doctor.Skipped {
			continue
		}
		if checks[f.Cause] == nil {
			reasons = append(reasons, f.Cause)
		}
		checks[f.Cause] = append(checks[f.Cause], f.Check)
	}
	for i, r := range reasons {
		reasons[i] = strings.Join(checks[r], ", ") + ": " + r
	}
	return reasons
}
