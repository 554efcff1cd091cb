package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/signal"
	"strings"
	"sync"
	"syscall"
)

// Task is a part of a program that runs until it is told to stop.
type Task interface {
	// Run works until ctx ends and returns after everything that it started. A
	// return before that, with an error or without, stops the program.
	Run(ctx context.Context) error
	// Ready is closed when the task does what it is for.
	Ready() <-chan struct{}
	// String names the task for logs.
	String() string
}

// Interruptible returns a context that ends at the first SIGINT or SIGTERM. The
// second one kills the program, since whoever sends it no longer wants to wait.
func Interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Run runs the tasks until ctx ends, which is no error, or until one of them ends,
// which stops the others. When all are ready it says so in the log and to the
// service manager at the socket notify, if there is one.
func Run(ctx context.Context, log *slog.Logger, notify string, tasks ...Task) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(tasks))
	var wg sync.WaitGroup
	for i, t := range tasks {
		wg.Go(func() {
			defer stop()
			errs[i] = run(ctx, t)
		})
	}
	wg.Go(func() { announce(ctx, log, notify, tasks) })
	wg.Wait()
	return errors.Join(errs...)
}

func run(ctx context.Context, t Task) error {
	err := t.Run(ctx)
	switch {
	case ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())):
		return nil
	case err == nil:
		return fmt.Errorf("%s ended by itself", t)
	}
	return fmt.Errorf("%s: %w", t, err)
}

// announce tells that all tasks are ready, and later that they are told to stop.
func announce(ctx context.Context, log *slog.Logger, notify string, tasks []Task) {
	names := make([]string, len(tasks))
	for i, t := range tasks {
		names[i] = t.String()
		select {
		case <-ctx.Done():
			return
		case <-t.Ready():
		}
	}
	log.Info("ready", "tasks", strings.Join(names, ", "))
	say(log, notify, "READY=1")
	GiveBack()
	<-ctx.Done()
	log.Info("stopping")
	say(log, notify, "STOPPING=1")
}

// say sends one word of the service manager's protocol, sd_notify(3).
func say(log *slog.Logger, notify, word string) {
	if notify == "" {
		return
	}
	conn, err := net.Dial("unixgram", notify) // a leading '@', an abstract socket, is Go's notation too
	if err == nil {
		_, err = conn.Write([]byte(word))
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		log.Warn("the service manager did not hear", "word", word, "error", err)
	}
}
