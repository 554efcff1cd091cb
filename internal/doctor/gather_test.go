package doctor

import (
	"os/exec"
	"slices"
	"testing"

	"sarn/internal/netnstest"
	"sarn/internal/timetest"
)

// Gather looks at a machine and leaves it as it was.
func TestGatherLeavesNothing(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		defer timetest.NoLeaks(t)
		show := func() string {
			out, err := exec.Command("sh", "-c", "ip link; ip rule; ip route show table all; ip neigh; nft list ruleset; ls /run/netns; grep -r . /proc/sys/net/ipv4/conf 2>/dev/null").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return string(out)
		}
		before := show()
		f, err := Gather(t.Context(), Intent{Offline: true, Name: "host1"}, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if after := show(); after != before {
			t.Errorf("was:\n%s\nis:\n%s", before, after)
		}
		if f.FeaturesErr != nil || len(f.Features) < 10 || f.NFT == "" || f.Disk == nil || f.Disk.Free == 0 {
			t.Errorf("facts: %+v", f)
		}
		checks, found := wrong(f)
		if checks = slices.DeleteFunc(checks, func(c string) bool { return c == "disk" || c == "disk?" }); len(checks) > 0 {
			t.Errorf("in an empty namespace: %+v", found)
		}
	})
}
