package compare

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"time"

	"sarn/internal/bench/load"
)

// Deps is what a comparison works with.
type Deps struct {
	// Measure runs one load test.
	Measure func(context.Context, load.Config) (*load.Result, error)
	// Progress is told what begins; nil tells nobody.
	Progress func(Progress)
	// TLS is how to speak it with https URLs; nil is the system's trust.
	TLS *tls.Config
}

// Progress is what a comparison begins with.
type Progress struct {
	Phase  Phase
	Server string
	Round  int // from 1
	Rounds int
	Place  int // of the server in its round, from 1
	Of     int
	// Left is about how long the rounds still take, 0 if nobody knows.
	Left time.Duration
}

// Phase is a part of a comparison.
type Phase string

// The phases.
const (
	Preparing Phase = "preparing"
	Starting  Phase = "starting"
	Warming   Phase = "warming up"
	Measuring Phase = "measuring"
	Stopping  Phase = "stopping"
)

// Comparison is one run of a Config.
type Comparison struct {
	config Config
	deps   Deps
}

// New makes a comparison of a config, which it fills, or says what is wrong with it.
func New(c Config, d Deps) (*Comparison, error) {
	c.Servers = slices.Clone(c.Servers)
	c.Fill()
	if ps := c.Validate(); len(ps) > 0 {
		return nil, ps
	}
	if c.Seed == 0 {
		c.Seed = uint64(rand.Uint32()) + 1 // short enough to be typed again
	}
	if c.tls = d.TLS; c.Insecure {
		if c.tls = c.tls.Clone(); c.tls == nil {
			c.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		c.tls.InsecureSkipVerify = true
	}
	return &Comparison{config: c, deps: d}, nil
}

// run is a comparison while it runs.
type run struct {
	*Comparison
	ask     *asker
	tmp     string
	cpus    CPUs // that this process may use
	servers []*contender
	result  *Result
	// measured and took are how many load tests there have been, and how long they took.
	measured int
	took     time.Duration
}

// contender is a server's part in a run.
type contender struct {
	config *ServerConfig
	proc   *server // nil if it is only addressed
	figure Server
}

// Run starts the servers, measures them and stops them. When ctx ends, what there is of
// whole rounds is returned with an error that wraps ctx's. An error without a result
// says why nothing could be measured; a server that drops out in the middle stands in the
// result. In no case does a process that was started here stay.
func (c *Comparison) Run(ctx context.Context) (result *Result, err error) {
	r := &run{Comparison: c, ask: newAsker(&c.config)}
	defer r.ask.close()
	if r.cpus, err = allowedCPUs(); err != nil {
		return nil, err
	}
	if err := r.checkCPUs(); err != nil {
		return nil, err
	}
	if r.tmp, err = os.MkdirTemp("", "sarn-compare-"); err != nil {
		return nil, fmt.Errorf("make a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.tmp)) }()
	if err := os.Chmod(r.tmp, 0o755); err != nil { // a server may have dropped its rights
		return nil, err
	}
	r.result = &Result{Title: c.config.Title, Started: time.Now(), Machine: thisMachine(), Config: c.config.public()}
	left, err := adopt(r.started)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.stop(), left.end()) }()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	undo := func() error { return nil }
	if len(c.config.Client.CPU) > 0 {
		if undo, err = pinSelf(c.config.Client.CPU, r.cpus); err != nil {
			return nil, err
		}
	}
	defer func() { err = errors.Join(err, undo()) }()
	err = r.measure(ctx)
	if len(r.result.Order) == 0 && err != nil {
		return nil, err
	}
	for _, s := range r.servers {
		r.result.Servers = append(r.result.Servers, s.figure)
	}
	r.result.Notes = r.cpuNotes()
	r.result.finish()
	r.result.Interrupted = err != nil
	r.result.Seconds = time.Since(r.result.Started).Seconds()
	return r.result, err
}

func (r *run) progress(p Progress) {
	if r.deps.Progress != nil {
		r.deps.Progress(p)
	}
}

// start brings all servers up and looks at their first answers.
func (r *run) start(ctx context.Context) error {
	all := r.config.Servers
	for i := range all {
		r.servers = append(r.servers, &contender{config: &all[i], figure: Server{Name: all[i].Name, URL: all[i].URL, Rounds: []Round{}}})
		if len(all[i].Command) == 0 {
			continue
		}
		if err := occupied(ctx, &all[i]); err != nil {
			return err
		}
	}
	for _, s := range r.servers {
		if len(s.config.Prepare) > 0 {
			r.progress(Progress{Phase: Preparing, Server: s.config.Name})
		}
		if err := prepare(ctx, s.config, r.tmp, r.cpus); err != nil {
			return err
		}
	}
	for _, s := range r.servers {
		if len(s.config.Command) == 0 {
			continue
		}
		r.progress(Progress{Phase: Starting, Server: s.config.Name})
		cpus := r.cpus
		if len(s.config.CPU) > 0 {
			cpus = s.config.CPU
		}
		var err error
		if s.proc, err = start(s.config, r.tmp, cpus); err != nil {
			return err
		}
	}
	for _, s := range r.servers {
		if err := r.greet(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// greet waits for a server to be ready and checks its first answer.
func (r *run) greet(ctx context.Context, s *contender) error {
	test := r.config.test(s.config)
	ready := test
	if s.config.Ready.URL != s.config.URL {
		u, err := url.Parse(s.config.Ready.URL)
		if err != nil {
			return fmt.Errorf("%s: %w", s.config.Name, err)
		}
		ready = load.Config{URL: u}
	}
	if err := r.ask.await(ctx, s.config, ready, s.died); err != nil {
		return err
	}
	answer, body, software, err := r.ask.get(ctx, test)
	if err != nil {
		return fmt.Errorf("%s is ready, but does not answer: %w", s.config.Name, err)
	}
	if err := s.config.Expect.meets(answer, body); err != nil {
		return fmt.Errorf("%s %w", s.config.Name, err)
	}
	s.figure.Answer, s.figure.Software = answer, software
	return nil
}

// died says how the server ended, if it has.
func (s *contender) died() error {
	if s.proc == nil {
		return nil
	}
	return s.proc.gone()
}

// started returns the servers that were started.
func (r *run) started() []*server {
	var all []*server
	for _, s := range r.servers {
		if s.proc != nil {
			all = append(all, s.proc)
		}
	}
	return all
}

// stop ends all servers that run, at the same time, since one may take its while.
func (r *run) stop() error {
	errs := make(chan error)
	running := r.started()
	if len(running) > 0 {
		r.progress(Progress{Phase: Stopping})
	}
	for _, p := range running {
		go func() { errs <- p.stop() }()
	}
	var all []error
	for range running {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

func (r *run) checkCPUs() error {
	err := checkCPUs("the client", r.config.Client.CPU, r.cpus)
	for _, s := range r.config.Servers {
		err = errors.Join(err, checkCPUs(s.Name, s.CPU, r.cpus))
	}
	return err
}

// cpuNotes says so if the client takes CPU time from the servers.
func (r *run) cpuNotes() []string {
	client := r.config.Client.CPU
	if len(client) == 0 {
		client = r.cpus
	}
	var names []string
	for _, s := range r.config.Servers {
		cpus := s.CPU
		if len(cpus) == 0 {
			cpus = r.cpus
		}
		if len(s.Command) > 0 && cpus.shares(client) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if !slices.ContainsFunc(r.config.Servers, func(s ServerConfig) bool { return !r.config.together(s) }) {
		return []string{fmt.Sprintf("the client and the servers all have CPU %s: a request takes the time that both need for it, so the servers alone differ more", client)}
	}
	who := "all servers"
	if len(names) < len(r.config.Servers) {
		who = fmt.Sprint(names)
	}
	return []string{fmt.Sprintf("the client shares CPUs with %s and takes time from them; `client: {cpu: …}` and each server's `cpu:` keep them apart", who)}
}
