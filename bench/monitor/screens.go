package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// warm is how long a tool has run when its turn begins to count: `sarn top` reads who the
// processes are in its first passes, and others load what they need.
const warm = 5 * time.Second

// tool is a monitor for a terminal, told to refresh each second.
type tool struct {
	name string
	argv []string
	env  []string
}

// tools are those to compare, as they come: no setting but the time of a refresh. None
// reads or writes the files of the user who runs this.
func tools(program, dir string) ([]tool, error) {
	settings := filepath.Join(dir, "btop")
	if err := os.MkdirAll(settings, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(settings, "btop.conf"), []byte("update_ms = 1000\n"), 0o600); err != nil {
		return nil, err
	}
	home := []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_STATE_HOME=" + dir}
	return []tool{
		{"sarn top", []string{program, "top", "--interval", "1s"}, home},
		{"top", []string{"top", "-d", "1"}, home},
		{"htop", []string{"htop", "-d", "10"}, home},
		{"btop", []string{"btop"}, home},
		{"glances", []string{"glances", "-t", "1", "--disable-check-update"}, home},
	}, nil
}

// measureScreens lets the tools take turns.
func measureScreens(ctx context.Context, o *options, dir string, r *report) error {
	all, err := tools(o.program, dir)
	if err != nil {
		return err
	}
	for round := range o.rounds {
		for _, i := range rand.Perm(len(all)) {
			found, err := measureScreen(ctx, &all[i], o.turn)
			if err != nil {
				return fmt.Errorf("%s: %w", all[i].name, err)
			}
			r.screen(all[i].name, found)
		}
		say("screens: round %d of %d", round+1, o.rounds)
	}
	return nil
}

func measureScreen(ctx context.Context, tool *tool, turn time.Duration) (figures, error) {
	t, err := start(tool.argv, tool.env)
	if err != nil {
		return nil, err
	}
	defer t.end()
	select {
	case <-t.ready:
	case <-t.ended:
		return nil, fmt.Errorf("it has ended: %s", t.said())
	case <-time.After(30 * time.Second):
		return nil, fmt.Errorf("it shows no processes: %s", t.said())
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := pause(ctx, warm); err != nil {
		return nil, err
	}
	pid := t.cmd.Process.Pid
	began, before, err := usage(pid)
	if err != nil {
		return nil, err
	}
	sentBefore, refreshesBefore := t.counts()
	if err := pause(ctx, turn); err != nil {
		return nil, err
	}
	ended, after, err := usage(pid)
	if err != nil {
		return nil, err
	}
	sent, refreshes := t.counts()
	_, peak, err := memoryOf(pid)
	n := float64(max(refreshes-refreshesBefore, 1))
	return figures{
		cpuMinute:    (after - before).Seconds() / ended.Sub(began).Seconds() * 60,
		cpuRefresh:   ms(after-before) / n,
		refreshRate:  n / ended.Sub(began).Seconds(),
		bytesRefresh: float64(sent-sentBefore) / n,
		firstScreen:  ms(t.first),
		peakMemory:   peak,
	}, err
}

// usage is the CPU time of a process, and when that was.
func usage(pid int) (time.Time, time.Duration, error) {
	cpu, err := cpuOf(pid)
	return time.Now(), cpu, err
}

// measureOnce runs what prints the processes with a second's rates, and ends.
func measureOnce(ctx context.Context, o *options, dir string, r *report) error {
	all := []tool{
		{"sarn top --once", []string{o.program, "top", "--once"}, nil},
		{"sarn top --once -o csv", []string{o.program, "top", "--once", "-o", "csv"}, nil},
		{"top -b -n 2 -d 1", []string{"top", "-b", "-n", "2", "-d", "1"}, nil},
		{"pidstat -u -r -d 1 1", []string{"pidstat", "-u", "-r", "-d", "1", "1"}, nil},
	}
	for round := range o.rounds {
		for _, i := range rand.Perm(len(all)) {
			found, err := once(ctx, &all[i])
			if err != nil {
				return fmt.Errorf("%s: %w", all[i].name, err)
			}
			r.once(all[i].name, found)
		}
		say("once: round %d of %d", round+1, o.rounds)
	}
	return nil
}

func once(ctx context.Context, tool *tool) (figures, error) {
	cmd := exec.CommandContext(ctx, tool.argv[0], tool.argv[1:]...)
	cmd.SysProcAttr = dying()
	cmd.Env = append(os.Environ(), "TERM=dumb", "COLUMNS=200")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	took := time.Since(began)
	s := cmd.ProcessState
	return figures{onceCPU: ms(s.UserTime() + s.SystemTime()), onceTime: ms(took), onceBytes: float64(out.Len())}, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
