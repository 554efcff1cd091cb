// Package lab builds whole networks on one machine: hosts, routers, VMs, a LAN and
// an internet, each a network namespace, from one YAML file.
//
// A lab runs the same programs as a real fabric: one controller and an agent in each
// node's namespace. Its own wiring (the switches and cables) is netstate too, read,
// compared and applied by package kernel. Everything that a lab is lies in one
// directory, Config.RunDir/labs/NAME, so that Down can undo a lab that was half built
// or has crashed, and touches nothing else:
//
//	lab.yaml          the file that it was built from; without it nothing is a lab
//	api.sock, data/   the controller's socket and store
//	netns/NAME        the namespaces of machines and networks
//	guests/HOST/NAME  the namespaces that HOST's agent made for its ports
//	hosts             names and addresses, seen as /etc/hosts inside the lab
//	logs/, pids/      one file for each process
//	vms/NAME/         the serial lines of a VM of the kind qemu, and what it boots
//
// While a process builds a lab or takes it down it holds a lock on labs/.NAME.lock.
//
// Reads: the lab's file, its controller's API, /proc; for VMs a kernel package's files,
// busybox and qemu; for a picture what the nodes' kernels hold. Writes: its directory,
// its namespaces.
package lab
