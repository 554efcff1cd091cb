package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"sarn/internal/api"
	"sarn/internal/intent"
)

func testApp(out *bytes.Buffer, f format) *app {
	return &app{State: State{Out: out, Err: out, Getenv: func(string) string { return "" }}, format: f}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"vm1":                 "vm1",
		"grüße\tdich":         "grüße\tdich",
		"\x1b[2Jgone":         `\x1b[2Jgone`,
		"two\nlines":          `two\nlines`,
		"\u202eright-to-left": `\u202eright-to-left`,
		"not utf8 \xff":       `not utf8 \xff`,
		"\u009b31m":           `\u009b31m`, // CSI as one character
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	a := testApp(&out, "")
	tab := newTable("NAME", "ADDRESS", "ERROR")
	tab.add("vm1", "10.10.10.10", "\x1b[31mred")
	tab.add("größer", "", "")
	if err := a.printTable(tab); err != nil {
		t.Fatal(err)
	}
	want := "NAME     ADDRESS       ERROR\n" +
		"vm1      10.10.10.10   \\x1b[31mred\n" +
		"größer   -             -\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	a.noHeaders = true
	if err := a.printTable(tab); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "NAME") || !strings.HasPrefix(out.String(), "vm1") {
		t.Errorf("with --no-headers: %q", out.String())
	}
}

func somePort() *intent.Port {
	return &intent.Port{
		Header: intent.Header{Name: "vm1", Revision: 7}, Subnet: "net1", Node: "host1",
		Address: intent.MustAddr("10.10.10.10"), MAC: "0a:5a:0a:0a:0a:0a",
		Attach: intent.Attach{Type: intent.AttachNetns, Namespace: "vm1", Interface: "eth0"},
	}
}

func TestObjectsAsJSON(t *testing.T) {
	var out bytes.Buffer
	if err := testApp(&out, formatJSON).printObjects([]intent.Object{somePort()}, nil, nil); err != nil {
		t.Fatal(err)
	}
	var got []struct {
		Kind, Name string
		Revision   int
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if len(got) != 1 || got[0].Kind != "Port" || got[0].Name != "vm1" || got[0].Revision != 7 {
		t.Errorf("got %+v", got)
	}
	out.Reset()
	if err := testApp(&out, formatJSON).printObjects(nil, nil, nil); err != nil || out.String() != "[]\n" {
		t.Errorf("no objects: %q, %v; want an empty array", out.String(), err)
	}
}

func TestObjectsAsYAMLCanBeAppliedAgain(t *testing.T) {
	var out bytes.Buffer
	other := somePort()
	other.Name = "vm2"
	if err := testApp(&out, formatYAML).printObjects([]intent.Object{somePort(), other}, nil, nil); err != nil {
		t.Fatal(err)
	}
	docs, err := intent.Decode("out", out.Bytes(), nil)
	if err != nil || len(docs) != 2 {
		t.Fatalf("%d documents, %v:\n%s", len(docs), err, out.String())
	}
	want := somePort()
	want.Revision = 0
	if got := *docs[0].Value.(*intent.Port); got != *want {
		t.Errorf("got %+v, want %+v", got, *want)
	}
}

func TestNoColourButOnATerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	a := &app{State: State{Out: null, Getenv: func(string) string { return "" }}}
	if a.colourful() {
		t.Error("colour on what is no terminal")
	}
}

func TestStatus(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	nodes := []api.NodeStatus{
		{Node: "host1", Role: "host", Connected: true, Wanted: 12, Applied: 12, AppliedAt: now.Add(-90 * time.Second), Ports: 3},
		{Node: "router", Role: "router", Wanted: 12, Error: "no nft"},
	}
	if err := testApp(&out, "").printStatus(nodes, now); err != nil {
		t.Fatal(err)
	}
	want := "NODE     ROLE     CONNECTED   WANTED   APPLIED   AGE   PORTS   REPAIRS   ERROR\n" +
		"host1    host     yes         12       12        1m    3       0         -\n" +
		"router   router   no          12       0         -     0       0         no nft\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestFreeAddresses(t *testing.T) {
	var s sheet
	n := &intent.Subnet{CIDR: intent.MustCIDR("10.0.0.0/29"), Gateway: intent.MustAddr("10.0.0.1"), Bridge: intent.MustAddr("10.0.0.2")}
	taken := reserved(n)
	s.line("", "%s", freeWords(n.CIDR, taken))
	taken[intent.MustAddr("10.0.0.3").Addr] = true
	s.line("", "%s", freeWords(n.CIDR, taken))
	for _, a := range []string{"10.0.0.4", "10.0.0.5", "10.0.0.6"} {
		taken[intent.MustAddr(a).Addr] = true
	}
	s.line("", "%s", freeWords(n.CIDR, taken))
	for i, want := range []string{"4 of 8 free, next 10.0.0.3", "3 of 8 free, next 10.0.0.4", "none free"} {
		if got := s.lines[i][1]; got != want {
			t.Errorf("step %d: %q, want %q", i, got, want)
		}
	}
}
