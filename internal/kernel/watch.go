package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// Watch calls changed after changes in the Kernel's own namespace that may concern
// Sarn, its own changes among them, until ctx ends. changed may be called more often
// than there are changes, and must not block.
func (k *Kernel) Watch(ctx context.Context, changed func()) error {
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
	changed() // what came before went unseen
	ended := make([]error, len(sockets))
	var listeners sync.WaitGroup
	for i, s := range sockets {
		listeners.Go(func() {
			concerns := k.concerns
			if s != routes {
				concerns = concernsTables
			}
			ended[i] = listen(s, concerns, changed)
			stop() // one that cannot go on ends the others
		})
	}
	listeners.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("watch the network: %w", errors.Join(ended...))
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
		for _, g := range groups {
			if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
				return errors.Join(err, socket.Close())
			}
		}
		return nil
	})
	return socket, err
}

// listen calls changed after each change that concerns it until the socket is closed.
func listen(socket *os.File, concerns func([]byte) bool, changed func()) error {
	buf := make([]byte, 1<<16)
	for {
		n, err := socket.Read(buf)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			changed() // events were lost: anything may have changed
		case err != nil:
			return err
		case concerns(buf[:n]):
			changed()
		}
	}
}

// concerns reports whether one of the messages may be about something of Sarn's. Busy
// machines learn neighbours, and routing daemons routes, many times a second.
func (k *Kernel) concerns(b []byte) bool {
	for m := range messages(b) {
		switch m.kind {
		case unix.RTM_NEWNEIGH:
			if len(m.body) < unix.SizeofNdMsg {
				continue
			}
			const lasting = netlink.NUD_PERMANENT | netlink.NUD_NOARP
			if state := binary.NativeEndian.Uint16(m.body[8:]); state&lasting != 0 { // ndm_state
				return true
			}
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			if len(m.body) >= unix.SizeofRtMsg && m.body[5] == k.owner.Protocol {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// concernsTables is concerns for messages of nftables: those that name our table.
func concernsTables(b []byte) bool {
	for m := range messages(b) {
		if len(m.body) < sizeofNfgenmsg {
			continue
		}
		for kind, value := range attributes(m.body[sizeofNfgenmsg:]) {
			// NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE… are all 1.
			if kind == unix.NFTA_TABLE_NAME && unix.ByteSliceToString(value) == netstate.TableName {
				return true
			}
		}
	}
	return false
}
