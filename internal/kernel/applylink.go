package kernel

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// errNoLink says which link an op names in vain.
type errNoLink string

func (e errNoLink) Error() string { return "there is no link " + strconv.Quote(string(e)) }

// isGone reports whether err says that the object of an op is not there.
func isGone(err error) bool {
	return errors.As(err, new(errNoLink)) || errors.As(err, &netlink.LinkNotFoundError{}) ||
		errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) ||
		errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EADDRNOTAVAIL)
}

// ignoreGone is for deletions: what is gone need not be deleted.
func ignoreGone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}

// find returns the index of a link.
func (p *pass) find(name string) (int, error) {
	if index, ok := p.index[name]; ok {
		return index, nil
	}
	l, err := p.handle.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return 0, errNoLink(name)
	}
	if err != nil {
		return 0, fmt.Errorf("find link %s: %w", name, err)
	}
	p.index[name] = l.Attrs().Index
	return l.Attrs().Index, nil
}

func (p *pass) addLink(l netstate.Link) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = l.Name
	if l.MAC != "" {
		mac, err := net.ParseMAC(l.MAC)
		if err != nil {
			return err
		}
		attrs.HardwareAddr = mac
	}
	switch l.Kind {
	case netstate.Bridge:
		return p.unlessThere(l, p.handle.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
	case netstate.Veth:
		return p.addVeth(l, attrs)
	case netstate.Tap:
		return addTap(l)
	}
	return fmt.Errorf("a link of kind %q is none that Sarn makes", l.Kind)
}

// unlessThere forgives that the link is there if it is of the right kind.
func (p *pass) unlessThere(l netstate.Link, err error) error {
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	if there, findErr := p.handle.LinkByName(l.Name); findErr == nil && kindOf(there) == l.Kind {
		return nil
	}
	return fmt.Errorf("%w: a link of another kind has the name %s; rename it or delete it", err, l.Name)
}

// addVeth makes a pair whose ends have different indexes, each in its namespace. If
// they are equal by chance, the kernel takes the link for one without a lower device
// and may let a whole second pass before it works (linkwatch_urgent_event,
// net/core/link_watch.c).
func (p *pass) addVeth(l netstate.Link, attrs netlink.LinkAttrs) error {
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: l.Peer}
	add := func() error {
		return p.kernel.withNamespace(l.PeerNetns, func(ns *os.File) error {
			veth.PeerNamespace = netlink.NsFd(ns.Fd())
			return p.handle.LinkAdd(veth)
		})
	}
	if err := add(); errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%w: there is a link %s here or a link %s in %s; rename it or delete it",
			err, l.Name, l.Peer, place(l.PeerNetns))
	} else if err != nil {
		return err
	}
	made, err := p.handle.LinkByName(l.Name)
	if err != nil {
		return err
	}
	if a := made.Attrs(); a.Index != a.ParentIndex {
		return nil
	}
	if err := p.handle.LinkDel(made); err != nil {
		return err
	}
	// The kernel counts on from its last index in both namespaces, so it would come
	// to equal ones again; this one is out of its way.
	const away = 1 << 24
	veth.Index = away + made.Attrs().Index
	return add()
}

// withNamespace opens a namespace for f.
func (k *Kernel) withNamespace(name string, f func(*os.File) error) error {
	if name == "" {
		return f(k.own)
	}
	path, err := k.path(name)
	if err != nil {
		return err
	}
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close() //nolint:errcheck // read only
	return f(ns)
}

// addTap makes a tap that stays when no program has it open. The library would also
// set a group, which shuts the owner out unless he is in it (tun_not_capable,
// drivers/net/tun.c).
func addTap(l netstate.Link) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // the device stays
	request, err := unix.NewIfreq(l.Name)
	if err != nil {
		return fmt.Errorf("name %q: %w", l.Name, err)
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return err
	}
	if l.Owner != 0 {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, int(l.Owner)); err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	return unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1)
}

func (p *pass) deleteLink(l netstate.Link) error {
	index, err := p.find(l.Name)
	if err != nil {
		return ignoreGone(err)
	}
	clear(p.index) // the other end of a pair goes too
	return ignoreGone(p.handle.LinkDel(byIndex(index)))
}

func byIndex(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

func (p *pass) setLink(a netstate.LinkAttr) error {
	index, err := p.find(a.Link)
	if err != nil {
		return err
	}
	link, on := byIndex(index), a.Value == "on"
	switch a.Attr {
	case "up":
		if on {
			return p.handle.LinkSetUp(link)
		}
		return p.handle.LinkSetDown(link)
	case "alias":
		return p.handle.LinkSetAlias(link, a.Value)
	case "address":
		mac, err := net.ParseMAC(a.Value)
		if err != nil {
			return err
		}
		return p.handle.LinkSetHardwareAddr(link, mac)
	case "mtu":
		mtu, err := strconv.Atoi(a.Value)
		if err != nil {
			return fmt.Errorf("mtu %q: want a number", a.Value)
		}
		return p.handle.LinkSetMTU(link, mtu)
	case "master":
		return p.setMaster(link, a.Value)
	case "isolated":
		return p.handle.LinkSetIsolated(link, on)
	case "static":
		if err := p.handle.LinkSetLearning(link, !on); err != nil {
			return err
		}
		return p.handle.LinkSetFlood(link, !on)
	}
	return fmt.Errorf("this version of Sarn does not know the link attribute %q", a.Attr)
}

func (p *pass) setMaster(link netlink.Link, bridge string) error {
	if bridge == "" {
		return p.handle.LinkSetNoMaster(link)
	}
	master, err := p.find(bridge)
	if err != nil {
		return err
	}
	return p.handle.LinkSetMasterByIndex(link, master)
}
