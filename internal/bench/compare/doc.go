// Package compare measures several web servers against each other on one machine and
// says which is faster, by how much, and how sure that is.
//
// Machines drift: what else runs, how warm the processor is. So every server is
// measured in every round, in an order that is shuffled for each, and what is compared
// are figures of the same round. Servers are started and stopped here, or only
// addressed. How a server is asked is package load's business.
//
// Reads: the comparison's file, /proc, the network. Writes: a temporary directory for
// the time of a comparison; the CPU affinity of this process, which it gives back.
package compare
