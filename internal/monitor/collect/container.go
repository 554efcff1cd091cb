package collect

import (
	"path/filepath"
	"strconv"
	"strings"
)

// container is what a cgroup's path says.
type container struct {
	by, name string
	path     string // of its cgroup, below the mount of cgroup v2
}

// longID is the length of the hexadecimal names that engines give.
const longID = 64

// parseCgroup reads /proc/PID/cgroup (cgroups(7)) and finds the container that the
// process is in, by how engines name cgroups. Lines of cgroup v1 name it too.
func parseCgroup(text string) (container, bool) {
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		if c, ok := parseCgroupPath(f[2]); ok {
			return c, true
		}
	}
	return container{}, false
}

func parseCgroupPath(path string) (container, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var found container
	for i, part := range parts {
		parent := ""
		if i > 0 {
			parent = parts[i-1]
		}
		by, name := parsePart(parent, part)
		if by == "" || name == "" {
			continue
		}
		if strings.Contains(path, "kubepods") {
			by = "kubernetes"
		}
		found = container{by: by, name: name, path: "/" + strings.Join(parts[:i+1], "/")}
		break // one in another is the outer one's
	}
	return found, found.by != ""
}

// parsePart reads one part of the path, in the words of systemd's cgroup driver or of
// the plain one.
func parsePart(parent, part string) (by, name string) {
	if scope, ok := strings.CutSuffix(part, ".scope"); ok {
		for _, engine := range [][2]string{
			{"docker-", "docker"}, {"libpod-", "podman"}, {"cri-containerd-", "containerd"}, {"crio-", "cri-o"},
		} {
			if id, ok := strings.CutPrefix(scope, engine[0]); ok && isID(id) {
				return engine[1], id[:12]
			}
		}
		if name, ok := strings.CutPrefix(scope, "machine-"); ok && !strings.HasPrefix(name, `qemu\x2d`) {
			return "systemd-nspawn", unescapeUnit(name)
		}
	}
	if name, ok := strings.CutPrefix(part, "systemd-nspawn@"); ok {
		return "systemd-nspawn", unescapeUnit(strings.TrimSuffix(name, ".service"))
	}
	if name, ok := strings.CutPrefix(part, "lxc.payload."); ok {
		return "lxc", name
	}
	switch parent {
	case "lxc", "lxc.payload":
		return "lxc", part
	case "docker":
		if isID(part) {
			return "docker", part[:12]
		}
	}
	if id, ok := strings.CutPrefix(part, "libpod-"); ok && isID(id) {
		return "podman", id[:12]
	}
	if strings.HasPrefix(parent, "pod") && isID(part) {
		return "kubernetes", part[:12]
	}
	return "", ""
}

func isID(s string) bool {
	return len(s) == longID && strings.Trim(s, "0123456789abcdef") == ""
}

// unescapeUnit reads systemd's escapes: systemd.unit(5).
func unescapeUnit(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// readCgroup reads which container the process is in.
func (c *Collector) readCgroup(p *process) {
	data, err := c.once(p.pid, "/cgroup")
	if err != nil || p.cgroup == string(data) {
		return
	}
	p.cgroup = c.machines.intern(data)
	p.machine = ""
	if found, ok := parseCgroup(p.cgroup); ok {
		p.machine = found.by + "/" + found.name
		c.machines.add(p.machine, found)
	}
}

// cgroup2 finds where cgroup v2 is mounted, or returns nothing.
func cgroup2(proc string) string {
	text := text(filepath.Join(proc, "self/mountinfo"))
	for line := range strings.Lines(text) {
		left, right, ok := strings.Cut(line, " - ")
		if f := strings.Fields(left); ok && len(f) > 4 && strings.HasPrefix(right, "cgroup2 ") {
			return unescape(f[4])
		}
	}
	return ""
}
