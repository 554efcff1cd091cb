package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"sarn/internal/bench/netload"
	"sarn/internal/kernel"
)

// listening is what --listen prints: as JSON it tells a program where to connect to.
type listening struct {
	Address netip.AddrPort `json:"address"`
	Try     string         `json:"try"`
}

// benchNetListen is the other end, until Ctrl-C.
func (a *app) benchNetListen(ctx context.Context, b *netBench) error {
	at, err := resolve(ctx, b.listen)
	if err != nil {
		return err
	}
	s, err := netload.Listen(at)
	if err != nil {
		return err
	}
	where := s.Address()
	try := where.String()
	if where.Port() == benchPort {
		try = where.Addr().String()
	}
	if where.Addr().IsUnspecified() {
		try = "ADDRESS:" + fmt.Sprint(where.Port())
	}
	said := listening{where, "sarn bench net " + try}
	err = a.print(said, func() error {
		_, err := fmt.Fprintf(a.Out, "listening on %s, TCP and UDP; Ctrl-C ends it. On the other machine:\n  %s\n", where, said.Try)
		return err
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err != nil {
		stop() // nobody will know where
	}
	if b.untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, a.In) // its end is all that it says
			stop()
		}()
	}
	return errors.Join(err, s.Run(ctx))
}

// netReport is what bench net prints.
type netReport struct {
	From    string            `json:"from"`
	To      string            `json:"to"`
	Address netip.AddrPort    `json:"address"`
	PathMTU int               `json:"path_mtu,omitempty"`
	Results []*netload.Result `json:"results"`
}

// benchNet runs the tests and prints what they measured, also if not all could run.
func (a *app) benchNet(ctx context.Context, b *netBench, tests []netload.Test, args []string) (err error) {
	ends, err := a.benchNetEnds(ctx, b, args)
	if err != nil {
		return err
	}
	if ends.startsServerSelf {
		server, err := startServer(ends)
		if err != nil {
			return err
		}
		defer server.end()
		ends.port = server.port
	}
	c := netload.Config{Address: netip.AddrPortFrom(ends.address, ends.port), CPU: b.cpuFrom}
	if ends.fromNs != "" {
		c.Inside = func(f func() error) error { return kernel.Enter(ends.fromNs, f) }
	}
	client, err := netload.Dial(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // nothing is kept
	r := &netReport{From: ends.from, To: ends.to, Address: c.Address, PathMTU: client.PathMTU()}
	for i, t := range tests {
		a.benchNetProgress(i, len(tests), t)
		result, testErr := client.Run(ctx, t)
		if testErr != nil {
			err = testErr
			break
		}
		r.Results = append(r.Results, result)
	}
	a.benchNetProgress(len(tests), len(tests), netload.Test{})
	if len(r.Results) == 0 {
		return err
	}
	return errors.Join(a.print(r, func() error { return a.printNetReport(r) }), err)
}

// benchNetProgress shows which test runs, in one line that the next one replaces.
func (a *app) benchNetProgress(i, n int, t netload.Test) {
	if !isTerminal(a.Err) {
		return
	}
	fmt.Fprint(a.Err, "\r\x1b[K")
	if i < n {
		fmt.Fprintf(a.Err, "%d of %d: %s, %s …", i+1, n, t.Kind, t.Time+t.Omit)
	}
}

// benchServer is the other end, inside a namespace. It is this program once more, and
// ends with its standard input: however this one ends, it is not left behind.
type benchServer struct {
	cmd   *exec.Cmd
	stdin io.Closer
	port  uint16
}

func startServer(e *netEnds) (*benchServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self, "bench", "net", "--listen", netip.AddrPortFrom(e.address, 0).String(), "--until-eof", "-o", "json")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this end, which ends that one
	var trouble strings.Builder
	c.Stderr = &trouble
	stdin, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := kernel.Enter(e.toNs, c.Start); err != nil {
		return nil, usageError("start the other end in %s: %w", e.to, err)
	}
	s := &benchServer{cmd: c, stdin: stdin}
	var said listening
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&said); err != nil {
		s.end() // what it says is complete then
		return nil, fmt.Errorf("the other end does not start in %s: %s", e.to, strings.TrimPrefix(strings.TrimSpace(trouble.String()), "sarn: "))
	}
	s.port = said.Address.Port()
	return s, nil
}

// end ends the server and waits for that.
func (s *benchServer) end() {
	const enough = 3 * time.Second
	s.stdin.Close() //nolint:errcheck // it is a pipe
	t := time.AfterFunc(enough, func() { _ = s.cmd.Process.Kill() })
	defer t.Stop()
	_ = s.cmd.Wait() // it has done what it was for
}

func (a *app) printNetReport(r *netReport) error {
	title := fmt.Sprintf("%s to %s, %s", r.From, r.To, r.Address.Addr())
	if r.To == r.Address.String() || r.To == r.Address.Addr().String() {
		title = fmt.Sprintf("%s to %s", r.From, r.To)
	}
	if r.PathMTU > 0 {
		title += fmt.Sprintf(", path MTU %d", r.PathMTU)
	}
	if !a.noHeaders {
		fmt.Fprintln(a.Out, printable(title))
	}
	t := newTable("TEST", "RESULT", "P50", "P99", "P99.9", "MAX", "DETAIL")
	for _, result := range r.Results {
		name := string(result.Kind)
		if result.Reverse {
			name += " reverse"
		}
		rate, detail := netFigures(result)
		cells := []string{name, rate, "", "", "", "", detail}
		if l := result.Latency; l != nil {
			for i, us := range []netload.Microseconds{l.P50, l.P99, l.P999, l.Max} {
				cells[2+i] = shortTime(us)
			}
		}
		t.add(cells...)
	}
	return a.printTable(t)
}

// netFigures puts a result into a rate and what else is to say of it.
func netFigures(r *netload.Result) (rate, detail string) {
	switch p := r.Packets; {
	case p != nil:
		return thousands(p.ReceivedPerSecond) + " packets/s", fmt.Sprintf("%s Mbit/s of %d bytes; %s sent/s, %.2g%% lost, %d reordered, %d duplicated, jitter %s",
			thousands(r.MbitPerSecond), r.Size, thousands(p.SentPerSecond), p.LostPercent, p.Reordered, p.Duplicated, shortTime(p.Jitter))
	case r.Streams > 0:
		detail = plural(r.Streams, "stream")
		if r.Retransmits != nil {
			detail += ", " + plural(int(*r.Retransmits), "retransmit")
		}
		return thousands(r.MbitPerSecond) + " Mbit/s", detail
	}
	rate, detail = "no answer", fmt.Sprintf("%d bytes each way", r.Size)
	if r.Transactions > 0 {
		rate = thousands(r.TransactionsPerSecond) + " /s"
	}
	if r.TimedOut > 0 {
		detail += fmt.Sprintf(", %d not answered", r.TimedOut)
	}
	return rate, detail
}

// thousands writes a figure with three digits or more, and a comma at each thousand.
func thousands(f float64) string {
	switch {
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	}
	s := fmt.Sprintf("%.0f", f)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// shortTime writes a time with three digits.
func shortTime(us netload.Microseconds) string {
	switch {
	case us < 999.5: // three digits are not more then
		return fmt.Sprintf("%.3g µs", float64(us))
	case us < 999.5e3:
		return fmt.Sprintf("%.3g ms", float64(us)/1e3)
	}
	return fmt.Sprintf("%.3g s", float64(us)/1e6)
}
