// Package netload measures the network between two machines: throughput, packets,
// transactions, connections and latency, over TCP and UDP.
//
// A Server listens at one end; a Client at the other connects to it and runs one Test
// after the other. Both ends do the sending and receiving with blocking system calls on
// threads of their own, since what is measured is the network and not a scheduler of
// goroutines; nothing is allocated while a test runs.
//
// One TCP port carries everything but the datagrams, which use the UDP port of the same
// number. Each connection begins with a preface of fixed size. One kind is for control,
// where each side sends JSON, a line a message; the server's first line holds a cookie.
// The other kind carries a test's data and shows that cookie. A server sends datagrams
// to nobody but the address of a control connection, to a port that has shown the cookie.
//
// Reads: the network. Writes: the network. Nothing is kept.
package netload
