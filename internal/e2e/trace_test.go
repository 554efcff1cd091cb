package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTraceLive sends real packets beside what is foretold: both agree, until somebody
// puts something in the way of which Sarn does not know.
func TestTraceLive(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	// An answer has a second to come, which a machine that stalls may miss.
	shows := func(line string, want int, words ...string) {
		t.Helper()
		var out string
		var code int
		if !f.poll(30*time.Second, func() bool {
			out, code = f.try(append([]string{"trace", "--live"}, strings.Fields(line)...)...)
			return code == want && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(out, w) })
		}) {
			t.Errorf("trace %s: exit code %d, want %d and %q:\n%s", line, code, want, words, out)
		}
	}
	for _, args := range []string{
		"vm1 vm3", "vm1 vm2", "vm1 vm6", "vm5 vm3", "vm1 " + internet, "host1 vm3", "router vm1", "vm1 host2",
		"vm1 vm5 --protocol tcp --port 80", "vm3 vm1 --protocol udp --port 53",
	} {
		shows(args, 0, "live: answered", ", as foretold")
	}
	shows("vm1 10.10.10.99", 5, "live: unreachable, says router, path 10.10.10.2, as foretold")
	f.sh("router", "nft 'add table ip other; add chain ip other f { type filter hook forward priority 10; }; add rule ip other f ip daddr "+vm3+" drop'")
	shows("vm1 vm3", 5, "delivered to vm3", "\nDIFFERENT: an answer was foretold, and there is none: no answer\n") // for a rule that is not Sarn's
	f.sh("router", "nft delete table ip other; ip route add "+vm4+"/32 via 192.168.56.103 table 77; ip rule add pref 5 to "+vm4+" lookup 77")
	shows("vm1 vm4", 5, "DIFFERENT") // somebody else sends it elsewhere
}
