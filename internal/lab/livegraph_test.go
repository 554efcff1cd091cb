package lab_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sarn/internal/netnstest"
)

// words returns the texts of a picture, one a line.
func words(svg string) string {
	var lines []string
	for _, m := range regexp.MustCompile(`(?m)^<text[^>]*>([^<]*)</text>$`).FindAllStringSubmatch(svg, -1) {
		lines = append(lines, m[1])
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestGraphOfWhatIsUp(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		const file = "../../examples/two-hosts.yaml"
		must(t, "lab", "up", file)
		live := words(must(t, "lab", "graph", "--state"))
		contains(t, "the picture", live, "in sync: revision", "vm6")

		// The kernels hold what the file says, and the picture in the docs shows it.
		same := regexp.MustCompile(`in sync: revision \d+, verified|what it is to hold`)
		plain := func(text string) string { return same.ReplaceAllString(text, "STATUS") }
		if planned := words(must(t, "lab", "graph", file, "--state")); plain(live) != plain(planned) {
			t.Errorf("the kernels hold\n%s\nand the file says\n%s", live, planned)
		}
		docs, err := os.ReadFile("../../docs/img/two-hosts-state.svg")
		if err != nil {
			t.Fatal(err)
		}
		if text := words(string(docs)); plain(live) != plain(text) {
			t.Errorf("docs/img/two-hosts-state.svg is of another time (see docs/lab.md): it says\n%s\nand this is\n%s", text, live)
		}

		// Nobody mends what a dead agent's host lacks.
		kill(t, "two-hosts", "agent-host1")
		for _, c := range []string{"ip route del 10.10.10.11 table 5001", "ip rule del pref 10000"} {
			if out, code := sarn(t, "", append([]string{"lab", "exec", "host1", "--"}, strings.Fields(c)...)...); code != 0 {
				t.Fatal(out)
			}
		}
		must(t, "node", "create", "host9", "--role", "host", "--address", "192.168.56.109", "--interface", "eth0")
		broken := must(t, "lab", "graph", "--state")
		// The controller sees the end of the agent's stream when it does.
		for deadline := time.Now().Add(time.Minute); strings.Count(broken, "agent not connected") < 2 && time.Now().Before(deadline); {
			broken = must(t, "lab", "graph", "--state")
		}
		contains(t, "the picture", words(broken), "agent not connected; was at revision",
			"10.10.10.11\nbr_net1: missing", "from enp0s8: rule missing", "the lab has no machine host9")
		if n := strings.Count(words(broken), "missing"); n != 2 {
			t.Errorf("%d are missing, not 2:\n%s", n, words(broken))
		}
		contains(t, "the picture", broken, `class="card down"`)

		kill(t, "two-hosts", "server")
		silent := words(must(t, "lab", "graph", "--state"))
		contains(t, "the picture without a controller", silent, "its controller cannot be asked", "tables 10001, 10002", "via host2")
		if strings.Contains(silent, "missing") {
			t.Errorf("nobody knows what should be there:\n%s", silent)
		}
		must(t, "lab", "down")
	})
}
