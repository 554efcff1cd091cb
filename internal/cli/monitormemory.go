package cli

import "runtime/debug"

// spareMemory makes the heap small for a process that runs for months beside others: it
// may be little more than what is alive, since a pass makes little garbage. The program's
// own pages are given back by package daemon.
func spareMemory(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
	debug.FreeOSMemory()
}
