package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/api"
)

// quiet is how long a command works before it says what it waits for.
const quiet = 2 * time.Second

// waiting holds the flags of commands that can wait for the nodes.
type waiting struct {
	wait    bool
	timeout time.Duration
}

func (w *waiting) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&w.wait, "wait", false, "wait until every node has applied and verified it")
	secondsVar(f, &w.timeout, "timeout", time.Minute, "how `long` --wait waits: seconds, or such as 5m")
}

func (w *waiting) check(cmd *cobra.Command) error {
	switch {
	case cmd.Flags().Changed("timeout") && !w.wait:
		return usageError("--timeout says how long --wait waits; give --wait too")
	case w.timeout <= 0:
		return usageError("--timeout must be more than nothing")
	}
	return nil
}

// wait waits until every node holds what the revision wants of it, and says whom it
// waits for when that takes a while.
func (a *app) wait(ctx context.Context, client *api.Client, revision int64, timeout time.Duration) error {
	end := time.Now().Add(timeout)
	said := ""
	for {
		err := client.Wait(ctx, revision, min(quiet, time.Until(end)))
		var late *api.WaitError
		if !errors.As(err, &late) {
			return err
		}
		var behind []string
		for _, n := range late.Statuses {
			if !n.InSync() {
				behind = append(behind, syncWords(n))
			}
		}
		words := strings.Join(behind, "; ")
		if time.Until(end) <= 0 {
			return &exitError{exitTimeout, fmt.Errorf("not everywhere after %s: %s", timeout, words)}
		}
		if words != said {
			a.progress("waiting: %s", words)
			said = words
		}
	}
}

// patience says whom a command waits for, if it has to wait. The function that it
// returns ends that.
func (a *app) patience(whom string) func() {
	t := time.AfterFunc(quiet, func() { a.progress("waiting for %s", whom) })
	return func() { t.Stop() }
}
