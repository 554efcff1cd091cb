package intent

import (
	"bytes"
	"encoding"
	"fmt"
	"net"
	"net/netip"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// CIDR is an IPv4 address block. Its text form is the usual 10.10.10.0/24.
type CIDR struct{ netip.Prefix }

// MustCIDR parses s, which must be right: it is for constants.
func MustCIDR(s string) CIDR { return CIDR{netip.MustParsePrefix(s)} }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *CIDR) UnmarshalText(b []byte) error {
	p, err := netip.ParsePrefix(string(b))
	switch {
	case err != nil || !p.Addr().Is4():
		return fmt.Errorf("%q is not an IPv4 address block; write it like 10.10.10.0/24", b)
	case p.Masked() != p:
		return fmt.Errorf("%q has bits set after its prefix; did you mean %s?", b, p.Masked())
	}
	c.Prefix = p
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (c CIDR) MarshalText() ([]byte, error) { return c.Prefix.MarshalText() }

// First returns the block's first address, the network's own.
func (c CIDR) First() netip.Addr { return c.Masked().Addr() }

// Last returns the block's last address, the broadcast address.
func (c CIDR) Last() netip.Addr {
	b := c.First().As4()
	host := uint32(1)<<(32-c.Bits()) - 1
	v := be32(b) | host
	return netip.AddrFrom4(put32(v))
}

// Size returns how many addresses the block holds.
func (c CIDR) Size() int { return 1 << (32 - c.Bits()) }

// Covers reports whether all of o lies inside c.
func (c CIDR) Covers(o CIDR) bool { return c.Bits() <= o.Bits() && c.Contains(o.Addr()) }

func be32(b [4]byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func put32(v uint32) [4]byte {
	return [4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// Addr is an IPv4 address.
type Addr struct{ netip.Addr }

// MustAddr parses s, which must be right: it is for constants.
func MustAddr(s string) Addr { return Addr{netip.MustParseAddr(s)} }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Addr) UnmarshalText(b []byte) error {
	p, err := netip.ParseAddr(string(b))
	if err != nil || !p.Is4() {
		return fmt.Errorf("%q is not an IPv4 address; write it like 10.10.10.10", b)
	}
	a.Addr = p
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (a Addr) MarshalText() ([]byte, error) { return a.Addr.MarshalText() }

// Host returns the address as a /32 block.
func (a Addr) Host() netip.Prefix { return netip.PrefixFrom(a.Addr, a.BitLen()) }

// MAC is a 48-bit link-layer address in the usual lower-case form.
type MAC string

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(b []byte) error {
	hw, err := net.ParseMAC(string(b))
	if err != nil || len(hw) != 6 {
		return fmt.Errorf("%q is not a MAC address; write it like 0a:5a:0a:0a:0a:0a", b)
	}
	if bytes.Equal(hw, make(net.HardwareAddr, 6)) {
		return fmt.Errorf("%q is no device's address; leave it out to have one made", b)
	}
	if hw[0]&1 == 1 {
		return fmt.Errorf("%q is a multicast address: a port's MAC has an even first byte", b)
	}
	*m = MAC(hw.String())
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m), nil }

// PortMAC derives a port's MAC from its address: locally administered, unique
// because the address is, and readable back by a person.
func PortMAC(a Addr) MAC { return macOf(0x0a, a) }

// BridgeMAC derives the MAC of a subnet's bridge from the bridge's address. It is
// the same on every host, so a moved VM's ARP cache stays true.
func BridgeMAC(a Addr) MAC { return macOf(0x0e, a) }

func macOf(first byte, a Addr) MAC {
	b := a.As4()
	return MAC(net.HardwareAddr{first, 0x5a, b[0], b[1], b[2], b[3]}.String())
}

// UnmarshalYAML decodes the block, so that an error knows its line.
func (c *CIDR) UnmarshalYAML(n ast.Node) error { return UnmarshalText(n, c) }

// UnmarshalYAML decodes the address, so that an error knows its line.
func (a *Addr) UnmarshalYAML(n ast.Node) error { return UnmarshalText(n, a) }

// UnmarshalYAML decodes the MAC, so that an error knows its line.
func (m *MAC) UnmarshalYAML(n ast.Node) error { return UnmarshalText(n, m) }

// UnmarshalText decodes the text of a node, so that an error knows its line.
func UnmarshalText(n ast.Node, into encoding.TextUnmarshaler) error {
	text := n.String()
	if s, ok := n.(*ast.StringNode); ok {
		text = s.Value
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: n.GetToken()}
	}
	return nil
}
