package kernel_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"sarn/internal/netnstest"
	"sarn/internal/netstate"
	"sarn/internal/timetest"
)

func TestWatch(t *testing.T) {
	route := netstate.Route{Table: 10000, Dst: prefix("10.0.0.0/8"), Type: netstate.Unreachable}
	added := netstate.Route{Table: 77, Dst: prefix("10.7.0.0/16"), Via: addr("192.168.56.101"), Link: "eth0"}
	events := []struct {
		name, script string
		want         netstate.Event
	}{
		{"our route gone", "ip route delete 10.0.0.0/8 table 10000", netstate.Event{Route: &route, Gone: true}},
		{"a route of our protocol", "ip route add 10.7.0.0/16 via 192.168.56.101 dev eth0 table 77 proto 83", netstate.Event{Route: &added}},
		{"somebody's route in its place", "ip route replace 10.7.0.0/16 via 192.168.56.101 dev eth0 table 77 proto 99", netstate.Event{Route: &added, Gone: true}},
		{"address deleted", "ip address delete 10.10.10.1/32 dev lo", netstate.Event{Routes: true}},
	}
	for _, e := range []struct{ name, script string }{
		{"port down", "ip link set vp_vm1 down"},
		{"link", "ip link set vp_vm1 mtu 1300"},
		{"address", "ip address add 10.9.9.9/32 dev eth0"},
		{"rule", "ip rule delete pref 10001"},
		{"permanent neighbour", "ip neigh replace 10.10.10.11 lladdr 02:00:00:00:00:01 dev br_net1 nud permanent"},
		{"neighbour no longer permanent", "ip neigh replace 10.10.10.11 lladdr 02:00:00:00:00:02 dev br_net1 nud reachable"},
		{"neighbour deleted", "ip neigh delete 10.10.10.10 dev br_net1"},
		{"bridge entry", "bridge fdb add 02:00:00:00:00:77 dev vp_vm1 master static"},
		{"nft", "nft flush table ip sarn"},
	} {
		events = append(events, struct {
			name, script string
			want         netstate.Event
		}{e.name, e.script, netstate.Event{}})
	}
	events = append(events, []struct {
		name, script string
		want         netstate.Event
	}{
		{"link down", "ip link set br_net1 down", netstate.Event{Routes: true, Link: "br_net1"}},
		{"link renamed", "ip link set vp_vm2 name other", netstate.Event{Routes: true}},
	}...)
	netnstest.Run(t, func(t *testing.T) {
		defer timetest.NoLeaks(t)
		sh(t, foreign)
		k := newKernel(t)
		converge(t, k, host())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		changed := make(chan netstate.Event, 1000)
		ended := make(chan error, 1)
		go func() { ended <- k.Watch(ctx, func(e netstate.Event) { changed <- e }) }()
		// Watching begins some time after Watch was called.
		for begun := false; !begun; {
			sh(t, "ip link set eth0 alias one; ip link set eth0 alias two")
			select {
			case <-changed:
				begun = true
			case <-time.After(10 * time.Millisecond):
			}
		}
		for _, e := range events {
			t.Run(e.name, func(t *testing.T) {
				quiet(changed)
				sh(t, e.script)
				for {
					select {
					case got := <-changed:
						if !reflect.DeepEqual(got, e.want) {
							continue
						}
					case <-time.After(time.Minute):
						t.Errorf("nobody was told of %+v", e.want)
					}
					return
				}
			})
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v", err)
		}
	})
}

// quiet waits until no more changes come from what was before.
func quiet(changed <-chan netstate.Event) {
	for {
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
			return
		}
	}
}

// TestWatchGoesOnAfterALoss has more happen than the kernel keeps for one who is slow: a new
// link is among what was lost, and a route over it is told by the link's name.
func TestWatchGoesOnAfterALoss(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		defer timetest.NoLeaks(t)
		sh(t, foreign)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begun, slow, ended := make(chan bool), make(chan bool), make(chan error, 1)
		changed := make(chan netstate.Event, 100_000)
		first := sync.OnceFunc(func() { close(begun); <-slow })
		k := newKernel(t)
		go func() { ended <- k.Watch(ctx, func(e netstate.Event) { first(); changed <- e }) }()
		<-begun
		sh(t, "for i in $(seq 30000); do echo link set eth0 alias n$i; done | ip -batch - ; ip link add br_late up type bridge")
		close(slow)
		route := netstate.Route{Table: 77, Dst: prefix("10.7.0.0/16"), Link: "br_late"}
		late := time.After(time.Minute)
		for doubts := 0; doubts < 2; { // the first is the beginning
			select {
			case e := <-changed:
				if e.Routes {
					doubts++
				}
			case <-late:
				t.Fatal("nothing was lost")
			}
		}
		sh(t, "ip route add 10.7.0.0/16 dev br_late table 77 proto 83")
		for told := false; !told; {
			select {
			case e := <-changed: // among what else the kernel still does with its links
				if told = e.Route != nil; told && !reflect.DeepEqual(e, netstate.Event{Route: &route}) {
					t.Errorf("got %+v, %+v", e, e.Route)
				}
			case <-late:
				t.Fatal("nobody was told of the route")
			}
		}
		cancel()
		<-ended
	})
}
