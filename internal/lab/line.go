package lab

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A VM that the lab runs has serial lines whose other ends are sockets: its console,
// and, in a guest of the lab's own making, one that runs commands (guest/serve).

const (
	// beginTime is how long a guest may take to begin a command.
	beginTime = 10 * time.Second
	// endTime is how long a command may take to end after an interrupt.
	endTime = 3 * time.Second
	// interrupt is what Ctrl-C sends on a line.
	interrupt = "\x03"
)

// Console connects to the console of a VM that the lab runs. Close it.
func (m Member) Console(ctx context.Context) (net.Conn, error) { return m.line(ctx, consoleSocket) }

// line connects to one of a VM's serial lines. The path goes by the directory's
// descriptor, because sockets' paths have to be short (unix(7)).
func (m Member) line(ctx context.Context, socket string) (net.Conn, error) {
	if m.Lines == "" {
		return nil, fmt.Errorf("%s is no VM that the lab runs; it has no console", m.Name)
	}
	dir, err := os.Open(m.Lines)
	if err != nil {
		return nil, fmt.Errorf("%s does not run: %w", m.Name, err)
	}
	defer dir.Close() //nolint:errcheck // read only
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socket))
	_, consoleErr := os.Stat(filepath.Join(m.Lines, consoleSocket)) // qemu takes its sockets with it
	if errors.Is(err, fs.ErrNotExist) && consoleErr == nil {
		return nil, fmt.Errorf("%s boots an image of its own, in which the lab can run nothing; its console is: sarn lab console %[1]s", m.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s does not run; it was switched off, or has crashed", m.Name)
	}
	return c, nil
}

// Exec runs a line of shell in a VM that the lab runs and returns its exit code. Its
// standard input is empty, and its standard error goes to out too. When ctx ends the
// command is interrupted. A VM runs one command at a time.
func (m Member) Exec(ctx context.Context, shell string, out io.Writer) (int, error) {
	return m.exec(ctx, shell, out, beginTime)
}

// exec is Exec with a time in which the command has to begin.
func (m Member) exec(ctx context.Context, shell string, out io.Writer, begin time.Duration) (int, error) {
	c, err := m.line(ctx, serveSocket)
	if err != nil {
		return 0, err
	}
	defer c.Close() //nolint:errcheck // what was to be said is said
	defer context.AfterFunc(ctx, func() {
		_, _ = io.WriteString(c, interrupt) // if it does not get there the deadline ends it
		_ = c.SetReadDeadline(time.Now().Add(endTime))
	})()
	word := rand.Text()
	if err := c.SetReadDeadline(time.Now().Add(begin)); err != nil {
		return 0, err
	}
	// What somebody who went away has left running gives way.
	if _, err := fmt.Fprintf(c, "%s\n%s %s\n", interrupt, word, base64.StdEncoding.EncodeToString([]byte(shell))); err != nil {
		return 0, fmt.Errorf("send the command to %s: %w", m.Name, err)
	}
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, fmt.Errorf("%s does not answer: another command may be running in it; its console is: sarn lab console %[1]s", m.Name)
		}
		if err != nil {
			return 0, fmt.Errorf("%s has ended: %w", m.Name, err)
		}
		if strings.HasSuffix(line, word+" begin\n") {
			break
		}
	}
	if ctx.Err() == nil {
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			return 0, err
		}
	}
	code, err := copyUntil(out, r, "\n"+word+" ")
	if err != nil {
		return 0, fmt.Errorf("run a command in %s: %w", m.Name, err)
	}
	return code, nil
}

// copyUntil copies what comes before the mark, and returns the number after it.
func copyUntil(w io.Writer, r *bufio.Reader, mark string) (int, error) {
	var held []byte // may be the beginning of the mark
	for {
		b, err := r.ReadByte()
		if err != nil {
			return 0, errors.Join(err, flush(w, held))
		}
		held = append(held, b)
		if bytes.HasSuffix(held, []byte(mark)) {
			if err := flush(w, held[:len(held)-len(mark)]); err != nil {
				return 0, err
			}
			number, err := r.ReadString('\n')
			if err != nil {
				return 0, err
			}
			return strconv.Atoi(strings.TrimSpace(number))
		}
		// What is held goes on when nothing more is there to read, except for a mark that
		// has begun.
		if r.Buffered() == 0 {
			keep := begun(held, mark)
			if err := flush(w, held[:len(held)-keep]); err != nil {
				return 0, err
			}
			held = append([]byte(nil), held[len(held)-keep:]...)
		}
	}
}

// begun returns the length of the longest end of b that the mark begins with.
func begun(b []byte, mark string) int {
	for n := min(len(b), len(mark)-1); n > 0; n-- {
		if strings.HasPrefix(mark, string(b[len(b)-n:])) {
			return n
		}
	}
	return 0
}

func flush(w io.Writer, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := w.Write(b)
	return err
}
