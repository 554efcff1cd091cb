package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	// What is started dies with the thread that started it: this one, which must be the
	// program's own.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "monitor:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	program  string
	crowd    int
	rounds   int
	turn     time.Duration
	viewers  []int
	days     int
	month    string
	only     string
	json     string
	pictures string
}

// The parts that -only chooses from.
const (
	partScreens = "screens"
	partOnce    = "once"
	partServe   = "serve"
	partHistory = "history"
)

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("monitor", flag.ExitOnError)
	f.StringVar(&o.program, "sarn", "bin/sarn", "the program to measure")
	f.IntVar(&o.crowd, "crowd", 1000, "extra processes")
	f.IntVar(&o.rounds, "rounds", 3, "turns of each tool")
	seconds := f.Int("seconds", 20, "of a turn that are counted; a server's is half as long")
	viewers := f.String("viewers", "0,10,100,1000", "how many look on at a server; 0 must be there")
	f.IntVar(&o.days, "days", 30, "of history")
	f.StringVar(&o.month, "history", "", "directory of a history to use, made if it is missing; else it is made anew")
	f.StringVar(&o.only, "only", "", "parts, with commas between: screens, once, serve, history")
	f.StringVar(&o.json, "json", "", "file for all figures")
	f.StringVar(&o.pictures, "o", "", "directory for pictures")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.turn = time.Duration(*seconds) * time.Second
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is too much", f.Arg(0))
	case o.crowd < 0 || o.crowd > 20000:
		return o, errors.New("-crowd is from 0 to 20000")
	case o.rounds < 1 || o.turn < time.Second || o.days < 1:
		return o, errors.New("-rounds, -seconds and -days are 1 or more")
	}
	for word := range strings.SplitSeq(*viewers, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 0 || n > 5000 {
			return o, fmt.Errorf("-viewers: %q is not a number from 0 to 5000", word)
		}
		o.viewers = append(o.viewers, n)
	}
	if o.only == "" {
		o.only = strings.Join([]string{partScreens, partOnce, partServe, partHistory}, ",")
	}
	for part := range strings.SplitSeq(o.only, ",") {
		switch part {
		case partScreens, partOnce, partServe, partHistory:
		default:
			return o, fmt.Errorf("-only: %q is no part", part)
		}
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.program, err = filepath.Abs(o.program); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-monitor")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c, err := gather(dir, o.crowd)
	if err != nil {
		return err
	}
	defer c.end()
	say("%d extra processes, of which %d wake up", o.crowd, c.wakeful)

	r := newReport(&o)
	for part := range strings.SplitSeq(o.only, ",") {
		measure := map[string]func(context.Context, *options, string, *report) error{
			partScreens: measureScreens, partOnce: measureOnce, partServe: measureServe, partHistory: measureHistory,
		}[part]
		if err := measure(ctx, &o, dir, r); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return r.write(&o)
}

// say tells how far it is.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
