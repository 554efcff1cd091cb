// Package serve lets others see what a machine's collector sees: the API, server-sent
// events and the figures for Prometheus, in one process and with one pass for all.
//
// It listens on loopback. Beyond that it takes a token and TLS. Requests whose Host is
// not this machine's are refused, so that no page elsewhere can read it by way of a
// browser (DNS rebinding). Nothing that comes from a process's or a VM's name is taken
// for anything but text.
//
// Reads: samples. Writes: answers.
package serve
