// Package reach walks one packet over what the nodes' kernels should hold, and says
// where it ends and why. It does no I/O and sends nothing: it is the answer of `sarn
// trace`, and the oracle that tests hold the real kernel against.
//
// It does to a packet what Linux does, in Linux's order, driven by nothing but the
// data: bridge.go is the way through a bridge and its ports, arp.go who answers an ARP
// request, route.go rules, tables and reverse-path filtering, walk.go one machine's IP
// stack, nft.go and expression.go the rules of nft, conntrack.go what makes an answer
// known and gives it its old address. Each step is noted in the words of ip, bridge,
// sysctl and nft.
//
// A netstate is only what Sarn makes. Of the rest it takes for granted, and says so
// where it matters:
//
//   - the nodes' underlay addresses are on one LAN, on the nodes' interfaces there;
//   - a router's other addresses are reached by its uplink, or by its interface if it
//     has none; who is there answers, and knows the way back;
//   - a setting that Sarn does not make is as the kernel has it by itself;
//   - a VM behind a tap has the address, the MAC and the gateway of its port.
//
// What a host does with packets for addresses that are neither the fabric's nor a
// node's is decided by routes that are not Sarn's: that is Unknown, and so is an nft
// rule with something in it that is not known here. It never guesses.
package reach
