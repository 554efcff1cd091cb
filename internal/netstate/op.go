package netstate

// Verb is what an Op does.
type Verb string

// The verbs. Change replaces in one step what is already there.
const (
	Add    Verb = "add"
	Change Verb = "change"
	Delete Verb = "delete"
)

// Op is one step on the way from what a machine holds to what it should. Object is
// a Netns, Link, LinkAttr, Address, Neighbor, Forward, Route, Rule, Sysctl or NFT.
type Op struct {
	Netns  string // namespace that it happens in
	Verb   Verb
	Object any
}

// Netns is a network namespace, as the object of an Op.
type Netns struct{ Name string }

// LinkAttr sets one attribute of a link that is there. Attr is one of "up", "alias",
// "address", "mtu", "master", "isolated", "static"; Value is "on" or "off" for
// those that are switches, and empty to take a link out of its bridge.
type LinkAttr struct {
	Link, Attr, Value string
}

// NFT is one line of an nft transaction. All the lines of a namespace that follow
// each other are applied as one transaction.
type NFT struct{ Line string }
