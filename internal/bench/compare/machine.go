package compare

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is where a comparison ran.
type Machine struct {
	CPU    string `json:"cpu"`  // the model, as /proc/cpuinfo has it
	CPUs   int    `json:"cpus"` // that may be used
	Memory uint64 `json:"memory_bytes"`
	Kernel string `json:"kernel"`
	System string `json:"system"` // the distribution
	Arch   string `json:"arch"`
}

// String describes the machine in one line.
func (m Machine) String() string {
	return fmt.Sprintf("%d × %s (%s), %.1f GiB of memory, Linux %s, %s",
		m.CPUs, m.CPU, m.Arch, float64(m.Memory)/(1<<30), m.Kernel, m.System)
}

// thisMachine describes the machine. What cannot be read stays unknown.
func thisMachine() Machine {
	m := Machine{CPU: "unknown CPU", CPUs: runtime.NumCPU(), Kernel: "unknown", System: "unknown system", Arch: runtime.GOARCH}
	if v := fieldOf("/proc/cpuinfo", "model name", ":"); v != "" {
		m.CPU = v
	}
	if v := fieldOf("/etc/os-release", "PRETTY_NAME", "="); v != "" {
		m.System = strings.Trim(v, `"'`)
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = uint64(info.Totalram) * uint64(info.Unit) //nolint:unconvert // other types on other machines
	}
	return m
}

// fieldOf returns the value of the first line that begins with the name.
func fieldOf(file, name, separator string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// machineSeconds returns how much time all processes of the machine have used on CPUs, 0
// if nobody knows: proc_stat(5). What the kernel does in interrupts is no process's.
func machineSeconds() float64 {
	var user, nice, system uint64
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscanf(string(text), "cpu %d %d %d", &user, &nice, &system); err != nil {
		return 0
	}
	return float64(user+nice+system) / ticksPerSecond
}
