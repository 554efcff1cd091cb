package controller

import (
	"sync"

	"sarn/internal/compile"
	"sarn/internal/intent"
	"sarn/internal/netstate"
)

// distant keeps the fingerprints of what the hosts of a direct VPC know alike, so that
// when all hosts come back at once, each costs no more than the ports that it carries.
type distant struct {
	mu       sync.Mutex
	revision int64 // of the world that all are of
	all      map[alike]netstate.Fingerprint
}

// alike is what hosts that know the same of a VPC have in common.
type alike struct{ vpc, underlay string }

// fingerprint is that of what the node should hold now.
func (c *Controller) fingerprint(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	w := c.ledger.world
	var f netstate.Fingerprint
	for _, k := range compile.OwnKeys(w, name) {
		if part := compile.Part(w, name, k); part != nil {
			f.Add(string(k), part)
		}
	}
	for _, v := range compile.DirectVPCs(w, name) {
		underlay := w.Nodes[name].Interface
		f.Join(c.distantOf(v, underlay))
		var own netstate.Fingerprint
		for _, p := range w.PortsOn(name) {
			if s := w.Subnets[p.Subnet]; s != nil && s.VPC == v.Name {
				addDistant(&own, w, v, p, underlay)
			}
		}
		f.Leave(own)
	}
	return f.String()
}

// distantOf is the fingerprint of what a host of the direct VPC would know of its ports
// if it carried none of them. The caller holds c.mu.
func (c *Controller) distantOf(v *intent.VPC, underlay string) netstate.Fingerprint {
	d := &c.distant
	d.mu.Lock() // the first host that asks makes it, and the others wait for that
	defer d.mu.Unlock()
	if d.revision != c.revision || d.all == nil {
		d.revision, d.all = c.revision, map[alike]netstate.Fingerprint{}
	}
	f, known := d.all[alike{v.Name, underlay}]
	if known {
		return f
	}
	w := c.ledger.world
	for _, s := range w.SubnetsOf(v.Name) {
		for _, p := range w.PortsIn(s.Name) {
			addDistant(&f, w, v, p, underlay)
		}
	}
	d.all[alike{v.Name, underlay}] = f
	return f
}

func addDistant(f *netstate.Fingerprint, w *intent.World, v *intent.VPC, p *intent.Port, underlay string) {
	if part := compile.Distant(w, v, p, underlay); part != nil {
		f.Add(string(compile.PortKey(p.Name)), part)
	}
}
