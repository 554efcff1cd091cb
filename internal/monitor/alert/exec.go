package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const mostOutput = 4 << 10

type program struct {
	Exec
	deps    *Deps
	name    string
	timeout time.Duration
}

// send runs the program. No shell reads what there is to say: it is in the environment
// and on the standard input.
func (p *program) send(ctx context.Context, n *Notification) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	input, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	out := &head{most: mostOutput}
	cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
	cmd.Env = p.environment(n)
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stdout, cmd.Stderr = out, out
	// Its own process group ends with it, whatever it has started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = kill
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if cmd.Process != nil {
		_ = kill() // mostly there is nobody left
	}
	p.deps.Log.Info("an alert's program ended", "action", p.name, "alert", n.Alert.ID, "output", out.String(), "ok", err == nil)
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("%s ran for more than %s and was killed", p.Command[0], p.timeout)
	case errors.Is(err, exec.ErrWaitDelay): // it ended well and left somebody with its output
		return nil
	case err != nil:
		return fmt.Errorf("run %s: %w; it wrote %q", p.Command[0], err, out.String())
	}
	return nil
}

// environment is small, so that no secret of this program is in it.
func (p *program) environment(n *Notification) []string {
	a := &n.Alert
	env := []string{}
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ"} {
		if text := p.deps.Getenv(name); text != "" {
			env = append(env, name+"="+text)
		}
	}
	add := func(name, text string) {
		env = append(env, "SARN_ALERT_"+name+"="+strings.ReplaceAll(text, "\x00", "\uFFFD"))
	}
	add("EVENT", string(n.Event))
	add("ID", a.ID)
	add("HOST", a.Host)
	add("RULE", a.Rule)
	add("OF", a.Of)
	add("METRIC", a.Metric)
	add("SUBJECT", a.Subject)
	add("MACHINE", a.Machine)
	add("LEVEL", a.Level.String())
	add("VALUE", a.Text)
	add("MESSAGE", a.Message)
	add("SINCE", a.Since.Format(time.RFC3339))
	for name, text := range a.Labels {
		if plainName(name) {
			add("LABEL_"+strings.ToUpper(name), text)
		}
	}
	return env
}

func plainName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// head keeps the beginning of what is written to it.
type head struct {
	text []byte
	most int
}

// String returns what was kept.
func (h *head) String() string { return string(h.text) }

// Write implements io.Writer and never fails.
func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), h.most-len(h.text))]...)
	return len(p), nil
}
