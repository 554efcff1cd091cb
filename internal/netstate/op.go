package netstate

import "strings"

// Verb is what an Op does.
type Verb string

// The verbs. Change replaces in one step what is already there.
const (
	Add    Verb = "add"
	Change Verb = "change"
	Delete Verb = "delete"
)

// Op is one step on the way from what a machine holds to what it should. Object is
// a Netns, Link, LinkAttr, Qdisc, Address, Neighbor, Forward, Route, Rule, Sysctl or NFT.
type Op struct {
	Netns  string // namespace that it happens in
	Verb   Verb
	Object any

	attached bool // it is about a port's device that somebody else made
}

// Netns is a network namespace, as the object of an Op. Alias is the mark that it bears
// from the beginning.
type Netns struct{ Name, Alias string }

// LinkAttr sets one attribute of a link that is there. Attr is one of "up", "alias",
// "address", "mtu", "master", "isolated", "static"; Value is "on" or "off" for
// those that are switches, and empty to take a link out of its bridge.
type LinkAttr struct {
	Link, Attr, Value string
}

// NFT is one line of an nft transaction. All the lines of a namespace that follow
// each other are applied as one transaction.
type NFT struct{ Line string }

// Unit names the part of the machine that alone suffers if the op fails: a namespace
// of a guest, or a port. It is empty if the op matters to the whole machine, so that
// nothing may follow it.
func (o Op) Unit() string {
	if o.Netns != "" {
		return "network namespace " + o.Netns
	}
	if link := o.link(); o.attached || strings.HasPrefix(link, PortPrefix) {
		return "port " + link
	}
	return ""
}

// link returns the link that the op is about, or nothing.
func (o Op) link() string {
	switch x := o.Object.(type) {
	case Link:
		return x.Name
	case LinkAttr:
		return x.Link
	case Qdisc:
		return x.Link
	case Forward:
		return x.Link
	case Sysctl:
		return sysctlLink(x.Name)
	}
	return ""
}
