package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"sarn/internal/api"
	"sarn/internal/intent"
	"sarn/internal/kernel"
)

const (
	// controllerTime is how long a controller may take to start: its store writes
	// to a disk that may be slow.
	controllerTime = 30 * time.Second
	// convergeTime is how long the agents may take to build and verify everything.
	convergeTime = 60 * time.Second
)

// Up builds the lab of a plan, whose file was source, and returns when every node has
// applied and verified what the intent asks for. It tells progress what it does. If
// anything fails, or ctx ends, everything is taken down again.
func (l *Labs) Up(ctx context.Context, p *Plan, source []byte, progress func(format string, args ...any)) (*Lab, error) {
	if err := requireRoot(); err != nil {
		return nil, err
	}
	if err := p.possible(kernel.LacksQdisc); err != nil {
		return nil, err
	}
	tools, err := p.equip(ctx, l.kernel)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make lab %s: %w", p.Name, err)
	}
	one := l.named(p.Name)
	release, err := one.lock()
	if err != nil {
		return nil, err
	}
	defer release()
	if err := one.claim(source); err != nil {
		return nil, err
	}
	if err := one.build(ctx, p, tools, progress); err != nil {
		err = one.explain(err)
		return nil, errors.Join(err, one.takeDown(context.WithoutCancel(ctx)))
	}
	return one, nil
}

// claim makes the lab's directory, whose name nothing else may have.
func (l *Lab) claim(source []byte) error {
	if l.there() {
		return l.taken()
	}
	// An empty directory is what a crash leaves of a claim.
	if err := os.Remove(l.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l.strange()
	}
	err := os.Mkdir(l.dir, 0o755)
	if err == nil {
		err = os.WriteFile(l.path(mark), source, 0o644)
	}
	for _, d := range []string{"netns", "guests", "logs", "pids"} {
		if err == nil {
			err = os.Mkdir(l.path(d), 0o755)
		}
	}
	if err != nil {
		return fmt.Errorf("make lab %s: %w", l.Name, err)
	}
	return nil
}

// taken says that there is a lab of this name.
func (l *Lab) taken() error {
	ps, err := l.processes()
	if err != nil {
		return err
	}
	for _, p := range ps {
		if p.alive() {
			return fmt.Errorf("lab %s is up already; take it down with `sarn lab down %s`, or give this one another name with --name", l.Name, l.Name)
		}
	}
	return fmt.Errorf("there are remains of a lab %s; clear them with: sarn lab down %s", l.Name, l.Name)
}

// strange says that something that is no lab has the lab's place.
func (l *Lab) strange() error {
	return fmt.Errorf("%s is in the way of lab %s: it is none of Sarn's, which would have a file %s in it; move it elsewhere, or give the lab another name",
		l.dir, l.Name, mark)
}

func (l *Lab) build(ctx context.Context, p *Plan, tools *equipment, progress func(string, ...any)) error {
	// The controller needs longest to start, and nothing from the rest.
	if err := l.start(serverName, "", "server", "--listen", l.Address(), "--data-dir", l.path("data")); err != nil {
		return err
	}
	if err := l.wire(ctx, p); err != nil {
		return fmt.Errorf("wire the lab: %w", err)
	}
	progress("wired %s with %s", count(len(p.Machines), "machine"), count(len(p.Networks), "network"))
	client, err := l.Client()
	if err != nil {
		return err
	}
	defer client.Close()
	var result api.Result
	err = l.attend(ctx, controllerTime, func(ctx context.Context) error {
		if err := answering(ctx, client); err != nil {
			return &stuckError{serverName, err}
		}
		result, err = client.Apply(ctx, api.Change{Set: p.Intent, Create: true})
		return err
	})
	var ps intent.Problems
	if errors.As(err, &ps) {
		return p.Locate(ps)
	}
	if err != nil {
		return fmt.Errorf("give the controller its intent: %w", err)
	}
	progress("the controller has its intent: %s, %s", count(len(p.Intent.Subnets), "subnet"), count(len(p.Intent.Ports), "port"))
	if err := l.startAgents(p); err != nil {
		return err
	}
	err = l.attend(ctx, convergeTime+time.Second, func(ctx context.Context) error {
		err := client.Wait(ctx, result.Revision, convergeTime)
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for the nodes: %w", err)
	}
	progress("%s applied and verified everything", count(len(p.Intent.Nodes), "node"))
	if len(p.VMs) > 0 {
		err := l.attend(ctx, bootTime, func(ctx context.Context) error { return l.startVMs(ctx, p, tools) })
		if err != nil {
			return fmt.Errorf("boot the VMs: %w", err)
		}
		progress("%s booted", count(len(p.VMs), "VM"))
	}
	d, err := l.Directory(ctx)
	if err != nil {
		return err
	}
	return l.writeHosts(d)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (l *Lab) startAgents(p *Plan) error {
	for _, n := range p.Intent.Nodes {
		if err := os.MkdirAll(l.guests(n.Name), 0o755); err != nil {
			return err
		}
		err := l.start(agentName(n.Name), l.netns(n.Name), "agent", "--node", n.Name,
			// One monitor sees all of a lab: its machines have one kernel.
			"--server", l.Address(), "--netns-dir", l.guests(n.Name), "--monitor", "off")
		if err != nil {
			return err
		}
	}
	return nil
}

// wire makes the namespaces and cables by the road that everything goes down.
func (l *Lab) wire(ctx context.Context, p *Plan) error {
	k, err := kernel.New(kernel.Config{NetnsDir: l.path("netns"), Owner: Owner()})
	if err != nil {
		return err
	}
	want := p.Wiring()
	have, err := k.Read(ctx, want)
	if err != nil {
		return err
	}
	delete(have, "") // the machine's own network is none of the lab's business
	ops, err := Owner().Diff(want, have)
	if err != nil {
		return err
	}
	return k.Apply(ctx, ops)
}

// answering returns when the controller answers.
func answering(ctx context.Context, c *api.Client) error {
	for {
		_, err := c.List(ctx, intent.KindNode)
		if err == nil {
			return nil
		}
		if pause(ctx, glance) != nil {
			return err
		}
	}
}

// diedError says that a process ended by itself.
type diedError struct{ process string }

func (e *diedError) Error() string { return e.process + " ended by itself" }

// stuckError says that a process does not do its work.
type stuckError struct {
	process string
	err     error
}

func (e *stuckError) Error() string { return fmt.Sprintf("%s does not answer: %v", e.process, e.err) }
func (e *stuckError) Unwrap() error { return e.err }

// attend runs f while the lab's processes live. When one dies f is called off.
func (l *Lab) attend(whole context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(whole, limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	look := time.NewTicker(5 * glance)
	defer look.Stop()
	for {
		select {
		case err := <-done:
			if whole.Err() != nil {
				return whole.Err() // the user's, whatever it looked like to f
			}
			return err
		case <-look.C:
			ps, err := l.processes()
			for _, p := range ps {
				if !p.alive() {
					err = &diedError{p.name}
				}
			}
			if err != nil {
				cancel()
				<-done //nolint:errcheck // it was called off
				return err
			}
		}
	}
}

// explain adds the end of the log that tells more about err.
func (l *Lab) explain(err error) error {
	var died *diedError
	var stuck *stuckError
	var late *api.WaitError
	var about []string
	switch {
	case errors.As(err, &died):
		about = []string{died.process}
	case errors.As(err, &stuck):
		about = []string{stuck.process}
	case errors.As(err, &late):
		for _, s := range late.Statuses {
			if !s.InSync() {
				about = append(about, agentName(s.Node))
			}
		}
	}
	var b strings.Builder
	for _, name := range about {
		if t := l.tail(l.log(name)); t != "" {
			fmt.Fprintf(&b, "\nthe end of %s's log:%s", name, t)
		}
		if vm, ok := strings.CutPrefix(name, vmName("")); ok {
			if t := l.tail(l.path("vms", vm, consoleLog)); t != "" {
				fmt.Fprintf(&b, "\nthe end of its console:%s", t)
			}
		}
	}
	if b.Len() == 0 {
		return err
	}
	return fmt.Errorf("%w%s", err, b.String())
}
