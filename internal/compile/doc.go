// Package compile turns intent into what each machine's kernel should hold. It is a
// pure function: no I/O, no clock, and for equal intent an equal result, element by
// element, so that results can be compared by their hash.
//
// One file holds one capability: fabric.go the host's bridges, tables and routes,
// router.go gateways and host routes, guest.go the inside of a port's namespace,
// antispoof.go what a port may send, nat.go the way to the internet.
package compile
