package kernel

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// Survey is what the caller's network namespace holds, whoever made it.
type Survey struct {
	Devices   []Device
	Routes    []SurveyRoute
	Rules     []SurveyRule
	Neighbors int // ARP entries that the kernel has learned
}

// Device is a network device.
type Device struct {
	Name, Alias, MAC string
	Bridge           bool
	MTU              int
	Up, Carrier      bool
	Addresses        []netstate.Address
}

// SurveyRoute is an IPv4 route of any origin.
type SurveyRoute struct {
	netstate.Route
	Protocol uint8
	Metric   uint32
	// Links are the devices that packets leave by: several for a multipath route.
	Links []string
}

// The types of route that the kernel itself makes for its addresses.
const (
	LocalRoute     netstate.RouteType = "local"
	BroadcastRoute netstate.RouteType = "broadcast"
)

// SurveyRule is an IPv4 policy rule of any origin.
type SurveyRule struct {
	Priority int
	Protocol uint8
	Iif      string       // empty: any
	Src, Dst netip.Prefix // invalid: any
	Table    uint32       // 0 if the rule itself refuses
	// Narrow says that the rule looks at something else too: a mark, a user, a port.
	Narrow bool
	// Suppress is the longest prefix of routes that the rule does not use; -1: none.
	Suppress int
}

// TakeSurvey reads the caller's network namespace. It needs no rights.
func TakeSurvey() (Survey, error) {
	var s Survey
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return s, fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	names, err := s.devices(h)
	if err != nil {
		return s, err
	}
	if s.Routes, err = retry(func() ([]SurveyRoute, error) { return surveyRoutes(names) }); err != nil {
		return s, fmt.Errorf("list routes: %w", err)
	}
	rules, err := retry(func() ([]netlink.Rule, error) { return h.RuleList(netlink.FAMILY_V4) })
	if err != nil {
		return s, fmt.Errorf("list rules: %w", err)
	}
	for _, r := range rules {
		s.Rules = append(s.Rules, surveyRule(r))
	}
	neighbors, err := retry(func() ([]netlink.Neigh, error) { return h.NeighList(0, netlink.FAMILY_V4) })
	if err != nil {
		return s, fmt.Errorf("list neighbours: %w", err)
	}
	for _, n := range neighbors {
		if n.State&(netlink.NUD_PERMANENT|netlink.NUD_NOARP) == 0 {
			s.Neighbors++
		}
	}
	return s, nil
}

func (s *Survey) devices(h *netlink.Handle) (map[int]string, error) {
	links, err := retry(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	names, at := map[int]string{}, map[int]int{}
	for i, l := range links {
		a := l.Attrs()
		names[a.Index], at[a.Index] = a.Name, i
		s.Devices = append(s.Devices, Device{
			Name: a.Name, Alias: a.Alias, MAC: a.HardwareAddr.String(), Bridge: l.Type() == "bridge",
			MTU: a.MTU, Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
		})
	}
	addresses, err := retry(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addresses {
		if i, ok := at[a.LinkIndex]; ok {
			d := &s.Devices[i]
			d.Addresses = append(d.Addresses, netstate.Address{Link: d.Name, Prefix: prefixOf(a.IPNet), Label: a.Label})
		}
	}
	return names, nil
}

func surveyRoutes(names map[int]string) ([]SurveyRoute, error) {
	var routes []SurveyRoute
	header := make([]byte, unix.SizeofRtMsg)
	header[0] = unix.AF_INET // rtm_family
	err := dump(unix.NETLINK_ROUTE, unix.RTM_GETROUTE, header, func(body []byte) error {
		const cached = 0x200 // RTM_F_CLONED: no route but an entry of a cache
		if len(body) < unix.SizeofRtMsg || body[0] != unix.AF_INET || binary.NativeEndian.Uint32(body[8:])&cached != 0 {
			return nil
		}
		r := SurveyRoute{Route: parseRoute(body, names), Protocol: body[5]}
		switch body[7] {
		case unix.RTN_LOCAL:
			r.Type = LocalRoute
		case unix.RTN_BROADCAST:
			r.Type = BroadcastRoute
		}
		if r.Link != "" {
			r.Links = []string{r.Link}
		}
		for attr, value := range attributes(body[unix.SizeofRtMsg:]) {
			switch {
			case attr == unix.RTA_PRIORITY && len(value) >= 4:
				r.Metric = binary.NativeEndian.Uint32(value)
			case attr == unix.RTA_MULTIPATH:
				r.Links = hops(value, names)
			}
		}
		routes = append(routes, r)
		return nil
	})
	return routes, err
}

// hops returns the devices of a list of struct rtnexthop: rtnetlink(7).
func hops(b []byte, names map[int]string) []string {
	var links []string
	for len(b) >= unix.SizeofRtNexthop {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtNexthop || length > len(b) {
			break
		}
		links = append(links, names[int(int32(binary.NativeEndian.Uint32(b[4:])))])
		b = b[min(align(length), len(b)):]
	}
	return links
}

func surveyRule(r netlink.Rule) SurveyRule {
	s := SurveyRule{
		Priority: r.Priority, Protocol: r.Protocol, Iif: r.IifName,
		Table: uint32(r.Table), Suppress: r.SuppressPrefixlen,
	}
	if r.Src != nil {
		s.Src = prefixOf(r.Src)
	}
	if r.Dst != nil {
		s.Dst = prefixOf(r.Dst)
	}
	s.Narrow = r.Invert || r.Mark != 0 || r.OifName != "" || r.IPProto != 0 || r.Tos != 0 ||
		r.UIDRange != nil || r.Sport != nil || r.Dport != nil ||
		r.SuppressIfgroup >= 0 || r.Goto >= 0
	return s
}

// ReadOwn is Read for the Kernel's own namespace alone. The other ends of veth pairs,
// which may be elsewhere, are not looked for.
func (k *Kernel) ReadOwn(ctx context.Context, want *netstate.State) (*netstate.State, error) {
	r := reading{ends: map[end]index{}, owner: k.owner, want: want, state: &netstate.State{}}
	if err := k.readNamespace(ctx, &r); err != nil {
		return nil, fmt.Errorf("read %s: %w", place(""), err)
	}
	return r.state, nil
}

// Settings returns the settings below /proc/sys/net of the names, with slashes, that
// there are.
func Settings(names ...string) map[string]string {
	values := map[string]string{}
	for _, name := range names {
		path, err := sysctlPath(name)
		if err != nil {
			continue
		}
		if value, err := readSetting(path); err == nil {
			values[name] = value
		}
	}
	return values
}
