package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	vm1, vm2, vm3, vm4 = "10.10.10.10", "10.10.10.11", "10.10.10.12", "10.10.10.13"
	gateway, bridge    = "10.10.10.1", "10.10.10.2"
	internet           = "203.0.113.1"
)

var bridgeMAC = mac("0e:5a:0a:0a:0a:02")

// TestOneAnswerFromTheBridge asks for every sort of address and expects one answer,
// the bridge's, for what is elsewhere, and none for what is the asker's own.
func TestOneAnswerFromTheBridge(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	w := f.listen("vm1", "eth0")
	const each = 5
	for what, target := range map[string]string{
		"local": vm2, "remote": vm3, "gateway": gateway, "bridge": bridge, "unused": "10.10.10.99", "other subnet": "10.10.20.1",
	} {
		t.Run(what, func(t *testing.T) {
			for range each {
				w.send(ask(w.mac, vm1, target).frame())
			}
			w.await(each, patience, answers(target))
			got := w.await(each+1, 300*time.Millisecond, answers(target)) // who answers twice does it at once
			if len(got) != each {
				t.Errorf("%d answers to %d requests for %s", len(got), each, target)
			}
			for _, fr := range got {
				if a, _ := parseARP(fr.data); !bytes.Equal(a.senderMAC, bridgeMAC) || !bytes.Equal(a.ethSrc, bridgeMAC) {
					t.Errorf("%s answers for %s", a.senderMAC, target)
				}
			}
		})
	}
	// RFC 5227, 2.1.1: a probe has no sender address. It is for the own address before
	// it is taken, and nobody may answer.
	for what, request := range map[string]arp{
		"probe":        ask(w.mac, "0.0.0.0", vm1),
		"announcement": ask(w.mac, vm1, vm1),
	} {
		t.Run(what, func(t *testing.T) {
			w.forget()
			for range each {
				w.send(request.frame())
			}
			// An answer to a later request shows that those before got none.
			w.send(ask(w.mac, vm1, gateway).frame())
			if len(w.await(1, patience, answers(gateway))) != 1 {
				t.Fatal("the bridge is silent")
			}
			if got := w.seen(answers(vm1)); len(got) > 0 {
				t.Errorf("%d answers for the asker's own address", len(got))
			}
		})
	}
}

// TestNoARPBeyondTheHost lets VMs ask for 1,000 addresses while the LAN is watched.
func TestNoARPBeyondTheHost(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	lan := f.listen("host1", "enp0s8")
	w := f.listen("vm1", "eth0")
	for i := range 1000 {
		a := netip.AddrFrom4([4]byte{10, 10, 10, byte(i % 256)})
		if i >= 256 {
			a = netip.AddrFrom4([4]byte{10, 10, byte(i / 250), byte(i % 250)})
		}
		w.send(ask(w.mac, vm1, a.String()).frame())
	}
	w.forget()
	w.send(ask(w.mac, vm1, gateway).frame())
	w.await(1, patience, answers(gateway))
	f.sh("vm1", "ping -c 1 -W 30 vm3")
	vms := netip.MustParsePrefix("10.10.0.0/16")
	if got := lan.seen(func(fr frame) bool {
		a, ok := parseARP(fr.data)
		return ok && (vms.Contains(a.sender) || vms.Contains(a.target))
	}); len(got) > 0 {
		a, _ := parseARP(got[0].data)
		t.Errorf("%d ARP packets about VMs on the underlay, such as from %s for %s", len(got), a.sender, a.target)
	}
	if len(lan.await(1, patience, func(fr frame) bool { p, ok := parseIP(fr.data); return ok && p.dst.String() == vm3 })) == 0 {
		t.Error("the listener on the underlay did not even see the ping")
	}
}

// TestForgedSendersAreDroppedAndCounted sends what a port may not send and looks for
// it everywhere it could come out.
func TestForgedSendersAreDroppedAndCounted(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	f.sh("vm1", "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1") // it would speak up by itself
	w := f.listen("vm1", "eth0")
	onHost := f.listen("host1", "br_net1")
	atVM2 := f.listen("vm2", "eth0")
	forged := mac("0a:5a:0a:0a:0a:0b") // vm2's

	drops := func(match string) int {
		return atoi(f.sh("host1", "nft list chain bridge sarn port_vm1 | grep '"+match+"' | sed 's/.*packets \\([0-9]*\\).*/\\1/' | head -n 1"))
	}
	arpOf := func(eth, sender string, addr string) arp {
		a := ask(mac(eth), addr, vm2)
		a.senderMAC = mac(sender)
		return a
	}
	own := w.mac.String()
	for what, tc := range map[string]struct {
		frame   []byte
		counter string
	}{
		"MAC":               {echo(forged, bridgeMAC, vm1, vm2), "ether saddr !="},
		"address":           {echo(w.mac, bridgeMAC, "10.10.10.77", vm2), "ether type ip counter"},
		"another's address": {echo(w.mac, bridgeMAC, vm2, bridge), "ether type ip counter"},
		"ARP sender":        {arpOf(own, own, "10.10.10.1").frame(), "ether type arp counter"},
		"ARP sender MAC":    {arpOf(own, forged.String(), vm1).frame(), "ether type arp counter"},
		"ARP frame's MAC":   {arpOf(forged.String(), own, vm1).frame(), "ether saddr !="},
		"IPv6":              {append(append(append([]byte{}, bridgeMAC...), w.mac...), append([]byte{0x86, 0xdd, 0x60}, make([]byte, 60)...)...), "^[[:space:]]*counter"},
	} {
		t.Run(what, func(t *testing.T) {
			before := drops(tc.counter)
			onHost.forget()
			atVM2.forget()
			for range 3 {
				w.send(tc.frame)
			}
			w.send(echo(w.mac, bridgeMAC, vm1, vm2)) // an honest one shows when to look
			honest := func(fr frame) bool {
				p, ok := parseIP(fr.data)
				return ok && p.src.String() == vm1 && p.dst.String() == vm2 && p.icmpType == 8
			}
			if got := atVM2.await(1, patience, honest); len(got) != 1 {
				t.Fatalf("%d honest packets arrived", len(got))
			}
			var after int
			// One CPU may have forged ones still to look at when another has done the honest one.
			f.poll(patience, func() bool { after = drops(tc.counter); return after >= before+3 })
			if after != before+3 {
				t.Errorf("the counter of %q went from %d to %d", tc.counter, before, after)
			}
			if got := onHost.seen(func(fr frame) bool { return bytes.Equal(fr.data[6:], tc.frame[6:]) && !fr.out }); len(got) > 0 {
				t.Errorf("%d of the forged frames entered the host", len(got))
			}
			if got := atVM2.seen(honest); len(got) != 1 {
				t.Errorf("%d packets from vm1 reached vm2, not one", len(got))
			}
			if got := atVM2.seen(func(fr frame) bool { return !honest(fr) && bytes.Equal(fr.data[14:], tc.frame[14:]) }); len(got) > 0 {
				t.Errorf("%d of the forged frames reached vm2", len(got))
			}
		})
	}
}

// TestPortWithoutRulesIsSilent plugs in a port that no rules are for, as if they had
// been lost: it carries nothing.
func TestPortWithoutRulesIsSilent(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	f.sh("host1", "ip link add vp_intruder type veth peer name other && ip link set vp_intruder master br_net1 up && ip link set other up")
	w := f.listen("host1", "other")
	onBridge := f.listen("host1", "br_net1")
	w.send(ask(w.mac, "10.10.10.50", gateway).frame())
	w.send(echo(w.mac, bridgeMAC, "10.10.10.50", bridge))
	f.sh("vm1", "ping -c 1 -W 30 vm2")
	if got := onBridge.seen(func(fr frame) bool { return bytes.Equal(fr.data[6:12], w.mac) }); len(got) > 0 {
		t.Errorf("%d frames of a port without rules entered", len(got))
	}
	if got := w.seen(answers(gateway)); len(got) > 0 {
		t.Error("it even got an answer")
	}
}

func icmp(kind byte) func(frame) bool {
	return func(fr frame) bool {
		p, ok := parseIP(fr.data)
		return ok && p.proto == unix.IPPROTO_ICMP && p.icmpType == kind
	}
}

func atoi(s string) int {
	var n int
	if _, err := fmt.Sscan(s, &n); err != nil {
		return -1
	}
	return n
}
