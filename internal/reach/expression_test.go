package reach

import (
	"net/netip"
	"strings"
	"testing"

	"sarn/internal/netstate"
)

// table is what the rules of these tests refer to.
func table(chains ...netstate.Chain) *netstate.Table {
	return &netstate.Table{Family: netstate.FamilyIP, Chains: chains, Sets: []netstate.Set{
		{Name: "blocks", Elements: []string{"10.1.0.0/16", "10.2.0.5", "10.3.0.1-10.3.0.9"}},
		{Name: "services", Elements: []string{"80", "8000-8100"}},
		{Name: "pairs", Elements: []string{"vp_a . 10.1.0.1", "vp_* . 10.2.0.0/16"}},
		{Name: "verdicts", ValueType: "verdict", Elements: []string{"vp_a : jump mine", "vp_b : drop"}},
	}}
}

// TestRules is what single rules say of one packet: TCP from 10.1.0.1, port 40000, on
// vp_a to 10.2.0.5, port 8080, on br, of a new connection.
func TestRules(t *testing.T) {
	p := packet{src: netip.MustParseAddr("10.1.0.1"), dst: netip.MustParseAddr("10.2.0.5"), protocol: TCP, sport: 40000, dport: 8080}
	m := match{in: "vp_a", out: "br", packet: &p, ct: ctNew, frame: &frame{src: "0a:00:00:00:00:01", dst: "0a:00:00:00:00:02", packet: &p}}
	for rule, want := range map[string]string{
		"":                                            "",
		"accept":                                      "accept",
		"counter packets 7 bytes 700 drop":            "drop",
		"counter":                                     "",
		"counter jump other":                          "jump other",
		"goto other":                                  "goto other",
		"return":                                      "return",
		"masquerade":                                  "masquerade",
		`accept comment "why: { , }"`:                 "accept",
		`comment "drop" accept`:                       "accept",
		"reject":                                      "reject port unreachable",
		"reject with icmp host-prohibited":            "reject communication prohibited",
		"reject with icmp type net-unreachable":       "reject network unreachable",
		"reject with tcp reset":                       "reject TCP reset",
		`iifname "vp_a" drop`:                         "drop",
		`iifname "vp_*" drop`:                         "drop",
		`iifname "vp_b" drop`:                         "",
		`iifname != "vp_b" drop`:                      "drop",
		`oifname { "br", "other" } drop`:              "drop",
		"ip saddr 10.1.0.1 drop":                      "drop",
		"ip saddr == 10.1.0.1 drop":                   "drop",
		"ip saddr 10.1.0.0/16 drop":                   "drop",
		"ip saddr @blocks ip daddr @blocks drop":      "drop",
		"ip saddr != @blocks drop":                    "",
		"ip daddr 10.2.0.1-10.2.0.9 drop":             "drop",
		"ip daddr { 10.9.0.0/16, 10.2.0.6 } drop":     "",
		"tcp dport 8080 drop":                         "drop",
		"tcp dport @services drop":                    "drop",
		"tcp dport { 22, 80-90 } drop":                "",
		"th dport 8080 drop":                          "drop",
		"tcp sport 40000 drop":                        "drop",
		"udp dport 8080 drop":                         "",
		"udp dport != 53 drop":                        "", // it has no such port at all
		"icmp type echo-request drop":                 "",
		"ip protocol tcp drop":                        "drop",
		"meta l4proto { tcp, udp } drop":              "drop",
		"ether saddr 0a:00:00:00:00:01 drop":          "drop",
		"ether saddr != 0a:00:00:00:00:01 drop":       "",
		"ether type arp drop":                         "",
		"ether type ip drop":                          "drop",
		"arp saddr ip != 10.1.0.1 drop":               "", // it is no ARP
		"ct state new drop":                           "drop",
		"ct state { established, related } accept":    "",
		"ct state established,related,new accept":     "accept",
		"iifname vmap @verdicts":                      "jump mine",
		"iifname vmap { vp_x : drop, vp_a : accept }": "accept",
		"oifname vmap @verdicts":                      "",
		"iifname . ip saddr @pairs drop":              "drop",
		"iifname . ip daddr @pairs drop":              "drop",
		"oifname . ip daddr @pairs drop":              "",
		"ip saddr 10.9.0.1 meta cpu 0 drop":           "", // what comes after a miss does not matter
	} {
		r := reader{table: table(), match: &m, words: tokens(rule)}
		if got, err := r.rule(); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", rule, got, err, want)
		}
	}
	for rule, want := range map[string]string{
		"meta cpu 0 drop": `"meta cpu 0 drop" is not known here`,
		"ip saddr 10.1.0.1 limit rate 5/second drop": `"limit rate 5/second drop" is not known here`,
		"ip saddr":                        "it ends where a value should be",
		"ip saddr @nothing drop":          "there is no set @nothing",
		"ip saddr { 10.1.0.1":             "a brace is not closed",
		"iifname . ip saddr @blocks drop": `element "10.1.0.0/16" does not fit`,
		"reject with icmp type nonsense":  "is not known here",
	} {
		r := reader{table: table(), match: &m, words: tokens(rule)}
		if got, err := r.rule(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want %q", rule, got, err, want)
		}
	}
}

// TestChains is how chains follow each other.
func TestChains(t *testing.T) {
	chain := func(name string, rules ...string) netstate.Chain { return netstate.Chain{Name: name, Rules: rules} }
	for name, tc := range map[string]struct {
		chains []netstate.Chain
		want   string
	}{
		"nothing said":        {[]netstate.Chain{chain("a", "counter")}, ""},
		"the first says":      {[]netstate.Chain{chain("a", "accept", "drop")}, "accept"},
		"back from a jump":    {[]netstate.Chain{chain("a", "jump b", "drop"), chain("b", "counter")}, "drop"},
		"back by return":      {[]netstate.Chain{chain("a", "jump b", "drop"), chain("b", "return", "accept")}, "drop"},
		"decided in a jump":   {[]netstate.Chain{chain("a", "jump b", "drop"), chain("b", "accept")}, "accept"},
		"no way back":         {[]netstate.Chain{chain("a", "goto b", "drop"), chain("b", "counter")}, ""},
		"in circles":          {[]netstate.Chain{chain("a", "jump a")}, "more than 16 chains"},
		"to where nothing is": {[]netstate.Chain{chain("a", "jump c")}, "there is no chain c"},
		"what nobody knows":   {[]netstate.Chain{chain("a", "notrack")}, `rule "notrack" of chain ip sarn a`},
		"reached by a jump":   {[]netstate.Chain{chain("a", "jump b"), chain("b", "notrack")}, `rule "notrack" of chain ip sarn b`},
		"never reached":       {[]netstate.Chain{chain("a", "accept", "notrack")}, "accept"},
	} {
		tb := table(tc.chains...)
		e := (&walk{}).chain(tb, &tb.Chains[0], &match{packet: &packet{}}, 0)
		if e.err != nil {
			e.word = e.err.Error()
		}
		if e.err == nil && e.word != tc.want || !strings.Contains(e.word, tc.want) {
			t.Errorf("%s: %+v, want %q", name, e, tc.want)
		}
	}
}

// FuzzRule: no text of a rule makes the reader panic or go on for ever.
func FuzzRule(f *testing.F) {
	for _, seed := range []string{`iifname "vp_*" counter packets`, "ip saddr { 1 : accept", "ct state vmap", "a . . b", `"`, "iifname . vmap { , }", "reject with"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		p := packet{protocol: UDP}
		r := reader{table: table(), match: &match{in: "vp_a", packet: &p, ct: ctNew}, words: tokens(rule)}
		if verdict, err := r.rule(); err != nil && verdict != "" {
			t.Errorf("%q: both %q and %v", rule, verdict, err)
		}
	})
}
