package daemon

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// GiveBack lets go of the program's code and constants in memory. What is still needed
// comes back from the file, page by page; what only the start needed, some 15 MiB, is no
// longer this process's.
func GiveBack() { advise(unix.MADV_DONTNEED) }

// advise tells the kernel how the program's code and constants are to be used. It is of
// no consequence if the kernel does not.
func advise(how uintptr) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		// proc_pid_maps(5): from-to, permissions, offset, device, inode, path
		f := strings.Fields(line)
		if len(f) < 6 || f[5] != exe || strings.Contains(f[1], "w") { // what was written is not in the file
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		begin, err := strconv.ParseUint(from, 16, 64)
		if err != nil {
			continue
		}
		end, err := strconv.ParseUint(to, 16, 64)
		if err != nil {
			continue
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(begin), uintptr(end-begin), how)
	}
}
