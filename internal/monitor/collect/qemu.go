package collect

import (
	"path/filepath"
	"strconv"
	"strings"
)

// guest is what the command line of QEMU says of its VM: qemu-system(1).
type guest struct {
	name   string
	cpus   int
	memory uint64
	taps   []string
	user   bool   // it has a network of QEMU's own, which is QEMU's sockets to the kernel
	qmp    string // path of a socket that anybody may connect to, empty if there is none
}

// parseQEMU reads arguments with a NUL after each, and reports whether they are QEMU's.
func parseQEMU(cmdline string) (guest, bool) {
	args := strings.Split(strings.TrimRight(cmdline, "\x00"), "\x00")
	program := filepath.Base(args[0])
	if !strings.HasPrefix(program, "qemu-system-") && program != "qemu-kvm" && program != "kvm" {
		return guest{}, false
	}
	g := guest{cpus: 1, memory: 128 << 20} // QEMU's own defaults
	uuid := ""
	sockets := map[string]string{} // by ID
	for i := 1; i+1 < len(args); i++ {
		option, value := strings.TrimPrefix(args[i], "-"), args[i+1]
		if option == args[i] {
			continue
		}
		switch strings.TrimPrefix(option, "-") {
		case "name":
			g.name = firstWord(value, "guest")
		case "uuid":
			uuid = value
		case "smp":
			g.cpus = cpusOf(value)
		case "m":
			g.memory = memoryOf(firstWord(value, "size"))
		case "netdev", "nic", "net":
			g.user = g.user || splitOptions(value)[0] == "user"
			if tap := optionOf(value, "ifname"); tap != "" && (strings.HasPrefix(value, "tap,") || optionOf(value, "type") == "tap") {
				g.taps = append(g.taps, tap)
			}
		case "qmp":
			g.qmp = freeSocket(value, "unix:")
		case "chardev":
			sockets[optionOf(value, "id")] = freeSocket(value, "path=")
		case "mon":
			if path := sockets[firstWord(value, "chardev")]; path != "" && optionOf(value, "mode") == "control" {
				g.qmp = path
			}
		default:
			continue
		}
		i++
	}
	if g.name == "" {
		g.name = uuid
	}
	return g, true
}

// freeSocket returns the path of a socket on which QEMU listens and goes on meanwhile, in
// either way to write that. For a first client who is waited for, somebody has a plan.
func freeSocket(s, prefix string) string {
	path, free := "", false
	for _, o := range splitOptions(s) {
		if p, ok := strings.CutPrefix(o, prefix); ok {
			path = p
		}
		free = free || o == "wait=off" || o == "nowait" || o == "wait=no"
	}
	if !free || !filepath.IsAbs(path) {
		return ""
	}
	return path
}

// splitOptions splits at commas; two of them are one in a value.
func splitOptions(s string) []string {
	parts := strings.Split(strings.ReplaceAll(s, ",,", "\x00"), ",")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "\x00", ",")
	}
	return parts
}

// optionOf returns the value of key=value in the list.
func optionOf(s, key string) string {
	for _, o := range splitOptions(s) {
		if k, v, ok := strings.Cut(o, "="); ok && k == key {
			return v
		}
	}
	return ""
}

// firstWord returns what key is set to, which may stand first without its key.
func firstWord(s, key string) string {
	if v := optionOf(s, key); v != "" {
		return v
	}
	if first := splitOptions(s)[0]; !strings.Contains(first, "=") {
		return first
	}
	return ""
}

// cpusOf reads -smp: a number, or a product of sockets, dies, cores and threads.
func cpusOf(s string) int {
	if n, err := strconv.Atoi(firstWord(s, "cpus")); err == nil && n > 0 {
		return n
	}
	product := 1
	for _, key := range []string{"drawers", "books", "sockets", "dies", "clusters", "modules", "cores", "threads"} {
		if n, err := strconv.Atoi(optionOf(s, key)); err == nil && n > 0 && n < 1<<16 {
			product = min(product*n, 1<<16)
		}
	}
	return product
}

// memoryOf reads a size of -m, in MiB without a suffix.
func memoryOf(s string) uint64 {
	digits := strings.TrimRight(s, "bBkKmMgGtT")
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || f < 0 || f > 1<<40 {
		return 0
	}
	shift := 20
	if suffix := s[len(digits):]; suffix != "" {
		shift = map[byte]int{'b': 0, 'k': 10, 'm': 20, 'g': 30, 't': 40}[suffix[0]|0x20]
	}
	return uint64(f * float64(uint64(1)<<shift))
}
