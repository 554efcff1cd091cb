package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/bench/compare"
	"sarn/internal/bench/load"
)

// comparing holds the flags of bench compare.
type comparing struct {
	loadOptions
	warmup        seconds
	rounds        int
	seed          uint64
	chart, report string
}

func (a *app) benchCompareCommand() *cobra.Command {
	o := comparing{loadOptions: loadOptions{timeout: seconds(10 * time.Second)}, warmup: seconds(time.Second)}
	form := reportFormat(formatTable)
	cmd := &cobra.Command{
		Use:   "compare FILE.yaml | URL URL...",
		Short: "Compare web servers: which is faster, by how much, and how sure that is",
		Long: `Measures each server once in every round, in an order that is shuffled for each, and
says for each pair how many times as fast one is as the other, with a confidence interval,
or that no difference is shown.

A FILE names the servers and says how to start them, what to wait for, and which CPU each
gets; they are stopped at the end, whatever happens. URLs are of servers that run already.
Flags take the place of what the file says. Ctrl-C stops everything and prints the rounds
that are whole.`,
		Example: `  sarn bench compare examples/bench/five.yaml
  sarn bench compare http://127.0.0.1:8080/ http://127.0.0.1:8081/ -c 50 -k
  sarn bench compare servers.yaml --rounds 20 -t 1s --chart chart.svg --report report.html
  sarn bench compare servers.yaml -o csv`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a FILE, or two URLs or more")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.config(a, cmd, args)
			if err != nil {
				return err
			}
			return a.benchCompare(cmd.Context(), *c, &o, form)
		},
	}
	f := cmd.Flags()
	o.flags(cmd)
	f.Lookup("requests").Usage = "how `many` requests to send to each server a round"
	f.Lookup("duration").Usage = "how `long` each server is measured a round: seconds, or such as 500ms (default 2s without -n)"
	f.IntVar(&o.rounds, "rounds", 10, "how many `rounds`")
	f.Uint64Var(&o.seed, "seed", 0, "`number` that decides the order of the rounds; 0 draws one")
	f.Var(&o.warmup, "warmup", "how `long` each server is asked before the first round")
	f.StringVar(&o.chart, "chart", "", "write a bar chart of the time per request to this SVG `file` too")
	f.StringVar(&o.report, "report", "", "write a report to this HTML `file` too")
	form.flag(cmd)
	return cmd
}

// config reads the file, or makes a config of the URLs, and lets the flags that are
// given take the place of what it says.
func (o *comparing) config(a *app, cmd *cobra.Command, args []string) (*compare.Config, error) {
	c, err := comparisonOf(args)
	if err != nil {
		return nil, err
	}
	if err := o.check(cmd); err != nil {
		return nil, err
	}
	changed := cmd.Flags().Changed
	if changed("requests") || changed("duration") { // one of them alone takes the place of both
		c.Requests, c.Duration = 0, 0
		if changed("requests") {
			c.Requests = o.requests
		}
		if changed("duration") {
			c.Duration = compare.Duration(o.duration)
		}
	}
	if changed("concurrency") {
		c.Concurrency = o.concurrency
	}
	if changed("keepalive") {
		c.KeepAlive = o.keepAlive
	}
	if changed("http2") {
		c.HTTP2 = o.http2
	}
	if changed("insecure") {
		c.Insecure = o.insecure
	}
	if changed("rounds") {
		c.Rounds = o.rounds
	}
	if changed("seed") {
		c.Seed = o.seed
	}
	if changed("warmup") {
		warmup := compare.Duration(o.warmup)
		c.Warmup = &warmup
	}
	if changed("timeout") {
		c.Timeout = compare.Duration(o.timeout)
	}
	return c, o.ask(a, c)
}

// ask lets the flags about what is asked take the place of what the config says.
func (o *comparing) ask(a *app, c *compare.Config) error {
	header, err := o.header()
	if err != nil {
		return err
	}
	for name, values := range header {
		for old := range c.Headers {
			if http.CanonicalHeaderKey(old) == name {
				delete(c.Headers, old)
			}
		}
		if c.Headers == nil {
			c.Headers = map[string]string{}
		}
		c.Headers[name] = strings.Join(values, ", ")
	}
	if o.body != "" {
		body, err := o.readBody(a.In)
		if err != nil {
			return err
		}
		c.Body = string(body)
		if c.Method == "" {
			c.Method = http.MethodPost
		}
	}
	if o.method != "" {
		c.Method = o.method
	}
	return nil
}

// check says what is wrong with the flags. A nothing that is given is not one that is
// left out.
func (o *comparing) check(cmd *cobra.Command) error {
	if err := checkZero(cmd, "requests", "duration", "timeout"); err != nil {
		return err
	}
	switch {
	case o.requests < 0:
		return usageError("-n %d: a round has a request at least", o.requests)
	case o.concurrency < 1:
		return usageError("-c %d: there is a request under way at least", o.concurrency)
	case o.rounds < 1:
		return usageError("--rounds %d: there is a round at least", o.rounds)
	}
	for _, file := range []string{o.chart, o.report} { // told now, not when all is measured
		if _, err := os.Stat(filepath.Dir(file)); err != nil {
			return usageError("write %s: %w", file, err)
		}
	}
	return nil
}

// comparisonOf returns the config that the arguments stand for.
func comparisonOf(args []string) (*compare.Config, error) {
	if len(args) == 1 && !strings.Contains(args[0], "://") {
		data, err := os.ReadFile(args[0])
		if err != nil {
			return nil, usageError("read the comparison's file: %w", err)
		}
		c, err := compare.Parse(args[0], data)
		if err != nil {
			return nil, usageError("%w", err)
		}
		return c, nil
	}
	if len(args) == 1 {
		return nil, usageError("one URL is nothing to compare; name another, or a FILE")
	}
	c := &compare.Config{}
	times := map[string]int{}
	for _, arg := range args {
		if !strings.Contains(arg, "://") {
			return nil, usageError("%q is not a URL such as http://127.0.0.1:8080/; a FILE stands alone", arg)
		}
		name := arg
		if times[arg]++; times[arg] > 1 {
			name = fmt.Sprintf("%s (%d)", arg, times[arg])
		}
		c.Servers = append(c.Servers, compare.ServerConfig{Name: name, URL: arg})
	}
	return c, nil
}

func (a *app) benchCompare(ctx context.Context, c compare.Config, o *comparing, form reportFormat) error {
	conf, err := a.target.clientTLS(false) // the file may say that any will do
	if err != nil {
		return err
	}
	line := &liveLine{a: a}
	comparison, err := compare.New(c, compare.Deps{
		Measure: func(ctx context.Context, c load.Config) (*load.Result, error) {
			test, err := load.New(c)
			if err != nil {
				return nil, err
			}
			return test.Run(ctx)
		},
		Progress: func(p compare.Progress) { line.show(p) },
		TLS:      conf,
	})
	if err != nil {
		return usageError("%w", err)
	}
	result, err := comparison.Run(ctx)
	line.end()
	if result == nil {
		return err
	}
	result.Program, result.Go = a.version(), runtime.Version()
	if err := errors.Join(a.printComparison(result, form), a.writeComparison(result, o)); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	for _, s := range result.Servers {
		if s.Failure != "" {
			err = errors.Join(err, fmt.Errorf("%s dropped out: %s", s.Name, s.Failure))
		}
	}
	return err
}

// liveLine says on standard error how far a comparison is: on a terminal in one line
// that is written again and again, otherwise once a round.
type liveLine struct {
	a       *app
	written bool
}

func (l *liveLine) show(p compare.Progress) {
	words := liveWords(p)
	if isTerminal(l.a.Err) {
		fmt.Fprintf(l.a.Err, "\r\x1b[K%s", printable(words))
		l.written = true
		return
	}
	if p.Phase != compare.Measuring || p.Place == 1 {
		l.a.progress("%s", words)
	}
}

func (l *liveLine) end() {
	if l.written {
		fmt.Fprint(l.a.Err, "\r\x1b[K")
	}
}

func liveWords(p compare.Progress) string {
	switch p.Phase {
	case compare.Measuring:
		left := ""
		if p.Left > 0 {
			left = fmt.Sprintf(", about %s left", max(p.Left, time.Second).Round(time.Second))
		}
		return fmt.Sprintf("round %d of %d: %s (%d of %d)%s", p.Round, p.Rounds, p.Server, p.Place, p.Of, left)
	case compare.Stopping:
		return "stopping the servers"
	}
	return fmt.Sprintf("%s %s", p.Phase, p.Server)
}
