package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sarn/internal/api"
)

// server is a running `sarn server`.
type server struct {
	program string
	dir     string // of its data, socket and log
	process *exec.Cmd
	client  *api.Client
}

func newServer(program string) (*server, error) {
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		return nil, err
	}
	s := &server{program: program, dir: dir}
	s.client, err = api.New(api.Endpoint{Address: "unix://" + s.socket()})
	return s, err
}

func (s *server) socket() string { return filepath.Join(s.dir, "api.sock") }

// start returns when the server answers.
func (s *server) start(ctx context.Context) error {
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.process = exec.Command(s.program, "server", "--data-dir", filepath.Join(s.dir, "data"), "--listen", "unix://"+s.socket())
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("start the server: %w; build it with make, or name it with -sarn", err)
	}
	for {
		if _, err = s.client.Status(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the server does not answer: %w\n%s", err, text)
		case <-time.After(time.Millisecond):
		}
	}
}

// kill ends the server as a crash would.
func (s *server) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait() // that it was killed is no news
	s.client.Close()
}

func (s *server) remove() {
	s.kill()
	_ = os.RemoveAll(s.dir)
}

// cpu returns the processor time that the server has used.
func (s *server) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	// utime and stime are fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms;
	// the name of the program, field 2, ends in the last bracket.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// memory returns how much memory the server has, and the most that it ever had, in MB.
func (s *server) memory() (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		for name, into := range map[string]*float64{"VmRSS:": &now, "VmHWM:": &most} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				if err != nil {
					return 0, 0, fmt.Errorf("read memory: %w", err)
				}
				*into = kb / 1000
			}
		}
	}
	return now, most, nil
}
