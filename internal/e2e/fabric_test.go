package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rtt = regexp.MustCompile(`time=([0-9.]+) ms`)

// TestFirstPing is on a fabric that has not carried a packet: the very first answer
// takes milliseconds, where proxy ARP's usual delay alone is anything up to 800. The
// machine may be what is slow, so there are three more first times, when everybody has
// forgotten his neighbours. With the delay one run of a hundred would pass.
func TestFirstPing(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	const enough, tries = 40, 4
	for _, target := range []string{"vm3", "vm2", "vm6"} {
		var took []float64
		for len(took) < tries && (len(took) == 0 || slices.Min(took) >= enough) {
			out := f.sh("vm1", "ping -c 1 -W 30 "+target)
			m := rtt.FindStringSubmatch(out)
			if m == nil {
				t.Fatal(out)
			}
			ms, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			took = append(took, ms)
			for _, who := range []string{"vm1", target, "host1", "host2", "router"} {
				f.sh(who, "ip neigh flush all")
			}
		}
		if slices.Min(took) >= enough {
			t.Errorf("first pings to %s took %v ms", target, took)
		}
	}
}

// TestEveryoneReachesEveryone is the post's promise, and that nobody learns of
// another road by an ICMP redirect meanwhile.
func TestEveryoneReachesEveryone(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	wires := []*wire{f.listen("vm1", "eth0"), f.listen("vm5", "eth0"), f.listen("host1", "enp0s8"), f.listen("router", "enp0s8")}
	if out := f.sarn("lab", "ping-all", "--timeout", "30s"); !strings.Contains(out, "36/36") {
		t.Errorf("six VMs and the internet node make 36 pairs:\n%s", out)
	}
	for _, host := range []string{"host1", "host2"} {
		for _, vm := range []string{"vm1", "vm2", "vm3", "vm4", "vm5", "vm6"} {
			f.sh(host, "ping -c 1 -W 30 "+vm)
		}
	}
	for _, w := range wires {
		if got := w.seen(icmp(5)); len(got) > 0 {
			t.Errorf("%d redirects", len(got))
		}
	}
}

func TestExpectationsOfTheExamples(t *testing.T) {
	for _, example := range []string{"one-host", "two-hosts", "three-vpcs"} {
		t.Run(example, func(t *testing.T) {
			f := up(t, example+".yaml")
			f.asExpected("../../examples/" + example + ".test.yaml")
		})
	}
}

// asExpected tests a lab, again if not all is as expected: answers have a second to come.
func (f fabric) asExpected(file string) {
	f.Helper()
	var out string
	if !f.poll(30*time.Second, func() bool {
		var code int
		out, code = f.try("lab", "test", file)
		return code == 0
	}) {
		f.Errorf("lab test %s:\n%s", file, out)
	}
}

// TestHopsAsPromised holds traceroute against what docs/fabric.md says.
func TestHopsAsPromised(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	for _, tc := range []struct {
		from, to string
		want     []string
	}{
		{"vm1", "vm2", []string{bridge, vm2}},
		{"vm1", "vm3", []string{bridge, "192.168.56.101", "192.168.56.104", vm3}},
		{"vm1", "vm5", []string{bridge, "10.10.20.3"}},
		{"vm1", "vm6", []string{bridge, "192.168.56.101", "192.168.56.104", "10.10.20.4"}},
		{"vm1", "internet", []string{bridge, "192.168.56.101", internet}},
		{"host1", "vm1", []string{vm1}},
		{"host1", "vm3", []string{"192.168.56.101", "192.168.56.104", vm3}},
	} {
		// All network namespaces together may send so many ICMP errors a second, and no more
		// (icmp_global_allow of net/ipv4/icmp.c), so a hop may be silent once or twice.
		var got []string
		if !f.poll(30*time.Second, func() bool {
			got = strings.Fields(f.sh(tc.from, "traceroute -n -q 1 -w 2 "+tc.to+" | awk 'NR>1 {print $2}'"))
			return slices.Equal(got, tc.want)
		}) {
			t.Errorf("%s to %s: %v, not %v", tc.from, tc.to, got, tc.want)
		}
	}
}

// TestBulk sends 100 MB by TCP from host to host and compares checksums.
func TestBulk(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	const size = 100 << 20
	var ln net.Listener
	f.in("vm3", func() (err error) { ln, err = net.Listen("tcp4", vm3+":5000"); return err })
	defer ln.Close()
	type result struct {
		sum string
		n   int64
		err error
	}
	got := make(chan result, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			got <- result{err: err}
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute)) // then it fails, and does not hang
		h := sha256.New()
		n, err := io.Copy(h, c)
		got <- result{string(h.Sum(nil)), n, err}
	}()
	var c net.Conn
	f.in("vm1", func() (err error) { c, err = net.DialTimeout("tcp4", vm3+":5000", patience); return err })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(c, h), rand.Reader, size); err != nil {
		t.Fatal(err)
	}
	c.Close()
	r := <-got
	if r.err != nil || r.n != size || r.sum != string(h.Sum(nil)) {
		t.Errorf("%d bytes arrived, error %v, checksum equal: %v", r.n, r.err, r.sum == string(h.Sum(nil)))
	}
}

// TestPathMTU narrows the road out of the fabric: VMs learn of it and get through.
func TestPathMTU(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	f.sh("router", "ip link set enp0s3 mtu 1300")
	f.sh("internet", "ip link set eth0 mtu 1300")
	out := f.sh("vm1", "ping -c 2 -W 30 -M do -s 1400 internet; ip route get "+internet)
	if !strings.Contains(out, "mtu 1300") || !strings.Contains(out, "Frag needed") && !strings.Contains(out, "Message too long") && !strings.Contains(out, "message too long") {
		t.Errorf("the VM did not learn the path's MTU:\n%s", out)
	}
	if out := f.sh("vm1", "ping -c 1 -W 30 -M do -s 1272 internet"); !strings.Contains(out, " 0% packet loss") {
		t.Errorf("1300 bytes do not get through:\n%s", out)
	}
	wait := f.background("internet", "timeout 90 socat -u TCP-LISTEN:5001,reuseaddr STDOUT | wc -c")
	f.eventually("it listens", func() bool {
		_, code := f.try("lab", "exec", "internet", "--", "sh", "-c", "ss -ltn | grep -q :5001")
		return code == 0
	})
	f.sh("vm1", "head -c 5000000 /dev/zero | timeout 60 socat -u STDIN TCP:internet:5001")
	if got := strings.TrimSpace(wait()); got != "5000000" {
		t.Errorf("%s of 5000000 bytes arrived", got)
	}
}

// TestUnderlayMTU gives the whole LAN another MTU: ports have it, so that nothing is
// fragmented or lost, whether it is smaller than usual or larger.
func TestUnderlayMTU(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	for _, mtu := range []string{"1400", "9000"} {
		f.sh("lan", "for d in $(ls /sys/class/net | grep -v lo); do ip link set $d mtu "+mtu+"; done")
		for _, node := range []string{"host1", "host2", "router"} {
			f.sh(node, "ip link set enp0s8 mtu "+mtu)
		}
		for _, vm := range []string{"vm1", "vm3"} {
			f.eventually(vm+" has the MTU "+mtu, func() bool { return strings.Contains(f.sh(vm, "ip link show eth0"), " mtu "+mtu+" ") })
		}
		for _, host := range []string{"host1", "host2"} {
			f.eventually("all of "+host+" has the MTU "+mtu, func() bool {
				return f.sh(host, "ip -o link | grep -e br_ -e vp_ | grep -vc ' mtu "+mtu+" ' || true") == "0\n"
			})
		}
		size, _ := strconv.Atoi(mtu)
		if out := f.sh("vm1", fmt.Sprintf("ping -c 1 -W 30 -M do -s %d vm3", size-28)); !strings.Contains(out, " 0% packet loss") {
			t.Errorf("full-sized packets are lost:\n%s", out)
		}
	}
}

// TestNobodysAddress is refused at once, from everywhere, and never circles.
func TestNobodysAddress(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	lan := f.listen("lan", "bridge")
	for _, from := range []string{"vm1", "vm5", "host1", "router"} {
		for _, target := range []string{"10.10.10.99", "10.10.20.99", "10.10.77.7"} {
			// Who gives up on ARP says so too, after three seconds, every time. The machine may
			// have been slow, or a refusal one too many (see TestHopsAsPromised).
			out, took := "", time.Duration(0)
			if !f.poll(15*time.Second, func() bool {
				lan.forget()
				began := time.Now()
				out, _ = f.try("lab", "exec", from, "--", "ping", "-c", "1", "-W", "3", target)
				took = time.Since(began)
				return (strings.Contains(out, "Host Unreachable") || strings.Contains(out, "No route to host")) && took < 2*time.Second
			}) {
				t.Errorf("%s to %s: not host-unreachable at once, but after %s:\n%s", from, target, took, out)
			}
			if got := lan.seen(func(fr frame) bool {
				p, ok := parseIP(fr.data)
				return ok && p.dst.String() == target && p.icmpType == 8
			}); len(got) > 2 { // a bridge's own socket sees a frame once; a VM's passes host to router
				t.Errorf("%s to %s: seen %d times on the LAN", from, target, len(got))
			}
		}
	}
	// A host that is told to forward for somebody it does not carry refuses too.
	f.sh("router", "ip route add 10.10.10.98 via 192.168.56.103")
	lan.forget()
	if out, _ := f.try("lab", "exec", "vm3", "--", "ping", "-c", "1", "-W", "3", "10.10.10.98"); !strings.Contains(out, "From 192.168.56.103 icmp_seq=1 Destination Host Unreachable") {
		t.Errorf("host1 did not refuse:\n%s", out)
	}
}

// TestNATIsASet adds a network that asks for the internet: the rule stays, the set
// grows; one that does not ask is not translated; and nothing outside reaches in.
func TestNATIsASet(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	rules := func() string {
		return f.sh("router", "nft -a list chain ip sarn postrouting | sed 's/packets.*//'")
	}
	before := rules()
	outside := f.listen("internet", "eth0")
	f.apply(`
kind: Subnet
name: net3
vpc: main
cidr: 10.10.30.0/24
nat: true
---
kind: Subnet
name: net4
vpc: main
cidr: 10.10.40.0/24
---
kind: Port
name: vm7
subnet: net3
node: host1
---
kind: Port
name: vm8
subnet: net4
node: host1
`)
	if after := rules(); after != before {
		t.Errorf("the rule changed from\n%s\nto\n%s", before, after)
	}
	if set := f.sh("router", "nft list set ip sarn nat"); !strings.Contains(set, "10.10.30.0/24") || strings.Contains(set, "10.10.40.0/24") {
		t.Errorf("the set is\n%s", set)
	}
	f.sh("vm7", "ping -c 1 -W 30 internet")
	f.sh("internet", "ip route add 10.10.0.0/16 via 203.0.113.2")
	f.sh("vm8", "ping -c 1 -W 30 internet")
	for src, want := range map[string]int{"203.0.113.2": 1, "10.10.40.3": 1, "10.10.30.3": 0} {
		if got := outside.await(want, patience, func(fr frame) bool {
			p, ok := parseIP(fr.data)
			return ok && !fr.out && p.icmpType == 8 && p.src.String() == src
		}); len(got) != want {
			t.Errorf("%d pings from %s came out, not %d", len(got), src, want)
		}
	}
	if _, code := f.try("lab", "exec", "internet", "--", "ping", "-c", "1", "-W", "1", "10.10.30.3"); code == 0 {
		t.Error("a translated network is open to the outside")
	}
	f.sh("internet", "ping -c 1 -W 30 10.10.40.3")

	// What opens no connection gets no further: scans from outside, and packets from
	// inside that nothing could translate.
	in7 := f.listen("vm7", "eth0")
	const syn, rst, fin, psh, urg = 2, 4, 1, 8, 32
	for _, flags := range []byte{syn, syn | rst, rst, 0, fin | psh | urg} {
		outside.send(tcp(outside.mac, f.macOf("router", "enp0s3"), internet, "10.10.30.3", flags))
	}
	in7.send(tcp(in7.mac, mac("0e:5a:0a:0a:1e:02"), "10.10.30.3", internet, fin|psh|urg))
	f.sh("vm7", "ping -c 1 -W 30 internet") // behind them on both ways
	tcpFrom := func(src string) func(frame) bool {
		return func(fr frame) bool {
			p, ok := parseIP(fr.data)
			return ok && !fr.out && p.proto == 6 && p.src.String() == src
		}
	}
	if got := in7.seen(tcpFrom(internet)); len(got) > 0 {
		t.Errorf("%d of the scans from outside arrived", len(got))
	}
	if got := outside.seen(tcpFrom("10.10.30.3")); len(got) > 0 {
		t.Errorf("%d packets left with their private source", len(got))
	}
}

// TestOneArmedRouter has a router with a single interface, which is the way to the
// fabric and to the internet: what goes out is translated, what stays is not.
func TestOneArmedRouter(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lab.yaml")
	if err := os.WriteFile(file, []byte(`
kind: Lab
name: one-armed
networks: [{name: lan, cidr: 192.168.56.0/24}]
machines:
  - name: router
    interfaces: [{name: eth0, network: lan, address: 192.168.56.1}]
    gateway: 192.168.56.254
  - name: internet
    interfaces: [{name: eth0, network: lan, address: 192.168.56.254}]
---
{kind: Node, name: host1, role: host, address: 192.168.56.11, interface: eth0}
---
{kind: Node, name: host2, role: host, address: 192.168.56.12, interface: eth0}
---
{kind: Node, name: router, role: router, address: 192.168.56.1, interface: eth0}
---
{kind: VPC, name: main, cidrs: [10.10.0.0/16]}
---
{kind: Subnet, name: net1, vpc: main, cidr: 10.10.10.0/24, nat: true}
---
{kind: Port, name: a, subnet: net1, node: host1, address: 10.10.10.10}
---
{kind: Port, name: b, subnet: net1, node: host2, address: 10.10.10.11}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	f := upFile(t, file)
	for target, want := range map[string]string{"b": "10.10.10.10", "host2": "10.10.10.10", "internet": "192.168.56.1"} {
		w := f.listen(target, "eth0")
		f.sh("a", "ping -c 1 -W 30 "+target)
		got := w.await(1, patience, icmp(8))
		if len(got) == 0 {
			t.Fatalf("%s did not see the ping", target)
		}
		if p, _ := parseIP(got[0].data); p.src.String() != want {
			t.Errorf("%s sees %s, not %s", target, p.src, want)
		}
	}
}

// TestStrictReversePath has the strict check of the distributions on before the
// fabric changes.
func TestStrictReversePath(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	for _, node := range []string{"host1", "host2", "router"} {
		f.sh(node, "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 > $f; done")
	}
	f.sarn("port", "delete", "vm1", "vm2", "vm3", "vm5", "--wait")
	f.apply(`
{kind: Port, name: vm1, subnet: net1, node: host1, address: 10.10.10.10}
---
{kind: Port, name: vm2, subnet: net1, node: host1, address: 10.10.10.11}
---
{kind: Port, name: vm3, subnet: net1, node: host2, address: 10.10.10.12}
---
{kind: Port, name: vm5, subnet: net2, node: host1}
`)
	for _, node := range []string{"host1", "host2"} {
		if got := f.sh(node, "cat /proc/sys/net/ipv4/conf/all/rp_filter /proc/sys/net/ipv4/conf/enp0s8/rp_filter"); got != "1\n2\n" {
			t.Errorf("%s: rp_filter of all and of the underlay: %q", node, got)
		}
	}
	f.sarn("lab", "ping-all", "--timeout", "30s")
	f.sh("host1", "ping -c 1 -W 30 vm3")
}

// TestEveryDatagramArrives sends small UDP packets and counts: each that is sent arrives,
// once. Never are more under way than any queue holds.
func TestEveryDatagramArrives(t *testing.T) {
	f := up(t, "two-hosts.yaml")
	var in net.PacketConn
	f.in("vm4", func() (err error) { in, err = net.ListenPacket("udp4", vm4+":5002"); return err })
	defer in.Close()
	var out net.Conn
	f.in("vm2", func() (err error) { out, err = net.Dial("udp4", vm4+":5002"); return err })
	defer out.Close()
	const n, window = 2000, 50
	seen := map[[2]byte]int{}
	read := func(until int, within time.Duration) {
		buf := make([]byte, 10)
		_ = in.SetReadDeadline(time.Now().Add(within))
		for len(seen) < until {
			k, _, err := in.ReadFrom(buf)
			if err != nil {
				return
			}
			if k == 2 {
				seen[[2]byte(buf[:2])]++
			}
		}
	}
	for i := 0; i < n && len(seen) == i; i += window {
		for k := i; k < i+window; k++ {
			if _, err := out.Write([]byte{byte(k >> 8), byte(k)}); err != nil {
				t.Fatal(err)
			}
		}
		read(i+window, 30*time.Second)
	}
	read(n+1, 100*time.Millisecond) // what comes twice
	if len(seen) != n {
		t.Errorf("%d of %d datagrams arrived", len(seen), n)
	}
	for k, c := range seen {
		if c > 1 {
			t.Errorf("datagram %v arrived %d times", k, c)
		}
	}
}
