package kernel_test

import (
	"os"
	"testing"

	"sarn/internal/netnstest"
	"sarn/internal/netstate"
)

// TestLeftoverOfACrash has the files that a crash leaves of a namespace, before it is
// mounted or after it is unmounted: they are put to use or go, and others' stay.
func TestLeftoverOfACrash(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		sh(t, foreign)
		k := newKernel(t)
		converge(t, k, host())
		sh(t, "umount /run/netns/vm1; printf sarn >/run/netns/crashed; touch /run/netns/theirs; printf other >/run/netns/others")
		if text, err := os.ReadFile("/run/netns/vm1"); err != nil || string(text) != "sarn" {
			t.Errorf("below the namespace is %q, %v, want the mark", text, err)
		}
		converge(t, k, host())
		sh(t, "umount /run/netns/vm1")
		converge(t, k, netstate.Machine{"": {}})
		for name, want := range map[string]bool{"vm1": false, "crashed": false, "theirs": true, "others": true} {
			if _, err := os.Stat("/run/netns/" + name); (err == nil) != want {
				t.Errorf("%s is there: %v, want %v", name, err == nil, want)
			}
		}
	})
}
