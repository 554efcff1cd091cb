package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Feature is something of the kernel that Sarn builds on.
type Feature struct {
	Name   string // what it is, in words
	Config string // the symbol of the kernel's configuration that brings it
	Module string // the module that has it, where it is one
	// Optional says that the fabric works without it.
	Optional bool
	// Err is why it cannot be used; nil if it can.
	Err error
}

// trial is a feature and how to try it out.
type trial struct {
	Feature
	try func() error
	nft string // tried by this transaction instead
}

// Features tries out all features in a network namespace of its own, which goes away
// with the call. Without the nft program, what needs it is left out.
func Features(ctx context.Context) ([]Feature, error) {
	var features []Feature
	err := inFresh(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink: %w", err)
		}
		defer h.Close()
		_, lookErr := exec.LookPath("nft")
		for _, t := range append(linkTrials(h), filterTrials()...) {
			switch {
			case t.try != nil:
				t.Err = t.try()
			case lookErr != nil:
				continue
			default:
				_, t.Err = nft(ctx, t.nft, "-f", "-")
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			features = append(features, t.Feature)
		}
		return nil
	})
	return features, err
}

// inFresh runs f on a thread in a new network namespace, which ends with the call.
func inFresh(f func() error) error {
	home, err := os.Open(threadNetns)
	if err != nil {
		return fmt.Errorf("open this thread's network namespace: %w", err)
	}
	defer home.Close() //nolint:errcheck // read only
	return enter(home, func() error {
		// enter takes the thread home again.
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace (CONFIG_NET_NS): %w", err)
		}
		return f()
	})
}

// linkTrials are tried in order: later ones use what earlier ones made.
func linkTrials(h *netlink.Handle) []trial {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br_try"}}
	port := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "vp_try"}, PeerName: "peer"}
	return []trial{
		{Feature: Feature{Name: "veth pairs", Config: "CONFIG_VETH", Module: "veth"}, try: func() error {
			return h.LinkAdd(port)
		}},
		{Feature: Feature{Name: "bridges", Config: "CONFIG_BRIDGE", Module: "bridge"}, try: func() error {
			return h.LinkAdd(bridge)
		}},
		{Feature: Feature{Name: "isolated bridge ports", Config: "CONFIG_BRIDGE of Linux 4.18 or later", Module: "bridge"}, try: func() error {
			return errors.Join(h.LinkSetMaster(port, bridge), h.LinkSetIsolated(port, true))
		}},
		{Feature: Feature{Name: "proxy ARP between isolated ports", Config: "CONFIG_SYSCTL"}, try: func() error {
			return os.WriteFile("/proc/sys/net/ipv4/conf/br_try/proxy_arp_pvlan", []byte("1"), 0o644)
		}},
		{Feature: Feature{Name: "tap devices", Config: "CONFIG_TUN", Module: "tun"}, try: tryTap},
		{Feature: Feature{Name: "policy routing", Config: "CONFIG_IP_MULTIPLE_TABLES"}, try: func() error {
			rule := netlink.NewRule()
			rule.Family, rule.Priority, rule.Table, rule.IifName = unix.AF_INET, 10000, 10000, "br_try"
			return h.RuleAdd(rule)
		}},
		{Feature: Feature{Name: "rate limits (tbf)", Config: "CONFIG_NET_SCH_TBF", Module: "sch_tbf", Optional: true}, try: func() error {
			link, err := h.LinkByName("vp_try")
			if err != nil {
				return err
			}
			return h.QdiscAdd(&netlink.Tbf{
				QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
				Rate:       1 << 20, Limit: 1 << 16, Buffer: 1 << 16,
			})
		}},
	}
}

// tryTap makes a tap device that goes when it is closed: Documentation/networking/tuntap.rst.
func tryTap() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	request, err := unix.NewIfreq("tap_try")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
}

func filterTrials() []trial {
	return []trial{
		{Feature: Feature{Name: "nftables for IPv4", Config: "CONFIG_NF_TABLES_IPV4", Module: "nf_tables"}, nft: `
			add table ip try
			add chain ip try forward { type filter hook forward priority 0; }`},
		{Feature: Feature{Name: "nftables' inet family", Config: "CONFIG_NF_TABLES_INET", Module: "nf_tables"}, nft: `
			add table inet try
			add chain inet try forward { type filter hook forward priority 0; }`},
		{Feature: Feature{Name: "nftables' bridge family", Config: "CONFIG_NF_TABLES_BRIDGE", Module: "nf_tables_bridge"}, nft: `
			add table bridge try
			add chain bridge try prerouting { type filter hook prerouting priority 0; }`},
		{Feature: Feature{Name: "nftables' verdict maps", Config: "CONFIG_NF_TABLES", Module: "nf_tables"}, nft: `
			add table bridge try
			add chain bridge try prerouting { type filter hook prerouting priority 0; }
			add chain bridge try port
			add map bridge try ports { type ifname : verdict; elements = { "vp_try" : jump port }; }
			add rule bridge try prerouting iifname vmap @ports`},
		{Feature: Feature{Name: "nftables' sets", Config: "CONFIG_NF_TABLES", Module: "nf_tables"}, nft: `
			add table ip try
			add chain ip try forward { type filter hook forward priority 0; }
			add set ip try blocks { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }
			add rule ip try forward ip saddr @blocks counter drop`},
		{Feature: Feature{Name: "connection tracking", Config: "CONFIG_NFT_CT", Module: "nft_ct"}, nft: `
			add table ip try
			add chain ip try forward { type filter hook forward priority 0; }
			add rule ip try forward ct state established accept`},
		{Feature: Feature{Name: "masquerading", Config: "CONFIG_NFT_MASQ", Module: "nft_masq"}, nft: `
			add table ip try
			add chain ip try postrouting { type nat hook postrouting priority 100; }
			add rule ip try postrouting masquerade`},
	}
}

var nftVersion = regexp.MustCompile(`v(\d+(?:\.\d+)+)`)

// NFTVersion returns the version of the nft program, such as "1.0.6".
func NFTVersion(ctx context.Context) (string, error) {
	out, err := nft(ctx, "", "--version")
	if err != nil {
		return "", err
	}
	m := nftVersion.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("nft --version says %q, which names no version", strings.TrimSpace(string(out)))
	}
	return string(m[1]), nil
}
