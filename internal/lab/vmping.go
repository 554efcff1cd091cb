package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Runs reports whether commands can be run in the member: in its namespace, or in a VM
// of the lab's own making.
func (m Member) Runs() bool {
	if m.Lines == "" {
		return m.Netns != ""
	}
	_, err := os.Stat(filepath.Join(m.Lines, serveSocket))
	return err == nil
}

// pingFrom pings the targets from inside a VM, all at once and in its own words.
func (m Member) pingFrom(ctx context.Context, targets []Member, o PingOptions) []Pair {
	var script, out bytes.Buffer
	seconds := max(1, int((o.Wait+time.Second-1)/time.Second))
	for _, t := range targets {
		fmt.Fprintf(&script, "(echo %s $(ping -q -c %d -W %d %[1]s 2>&1)) &\n", t.Address, o.Count, seconds)
	}
	script.WriteString("wait\n")
	_, err := m.Exec(ctx, script.String(), &out)
	answers := map[string]string{}
	for line := range strings.Lines(out.String()) {
		to, text, _ := strings.Cut(line, " ")
		answers[to] = text
	}
	pairs := make([]Pair, len(targets))
	for i, t := range targets {
		pairs[i] = Pair{From: m.Name, To: t.Name, Sent: o.Count, Error: errSilent.Error()}
		if err != nil {
			pairs[i].Error = err.Error()
		}
		pairs[i].read(answers[t.Address.String()])
	}
	return pairs
}

var (
	receivedRE = regexp.MustCompile(`(\d+) packets received`)
	meanRE     = regexp.MustCompile(`min/avg/max = [\d.]+/([\d.]+)/`)
)

// read fills in what a busybox's ping says.
func (p *Pair) read(text string) {
	if m := receivedRE.FindStringSubmatch(text); m != nil {
		p.Received, _ = strconv.Atoi(m[1]) // digits
	}
	if m := meanRE.FindStringSubmatch(text); m != nil {
		ms, _ := strconv.ParseFloat(m[1], 64) // likewise
		p.RTT = time.Duration(ms * float64(time.Millisecond))
	}
	if p.OK() {
		p.Error = ""
	}
}
