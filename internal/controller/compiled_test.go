package controller

import (
	"crypto/x509/pkix"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"sarn/internal/api"
	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// TestCompiled holds what is served against what the node's agent is sent, right after
// a change and without waiting.
func TestCompiled(t *testing.T) {
	r := run(t, t.TempDir())
	r.apply(t, change(t, base))
	events, _ := r.follow(t, "host1", "")
	first := next(t, events)
	result := r.apply(t, change(t, "{kind: Port, name: vm3, subnet: net1, node: host1}"))
	now, err := r.client.Compiled(t.Context(), "host1")
	if err != nil {
		t.Fatal(err)
	}
	if now.Revision != result.Revision {
		t.Errorf("revision %d, want %d", now.Revision, result.Revision)
	}
	told := []netstate.Machine{next(t, events).Parts["port vm3"]}
	for _, part := range first.Parts {
		told = append(told, part)
	}
	if ops, err := netstate.Diff(now.State, netstate.Assume(netstate.Merge(told...))); err != nil || len(ops) > 0 {
		t.Errorf("the state differs from what the agent is told: %v, %v", ops, err)
	}
	if s := r.status(t, "host2"); s.Connected {
		t.Error("host2 counts as connected")
	}
	if _, err := r.client.Compiled(t.Context(), "host2"); err != nil {
		t.Error(err)
	}
	if s := r.status(t, "host2"); s.Connected {
		t.Error("to ask what host2 should hold counts as its agent")
	}
	var problems intent.Problems
	if _, err := r.client.Compiled(t.Context(), "nobody"); !errors.As(err, &problems) || problems[0].Ref != (intent.Ref{Kind: intent.KindNode, Name: "nobody"}) {
		t.Errorf("a node that is not there: %v", err)
	}
	if _, err := r.client.Compiled(t.Context(), "../status"); !errors.As(err, &problems) {
		t.Errorf("a name that is none: %v", err)
	}
}

// TestCompiledIsForAdmins: a node's certificate opens its own stream, not this.
func TestCompiledIsForAdmins(t *testing.T) {
	ca := newAuthority(t, t.TempDir())
	caFile := filepath.Join(ca.dir, "ca.crt")
	r := run(t, t.TempDir(), func(c *Config) {
		c.Listen, c.TLSClientCA = "127.0.0.1:0", caFile
		c.TLSCert, c.TLSKey = ca.sign(t, "server", pkix.Name{CommonName: "controller"})
	})
	r.apply(t, change(t, base))
	for org, allowed := range map[string]bool{orgAdmin: true, orgNode: false} {
		cert, key := ca.sign(t, strings.ReplaceAll(org, ":", "-"), pkix.Name{CommonName: "host1", Organization: []string{org}})
		client, err := api.New(api.Endpoint{Address: "https://" + r.addresses[1], CA: caFile, Cert: cert, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Compiled(t.Context(), "host1"); (err == nil) != allowed {
			t.Errorf("%s: %v, want allowed: %v", org, err, allowed)
		}
	}
}
