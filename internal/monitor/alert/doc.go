// Package alert watches samples of a machine with nobody looking: rules over the values
// of the system, of processes and of VMs and containers, and actions that tell somebody.
//
// It reads samples, the file of rules, its own state and the secrets that actions name.
// It writes its state, log lines, and what actions send: HTTP, mail, programs.
package alert
