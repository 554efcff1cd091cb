package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

var routeTypes = map[netstate.RouteType]uint8{
	netstate.Unicast:     unix.RTN_UNICAST,
	netstate.Unreachable: unix.RTN_UNREACHABLE,
	netstate.Prohibit:    unix.RTN_PROHIBIT,
	netstate.Blackhole:   unix.RTN_BLACKHOLE,
}

func (r *reading) routes() error {
	if r.skipRoutes {
		return nil
	}
	routes, err := retry(func() ([]netstate.Route, error) { return dumpRoutes(r.names, r.owner.Protocol) })
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	r.state.Routes = routes
	r.leaveToTheKernel()
	return nil
}

// leaveToTheKernel clears the link of routes whose wanted form leaves it to the
// kernel to find one for the gateway: it is there in what the kernel tells.
func (r *reading) leaveToTheKernel() {
	type key struct {
		table uint32
		dst   netip.Prefix
	}
	free := map[key]bool{}
	for _, w := range r.want.Routes {
		if w.Link == "" && w.Via.IsValid() {
			free[key{w.Table, w.Dst}] = true
		}
	}
	if len(free) == 0 {
		return
	}
	for i := range r.state.Routes {
		if h := &r.state.Routes[i]; h.Via.IsValid() && free[key{h.Table, h.Dst}] {
			h.Link = ""
		}
	}
}

// dumpRoutes returns the IPv4 routes of a protocol in all tables. names has the names
// of links by index.
func dumpRoutes(names map[int]string, protocol uint8) ([]netstate.Route, error) {
	var routes []netstate.Route
	header := make([]byte, unix.SizeofRtMsg)
	header[0], header[5] = unix.AF_INET, protocol // rtm_family, rtm_protocol
	err := dump(unix.NETLINK_ROUTE, unix.RTM_GETROUTE, header, func(body []byte) error {
		if len(body) >= unix.SizeofRtMsg && body[0] == unix.AF_INET && body[5] == protocol {
			routes = append(routes, parseRoute(body, names))
		}
		return nil
	})
	return routes, err
}

// parseRoute reads a struct rtmsg and its attributes: rtnetlink(7).
func parseRoute(body []byte, names map[int]string) netstate.Route {
	bits, table, kind := int(body[1]), uint32(body[4]), body[7]
	route := netstate.Route{Table: table}
	dst := netip.IPv4Unspecified() // a default route has no RTA_DST
	for attr, value := range attributes(body[unix.SizeofRtMsg:]) {
		if len(value) < 4 {
			continue
		}
		switch attr {
		case unix.RTA_TABLE:
			route.Table = binary.NativeEndian.Uint32(value)
		case unix.RTA_DST:
			dst = netip.AddrFrom4([4]byte(value))
		case unix.RTA_GATEWAY:
			route.Via = netip.AddrFrom4([4]byte(value))
		case unix.RTA_PREFSRC:
			route.Src = netip.AddrFrom4([4]byte(value))
		case unix.RTA_OIF:
			route.Link = names[int(binary.NativeEndian.Uint32(value))]
		}
	}
	route.Dst = netip.PrefixFrom(dst, bits)
	route.Type = routeType(kind)
	return route
}

func routeType(kind uint8) netstate.RouteType {
	for name, number := range routeTypes {
		if number == kind {
			return name
		}
	}
	return netstate.RouteType(fmt.Sprint("type ", kind))
}

func (r *reading) rules() error {
	all, err := retry(func() ([]netlink.Rule, error) { return r.handle.RuleList(netlink.FAMILY_V4) })
	if err != nil {
		return fmt.Errorf("list rules: %w", err)
	}
	for _, rule := range all {
		if rule.Protocol == r.owner.Protocol {
			r.state.Rules = append(r.state.Rules, netstate.Rule{
				Priority: rule.Priority, Iif: rule.IifName, Table: uint32(rule.Table),
			})
		}
	}
	return nil
}
