package cli

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"sarn/internal/lab"
)

func (a *app) labExecCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec MEMBER [--] COMMAND [ARG...]",
		Short: "Run a command inside a VM, node, machine or network",
		Long: `The command runs in the member's network namespace. The lab's names are in its
/etc/hosts, and /sys shows the member's own devices. Everything else is this machine's.
Its exit code is passed on. Flags for sarn itself stand before the member.

In a VM of the kind qemu the command is the VM's own and runs there, one at a time, with
an empty standard input, and its errors on standard output.`,
		Example: "  sarn lab exec vm1 ping -c 3 vm3\n  sarn lab exec --lab two-hosts router -- tcpdump -ni enp0s8",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the member and the command to run in it")
			}
			if len(command(args)) == 0 {
				return errors.New("give the command to run; a shell is `sarn lab shell " + args[0] + "`")
			}
			return nil
		},
		ValidArgsFunction: a.memberNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			one, d, err := a.oneLab(cmd.Context())
			if err != nil {
				return err
			}
			m, err := d.Find(args[0])
			if err != nil {
				return usageError("%w", err)
			}
			argv := command(args)
			c := exec.Command(argv[0], argv[1:]...)
			c.Stdin = a.In
			code, err := a.runInside(one, d, m, c)
			return exitWith(code, err)
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the member is the command's
	return cmd
}

// command cuts the member, and the -- that may follow it, off the arguments.
func command(args []string) []string {
	args = args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	return args
}

func exitWith(code int, err error) error {
	if err == nil && code != 0 {
		return &exitError{code: code}
	}
	return err
}

// runInside runs the command inside the member and returns its exit code. Ctrl-C is
// the command's: the terminal sends it to both, and only the command heeds it.
func (a *app) runInside(one *lab.Lab, d *lab.Directory, m lab.Member, c *exec.Cmd) (int, error) {
	if m.Lines != "" {
		return a.runInVM(m, c)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	defer signal.Stop(signals)
	c.Stdout, c.Stderr = a.Out, a.Err
	if err := one.Start(d, m, c); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for {
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				// It may have ended by itself; then there is nobody to tell.
				_ = c.Process.Signal(s)
			}
		case err := <-done:
			var ended *exec.ExitError
			if err != nil && !errors.As(err, &ended) {
				return 0, err
			}
			return exitStatus(c.ProcessState), nil
		}
	}
}

// exitStatus is the exit code as a shell gives it.
func exitStatus(s *os.ProcessState) int {
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return s.ExitCode()
}

// memberNames completes the names of everything in the lab.
func (a *app) memberNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	_, d, err := a.oneLab(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return d.Names(), cobra.ShellCompDirectiveNoFileComp
}
