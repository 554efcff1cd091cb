// Package collect reads one machine: its system, processes, VMs and containers, as samples.
//
// Processes are read by a BPF iterator where the kernel allows it (bpf/tasks.c), all threads
// in one go, and otherwise from /proc; both tell the same. It keeps descriptors open and
// reads them again with pread, so that a pass opens nothing in the steady state and
// allocates nothing for a process that it knows. What may hang (file systems of servers that
// are gone, sensors, monitors of guests) is asked by goroutines of its own; a pass never
// waits for it. It starts no program.
//
// Reads /proc, /sys, /etc/passwd, /etc/os-release and /run/libvirt/qemu; writes nothing.
// Connects to QMP sockets of guests' own users, to ask whether they are paused.
package collect
