// Package fleet looks at many hosts at once: it asks each host's monitor for a summary
// every few seconds, says which are up or down and since when, and knows the fleet's
// busiest processes, its VMs and containers. Hosts come from a file, from whoever finds
// them (the controller's nodes), or answer to multicast DNS. It serves all that as an
// http.Handler, with a way through to each host's own API.
//
// Each host has a goroutine and a connection of its own: one that hangs holds up nobody.
// A summary is asked for instead of the stream, as it costs a hundredth. What a host says
// is not believed: see package remote.
//
// Reads files of hosts and tokens, and hosts over HTTP and multicast DNS. Writes nothing
// but questions, and with Announce answers, of multicast DNS.
package fleet
