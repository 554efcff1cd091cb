package cli

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// spareMemory makes the process small for one that runs for months beside others. Its
// heap may be little more than what is alive, since a pass makes little garbage. And the
// program's own pages that starting it has touched, most of a large program that is
// mostly not a monitor, are given back; what is needed comes again from the page cache.
func spareMemory(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		var mode string
		// What cannot be written to is as it is in the file.
		n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode)
		if n == 3 && (mode == "r-xp" || mode == "r--p") && strings.HasSuffix(strings.TrimSpace(line), " "+exe) {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}
