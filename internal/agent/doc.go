// Package agent keeps one node's kernel as the controller wants it: it follows the
// node's stream of wanted parts, and after each change, of the wish or of the kernel,
// makes a pass: read, diff, apply, read again. It owns nothing but the objects that
// bear Sarn's marks, and it writes nothing before it has a whole state.
//
// How much a pass reads follows from what changed. The first one, one after a failure,
// and one a minute read everything. A change of what is on this host reads all but the
// routes, and one of routes alone reads nothing: what the kernel acknowledged holds
// until one of its events says otherwise.
//
// An agent that stops, or that cannot reach its controller, leaves the network as it
// is. One that starts again finds the kernel as it should be and writes nothing.
package agent
