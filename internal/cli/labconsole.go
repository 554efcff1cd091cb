package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sarn/internal/lab"
)

// leave is Ctrl-], with which telnet is left too.
const leave = 0x1d

func (a *app) labConsoleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "console VM",
		Short: "The console of a VM of the kind qemu",
		Long: `Connects the terminal to the VM's serial console. Ctrl-] leaves it; the VM goes on. What
it has said so far stands in vms/VM/console.log of the lab's directory.`,
		Example:           "  sarn lab console guest",
		Args:              names("VM", false),
		ValidArgsFunction: a.consoleNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, d, err := a.oneLab(cmd.Context())
			if err != nil {
				return err
			}
			m, err := d.Find(args[0])
			if err != nil {
				return usageError("%w", err)
			}
			return a.console(cmd.Context(), m)
		},
	}
}

// console connects standard input and output to the VM's console until somebody leaves.
func (a *app) console(ctx context.Context, m lab.Member) error {
	c, err := m.Console(ctx)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	if f, ok := a.In.(*os.File); ok && isTerminal(f) {
		before, err := term.MakeRaw(int(f.Fd()))
		if err != nil {
			return fmt.Errorf("prepare the terminal: %w", err)
		}
		defer term.Restore(int(f.Fd()), before) //nolint:errcheck // there is no other way back
		fmt.Fprintf(a.Err, "%s: Ctrl-] leaves\r\n", m.Name)
		if _, err := io.WriteString(c, "\n"); err != nil { // for a prompt
			return err
		}
	}
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(a.Out, c)
		ended <- err
	}()
	go func() {
		if typed(c, a.In) {
			ended <- nil
		}
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	fmt.Fprint(a.Err, "\r\n")
	return err
}

// typed passes on what is typed, and reports whether that ended because somebody left.
func typed(w io.Writer, r io.Reader) bool {
	b := make([]byte, 1024)
	for {
		n, err := r.Read(b)
		at := bytes.IndexByte(b[:n], leave)
		if at >= 0 {
			n = at
		}
		if _, writeErr := w.Write(b[:n]); writeErr != nil || at >= 0 {
			return true
		}
		if err != nil {
			return false // a pipe's end: what the VM answers is still to come
		}
	}
}

// runInVM runs the command in a VM that the lab runs, and returns its exit code.
func (a *app) runInVM(m lab.Member, c *exec.Cmd) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	words := make([]string, len(c.Args))
	for i, w := range c.Args {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	code, err := m.Exec(ctx, strings.Join(words, " "), a.Out)
	if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return exitInterrupted, nil
	}
	return code, err
}

// consoleNames completes the VMs that have consoles.
func (a *app) consoleNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	_, d, err := a.oneLab(cmd.Context())
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []string
	for _, m := range d.Members {
		if m.Lines != "" {
			found = append(found, m.Name)
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
