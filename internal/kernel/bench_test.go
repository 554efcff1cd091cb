package kernel_test

import (
	"fmt"
	"net/netip"
	"testing"

	"sarn/internal/kernel"
	"sarn/internal/netnstest"
	"sarn/internal/netstate"

	"github.com/vishvananda/netlink"
)

// many is a router's state: n host routes through a few gateways.
func many(n int) netstate.Machine {
	s := &netstate.State{Links: []netstate.Link{{Name: "eth0"}}}
	for i := range n {
		dst := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		s.Routes = append(s.Routes, netstate.Route{
			Table: netstate.MainTable, Dst: netip.PrefixFrom(dst, 32), Link: "eth0",
			Via: addr(fmt.Sprintf("192.168.56.%d", 100+i%8)),
		})
	}
	return netstate.Machine{"": s}
}

func BenchmarkReadRoutes(b *testing.B) {
	netnstest.Run(b, func(b *testing.B) {
		sh(b, foreign)
		k, want := newKernel(b), many(10_000)
		converge(b, k, want)
		b.Run("Read", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Read(b.Context(), want); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("library", func(b *testing.B) { // for comparison
			b.ReportAllocs()
			for b.Loop() {
				routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4,
					&netlink.Route{Protocol: netstate.Protocol}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
				if err != nil || len(routes) != 10_000 {
					b.Fatal(len(routes), err)
				}
			}
		})
	})
}

func BenchmarkApplyRoutes(b *testing.B) {
	const n = 10_000
	netnstest.Run(b, func(b *testing.B) {
		sh(b, foreign)
		k := newKernel(b)
		up, down := diff(b, k, many(n)), []netstate.Op{}
		for _, op := range up {
			down = append(down, netstate.Op{Verb: netstate.Delete, Object: op.Object})
		}
		for b.Loop() {
			for _, ops := range [][]netstate.Op{up, down} {
				if err := k.Apply(b.Context(), ops); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*2*n), "ns/route")
	})
}

func BenchmarkReadHost(b *testing.B) {
	netnstest.Run(b, func(b *testing.B) {
		sh(b, foreign)
		k := newKernel(b)
		converge(b, k, host())
		b.ReportAllocs()
		for b.Loop() {
			if _, err := k.Read(b.Context(), host()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReadNamespaces(b *testing.B) {
	const n = 100
	netnstest.Run(b, func(b *testing.B) {
		k, want := newKernel(b), netstate.Machine{"": {}}
		for i := range n {
			want[fmt.Sprint("vm", i)] = &netstate.State{Alias: "sarn bench", Links: []netstate.Link{{Name: "lo", Up: true}}}
		}
		converge(b, k, want)
		for b.Loop() {
			if _, err := k.Read(b.Context(), want); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/namespace")
	})
}

func BenchmarkEnter(b *testing.B) {
	netnstest.Run(b, func(b *testing.B) {
		sh(b, "ip netns add a")
		for b.Loop() {
			if err := kernel.Enter("/run/netns/a", func() error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}
