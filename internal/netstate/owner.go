package netstate

import "strings"

// Owner is a program that makes kernel objects and knows them again by its marks.
// Owners that share a namespace leave each other's objects alone.
type Owner struct {
	// Mark begins the alias of the owner's links and namespaces, and ends the label
	// of its addresses on links that are not its own.
	Mark string
	// Protocol is the origin of the owner's routes and rules.
	Protocol uint8
}

// Sarn returns the owner that Sarn's agents are.
func Sarn() Owner { return Owner{Mark, Protocol} }

// Owns reports whether an alias bears the owner's mark.
func (o Owner) Owns(alias string) bool {
	rest, marked := strings.CutPrefix(alias, o.Mark)
	return marked && (rest == "" || rest[0] == ' ')
}

// Label returns the label of the owner's addresses on a link that is not its own.
func (o Owner) Label(link string) string { return link + ":" + o.Mark }
