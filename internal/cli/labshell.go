package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sarn/internal/lab"
)

func (a *app) labShellCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "shell [MEMBER]",
		Short: "Give commands to every member of a lab, or open a shell in one",
		Long: `Without a member it prompts for lines such as "vm1 ping vm3": the first word is the
member, the rest a command line for its shell. With a member it opens a shell in there.
If standard input is no terminal, its lines are the commands, as in a script.

` + shellHelp,
		Example: "  sarn lab shell\n  sarn lab shell vm1\n  echo 'vm1 ping -c 1 vm3' | sarn lab shell",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return names("member", false)(cmd, args)
		},
		ValidArgsFunction: a.memberNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			// Ctrl-C is for what runs in the shell, never for the shell.
			ctx := context.WithoutCancel(cmd.Context())
			one, d, err := a.oneLab(ctx)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				m, err := d.Find(args[0])
				if err != nil {
					return usageError("%w", err)
				}
				return exitWith(a.openShell(ctx, one, d, m))
			}
			s := &labShell{app: a, lab: one, directory: d}
			return exitWith(s.run(ctx))
		},
	}
}

const shellHelp = `Commands of the prompt:

  MEMBER COMMAND...   run a command line in a VM, node, machine or network
  MEMBER              open a shell in it
  nodes               list machines, nodes and networks
  ports               list VMs
  ping-all            ping from every VM to every other
  help                this text
  exit                leave; the lab stays up`

// builtins are the words of the prompt that are not members.
var builtins = []string{"exit", "help", "nodes", "ping-all", "ports"}

// labShell is the prompt.
type labShell struct {
	app       *app
	lab       *lab.Lab
	directory *lab.Directory
	scripted  bool
}

func (a *app) openShell(ctx context.Context, one *lab.Lab, d *lab.Directory, m lab.Member) (int, error) {
	if m.Lines != "" {
		return 0, a.console(ctx, m)
	}
	program := a.Getenv("SHELL")
	if program == "" {
		program = "/bin/sh"
	}
	c := exec.Command(program)
	c.Stdin = a.In
	return a.runInside(one, d, m, c)
}

// run reads and runs lines until they end. It returns the exit code of the last one
// in a script, and 0 to a person.
func (s *labShell) run(ctx context.Context) (int, error) {
	var next func() (string, error)
	if f, ok := s.app.In.(*os.File); ok && isTerminal(f) {
		prompt, err := newPrompt(f, s.app.Out, s.app.historyFile(), s.complete)
		if err != nil {
			return 0, err
		}
		next = prompt.line
		fmt.Fprintf(s.app.Out, "lab %s; try: help\n", s.lab.Name)
	} else {
		s.scripted = true
		next = linesOf(s.app.In)
	}
	last := 0
	for {
		line, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("read commands: %w", err)
		}
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if words[0] == "exit" || words[0] == "quit" {
			break
		}
		last = s.obey(ctx, line, words)
	}
	if !s.scripted {
		return 0, nil
	}
	return last, nil
}

func linesOf(r io.Reader) func() (string, error) {
	scanner := bufio.NewScanner(r)
	return func() (string, error) {
		if scanner.Scan() {
			return scanner.Text(), nil
		}
		if err := scanner.Err(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
}

// obey runs one line and says what went wrong with it.
func (s *labShell) obey(ctx context.Context, line string, words []string) int {
	code, err := s.command(ctx, line, words)
	if err == nil {
		return code
	}
	var status *exitError
	if errors.As(err, &status) && status.err == nil {
		return status.code
	}
	fmt.Fprintln(s.app.Err, printable(err.Error()))
	return exitCode(err)
}

func (s *labShell) command(ctx context.Context, line string, words []string) (int, error) {
	d, err := s.lab.Directory(ctx) // ports come and go
	if err != nil {
		return 0, err
	}
	s.directory = d
	if slices.Contains(builtins, words[0]) {
		if len(words) > 1 {
			return 0, usageError("%s takes no words", words[0])
		}
		return 0, s.builtin(ctx, words[0])
	}
	m, err := d.Find(words[0])
	if err != nil {
		return 0, usageError("%w; see help", err)
	}
	if len(words) == 1 {
		if s.scripted {
			return 0, usageError("give a command to run in %s", m.Name)
		}
		return s.app.openShell(ctx, s.lab, d, m)
	}
	_, rest, _ := strings.Cut(strings.TrimSpace(line), words[0])
	c := exec.Command("/bin/sh", "-c", rest)
	if !s.scripted { // in a script the rest of standard input is commands
		c.Stdin = s.app.In
	}
	return s.app.runInside(s.lab, d, m, c)
}

func (s *labShell) builtin(ctx context.Context, word string) error {
	switch word {
	case "help":
		_, err := fmt.Fprintln(s.app.Out, shellHelp)
		return err
	case "ping-all":
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT)
		defer stop()
		m, err := s.lab.PingAll(ctx, s.directory, lab.PingOptions{Count: 1, Wait: time.Second})
		if errors.Is(err, context.Canceled) {
			return errors.New("interrupted")
		}
		if err != nil {
			return err
		}
		return s.app.printMatrix(m)
	}
	t := newTable("NAME", "KIND", "ADDRESS")
	if word == "ports" {
		t = newTable("NAME", "SUBNET", "HOST", "ADDRESS")
	}
	for _, m := range s.directory.Members {
		address := ""
		if m.Address.IsValid() {
			address = m.Address.String()
		}
		switch vm := m.Kind == lab.VMMember; {
		case vm && word == "ports":
			t.add(m.Name, m.Subnet, m.Host, address)
		case !vm && word == "nodes":
			t.add(m.Name, string(m.Kind), address)
		}
	}
	return s.app.printTable(t)
}

// complete offers what may stand at the end of the line.
func (s *labShell) complete(line string) (candidates []string) {
	words := s.directory.Names()
	if !strings.Contains(line, " ") {
		words = append(words, builtins...)
	}
	begun := line[strings.LastIndexByte(line, ' ')+1:]
	for _, w := range words {
		if begun != "" && strings.HasPrefix(w, begun) || begun == "" && line == "" {
			candidates = append(candidates, w)
		}
	}
	return candidates
}
