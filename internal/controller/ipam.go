package controller

import (
	"cmp"
	"context"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sarn/internal/api"
	"sarn/internal/intent"
)

// catchUp is how long a look at the store waits for the watch to tell what the store
// already has. In an etcd that others use too its revision may never be reached.
const catchUp = time.Second

func (c *Controller) serveIPAM(h huma.API) {
	huma.Register(h, huma.Operation{
		OperationID: "ipam", Method: http.MethodGet, Path: "/v1/ipam", Tags: []string{"ipam"},
		Summary: "Look through the addresses",
		Description: "Reads the store anew and says how the addresses of each subnet are used, and what is wrong with the objects, " +
			"or with the controller's own record of who holds what.",
	}, func(ctx context.Context, _ *struct{}) (*body[api.IPAM], error) {
		i, err := c.IPAM(ctx)
		return &body[api.IPAM]{i}, problem(err)
	})
}

// IPAM reads the store anew and says how its addresses are used, and what is wrong with
// it or with the ledger.
func (c *Controller) IPAM(ctx context.Context) (api.IPAM, error) {
	at, err := c.store.Revision(ctx)
	if err != nil {
		return api.IPAM{}, err
	}
	late, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	// A ledger that stays behind is looked at as it is: what it lacks is found.
	_ = c.await(late, func() bool { return c.revision >= at })

	c.mu.RLock()
	at = max(at, c.revision)
	ours := c.ledger.records()
	c.mu.RUnlock()
	objects, err := c.store.LoadAt(ctx, at)
	if err != nil {
		return api.IPAM{}, err
	}
	i := api.IPAM{Revision: at, Subnets: []api.SubnetUse{}, Findings: append(audit(objects), compare(ours, objects)...)}
	slices.SortStableFunc(i.Findings, func(x, y api.Finding) int {
		return cmp.Or(rank(x.Kind)-rank(y.Kind), cmp.Compare(x.Name, y.Name))
	})
	fresh := newLedger(objects...)
	for _, s := range fresh.world.AllSubnets() {
		i.Subnets = append(i.Subnets, fresh.use(s))
	}
	return i, nil
}

// rank is the place of a kind in the order in which objects depend on each other.
func rank(k intent.Kind) int { return slices.Index(intent.Kinds, k) }

// use says how the subnet's addresses are used.
func (l *ledger) use(s *intent.Subnet) api.SubnetUse {
	reserved := map[netip.Addr]bool{s.CIDR.First(): true, s.CIDR.Last(): true, s.Gateway.Addr: true, s.Bridge.Addr: true}
	maps.DeleteFunc(reserved, func(a netip.Addr, _ bool) bool { return !s.CIDR.Contains(a) })
	u := api.SubnetUse{Subnet: s.Name, VPC: s.VPC, CIDR: s.CIDR, Size: s.CIDR.Size(), Reserved: len(reserved)}
	for _, p := range l.world.PortsIn(s.Name) {
		if s.CIDR.Contains(p.Address.Addr) && !reserved[p.Address.Addr] {
			u.Used++
		}
	}
	u.Free = u.Size - u.Reserved - u.Used
	if all := u.Used + u.Free; all > 0 {
		u.Percent = math.Round(1000*float64(u.Used)/float64(all)) / 10
	}
	if next, ok := l.lowestFree(s, s.CIDR.First().Next()); ok {
		u.Next.Addr = next
	}
	return u
}

// records is a copy of what a ledger notes beside its World.
type records struct {
	held    map[claim]intent.Ref
	pools   map[string]pool
	outside map[intent.Ref]bool
}

func (l *ledger) records() records {
	r := records{maps.Clone(l.held), map[string]pool{}, map[intent.Ref]bool{}}
	for subnet, p := range l.pools {
		r.pools[subnet] = maps.Clone(p)
	}
	for ref := range l.outside {
		r.outside[ref] = true
	}
	return r
}
