package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sarn/internal/api"
	"sarn/internal/intent"
)

// TestFindingsAreExitCode5: what is wrong is told with how to mend it, for people and
// for programs.
func TestFindingsAreExitCode5(t *testing.T) {
	wrong := api.IPAM{
		Revision: 9, Subnets: []api.SubnetUse{{Subnet: "net1", CIDR: intent.MustCIDR("10.10.10.0/24"), Used: 2}},
		Findings: []api.Finding{{
			Ref:   intent.Ref{Kind: intent.KindPort, Name: "vm2"},
			Field: "address", Message: "10.10.10.10 is held by port \"vm1\"\x1b[2J", Mend: "`sarn port delete vm2`",
		}},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(wrong) }))
	defer s.Close()
	const want = `port "vm2": address: 10.10.10.10 is held by port "vm1"\x1b[2J
    mend: ` + "`sarn port delete vm2`" + `
1 thing to mend: 2 addresses in 1 subnet, at revision 9
`
	code, out, errs := run(t, nil, "ipam", "check", "--server", s.URL)
	if code != exitMissed || out != want || errs != "" {
		t.Errorf("code %d, %q, %q; want %d and %q", code, out, errs, exitMissed, want)
	}
	code, out, _ = run(t, nil, "ipam", "check", "-o", "json", "--server", s.URL)
	if code != exitMissed || !strings.Contains(out, `"field": "address"`) {
		t.Errorf("code %d, %s; want %d and the finding", code, out, exitMissed)
	}
}
