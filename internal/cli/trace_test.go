package cli

import (
	"net/netip"
	"strings"
	"testing"

	"sarn/internal/lab"
	"sarn/internal/reach"
)

// TestDiffers is which of what is seen is as foretold.
func TestDiffers(t *testing.T) {
	a, b, silent := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.Addr{}
	foretold := func(answered bool, outcome reach.Outcome, what string, routers ...netip.Addr) *reach.Trace {
		tr := &reach.Trace{What: what, Delivered: answered, Answered: answered}
		for _, r := range routers {
			tr.Request.Hops = append(tr.Request.Hops, reach.Hop{Action: reach.Forwards, Address: r})
		}
		tr.Request.Verdict.Outcome = outcome
		return tr
	}
	seen := func(answered bool, path ...netip.Addr) *lab.Sighting {
		return &lab.Sighting{Answered: answered, Fate: "no answer", Path: path}
	}
	for name, tc := range map[string]struct {
		foretold *reach.Trace
		seen     *lab.Sighting
		want     string
	}{
		"as foretold":             {foretold(true, reach.Delivered, "icmp", a, b), seen(true, a, b), ""},
		"no answer":               {foretold(true, reach.Delivered, "icmp", a), seen(false), "an answer was foretold, and there is none: no answer"},
		"an answer":               {foretold(false, reach.Dropped, "icmp", a), seen(true, a), "no answer was foretold, and there is one"},
		"another way":             {foretold(true, reach.Delivered, "icmp", a), seen(true, b), "the path was foretold as 10.0.0.1, and is 10.0.0.2"},
		"a longer way":            {foretold(true, reach.Delivered, "icmp", a), seen(true, a, b), "the path was foretold as 10.0.0.1, and is 10.0.0.1, 10.0.0.2"},
		"a shorter way":           {foretold(true, reach.Delivered, "icmp", a), seen(true), "the path was foretold as 10.0.0.1, and is direct"},
		"one says nothing":        {foretold(true, reach.Delivered, "icmp", a, b), seen(true, a, silent), ""},
		"one cannot speak":        {foretold(true, reach.Delivered, "icmp", a, silent), seen(true, a, b), ""},
		"dropped":                 {foretold(false, reach.Dropped, "icmp", a), seen(false, a), ""},
		"dropped after its TTL":   {foretold(false, reach.Dropped, "icmp", a), seen(false, a, b), ""},
		"dropped before":          {foretold(false, reach.Dropped, "icmp", a, b), seen(false, a), "the path was foretold as 10.0.0.1, 10.0.0.2, and is 10.0.0.1"},
		"icmp is another matter":  {foretold(true, reach.Delivered, "tcp 80", a), seen(true, b), ""},
		"nobody could tell":       {foretold(false, reach.Unknown, "icmp"), seen(true, a), ""},
		"refused where it begins": {foretold(false, reach.Rejected, "icmp"), seen(false), ""},
	} {
		if got := differs(tc.foretold, tc.seen); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestTraceMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"vm1":                                   "name where the packet begins and where it goes",
		"vm1 vm2 vm3":                           `"vm3" is too much`,
		"vm1 vm2 --port 80":                     "--port belongs to --protocol tcp or udp",
		"vm1 vm2 --protocol tcp":                "--protocol tcp needs --port",
		"vm1 vm2 --protocol sctp":               `--protocol "sctp" is not a protocol; use icmp, tcp or udp`,
		"vm1 vm2 --protocol tcp --port 0":       "--protocol tcp needs --port",
		"vm1 vm2 --protocol tcp --port 9999999": "write a whole number from 0 to 65535",
	} {
		code, out, errs := run(t, map[string]string{"SARN_RUN_DIR": t.TempDir()}, append([]string{"trace"}, strings.Fields(args)...)...)
		if code != exitUsage || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("sarn trace %s: code %d, out %q, err %q; want 2 and %q", args, code, out, errs, want)
		}
	}
}
