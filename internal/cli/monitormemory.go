package cli

import (
	"runtime/debug"

	"sarn/internal/daemon"
)

// spareHeap lets the heap be little more than what is alive: who runs for months beside
// others shall be small, and a pass makes little garbage.
func spareHeap(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
}

// spareProgram gives back what only the start has needed: garbage, and pages of the
// program.
func spareProgram() {
	debug.FreeOSMemory()
	daemon.GiveBack()
}
