package lab_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sarn/internal/kernel"
	"sarn/internal/lab"
	"sarn/internal/netnstest"
	"sarn/internal/netstate"
)

const slowLinks = "../../examples/slow-links.yaml"

func TestSlowLinks(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		must(t, "lab", "up", slowLinks)
		tested(t, "../../examples/slow-links.test.yaml", "4/4 as expected")
		pairs(t, "6/6 pairs")
		out := must(t, "lab", "link", "list")
		contains(t, "link list", out, "annex    to-lan      lan       up      20mbit", "host1    eth0        lan       up      100mbit", "host2    eth0        annex     up      -")
		// Within one host nothing is slow; the far host is reached at the cable's pace,
		// less than a tenth of which are headers.
		// A second in which the machine stalls shows neither.
		for try := 1; ; try++ {
			near, far := throughput(t, "vm1", "vm2"), throughput(t, "vm1", "vm3")
			back := throughput(t, "vm3", "vm1")
			t.Logf("Mbit/s: on one host %.0f, over the cable %.1f, and back %.1f", near, far, back)
			if min(far, back) >= 0.7*20 && max(far, back) <= 20 && near >= 5*far {
				break
			}
			if try == 8 {
				t.Error("that is not a cable of 20 Mbit/s, and none")
				break
			}
		}
	})
}

// again runs the program until it says what is wanted: a machine that stalls misses
// answers, which have a second. It returns the last exit code.
func again(t *testing.T, want string, args ...string) (said string, code int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		said, code = sarn(t, "", args...)
		if strings.Contains(said, want) {
			return said, code
		}
		if time.Now().After(end) {
			t.Errorf("sarn %s has no %q:\n%s", strings.Join(args, " "), want, said)
			return said, code
		}
	}
}

// pairs wants ping-all to count so many pairs.
func pairs(t *testing.T, want string, flags ...string) (said string, code int) {
	t.Helper()
	return again(t, want, append([]string{"lab", "ping-all"}, flags...)...)
}

// tested wants a lab to be as a file says.
func tested(t *testing.T, file, want string) {
	t.Helper()
	if said, code := again(t, want, "lab", "test", file); code != 0 {
		t.Errorf("lab test %s: exit code %d\n%s", file, code, said)
	}
}

// throughput returns what one TCP stream carries, in Mbit/s.
func throughput(t *testing.T, from, to string) float64 {
	t.Helper()
	server := exec.Command(os.Args[0], "lab", "exec", to, "--", "iperf3", "-s", "-1", "--forceflush")
	server.Env = append(os.Environ(), "SARN_RUN_DIR="+runDir)
	says, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	readUntil(t, says, "listening")
	go drain(says)
	out := must(t, "lab", "exec", from, "--", "iperf3", "-J", "-t", "1", "-c", to)
	if err := server.Wait(); err != nil {
		t.Fatal(err)
	}
	var report struct {
		End struct {
			Received struct {
				Rate float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return report.End.Received.Rate / 1e6
}

func TestCablesThatTheKernelCannotHave(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		data, err := os.ReadFile(slowLinks)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(data), "bandwidth: 20mbit ", "delay: 5ms ", 1)
		text = strings.Replace(text, "bandwidth: 100mbit", "loss: 50%", 1)
		file := filepath.Join(t.TempDir(), "far.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		lacks, err := kernel.LacksQdisc(netstate.Netem)
		if err != nil {
			t.Fatal(err)
		}
		if !lacks {
			must(t, "lab", "up", file)
			out := must(t, "lab", "exec", "lan", "tc", "qdisc", "show")
			contains(t, "tc qdisc", out, "dev to-annex root", "delay 5ms", "loss 50%")
			return
		}
		out, code := sarn(t, "", "lab", "up", file)
		if code != 2 || strings.Count(out, "\n") != 2 {
			t.Errorf("exit code %d, want 2 and two lines\n%s", code, out)
		}
		contains(t, "up", out, file+`:11: lab "slow-links": networks.annex.delay: this kernel has no netem`,
			file+`:15: lab "slow-links": machines.host1.interfaces.eth0.loss: this kernel has no netem`, "sch_netem")
		if left := remains(t); left != "" {
			t.Errorf("a refused up leaves\n%s", left)
		}
	})
}

func TestLinksUpAndDown(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		must(t, "lab", "up", "--topo", "tree,depth=3,fanout=2")
		pairs(t, "56/56 pairs")
		must(t, "lab", "link", "down", "host3")
		carrier := func(node, device string) string {
			return strings.TrimSpace(must(t, "lab", "exec", node, "cat", "/sys/class/net/"+device+"/carrier"))
		}
		if got := carrier("host3", "eth0"); got != "0" {
			t.Errorf("host3's carrier is %q after its cable was taken out", got)
		}
		// Its two VMs reach each other, and nobody else.
		if _, code := pairs(t, "32/56 pairs"); code != 5 {
			t.Errorf("ping-all with a cable out: exit code %d", code)
		}
		out := must(t, "lab", "link", "list", "-o", "json")
		var links []lab.Link
		if err := json.Unmarshal([]byte(out), &links); err != nil {
			t.Fatal(err)
		}
		for _, k := range links {
			if want := map[bool]lab.LinkState{true: lab.LinkDown, false: lab.LinkUp}[k.Node == "host3"]; k.State != want {
				t.Errorf("%s %s is %s, want %s", k.Node, k.Interface, k.State, want)
			}
		}
		must(t, "lab", "link", "up", "host3", "eth0")
		pairs(t, "56/56 pairs")
		// A switch can be cut off whole.
		must(t, "lab", "link", "down", "switch3")
		pairs(t, "16/56 pairs")
		must(t, "lab", "link", "up", "switch3")
		pairs(t, "56/56 pairs")
		// Its own end is the machine's business, and its cable is whole all the same.
		must(t, "lab", "exec", "host1", "ip", "link", "set", "eth0", "down")
		contains(t, "link list", must(t, "lab", "link", "list"), "host1     eth0         switch2   no carrier")
		must(t, "lab", "link", "down", "host1")
		must(t, "lab", "exec", "switch2", "ip", "link", "delete", "to-host2")
		contains(t, "link list", must(t, "lab", "link", "list"), "host1     eth0         switch2   down", "host2     eth0         switch2   missing")
		refused(t, 1, `there is no link "to-host2"`, "lab", "link", "up", "host2")

		refused(t, 2, "switch1 is the switch; name the machine", "lab", "link", "down", "switch1")
		refused(t, 2, `host3 has no cable at "eth7"; it has eth0`, "lab", "link", "down", "host3", "eth7")
		refused(t, 2, `no machine "vm1"; its cables are at host1, host2, host3, host4, router, switch2, switch3`, "lab", "link", "down", "vm1")
		must(t, "lab", "down")
		if left := remains(t); left != "" {
			t.Errorf("down leaves\n%s", left)
		}
	})
}
