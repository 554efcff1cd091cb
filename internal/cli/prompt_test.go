package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"sarn/internal/lab"
)

// terminal returns both ends of a new terminal: the person's and the program's.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	// What is typed before the prompt is ready shall not be handled by the kernel.
	if _, err := term.MakeRaw(int(program.Fd())); err != nil {
		t.Fatal(err)
	}
	return person, program
}

func TestPrompt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "lab_history")
	s := &labShell{directory: &lab.Directory{Members: []lab.Member{{Name: "host1"}, {Name: "host2"}, {Name: "vm1"}}}}
	ask := func(typed string) (lines []string, screen string) {
		t.Helper()
		person, program := terminal(t)
		p, err := newPrompt(program, program, file, s.complete)
		if err != nil {
			t.Fatal(err)
		}
		shown := make(chan string)
		go func() {
			all, _ := io.ReadAll(person) // ends in EIO when the program's end is closed
			shown <- string(all)
		}()
		if _, err := person.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := p.line()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		if err := program.Close(); err != nil {
			t.Fatal(err)
		}
		return lines, <-shown
	}
	const ctrlC, ctrlD, tab, up = "\x03", "\x04", "\t", "\x1b[A"
	lines, screen := ask("v" + tab + "ping h" + tab + tab + "2\r" + "oops" + ctrlC + "nodes\r" + up + up + "\r" + ctrlD)
	want := []string{"vm1 ping host2", "nodes", "vm1 ping host2"}
	if !slices.Equal(lines, want) {
		t.Errorf("lines %q, want %q", lines, want)
	}
	if !strings.Contains(screen, "host1  host2") {
		t.Errorf("no list of what it may be: %q", screen)
	}
	// The next prompt remembers.
	if lines, _ = ask(up + up + "\r" + ctrlD); !slices.Equal(lines, []string{"nodes"}) {
		t.Errorf("from history: %q", lines)
	}
}

func TestPromptCompletion(t *testing.T) {
	s := &labShell{directory: &lab.Directory{Members: []lab.Member{{Name: "host1"}, {Name: "vm1"}, {Name: "vm2"}}}}
	for line, want := range map[string]string{
		"":           "host1 vm1 vm2 exit help nodes ping-all ports",
		"vm":         "vm1 vm2",
		"p":          "ping-all ports",
		"vm1 ping v": "vm1 vm2",
		"vm1 ping p": "",
		"vm1 ping ":  "",
	} {
		if got := strings.Join(s.complete(line), " "); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lab_history")
	var b strings.Builder
	for i := range mostHistory + 50 {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := readHistory(file)
	if err != nil {
		t.Fatal(err)
	}
	h.Add("last")
	h.Add("last")
	h.Add("  ")
	if h.Len() != mostHistory+1 || h.At(0) != "last" || h.At(h.Len()-1) != "line 50" {
		t.Errorf("%d lines from %q to %q", h.Len(), h.At(h.Len()-1), h.At(0))
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != mostHistory+1 {
		t.Errorf("the file: %d lines, %v", strings.Count(string(text), "\n"), err)
	}
}
