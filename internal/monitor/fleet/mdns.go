package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/mdns"

	"sarn/internal/monitor/remote"
)

const (
	// service is the monitor's among those of RFC 6763.
	service = "_sarn-monitor._tcp"
	domain  = "local."
	// Questions are asked so often, and answers are awaited so long.
	askEvery = 15 * time.Second
	askFor   = 2 * time.Second
	// Who has not answered so many questions in a row is gone.
	mostMissed = 4
	// mostFound is how many hosts are taken from the network's answers.
	mostFound = 500
)

// MDNS finds hosts that answer to multicast DNS. Anybody on the network may answer: that
// a host is what it says, only its certificate can show. So the token is shown to none
// unless CA says whose certificates count.
type MDNS struct {
	// Interface is where to ask; empty is the one that leads elsewhere.
	Interface string
	// Config is how to identify to those that are found; Address and Names are not used.
	Config remote.Config

	asking sync.WaitGroup
}

// String implements Finder.
func (m *MDNS) String() string { return "mDNS" }

// Find implements Finder.
func (m *MDNS) Find(ctx context.Context, tell func([]Host, error)) {
	m.find(ctx, askEvery, askFor, tell)
}

func (m *MDNS) find(ctx context.Context, pause, patience time.Duration, tell func([]Host, error)) {
	known := map[string]*answered{}
	for {
		hosts, err := m.askWithin(ctx, patience)
		if ctx.Err() != nil {
			return
		}
		for name, k := range known {
			if k.missed++; k.missed >= mostMissed {
				delete(known, name)
			}
		}
		for _, h := range hosts {
			if known[h.Name] != nil || len(known) < mostFound {
				known[h.Name] = &answered{host: h}
			}
		}
		all := make([]Host, 0, len(known))
		for _, k := range known {
			all = append(all, k.host)
		}
		tell(all, err)
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

type answered struct {
	host   Host
	missed int
}

// askWithin is ask, but for the library's waiting to the end of askFor also when ctx has
// ended.
func (m *MDNS) askWithin(ctx context.Context, patience time.Duration) (hosts []Host, err error) {
	done := make(chan struct{})
	var found []Host
	var wrong error
	m.asking.Go(func() {
		defer close(done)
		found, wrong = m.ask(ctx, patience)
	})
	select {
	case <-done:
		return found, wrong
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask asks once.
func (m *MDNS) ask(ctx context.Context, patience time.Duration) ([]Host, error) {
	on, err := outward(m.Interface)
	if err != nil {
		return nil, err
	}
	// The library goes on changing what it has handed out until it returns.
	entries := make(chan *mdns.ServiceEntry, mostFound)
	v4 := len(ipv4Of(on)) > 0 // who listens on IPv6 answers by IPv4 too: one of them is enough
	err = mdns.QueryContext(ctx, &mdns.QueryParam{Service: service, Domain: strings.Trim(domain, "."), Timeout: patience, Interface: on,
		Entries: entries, DisableIPv4: !v4, DisableIPv6: v4, Logger: log.New(io.Discard, "", 0)})
	if err != nil && v4 && source("udp4") == nil { // the library listens where the default route leads
		return nil, fmt.Errorf("ask on %s: %w; without a default route multicast needs one of its own: ip route add 224.0.0.0/4 dev %s", on.Name, err, on.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("ask on %s: %w", on.Name, err)
	}
	close(entries)
	var hosts []Host
	for e := range entries {
		if h, ok := m.host(e, v4); ok {
			hosts = append(hosts, h)
		}
	}
	return hosts, nil
}

// host is the one that has answered, by its IPv4 address if this machine has one too and
// there is one: a monitor may listen on IPv6 alone.
func (m *MDNS) host(e *mdns.ServiceEntry, v4 bool) (Host, bool) {
	name, ours := strings.CutSuffix(strings.TrimSuffix(e.Name, "."), "."+service+"."+strings.Trim(domain, "."))
	address, ok := netip.AddrFromSlice(e.AddrV4.To4())
	if six := e.AddrV6IPAddr; six != nil && !six.IP.IsLinkLocalUnicast() && (!v4 || !ok) {
		address, ok = netip.AddrFromSlice(six.IP.To16())
	}
	if !ours || !ok || e.Port < 1 || e.Port > 65535 || !nameRE.MatchString(name) || address.IsLoopback() || address.IsMulticast() || address.IsUnspecified() {
		return Host{}, false
	}
	h := Host{Name: name, Config: m.Config}
	h.Address = "https://" + netip.AddrPortFrom(address, uint16(e.Port)).String()
	h.Names = []string{name}
	if h.CA == "" {
		h.Token, h.TokenFile = "", ""
	}
	return h, true
}

// Announcement is what Announce tells others.
type Announcement struct {
	Name      string // of this machine
	Listen    string // HOST:PORT, where its monitor does
	Interface string // where to answer; empty is the one of Listen, or that leads elsewhere
}

// Validate says what is wrong, apart from a network that is not there.
func (a *Announcement) Validate() error {
	host, port, err := net.SplitHostPort(a.Listen)
	if err != nil {
		return fmt.Errorf("%s is not HOST:PORT", a.Listen)
	}
	ip := net.ParseIP(host)
	switch {
	case !nameRE.MatchString(a.Name):
		return fmt.Errorf("this machine's name %q is not one that can be announced", a.Name)
	case host == "localhost" || ip != nil && ip.IsLoopback():
		return fmt.Errorf("%s is this machine alone: nobody who is told of it could come; listen on an address that others reach", a.Listen)
	case port == "0":
		return errors.New("port 0 cannot be announced: give one")
	}
	return nil
}

// Announce answers questions of multicast DNS for monitors until ctx ends.
func Announce(ctx context.Context, a Announcement) error {
	if err := a.Validate(); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(a.Listen)
	if err != nil {
		return fmt.Errorf("announce %s: %w", a.Listen, err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("announce port %s: %w", port, err)
	}
	on, addresses, err := a.where(host)
	if err != nil {
		return err
	}
	zone, err := mdns.NewMDNSService(a.Name, service, domain, a.Name+"."+domain, number, addresses, []string{"path=/"})
	if err != nil {
		return fmt.Errorf("announce %s: %w", a.Name, err)
	}
	server, err := mdns.NewServer(&mdns.Config{Zone: zone, Iface: on, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		return fmt.Errorf("answer to multicast DNS on %s: %w", on.Name, err)
	}
	<-ctx.Done()
	return server.Shutdown()
}

// where is on which interface to answer, and with which addresses.
func (a *Announcement) where(host string) (*net.Interface, []net.IP, error) {
	ip := net.ParseIP(host)
	if ip == nil || ip.IsUnspecified() {
		on, err := outward(a.Interface)
		if err != nil {
			return nil, nil, err
		}
		addresses := ipv4Of(on)
		if ip.To4() == nil { // 0.0.0.0 is IPv4 alone
			addresses = append(addresses, ipv6Of(on)...)
		}
		return on, addresses, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, nil, fmt.Errorf("list the interfaces: %w", err)
	}
	for i := range all {
		if slices.ContainsFunc(append(ipv4Of(&all[i]), ipv6Of(&all[i])...), ip.Equal) && (a.Interface == "" || a.Interface == all[i].Name) {
			return &all[i], []net.IP{ip}, nil
		}
	}
	return nil, nil, fmt.Errorf("no interface %shas the address %s", strings.TrimLeft(a.Interface+" ", " "), host)
}

// outward is the interface of that name, or the one that leads to other networks, or, if
// none does, the only one that there is besides the loopback. One with machines behind
// it, such as a bridge of VMs, is only asked if it is named.
func outward(name string) (*net.Interface, error) {
	if name != "" {
		on, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("there is no interface %s", name)
		}
		return on, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	on, err := leading(all, ipv4Of, source("udp4"))
	if on == nil && err == nil {
		on, err = leading(all, ipv6Of, source("udp6"))
	}
	if on == nil && err == nil {
		err = errors.New("no interface can carry multicast DNS: none is up with an address")
	}
	return on, err
}

// leading is outward among interfaces with addresses of one kind; nil if there is none.
func leading(all []net.Interface, of func(*net.Interface) []net.IP, from net.IP) (*net.Interface, error) {
	var others []*net.Interface
	for i := range all {
		on := &all[i]
		addresses := of(on)
		if on.Flags&net.FlagUp == 0 || on.Flags&net.FlagMulticast == 0 || on.Flags&net.FlagLoopback != 0 || len(addresses) == 0 {
			continue
		}
		if from != nil && slices.ContainsFunc(addresses, from.Equal) {
			return on, nil
		}
		others = append(others, on)
	}
	switch len(others) {
	case 0:
		return nil, nil
	case 1:
		return others[0], nil
	}
	return nil, errors.New("several interfaces could carry multicast DNS, and none has the default route; name one: --mdns=INTERFACE")
}

// source is the address that this machine has towards others by udp4 or udp6, nil without
// a route. No packet is sent.
func source(network string) net.IP {
	nobody := "192.0.2.1:9" // RFC 5737
	if network == "udp6" {
		nobody = "[2001:db8::1]:9" // RFC 3849
	}
	c, err := net.Dial(network, nobody)
	if err != nil {
		return nil
	}
	defer c.Close() //nolint:errcheck // nothing was sent
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.IP
	}
	return nil
}

func ipv4Of(on *net.Interface) []net.IP {
	var all []net.IP
	for _, ip := range addressesOf(on) {
		if ip.To4() != nil {
			all = append(all, ip.To4())
		}
	}
	return all
}

// ipv6Of are the addresses that others can use without knowing of interfaces.
func ipv6Of(on *net.Interface) []net.IP {
	var all []net.IP
	for _, ip := range addressesOf(on) {
		if ip.To4() == nil && !ip.IsLinkLocalUnicast() {
			all = append(all, ip)
		}
	}
	return all
}

func addressesOf(on *net.Interface) []net.IP {
	addresses, err := on.Addrs()
	if err != nil {
		return nil
	}
	var all []net.IP
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			all = append(all, n.IP)
		}
	}
	return all
}
