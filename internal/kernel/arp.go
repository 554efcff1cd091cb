package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// glance is how long a probe listens before it sees to its other business.
const glance = 20 * time.Millisecond

// arpPacket is the size of an ARP packet for Ethernet and IPv4: RFC 826.
const arpPacket = 28

// Holders asks the network that the device is on who has each of the addresses, for as
// long as wait, and returns the MAC addresses of all that answer, without this
// machine's own. It asks as a prober does, from 0.0.0.0, so that nobody learns anything
// from the question: RFC 5227, section 2.1.1.
func Holders(ctx context.Context, link string, addresses []netip.Addr, wait time.Duration) (map[netip.Addr][]string, error) {
	device, err := net.InterfaceByName(link)
	if err != nil {
		return nil, fmt.Errorf("find device %s: %w", link, err)
	}
	if len(device.HardwareAddr) != 6 {
		return nil, fmt.Errorf("device %s has no Ethernet address", link)
	}
	own, err := ownMACs()
	if err != nil {
		return nil, err
	}
	fd, err := arpSocket(device.Index)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket on %s: %w", link, err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing is kept in it
	holders := make(map[netip.Addr][]string, len(addresses))
	for _, a := range addresses {
		holders[a] = nil
	}
	everybody := &unix.SockaddrLinklayer{Protocol: arpProtocol(), Ifindex: device.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	began := time.Now()
	const questions = 3 // one may get lost
	for asked := 0; time.Since(began) < wait; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if asked < questions && time.Since(began) >= wait*time.Duration(asked)/(questions+1) {
			asked++
			for _, a := range addresses {
				if err := unix.Sendto(fd, arpProbe(device.HardwareAddr, a), 0, everybody); err != nil {
					return nil, fmt.Errorf("ask by ARP on %s: %w", link, err)
				}
				hearARP(fd, unix.MSG_DONTWAIT, own, holders)
			}
		}
		hearARP(fd, 0, own, holders)
	}
	return holders, nil
}

func ownMACs() (map[string]bool, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	own := map[string]bool{}
	for _, d := range devices {
		own[d.HardwareAddr.String()] = true
	}
	return own, nil
}

// arpProtocol is ETH_P_ARP in the byte order that packet(7) wants.
func arpProtocol() uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ARP))
}

func arpSocket(index int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(arpProtocol()))
	if err != nil {
		return -1, err
	}
	patience := unix.NsecToTimeval(glance.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: arpProtocol(), Ifindex: index}),
	)
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func arpProbe(from net.HardwareAddr, target netip.Addr) []byte {
	p := []byte{0, 1, 8, 0, 6, 4, 0, 1} // Ethernet, IPv4, their lengths, request
	p = append(p, from...)
	p = append(p, 0, 0, 0, 0) // 0.0.0.0
	p = append(p, make([]byte, 6)...)
	return append(p, target.AsSlice()...)
}

// hearARP notes who speaks for an address, in all packets that have come, or until one
// does if there is none yet.
func hearARP(fd, flags int, own map[string]bool, holders map[netip.Addr][]string) {
	packet := make([]byte, 128)
	for {
		n, _, err := unix.Recvfrom(fd, packet, flags)
		if err != nil { // a timeout, or a device that went down: then nobody answers
			return
		}
		flags = unix.MSG_DONTWAIT
		if n < arpPacket || binary.BigEndian.Uint16(packet[2:]) != 0x0800 || packet[4] != 6 || packet[5] != 4 {
			continue
		}
		mac, sender := net.HardwareAddr(packet[8:14]).String(), netip.AddrFrom4([4]byte(packet[14:18]))
		known, asked := holders[sender]
		if asked && !own[mac] && !slices.Contains(known, mac) {
			holders[sender] = append(known, mac)
		}
	}
}
