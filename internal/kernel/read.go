package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"sarn/internal/netstate"
)

// Read returns what the machine holds of Sarn's, and of what is not Sarn's only the
// links and settings that want names. It looks into its own namespace and those that
// want names; of any other namespace that is Sarn's it tells only that it is there.
func (k *Kernel) Read(ctx context.Context, want netstate.Machine) (netstate.Machine, error) {
	return k.read(ctx, want, true)
}

// ReadLocal is Read without the routes of the Kernel's own namespace, which may be far
// more than all else.
func (k *Kernel) ReadLocal(ctx context.Context, want netstate.Machine) (netstate.Machine, error) {
	return k.read(ctx, want, false)
}

func (k *Kernel) read(ctx context.Context, want netstate.Machine, routes bool) (netstate.Machine, error) {
	names, leftover, err := k.namespaces()
	if err != nil {
		return nil, err
	}
	have := netstate.Machine{}
	ends := map[end]index{}
	for _, name := range append([]string{""}, names...) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r := reading{netns: name, ends: ends, owner: k.owner, want: want[name], state: &netstate.State{}}
		r.skipRoutes = name == "" && !routes
		err := k.readNamespace(ctx, &r)
		if err != nil && name != "" && k.gone(name) {
			continue // it went away just now
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", place(name), err)
		}
		if name == "" || want[name] != nil || r.state.Alias != "" {
			have[name] = r.state
		}
	}
	for _, name := range leftover {
		if want[name] == nil {
			have[name] = &netstate.State{Alias: k.owner.Mark} // to be deleted
		}
	}
	pair(want, have, ends)
	return have, nil
}

// end is a link of a namespace; index is its number there and that of the device that
// it is tied to, which for a veth is its peer's in the peer's namespace.
type (
	end   struct{ netns, link string }
	index struct{ own, tied int }
)

// pair fills in the peers of the pairs that are as want has them: each end is tied to
// the other's number.
func pair(want, have netstate.Machine, ends map[end]index) {
	for netns, s := range want {
		for _, l := range s.Links {
			a, b := end{netns, l.Name}, end{l.PeerNetns, l.Peer}
			ia, ib := ends[a], ends[b]
			if l.Peer == "" || ia.own == 0 || ia.own != ib.tied || ib.own != ia.tied {
				continue
			}
			setPeer(have[a.netns], a.link, b)
			setPeer(have[b.netns], b.link, a)
		}
	}
}

func setPeer(s *netstate.State, link string, peer end) {
	for i := range s.Links {
		if s.Links[i].Name == link {
			s.Links[i].Peer, s.Links[i].PeerNetns = peer.link, peer.netns
		}
	}
}

// gone reports whether there is no namespace of the name, or none any more.
func (k *Kernel) gone(name string) bool {
	path, err := k.path(name)
	return err == nil && !isNamespace(path)
}

// place names a namespace in messages.
func place(netns string) string {
	if netns == "" {
		return "this machine's network"
	}
	return "network namespace " + netns
}

func (k *Kernel) readNamespace(ctx context.Context, r *reading) error {
	return k.netlinkIn(r.netns, func(h *netlink.Handle) (err error) {
		r.handle = h
		if r.netns != "" {
			// The mark of the agent's own namespace is the business of who made it.
			if err := r.mark(); err != nil || r.want == nil {
				return err
			}
		} else if r.want == nil {
			r.want = &netstate.State{}
		}
		for _, read := range []func() error{
			r.links, r.ports, r.qdiscs, r.addresses, r.neighbors, r.forwards, r.routes, r.rules, r.sysctls,
		} {
			if err := read(); err != nil {
				return err
			}
		}
		r.state.Tables, err = readTables(ctx)
		return err
	})
}

// reading gathers the state of the namespace that its thread is in.
type reading struct {
	netns  string
	ends   map[end]index // of the links that were read, in all namespaces
	owner  netstate.Owner
	handle *netlink.Handle
	want   *netstate.State
	state  *netstate.State
	names  map[int]string // of every link by its index
	ours   map[int]bool   // which of them are Sarn's
	// attached are ports of Sarn's that somebody else made.
	attached map[int]bool
	// bridges says that some of them are ports of bridges.
	bridges    bool
	skipRoutes bool
}

// mark reads the alias of the loopback device, if it is Sarn's.
func (r *reading) mark() error {
	lo, err := r.handle.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if alias := lo.Attrs().Alias; r.owner.Owns(alias) {
		r.state.Alias = alias
	}
	return nil
}

func (r *reading) sysctls() error {
	for _, w := range r.want.Sysctls {
		path, err := sysctlPath(w.Name)
		if err != nil {
			return err
		}
		value, err := readSetting(path)
		if errors.Is(err, fs.ErrNotExist) {
			if off, _ := filepath.Glob("/proc/sys/net/ipv6/conf"); len(off) == 0 && strings.HasPrefix(w.Name, "net/ipv6/") {
				r.state.Sysctls = append(r.state.Sysctls, w) // no IPv6 at all: as off as it can be
			}
			continue // its link is not there yet
		}
		if err != nil {
			return err
		}
		r.state.Sysctls = append(r.state.Sysctls, netstate.Sysctl{Name: w.Name, Value: value})
	}
	return nil
}

func readSetting(path string) (string, error) {
	value, err := os.ReadFile(path)
	// Lists stand there with tabs between; people write spaces.
	return strings.Join(strings.Fields(string(value)), " "), err
}

// Holds reports whether the settings of the Kernel's own namespace are as given, as far
// as they are there.
func (k *Kernel) Holds(settings []netstate.Sysctl) (bool, error) {
	held := true
	err := enter(k.own, func() error {
		for _, s := range settings {
			path, err := sysctlPath(s.Name)
			if err != nil {
				return err
			}
			value, err := readSetting(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			held = held && value == s.Value
		}
		return nil
	})
	return held, err
}

func sysctlPath(name string) (string, error) {
	// Only what is below net/ is a namespace's own.
	if !filepath.IsLocal(name) || !strings.HasPrefix(name, "net/") {
		return "", fmt.Errorf("setting %q: want a name with slashes such as net/ipv4/ip_forward", name)
	}
	return filepath.Join("/proc/sys", name), nil
}
