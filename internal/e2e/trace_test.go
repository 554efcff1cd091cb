package e2e

import (
	"strings"
	"testing"
)

// TestTraceLive sends real packets beside what is foretold: both agree, until somebody
// puts something in the way of which Sarn does not know.
func TestTraceLive(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	show := func(want int, args ...string) string {
		t.Helper()
		out, code := f.try(append([]string{"trace", "--live"}, args...)...)
		if code != want {
			t.Errorf("trace %s: exit code %d, want %d:\n%s", strings.Join(args, " "), code, want, out)
		}
		return out
	}
	for _, args := range []string{
		"vm1 vm3", "vm1 vm2", "vm1 vm6", "vm5 vm3", "vm1 " + internet, "host1 vm3", "router vm1", "vm1 host2",
		"vm1 vm5 --protocol tcp --port 80", "vm3 vm1 --protocol udp --port 53",
	} {
		if out := show(0, strings.Fields(args)...); !strings.Contains(out, "live: answered") || !strings.Contains(out, ", as foretold") {
			t.Errorf("trace %s:\n%s", args, out)
		}
	}
	if out := show(5, "vm1", "10.10.10.99"); !strings.Contains(out, "live: unreachable, says router, path 10.10.10.2, as foretold") {
		t.Error(out)
	}
	f.sh("router", "nft 'add table ip other; add chain ip other f { type filter hook forward priority 10; }; add rule ip other f ip daddr "+vm3+" drop'")
	if out := show(5, "vm1", "vm3"); !strings.Contains(out, "delivered to vm3") || !strings.Contains(out, "\nDIFFERENT: an answer was foretold, and there is none: no answer\n") {
		t.Errorf("a rule that is not Sarn's drops it:\n%s", out)
	}
	f.sh("router", "nft delete table ip other; ip route add "+vm4+"/32 via 192.168.56.103 table 77; ip rule add pref 5 to "+vm4+" lookup 77")
	if out := show(5, "vm1", "vm4"); !strings.Contains(out, "DIFFERENT") {
		t.Errorf("a rule that is not Sarn's sends it elsewhere:\n%s", out)
	}
}
