package controller

import (
	"sarn/internal/api"
	"sarn/internal/intent"
)

// Preview returns the objects as the controller of an empty fabric would store them:
// with their defaults, addresses and tables. If it would refuse them, the error is a
// *Refusal.
func Preview(s intent.Set) (intent.Set, error) {
	c := api.Change{Set: s, Create: true}
	if err := wellFormed(c); err != nil {
		return intent.Set{}, err
	}
	p, err := newLedger().admit(c)
	if err != nil {
		return intent.Set{}, err
	}
	var all intent.Set
	for _, o := range p.objects {
		all.Add(o)
	}
	return all, nil
}
