package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// Watch calls saw after changes in the Kernel's own namespace that may concern Sarn, its
// own changes among them, until ctx ends. It begins with an event that puts everything in
// doubt, since what came before went unseen. saw must not block.
func (k *Kernel) Watch(ctx context.Context, saw func(netstate.Event)) error {
	routes, err := k.subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV4_NETCONF)
	if err != nil {
		return fmt.Errorf("watch the network: %w", err)
	}
	sockets := []*os.File{routes}
	// A kernel without nftables has nothing to watch there.
	if tables, err := k.subscribe(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES); err == nil {
		sockets = append(sockets, tables)
	}
	stop := func() {
		for _, s := range sockets {
			s.Close() //nolint:errcheck // ends listen; nothing was written
		}
	}
	defer context.AfterFunc(ctx, stop)()
	w := watcher{kernel: k, saw: saw}
	if err := w.learn(); err != nil {
		stop()
		return fmt.Errorf("watch the network: %w", err)
	}
	saw(netstate.Event{Routes: true})
	ended := make([]error, len(sockets))
	var listeners sync.WaitGroup
	for i, s := range sockets {
		listeners.Go(func() {
			if s == routes {
				ended[i] = w.listen(s, w.network, w.learn)
			} else {
				ended[i] = w.listen(s, w.tables, func() error { return nil })
			}
			stop() // one that cannot go on ends the others
		})
	}
	listeners.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("watch the network: %w", errors.Join(ended...))
}

// watcher turns messages of the kernel into events.
type watcher struct {
	kernel *Kernel
	saw    func(netstate.Event)
	names  map[int]string // of links, by index
}

// learn finds the names of all links.
func (w *watcher) learn() error {
	return w.kernel.netlinkIn("", func(h *netlink.Handle) error {
		all, err := retry(h.LinkList)
		if err != nil {
			return fmt.Errorf("list links: %w", err)
		}
		w.names = make(map[int]string, len(all))
		for _, l := range all {
			w.names[l.Attrs().Index] = l.Attrs().Name
		}
		return nil
	})
}

func (k *Kernel) subscribe(protocol int, groups ...int) (socket *os.File, err error) {
	err = enter(k.own, func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		if err != nil {
			return err
		}
		socket = os.NewFile(uintptr(fd), "netlink")
		if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return errors.Join(err, socket.Close())
		}
		// A hundred thousand routes come with as many events.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
		for _, g := range groups {
			if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
				return errors.Join(err, socket.Close())
			}
		}
		return nil
	})
	return socket, err
}

// listen hands messages to read until the socket is closed. If some were lost, anything may
// have changed, and lost is called before what comes after.
func (w *watcher) listen(socket *os.File, read func(message), lost func() error) error {
	buf := make([]byte, 1<<16)
	for {
		n, err := socket.Read(buf)
		if errors.Is(err, unix.ENOBUFS) {
			// What came before the loss would speak of links as they are no more.
			if err := errors.Join(drain(socket, buf), lost()); err != nil {
				return err
			}
			w.saw(netstate.Event{Routes: true})
			continue
		}
		if err != nil {
			return err
		}
		for m := range messages(buf[:n]) {
			read(m)
		}
	}
}

// drain throws away what has come so far.
func drain(socket *os.File, buf []byte) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	for err == nil || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EINTR) {
		if ctlErr := raw.Control(func(fd uintptr) { _, err = unix.Read(int(fd), buf) }); ctlErr != nil {
			return ctlErr
		}
	}
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return err
}

// network tells of a message that may be about something of Sarn's. Busy machines learn and
// forget neighbours, and routing daemons routes, many times a second.
func (w *watcher) network(m message) {
	switch m.kind {
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		w.neighbor(m)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if len(m.body) < unix.SizeofRtMsg {
			return
		}
		// What has replaced a route of ours does not come with word of its end.
		ours := m.body[5] == w.kernel.owner.Protocol // rtm_protocol
		usurped := !ours && m.kind == unix.RTM_NEWROUTE && m.flags&unix.NLM_F_REPLACE != 0
		if ours || usurped {
			r := parseRoute(m.body, w.names)
			w.saw(netstate.Event{Route: &r, Gone: usurped || m.kind == unix.RTM_DELROUTE})
		}
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		w.link(m)
	case unix.RTM_DELADDR:
		w.saw(netstate.Event{Routes: true}) // those with this source go (fib_sync_down_addr)
	default:
		w.saw(netstate.Event{})
	}
}

// neighbor tells of a neighbour or an entry of a bridge, if it is there to stay or is about
// a device of Sarn's. Of one that is deleted the kernel does not say that it was to stay.
func (w *watcher) neighbor(m message) {
	if len(m.body) < unix.SizeofNdMsg {
		return
	}
	name := w.names[int(int32(binary.NativeEndian.Uint32(m.body[4:])))] // ndm_ifindex
	ours := strings.HasPrefix(name, netstate.BridgePrefix) || strings.HasPrefix(name, netstate.PortPrefix)
	const lasting = netlink.NUD_PERMANENT | netlink.NUD_NOARP
	if ours || binary.NativeEndian.Uint16(m.body[8:])&lasting != 0 { // ndm_state
		w.saw(netstate.Event{})
	}
}

// link tells of a link. With one that goes, or goes down, go its routes, and nothing is
// said of them (fib_sync_down_dev, net/ipv4/fib_semantics.c). No routes hang on ports.
func (w *watcher) link(m message) {
	if len(m.body) < unix.SizeofIfInfomsg {
		return
	}
	index := int(int32(binary.NativeEndian.Uint32(m.body[4:])))   // ifi_index
	up := binary.NativeEndian.Uint32(m.body[8:])&unix.IFF_UP != 0 // ifi_flags
	name, port := "", false
	for kind, value := range attributes(m.body[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			name = unix.ByteSliceToString(value)
		case unix.IFLA_MASTER:
			port = true
		}
	}
	port = port || strings.HasPrefix(name, netstate.PortPrefix)
	renamed := w.names[index] != "" && w.names[index] != name
	if gone := m.kind == unix.RTM_DELLINK && m.body[0] != unix.AF_BRIDGE; gone {
		delete(w.names, index)
		up = false
	} else if m.body[0] != unix.AF_BRIDGE {
		w.names[index] = name
	}
	switch {
	case renamed:
		w.saw(netstate.Event{Routes: true})
	case !up && !port:
		w.saw(netstate.Event{Routes: true, Link: name})
	default:
		w.saw(netstate.Event{})
	}
}

// tables tells of a message of nftables that names our table.
func (w *watcher) tables(m message) {
	if len(m.body) < sizeofNfgenmsg {
		return
	}
	for kind, value := range attributes(m.body[sizeofNfgenmsg:]) {
		// NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE… are all 1.
		if kind == unix.NFTA_TABLE_NAME && unix.ByteSliceToString(value) == netstate.TableName {
			w.saw(netstate.Event{})
		}
	}
}
