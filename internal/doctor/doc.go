// Package doctor examines the machine that it runs on and says what keeps Sarn from
// working there: the cause of each trouble in a sentence, and its cure as commands.
//
// Gather collects Facts; Examine, a pure function, judges them. Reads: the kernel's
// state of the caller's network namespace, /proc, the file system of the store; asks
// the underlay by ARP and ICMP. Writes nothing that stays: kernel features are tried
// out in a network namespace that goes away.
package doctor
