// Package netstate describes what one machine's kernel holds, as data.
//
// A Machine is a State for each network namespace that matters: the machine's own,
// and those of the containers that its ports end in. Diff compares the Machine that
// is wanted with the one that was read and returns the Ops between them, in an order
// that opens no hole; each Op prints as the ip, bridge, sysctl or nft command that a
// person would type. Nothing here touches a kernel: package kernel does.
//
// What is Sarn's is recognisable. Links carry an alias that begins with Mark,
// addresses on links that are not Sarn's carry a label that ends in ":sarn", routes
// and rules carry Protocol, nft tables are called "sarn". Diff deletes nothing else.
package netstate
