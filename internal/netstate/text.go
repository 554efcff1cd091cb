package netstate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Fingerprint is a hash of named parts, whatever their order. The zero value is that of
// none.
type Fingerprint [2]uint64

// Add adds a part. Its lists' order counts, so equal fingerprints are of what one
// compiler made, not of what was read from a kernel.
func (f *Fingerprint) Add(key string, part Machine) {
	js, err := json.Marshal(part)
	if err != nil {
		panic(fmt.Sprintf("netstate: a Machine is always JSON: %v", err)) // plain data: cannot happen
	}
	f.AddText(key, js)
}

// AddText is Add for a part that is JSON still, as a controller writes it.
func (f *Fingerprint) AddText(key string, part []byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%q ", key)
	h.Write(part) //nolint:errcheck // a hash.Hash never fails
	sum := h.Sum(nil)
	for i := range f {
		f[i] += binary.BigEndian.Uint64(sum[8*i:])
	}
}

// Join adds the parts that o is of.
func (f *Fingerprint) Join(o Fingerprint) {
	for i := range f {
		f[i] += o[i]
	}
}

// Leave takes out the parts that o is of, which must be there.
func (f *Fingerprint) Leave(o Fingerprint) {
	for i := range f {
		f[i] -= o[i]
	}
}

// String returns the fingerprint in hexadecimal digits.
func (f Fingerprint) String() string { return fmt.Sprintf("%016x%016x", f[0], f[1]) }

// RuleID returns the fingerprint that a rule of an nft chain carries in its comment.
// The kernel gives rules back in other words than they were written in, so what a
// reader can compare is the fingerprint.
func RuleID(rule string) string { return shortHash([]byte(rule)) }

func shortHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// Command returns the command that a person would type to do what the op does.
func (o Op) Command() string { return Sarn().Command(o) }

// Command returns the command that a person would type to do what the owner's op does.
func (w Owner) Command(o Op) string {
	text := w.text(o)
	if _, ok := o.Object.(Netns); ok {
		return text
	}
	switch {
	case o.Netns == "":
		return text
	case strings.HasPrefix(text, "ip "):
		return "ip -n " + o.Netns + text[2:]
	case strings.HasPrefix(text, "bridge "):
		return "bridge -n " + o.Netns + text[6:]
	case strings.HasPrefix(text, "tc "):
		return "tc -n " + o.Netns + text[2:]
	default:
		return "ip netns exec " + o.Netns + " " + text
	}
}

func (w Owner) text(o Op) string {
	verb := string(o.Verb)
	if o.Verb == Change {
		verb = "replace"
	}
	switch x := o.Object.(type) {
	case Netns:
		text := "ip netns " + verb + " " + x.Name
		if x.Alias != "" {
			text += " && ip -n " + x.Name + " link set lo alias " + shellWord(x.Alias)
		}
		return text
	case Link:
		return x.command(o.Verb)
	case LinkAttr:
		return x.command()
	case Address:
		return "ip address " + verb + " " + x.String()
	case Neighbor:
		return "ip neigh " + verb + " " + x.String()
	case Forward:
		return fmt.Sprintf("bridge fdb %s %s dev %s master static", verb, x.MAC, x.Link)
	case Route:
		return "ip route " + verb + " " + x.text(w.Protocol)
	case Rule:
		return "ip rule " + verb + " " + x.text(w.Protocol)
	case Qdisc:
		return x.command(o.Verb, w.Protocol)
	case Sysctl:
		return "sysctl -w " + x.String()
	case NFT:
		return "nft " + shellWord(x.Line)
	}
	panic(fmt.Sprintf("netstate: an Op has no object %T", o.Object))
}

func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (l Link) command(v Verb) string {
	if v == Delete {
		return "ip link delete " + l.Name
	}
	if l.Kind == Tap {
		cmd := "ip tuntap add dev " + l.Name + " mode tap"
		if l.Owner != 0 {
			cmd += " user " + strconv.FormatUint(uint64(l.Owner), 10)
		}
		return cmd
	}
	cmd := "ip link add " + l.Name
	if l.MAC != "" {
		cmd += " address " + l.MAC
	}
	cmd += " type " + string(l.Kind)
	if l.Peer != "" {
		cmd += " peer name " + l.Peer
		if l.PeerNetns != "" {
			cmd += " netns " + l.PeerNetns
		}
	}
	return cmd
}

func (a LinkAttr) command() string {
	set := "ip link set " + a.Link
	switch a.Attr {
	case "up":
		if a.Value == "on" {
			return set + " up"
		}
		return set + " down"
	case "alias":
		return set + " alias " + shellWord(a.Value)
	case "master":
		if a.Value == "" {
			return set + " nomaster"
		}
	case "isolated":
		return "bridge link set dev " + a.Link + " isolated " + a.Value
	case "static":
		not := "on"
		if a.Value == "on" {
			not = "off"
		}
		return "bridge link set dev " + a.Link + " learning " + not + " flood " + not
	}
	return set + " " + a.Attr + " " + a.Value
}

// String returns the address as ip(8) takes it.
func (a Address) String() string {
	s := a.Prefix.String() + " dev " + a.Link
	if a.Label != "" {
		s += " label " + a.Label
	}
	return s
}

// String returns the neighbour as ip(8) takes it.
func (n Neighbor) String() string {
	return fmt.Sprintf("%s lladdr %s dev %s nud permanent", n.Address, n.MAC, n.Link)
}

// String returns the route as ip(8) takes it.
func (r Route) String() string { return r.text(Protocol) }

func (r Route) text(protocol uint8) string {
	var b strings.Builder
	if r.Type != Unicast {
		b.WriteString(string(r.Type) + " ")
	}
	b.WriteString(destination(r.Dst))
	if r.Via.IsValid() {
		b.WriteString(" via " + r.Via.String())
	}
	if r.Link != "" {
		b.WriteString(" dev " + r.Link)
	}
	if r.Src.IsValid() {
		b.WriteString(" src " + r.Src.String())
	}
	if r.Table != MainTable {
		b.WriteString(" table " + strconv.FormatUint(uint64(r.Table), 10))
	}
	b.WriteString(" proto " + strconv.Itoa(int(protocol)))
	return b.String()
}

func destination(p netip.Prefix) string {
	switch {
	case p.Bits() == 0:
		return "default"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// String returns the rule as ip(8) takes it.
func (r Rule) String() string { return r.text(Protocol) }

func (r Rule) text(protocol uint8) string {
	return fmt.Sprintf("pref %d iif %s lookup %d protocol %d", r.Priority, r.Iif, r.Table, protocol)
}

// String returns the setting as sysctl(8) takes it.
func (s Sysctl) String() string {
	name := s.Name
	if !strings.Contains(name, ".") {
		name = strings.ReplaceAll(name, "/", ".")
	}
	return name + "=" + s.Value
}
