package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"sarn/internal/api"
	"sarn/internal/daemon"
	"sarn/internal/intent"
)

// State is what a run of the program works with instead of the process's own.
type State struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	// Version is what the linker set, or empty to go by the build's own record.
	Version string
}

// The exit codes, as `sarn help exit-codes` documents them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitTimeout     = 4
	exitMissed      = 5
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

const exitCodesHelp = `Exit codes of every command:

    0  done
    1  failed
    2  bad usage or bad input: nothing was changed
    3  the controller, or the monitor of --host, cannot be reached
    4  the time for --wait ran out
    5  an expectation was missed (lab test, lab ping-all), a packet gets no
       answer (trace), or something is wrong (doctor, ipam check)
  130  interrupted (Ctrl-C)`

// Run runs the program with the arguments and returns its exit code.
func Run(ctx context.Context, args []string, s State) int {
	ctx, stop := daemon.Interruptible(ctx)
	defer stop()
	a := &app{State: s}
	root := a.rootCommand()
	root.SetArgs(append([]string{}, args...)) // for nil cobra takes those of the process
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(s.Err, "interrupted")
		return exitInterrupted
	}
	code := exitCode(err)
	if code == exitUnreachable {
		err = a.explain(err)
	}
	for _, line := range errorLines(err) {
		fmt.Fprintf(s.Err, "sarn: %s\n", printable(line))
	}
	return code
}

// errorLines returns what there is to say of an error. A problem is one line, whatever
// the name holds that it is about.
func errorLines(err error) []string {
	var status *exitError
	if errors.As(err, &status) {
		err = status.err
	}
	switch err := err.(type) { //nolint:errorlint // one that is wrapped has more to say
	case nil:
		return nil
	case intent.Problems:
		lines := make([]string, len(err))
		for i, p := range err {
			lines[i] = p.String()
		}
		return lines
	default:
		return strings.Split(err.Error(), "\n")
	}
}

// exitError ends the program with a code of its own. Without an error it says
// nothing: the command has printed what there was to say.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError says that the command line or a file is wrong.
func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// errMissed ends the program after a report of expectations that were missed.
func errMissed() error { return &exitError{code: exitMissed} }

func exitCode(err error) int {
	var (
		status   *exitError
		problems intent.Problems
		timedOut *api.WaitError
		nobody   *api.UnreachableError
	)
	switch {
	case errors.As(err, &status):
		return status.code
	case errors.As(err, &problems):
		return exitUsage
	case errors.As(err, &timedOut):
		return exitTimeout
	case errors.As(err, &nobody):
		return exitUnreachable
	}
	return exitFailed
}

// runDir is where local controllers have their sockets.
func (a *app) runDir() string {
	if dir := a.Getenv("SARN_RUN_DIR"); dir != "" {
		return dir
	}
	return "/run/sarn"
}

// progress prints a line for who waits.
func (a *app) progress(format string, args ...any) {
	fmt.Fprintln(a.Err, printable(fmt.Sprintf(format, args...)))
}

// hostname is the default name of the node that this machine is.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, _, _ = strings.Cut(name, ".")
	return strings.ToLower(name)
}
