// Package collect reads one machine from /proc and /sys: its system, processes, VMs and
// containers, as samples.
//
// It keeps descriptors open and reads them again with pread, so that a pass opens nothing
// in the steady state and allocates nothing for a process that it knows. What may hang
// (file systems of servers that are gone, sensors) is asked by goroutines of its own; a
// pass never waits for it. It starts no program.
//
// Reads /proc, /sys, /etc/passwd and /etc/os-release; writes nothing.
package collect
