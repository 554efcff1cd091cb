package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// crowd is processes that are there to be seen. Most sleep; one in ten looks at a file
// twice a second.
type crowd struct {
	all     []*exec.Cmd
	wakeful int
}

func gather(dir string, n int) (*crowd, error) {
	file := filepath.Join(dir, "empty")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return nil, err
	}
	c := &crowd{}
	for i := range n {
		cmd := exec.Command("sleep", "infinity")
		if i%10 == 0 {
			cmd = exec.Command("tail", "-s", "0.5", "-f", "---disable-inotify", file)
			c.wakeful++
		}
		cmd.SysProcAttr = dying()
		if err := cmd.Start(); err != nil {
			c.end()
			return nil, fmt.Errorf("start process %d of the crowd: %w", i+1, err)
		}
		c.all = append(c.all, cmd)
	}
	return c, nil
}

// end kills all and returns when they have gone.
func (c *crowd) end() {
	for _, cmd := range c.all {
		_ = cmd.Process.Kill()
	}
	for _, cmd := range c.all {
		_ = cmd.Wait() // that it was killed is no news
	}
}

// dying makes a child that is killed when this program ends, however it ends.
func dying() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
