package controller

import (
	"errors"
	"testing"

	"sarn/internal/intent"
)

func TestPreview(t *testing.T) {
	given := change(t, base).Set
	got, err := Preview(given)
	if err != nil {
		t.Fatal(err)
	}
	// It is what a controller would hold.
	want := baseLedger(t).world.Set()
	if len(got.Objects()) != len(want.Objects()) || len(got.Subnets) == 0 {
		t.Fatalf("%d objects, want %d", len(got.Objects()), len(want.Objects()))
	}
	for _, s := range got.Subnets {
		if !s.Bridge.IsValid() || s.Table == 0 {
			t.Errorf("subnet %s has bridge %s and table %d", s.Name, s.Bridge, s.Table)
		}
	}
	given.Ports = append(given.Ports, &intent.Port{Header: intent.Header{Name: "lost"}, Subnet: "nosuch", Node: "nosuch"})
	var ps intent.Problems
	if _, err := Preview(given); !errors.As(err, &ps) || len(ps) == 0 {
		t.Errorf("a port of no subnet: %v", err)
	}
}
