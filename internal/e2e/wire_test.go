package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// wire is a packet socket on one interface: it sends frames and keeps what it sees.
type wire struct {
	f     fabric
	file  *os.File
	index int
	mac   net.HardwareAddr
	done  chan struct{}

	mu     sync.Mutex
	frames []frame
	more   chan struct{} // closed and replaced at each frame
}

type frame struct {
	data []byte
	out  bool // sent by this machine
}

// listen opens a wire on a machine's interface until the test ends.
func (f fabric) listen(machine, iface string) *wire {
	f.Helper()
	w := &wire{f: f, done: make(chan struct{}), more: make(chan struct{})}
	f.in(machine, func() error {
		ifi, err := net.InterfaceByName(iface)
		if err != nil {
			return err
		}
		w.index, w.mac = ifi.Index, ifi.HardwareAddr
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_ALL)))
		if err != nil {
			return err
		}
		w.file = os.NewFile(uintptr(fd), "packet")
		// A machine that stalls may be late to read.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: w.index})
	})
	go w.receive()
	f.Cleanup(func() { w.file.Close(); <-w.done })
	return w
}

func (w *wire) receive() {
	defer close(w.done)
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 65536)
	for {
		var n int
		var from unix.Sockaddr
		var rerr error
		if err := raw.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), buf, 0)
			return rerr != unix.EAGAIN
		}); err != nil || rerr != nil {
			return
		}
		ll := from.(*unix.SockaddrLinklayer)
		w.mu.Lock()
		w.frames = append(w.frames, frame{append([]byte(nil), buf[:n]...), ll.Pkttype == unix.PACKET_OUTGOING})
		close(w.more)
		w.more = make(chan struct{})
		w.mu.Unlock()
	}
}

func (w *wire) send(data []byte) {
	w.f.Helper()
	if _, err := w.file.Write(data); err != nil {
		w.f.Fatal(err)
	}
}

// seen returns the frames so far that match.
func (w *wire) seen(match func(frame) bool) (found []frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fr := range w.frames {
		if match(fr) {
			found = append(found, fr)
		}
	}
	return found
}

// await waits until n frames match, at most for the time given, and returns them.
func (w *wire) await(n int, within time.Duration, match func(frame) bool) []frame {
	end := time.After(within)
	for {
		w.mu.Lock()
		more := w.more
		w.mu.Unlock()
		if found := w.seen(match); len(found) >= n {
			return found
		}
		select {
		case <-more:
		case <-end:
			return w.seen(match)
		}
	}
}

func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = nil
}

// arp is an ARP packet over Ethernet (RFC 826).
type arp struct {
	ethSrc, ethDst       net.HardwareAddr
	op                   uint16 // 1 asks, 2 answers
	senderMAC, targetMAC net.HardwareAddr
	sender, target       netip.Addr
}

var broadcast = net.HardwareAddr{255, 255, 255, 255, 255, 255}

func (a arp) frame() []byte {
	b := append(append([]byte{}, a.ethDst...), a.ethSrc...)
	b = append(b, 8, 6, 0, 1, 8, 0, 6, 4)
	b = binary.BigEndian.AppendUint16(b, a.op)
	b = append(append(b, a.senderMAC...), a.sender.AsSlice()...)
	return append(append(b, a.targetMAC...), a.target.AsSlice()...)
}

func parseARP(b []byte) (a arp, ok bool) {
	if len(b) < 42 || b[12] != 8 || b[13] != 6 {
		return a, false
	}
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	return arp{
		ethDst: b[0:6], ethSrc: b[6:12], op: binary.BigEndian.Uint16(b[20:]),
		senderMAC: b[22:28], sender: addr(28), targetMAC: b[32:38], target: addr(38),
	}, true
}

// ask returns the request of a machine that wants to know target.
func ask(mac net.HardwareAddr, sender, target string) arp {
	return arp{
		ethSrc: mac, ethDst: broadcast, op: 1, senderMAC: mac, sender: netip.MustParseAddr(sender),
		targetMAC: make(net.HardwareAddr, 6), target: netip.MustParseAddr(target),
	}
}

// answers matches the answers to requests for target that come in.
func answers(target string) func(frame) bool {
	return func(fr frame) bool {
		a, ok := parseARP(fr.data)
		return ok && !fr.out && a.op == 2 && a.sender == netip.MustParseAddr(target)
	}
}

// ipPacket is the part of an IPv4 packet that tests look at.
type ipPacket struct {
	src, dst netip.Addr
	proto    byte
	icmpType byte
}

func parseIP(b []byte) (p ipPacket, ok bool) {
	if len(b) < 34 || b[12] != 8 || b[13] != 0 {
		return p, false
	}
	head := int(b[14]&15) * 4
	p = ipPacket{netip.AddrFrom4([4]byte(b[26:30])), netip.AddrFrom4([4]byte(b[30:34])), b[23], 0}
	if p.proto == unix.IPPROTO_ICMP && len(b) > 14+head {
		p.icmpType = b[14+head]
	}
	return p, true
}

// echo returns an ICMP echo request as a frame, with right checksums.
func echo(ethSrc, ethDst net.HardwareAddr, src, dst string) []byte {
	ip := []byte{0x45, 0, 0, 28, 0, 1, 0, 0, 64, unix.IPPROTO_ICMP, 0, 0}
	ip = append(ip, netip.MustParseAddr(src).AsSlice()...)
	ip = append(ip, netip.MustParseAddr(dst).AsSlice()...)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	icmp := []byte{8, 0, 0, 0, 0x5a, 0x5a, 0, 1}
	binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
	b := append(append([]byte{}, ethDst...), ethSrc...)
	return append(append(append(b, 8, 0), ip...), icmp...)
}

// tcp returns a TCP segment without data as a frame, with right checksums.
func tcp(ethSrc, ethDst net.HardwareAddr, src, dst string, flags byte) []byte {
	ends := append(netip.MustParseAddr(src).AsSlice(), netip.MustParseAddr(dst).AsSlice()...)
	ip := append([]byte{0x45, 0, 0, 40, 0, 1, 0, 0, 64, unix.IPPROTO_TCP, 0, 0}, ends...)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	seg := []byte{0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 4, 0, 0, 0, 0, 0}
	pseudo := append(append([]byte{}, ends...), 0, unix.IPPROTO_TCP, 0, 20)
	binary.BigEndian.PutUint16(seg[16:], checksum(append(pseudo, seg...)))
	b := append(append([]byte{}, ethDst...), ethSrc...)
	return append(append(append(b, 8, 0), ip...), seg...)
}

// macOf returns the MAC of a machine's interface.
func (f fabric) macOf(machine, iface string) net.HardwareAddr {
	f.Helper()
	return mac(strings.TrimSpace(f.sh(machine, "cat /sys/class/net/"+iface+"/address")))
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

func mac(s string) net.HardwareAddr {
	hw, err := net.ParseMAC(s)
	if err != nil {
		panic(fmt.Sprintf("%q: %v", s, err))
	}
	return hw
}
