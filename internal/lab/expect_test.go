package lab

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

func TestParseExpectations(t *testing.T) {
	all, err := ParseExpectations("x.yaml", []byte(`kind: LabTest
name: reach
expect:
  - {from: vm1, to: vm3, hops: [host1, router, host2]}
  - {from: vm1, to: 10.10.10.1, hops: 2}
  - {from: vm1, to: vm5, protocol: tcp, port: 80, allow: false}
---
kind: LabTest
expect:
  - {from: vm1, to: vm2, protocol: udp, port: 53, allow: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		got = append(got, e.From+" "+e.To+" "+e.what()+" "+e.expected())
	}
	want := []string{
		"vm1 vm3 icmp allow via host1, router, host2",
		"vm1 10.10.10.1 icmp allow, 2 hops",
		"vm1 vm5 tcp 80 deny",
		"vm1 vm2 udp 53 allow",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if all[0].line != 4 || all[3].line != 10 {
		t.Errorf("lines %d and %d, want 4 and 10", all[0].line, all[3].line)
	}
	js, err := json.Marshal([]*Hops{all[0].Hops, all[1].Hops})
	if err != nil || string(js) != `[["host1","router","host2"],2]` {
		t.Errorf("hops as JSON: %s, %v", js, err)
	}
}

func TestParseExpectationsTellsWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"kind: LabTest\n": "x.yaml:1: expect: is missing",
		"kind: Lab\n":     `"Lab" is not a kind`,
		"kind: VPC\nname: a\ncidrs: [10.0.0.0/8]\n": "this file is for `kind: LabTest` documents only",
		"":                                   "x.yaml:1: has no `kind: LabTest` document",
		"kind: LabTest\nexpect: [{from: a}]": "x.yaml:2: expect.0.to: is missing",
		"kind: LabTest\nexpect:\n - {to: a}": "x.yaml:3: expect.0.from: is missing",
		"kind: LabTest\nexpect: [{from: a, to: b, port: 1}]":               "port: belongs to tcp and udp",
		"kind: LabTest\nexpect: [{from: a, to: b, protocol: tcp}]":         "tcp needs one from 1 to 65535",
		"kind: LabTest\nexpect: [{from: a, to: b, protocol: gre}]":         `"gre" is not a protocol`,
		"kind: LabTest\nexpect: [{from: a, to: b, why: not}]":              `unknown field "why"`,
		"kind: LabTest\nexpect: [{from: a, to: b, hops: {a: b}}]":          "hops: is a number up to 30, or a list",
		"kind: LabTest\nexpect: [{from: a, to: b, hops: 1.7}]":             "x.yaml:2: expect.0.hops: is a number",
		"kind: LabTest\nexpect: [{from: a, to: b, hops: -1}]":              "hops: is a number up to 30",
		"kind: LabTest\nexpect: [{from: a, to: b, hops: 31}]":              "hops: is a number up to 30",
		"kind: LabTest\nexpect: [{from: a, to: b, hops: two}]":             "hops: is a number",
		"kind: LabTest\nexpect: [{from: a, to: b, hops: 1, allow: false}]": "hops: are for what is allowed",
	} {
		_, err := ParseExpectations("x.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func testDirectory(t *testing.T) *Directory {
	p := example(t, "two-hosts")
	return (&Labs{dir: "/run/sarn/labs"}).named("two-hosts").directory(p, p.Intent)
}

func TestDirectory(t *testing.T) {
	d := testDirectory(t)
	if got := strings.Join(d.Names(), " "); got != "host1 host2 internet lan router vm1 vm2 vm3 vm4 vm5 vm6 wan" {
		t.Errorf("members: %s", got)
	}
	vm3, err := d.Find("vm3")
	if err != nil {
		t.Fatal(err)
	}
	if vm3.Netns != "/run/sarn/labs/two-hosts/guests/host2/vm3" {
		t.Errorf("vm3 is in %s", vm3.Netns)
	}
	host1, _ := d.Find("host1")
	for _, c := range []struct {
		address string
		from    Member
		want    string
	}{
		{"192.168.56.101", vm3, "router"},
		{"203.0.113.2", vm3, "router"},
		{"10.10.10.2", vm3, "host2"}, // a bridge has the address on every host
		{"10.10.10.2", host1, "host1"},
		{"10.10.10.10", vm3, "vm1"},
		{"9.9.9.9", vm3, "9.9.9.9"},
	} {
		if got := d.NameOf(netip.MustParseAddr(c.address), c.from); got != c.want {
			t.Errorf("%s from %s is %s, want %s", c.address, c.from.Name, got, c.want)
		}
	}
	for _, want := range []string{"10.10.10.12     vm3\n", "192.168.56.101  router\n", "203.0.113.2     router-enp0s3\n", "10.10.10.1      net1-gateway\n"} {
		if !strings.Contains(d.Hosts(), want) {
			t.Errorf("no %q in\n%s", want, d.Hosts())
		}
	}
	if _, err := d.Find("vm9"); err == nil || !strings.Contains(err.Error(), `nothing called "vm9"`) {
		t.Errorf("vm9: %v", err)
	}
}

func TestResolveTellsWhatIsWrong(t *testing.T) {
	d := testDirectory(t)
	_, err := d.resolve([]Expectation{
		{From: "vm9", To: "vm1", Protocol: ICMP, file: "x.yaml", line: 3},
		{From: "vm1", To: "lan", Protocol: ICMP, file: "x.yaml", line: 4},
		{From: "vm1", To: "fe80::1", Protocol: ICMP, file: "x.yaml", line: 5},
		{From: "vm1", To: "::ffff:10.10.10.11", Protocol: ICMP, file: "x.yaml", line: 6},
		{From: "vm1", To: "224.0.0.1", Protocol: ICMP, file: "x.yaml", line: 7},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`x.yaml:3: from: the lab has nothing called "vm9"`,
		"x.yaml:4: to: lan has no address",
		"x.yaml:5: to: fe80::1 is not an IPv4 address of one machine",
		"x.yaml:6: to: ::ffff:10.10.10.11 is not",
		"x.yaml:7: to: 224.0.0.1 is not",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestKeptOut(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errSilent, true},
		{&refusal{What: "prohibited"}, true},
		{&refusal{What: portRefused}, true},
		{errClosed, false},
		{&onewayError{}, false},
		{&refusal{What: ttlExceeded}, false},
		{&refusal{What: tooBig}, false},
		{errors.New("write ip4: non-IPv4 address"), false},
		{refused(syscall.EMSGSIZE), false},
		{refused(syscall.ENETUNREACH), true}, // no route out is a way to keep in
	} {
		if got := keptOut(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

func TestSameHops(t *testing.T) {
	d := testDirectory(t)
	vm1, _ := d.Find("vm1")
	path := []netip.Addr{netip.MustParseAddr("10.10.10.2"), netip.MustParseAddr("192.168.56.101")}
	for _, c := range []struct {
		want Hops
		ok   bool
	}{
		{Hops{2, nil}, true},
		{Hops{1, nil}, false},
		{Hops{2, []string{"host1", "router"}}, true},
		{Hops{2, []string{"10.10.10.2", "192.168.56.101"}}, true},
		{Hops{2, []string{"host2", "router"}}, false},
		{Hops{1, []string{"host1"}}, false},
	} {
		if got := d.sameHops(&c.want, path, vm1); got != c.ok {
			t.Errorf("%v: %v, want %v", c.want, got, c.ok)
		}
	}
	if got := d.via(append(path, netip.Addr{}), vm1); got != "via host1, router, ?" {
		t.Errorf("in words: %s", got)
	}
}
