package intent

import (
	"fmt"
	"math"
	"regexp"
)

// MaxName is the longest object name, in characters. Kernel names are shorter
// still: see compile.Device.
const MaxName = 40

// maxCIDRs is how many address blocks a VPC may have.
const maxCIDRs = 16

var (
	nameRE  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	ifaceRE = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,15}$`)
	netnsRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)
)

// check collects the field errors of one object.
type check struct{ errs []FieldError }

func (c *check) fail(field, format string, args ...any) {
	c.errs = append(c.errs, FieldError{field, fmt.Sprintf(format, args...)})
}

func (c *check) head(h *Header) {
	switch {
	case h.Name == "":
		c.fail("name", "is missing")
	case len(h.Name) > MaxName:
		c.fail("name", "is longer than %d characters", MaxName)
	case !nameRE.MatchString(h.Name):
		c.fail("name", "%q is not a name; use lower-case letters, digits and '-'", h.Name)
	}
}

func (c *check) ref(field, name, what string) {
	switch {
	case name == "":
		c.fail(field, "is missing; name the %s", what)
	case !nameRE.MatchString(name) || len(name) > MaxName:
		c.fail(field, "%q is not the name of a %s", name, what)
	}
}

// CheckInterface says what is wrong with the name of a network interface other than
// the loopback device, or returns nil. The kernel allows more (dev_valid_name,
// net/core/dev.c), but takes % for a template, and all and default name no device in
// /proc/sys; nft has its own use for quotes and *.
func CheckInterface(name string) error {
	switch {
	case !ifaceRE.MatchString(name) || name == "." || name == "..":
		return fmt.Errorf("%q is not an interface name: 1 to 15 letters, digits, '.', '_' or '-'", name)
	case name == "lo" || name == "all" || name == "default":
		return fmt.Errorf("%q is a name that the kernel keeps for itself; use another", name)
	}
	return nil
}

func (c *check) iface(field, name string) {
	if err := CheckInterface(name); err != nil {
		c.fail(field, "%v", err)
	}
}

// Validate implements Object.
func (v *VPC) Validate() []FieldError {
	var c check
	c.head(&v.Header)
	if len(v.CIDRs) == 0 {
		c.fail("cidrs", "is missing; give at least one address block, such as 10.10.0.0/16")
	}
	if len(v.CIDRs) > maxCIDRs {
		c.fail("cidrs", "holds %d address blocks; a VPC has at most %d", len(v.CIDRs), maxCIDRs)
		return c.errs
	}
	if v.Mode != "" && v.Mode != ModeRouter && v.Mode != ModeDirect {
		c.fail("mode", "%q is not a mode; use router or direct", v.Mode)
	}
	for i, a := range v.CIDRs {
		switch {
		case !a.IsValid():
			c.fail("cidrs", "holds an empty address block")
			continue
		case a.Bits() < 8 || a.Bits() > 30:
			c.fail("cidrs", "%s is too %s; use a prefix from /8 to /30", a, sizeWord(a, 8))
		case !a.Addr().IsPrivate() && !a.Addr().IsGlobalUnicast():
			c.fail("cidrs", "%s holds no unicast addresses", a)
		}
		for _, b := range v.CIDRs[:i] {
			if a.Overlaps(b.Prefix) {
				c.fail("cidrs", "%s overlaps %s", a, b)
			}
		}
	}
	return c.errs
}

func sizeWord(c CIDR, large int) string {
	if c.Bits() < large {
		return "large"
	}
	return "small"
}

// Validate implements Object.
func (s *Subnet) Validate() []FieldError {
	var c check
	c.head(&s.Header)
	c.ref("vpc", s.VPC, "VPC")
	if s.Router != "" {
		c.ref("router", s.Router, "router node")
	}
	if !s.CIDR.IsValid() {
		c.fail("cidr", "is missing; give an address block, such as 10.10.10.0/24")
		return c.errs
	}
	if s.CIDR.Bits() < 8 || s.CIDR.Bits() > 29 {
		c.fail("cidr", "%s is too %s; use a prefix from /8 to /29", s.CIDR, sizeWord(s.CIDR, 8))
		return c.errs
	}
	for _, f := range []struct {
		name string
		addr Addr
	}{{"gateway", s.Gateway}, {"bridge", s.Bridge}} {
		switch {
		case !f.addr.IsValid():
		case !s.CIDR.Contains(f.addr.Addr):
			c.fail(f.name, "%s is outside %s", f.addr, s.CIDR)
		case f.addr.Addr == s.CIDR.First():
			c.fail(f.name, "%s is the network's own address", f.addr)
		case f.addr.Addr == s.CIDR.Last():
			c.fail(f.name, "%s is the broadcast address", f.addr)
		}
	}
	if s.Gateway.IsValid() && s.Gateway == s.Bridge {
		c.fail("bridge", "%s is the gateway too; they must differ", s.Bridge)
	}
	return c.errs
}

// Validate implements Object.
func (n *Node) Validate() []FieldError {
	var c check
	c.head(&n.Header)
	if n.Role != RoleHost && n.Role != RoleRouter {
		c.fail("role", "%q is not a role; use host or router", n.Role)
	}
	if !n.Address.IsValid() {
		c.fail("address", "is missing; give the node's address on the underlay")
	} else if !n.Address.IsGlobalUnicast() {
		c.fail("address", "%s is not a unicast address", n.Address)
	}
	if n.Interface == "" {
		c.fail("interface", "is missing; name the node's interface on the underlay")
	} else {
		c.iface("interface", n.Interface)
	}
	if n.Uplink != "" {
		c.iface("uplink", n.Uplink)
		if n.Role == RoleHost {
			c.fail("uplink", "belongs to a router; this node is a host")
		}
	}
	return c.errs
}

// Validate implements Object.
func (p *Port) Validate() []FieldError {
	var c check
	c.head(&p.Header)
	c.ref("subnet", p.Subnet, "subnet")
	c.ref("node", p.Node, "host node")
	switch p.Attach.Type {
	case "", AttachNetns:
		if p.Attach.Owner != 0 {
			c.fail("attach.owner", "belongs to a tap; this port is a netns")
		}
		if p.Attach.Namespace != "" && !netnsRE.MatchString(p.Attach.Namespace) {
			c.fail("attach.namespace", "%q is not a namespace's name", p.Attach.Namespace)
		}
		if p.Attach.Interface != "" {
			c.iface("attach.interface", p.Attach.Interface)
		}
	case AttachTap:
		if p.Attach.Owner == math.MaxUint32 {
			c.fail("attach.owner", "%d is not a user ID", p.Attach.Owner)
		}
		if p.Attach.Namespace != "" {
			c.fail("attach.namespace", "belongs to a netns; this port is a tap")
		}
		if p.Attach.Interface != "" {
			c.fail("attach.interface", "belongs to a netns; this port is a tap")
		}
	case AttachInterface:
		if p.Attach.Owner != 0 {
			c.fail("attach.owner", "belongs to a tap; this port is an interface")
		}
		if p.Attach.Namespace != "" {
			c.fail("attach.namespace", "belongs to a netns; this port is an interface")
		}
		if p.Attach.Interface == "" {
			c.fail("attach.interface", "is missing; name the device on the host")
		} else {
			c.iface("attach.interface", p.Attach.Interface)
		}
	default:
		c.fail("attach.type", "%q is not a way to attach; use netns, tap or interface", p.Attach.Type)
	}
	return c.errs
}
