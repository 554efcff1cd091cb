// Package kernel is Sarn's only door to Linux. It reads what a machine's network
// namespaces hold, applies the ops that netstate.Diff plans, and watches for
// changes that others make. It remembers nothing between calls: what it answers is
// what the kernel holds now.
//
// Reads: rtnetlink, nftables, /proc/sys/net, the directory of named network
// namespaces. Writes: the same, and only what its ops say. nft sets and rules go
// through the nft program, one transaction at a time; the rest through netlink.
package kernel
