package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"
)

// prompt reads lines from a terminal, with editing, history and completion. Between
// two lines the terminal is as it was, for the commands that run there.
type prompt struct {
	in       *os.File
	terminal *term.Terminal
	complete func(line string) []string
}

const promptText = "lab> "

func newPrompt(in *os.File, out io.Writer, historyFile string, complete func(string) []string) (*prompt, error) {
	h, err := readHistory(historyFile)
	if err != nil {
		return nil, err
	}
	p := &prompt{in: in, complete: complete}
	p.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{clearing{in}, out}, promptText)
	p.terminal.History = h
	p.terminal.AutoCompleteCallback = p.key
	return p, nil
}

// line reads one line. Ctrl-D on an empty one is io.EOF.
func (p *prompt) line() (string, error) {
	fd := int(p.in.Fd())
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		if err := p.terminal.SetSize(width, height); err != nil {
			return "", err
		}
	}
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("prepare the terminal: %w", err)
	}
	line, err := p.terminal.ReadLine()
	if errors.Is(err, term.ErrPasteIndicator) {
		err = nil
	}
	return line, errors.Join(err, term.Restore(fd, before))
}

// key completes the word before the cursor on Tab, as far as it is clear, and lists
// what it may be where it is not.
func (p *prompt) key(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	before, after := line[:pos], line[pos:]
	candidates := p.complete(before)
	if len(candidates) == 0 {
		return line, pos, true
	}
	begun := before[strings.LastIndexByte(before, ' ')+1:]
	common := commonPrefix(candidates)
	if len(candidates) == 1 {
		common += " "
	} else if common == begun {
		fmt.Fprintln(p.terminal, strings.Join(candidates, "  "))
	}
	before = strings.TrimSuffix(before, begun) + common
	return before + after, len(before), true
}

func commonPrefix(words []string) string {
	common := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, common) {
			common = common[:len(common)-1]
		}
	}
	return common
}

// clearing turns Ctrl-C, at which a term.Terminal ends, into Ctrl-E Ctrl-U: the line
// is cleared and the prompt stays.
type clearing struct{ io.Reader }

func (c clearing) Read(b []byte) (int, error) {
	if len(b) < 2 {
		return c.Reader.Read(b)
	}
	n, err := c.Reader.Read(b[:len(b)/2])
	var out []byte
	for _, x := range b[:n] {
		if x == 3 {
			out = append(out, 5, 21)
		} else {
			out = append(out, x)
		}
	}
	return copy(b, out), err
}

// historyFile is where the lines of the lab's prompt are kept, or empty if the user
// has no place for such things.
func (a *app) historyFile() string {
	dir := a.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home := a.Getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "sarn", "lab_history")
}

// typedLines is the lines that were typed, kept in a file: it is a term.History.
type typedLines struct {
	file  string
	lines []string
}

// mostHistory bounds the file when it is read the next time.
const mostHistory = 1000

func readHistory(file string) (*typedLines, error) {
	h := &typedLines{file: file}
	if file == "" {
		return h, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	h.lines = strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
	if extra := len(h.lines) - mostHistory; extra > 0 {
		h.lines = h.lines[extra:]
		err = os.WriteFile(file, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600)
	}
	return h, err
}

// Add implements term.History. A line that cannot be kept in the file is still there
// until the prompt ends.
func (h *typedLines) Add(line string) {
	if strings.TrimSpace(line) == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if h.file == "" || os.MkdirAll(filepath.Dir(h.file), 0o700) != nil {
		return
	}
	f, err := os.OpenFile(h.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()       //nolint:errcheck // see above
	fmt.Fprintln(f, line) //nolint:errcheck // see above
}

// Len implements term.History.
func (h *typedLines) Len() int { return len(h.lines) }

// At implements term.History: 0 is the last line.
func (h *typedLines) At(i int) string { return h.lines[len(h.lines)-1-i] }
