package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// settle is how long viewers look on before it counts: the first samples are whole.
const settle = 3 * time.Second

// server is a running `sarn monitor serve`.
type server struct {
	cmd     *exec.Cmd
	address string
	log     string
}

// serve returns when the server answers. Its state is in a directory of its own.
func serve(ctx context.Context, o *options, state string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{address: l.Addr().String(), log: state + ".log"}
	_ = l.Close()
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.Command(o.program, "monitor", "serve", "--listen", s.address, "--state", state, "--viewers", "6000")
	s.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(state)}
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.SysProcAttr = log, log, dying()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w; build it with make, or name it with -sarn", err)
	}
	for range 600 {
		if err = s.get(ctx, "/api/v1/sample"); err == nil {
			return s, nil
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			break
		}
	}
	s.end()
	text, _ := os.ReadFile(s.log)
	return nil, fmt.Errorf("the server does not answer: %w\n%s", err, text)
}

func (s *server) pid() int { return s.cmd.Process.Pid }

func (s *server) end() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	stop := time.AfterFunc(5*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer stop.Stop()
	_ = s.cmd.Wait() // how it ended is no matter
}

// measureServe has different numbers look on at one server, in turn.
func measureServe(ctx context.Context, o *options, dir string, r *report) error {
	s, err := serve(ctx, o, filepath.Join(dir, "served"))
	if err != nil {
		return err
	}
	defer s.end()
	if err := pause(ctx, warm); err != nil {
		return err
	}
	for round := range o.rounds {
		for _, i := range rand.Perm(len(o.viewers)) {
			n := o.viewers[i]
			found, err := s.measure(ctx, n, o.turn/2)
			if err != nil {
				return fmt.Errorf("%d look on: %w", n, err)
			}
			r.served(strconv.Itoa(n)+" look on", found)
		}
		say("serve: round %d of %d", round+1, o.rounds)
	}
	return nil
}

// measure lets n look on.
func (s *server) measure(ctx context.Context, n int, turn time.Duration) (figures, error) {
	a, err := s.audience(ctx, n)
	if err != nil {
		return nil, err
	}
	defer a.leave()
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	began, before, err := usage(s.pid())
	if err != nil {
		return nil, err
	}
	received, events := a.counts()
	if err := pause(ctx, turn); err != nil {
		return nil, err
	}
	ended, after, err := usage(s.pid())
	if err != nil {
		return nil, err
	}
	receivedThen, eventsThen := a.counts()
	now, peak, err := memoryOf(s.pid())
	seconds := ended.Sub(began).Seconds()
	found := figures{servedCPU: ms(after-before) / seconds, restMemory: now, peakMemory: peak}
	if n > 0 {
		found[servedBytes] = float64(receivedThen-received) / seconds / float64(n)
		found[servedEvents] = float64(eventsThen-events) / seconds
	}
	return found, err
}

// measureHistory asks what a server with a long history has of memory.
func measureHistory(ctx context.Context, o *options, dir string, r *report) error {
	state := filepath.Join(dir, "old")
	month := o.month
	if month == "" {
		month = filepath.Join(dir, "month")
	}
	if _, err := os.Stat(month); err != nil {
		say("history: making %d days", o.days)
		if err := makeHistory(ctx, month, time.Duration(o.days)*24*time.Hour); err != nil {
			return err
		}
	}
	if err := os.CopyFS(filepath.Join(state, "history"), os.DirFS(month)); err != nil {
		return err
	}
	s, err := serve(ctx, o, state)
	if err != nil {
		return err
	}
	defer s.end()
	if err := pause(ctx, o.turn/2); err != nil {
		return err
	}
	note := func(when string, found figures) error {
		now, peak, err := memoryOf(s.pid())
		found[restMemory], found[peakMemory] = now, peak
		r.history(o.days, when, found)
		return err
	}
	if err := note("at rest", figures{}); err != nil {
		return err
	}
	a, err := s.audience(ctx, 10)
	if err != nil {
		return err
	}
	defer a.leave()
	if err := pause(ctx, o.turn/2); err != nil {
		return err
	}
	if err := note("10 viewers", figures{}); err != nil {
		return err
	}
	now := time.Now()
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	for _, ask := range []struct{ what, path string }{
		{"asked for a minute of two weeks ago", "/api/v1/history/at?time=" + stamp(now.Add(-14*24*time.Hour))},
		{"asked for a day's chart of CPU", "/api/v1/history/range?field=cpu.busy&step=2m&from=" + stamp(now.Add(-24*time.Hour)) + "&to=" + stamp(now)},
		{"asked for a chart of CPU over all days", "/api/v1/history/range?field=cpu.busy&step=1h&from=" + stamp(now.Add(-time.Duration(o.days)*24*time.Hour)) + "&to=" + stamp(now)},
	} {
		began := time.Now()
		if err := s.get(ctx, ask.path); err != nil {
			return fmt.Errorf("%s: %w", ask.what, err)
		}
		if err := note(ask.what, figures{answerTime: ms(time.Since(began))}); err != nil {
			return err
		}
	}
	return nil
}
