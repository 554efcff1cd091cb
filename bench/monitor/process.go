package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf is the CPU time of a process, its threads that have ended, and its children that
// have ended.
func cpuOf(pid int) (time.Duration, error) {
	// MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of the kernel's posix-timers_types.h: it
	// counts in nanoseconds, where /proc has ticks of 10 ms.
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &t); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// cutime and cstime are fields 16 and 17 of proc_pid_stat(5); field 2, the name, ends
	// at the last bracket.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, f := range fields[13:15] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU time of children: %w", err)
		}
		ticks += n
	}
	return time.Duration(t.Nano()) + time.Duration(ticks)*10*time.Millisecond, nil
}

// memoryOf is what is resident of a process, and the most that was, in MiB.
func memoryOf(pid int) (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		for name, into := range map[string]*float64{"VmRSS:": &now, "VmHWM:": &most} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				if err != nil {
					return 0, 0, fmt.Errorf("memory of process %d: %w", pid, err)
				}
				*into = kib / 1024
			}
		}
	}
	return now, most, nil
}
