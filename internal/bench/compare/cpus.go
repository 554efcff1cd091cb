package compare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// CPUs is a list of CPUs, written like 1 or 0-1,3, as taskset(1) has it.
type CPUs []int

// mostCPUs is how many a unix.CPUSet holds.
const mostCPUs = 1024

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *CPUs) UnmarshalText(text []byte) error {
	var all CPUs
	for part := range strings.SplitSeq(string(text), ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.ParseUint(first, 10, 16)
		to := from
		if err == nil && isRange {
			to, err = strconv.ParseUint(last, 10, 16)
		}
		if err != nil || to < from || to >= mostCPUs {
			return fmt.Errorf("%q is not a list of CPUs; write it like 1 or 0-1,3", text)
		}
		for i := from; i <= to; i++ {
			all = append(all, int(i))
		}
	}
	slices.Sort(all)
	*c = slices.Compact(all)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (c CPUs) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String writes the list as UnmarshalText reads it.
func (c CPUs) String() string {
	var parts []string
	for i := 0; i < len(c); {
		j := i
		for j+1 < len(c) && c[j+1] == c[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, strconv.Itoa(c[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", c[i], c[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// shares reports whether both lists have a CPU in common.
func (c CPUs) shares(o CPUs) bool {
	return slices.ContainsFunc(c, func(cpu int) bool { return slices.Contains(o, cpu) })
}

func (c CPUs) set() *unix.CPUSet {
	var s unix.CPUSet
	for _, cpu := range c {
		s.Set(cpu)
	}
	return &s
}

// allowedCPUs returns those that the calling thread may use.
func allowedCPUs() (CPUs, error) {
	var s unix.CPUSet
	if err := unix.SchedGetaffinity(0, &s); err != nil {
		return nil, fmt.Errorf("ask for the CPUs that may be used: %w", err)
	}
	var all CPUs
	for cpu := range mostCPUs {
		if s.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all, nil
}

// checkCPUs says if the list names a CPU that may not be used.
func checkCPUs(who string, want, allowed CPUs) error {
	for _, cpu := range want {
		if !slices.Contains(allowed, cpu) {
			return fmt.Errorf("%s is to be pinned to CPU %d, but may use only %s here", who, cpu, allowed)
		}
	}
	return nil
}

// pinSelf pins every thread of this process, and returns what undoes it.
func pinSelf(to, before CPUs) (undo func() error, err error) {
	threads := runtime.GOMAXPROCS(len(to))
	undo = func() error {
		runtime.GOMAXPROCS(threads)
		return moveThreads(before)
	}
	if err := moveThreads(to); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}

// moveThreads gives every thread of this process the CPUs. A thread begins with those
// of the one that starts it, so once a pass finds no new one, there will be none with
// others.
func moveThreads(to CPUs) error {
	done := map[string]bool{}
	for {
		tasks, err := filepath.Glob("/proc/self/task/[0-9]*")
		if err != nil {
			return err
		}
		news := false
		for _, t := range tasks {
			if done[t] {
				continue
			}
			done[t], news = true, true
			id, err := strconv.Atoi(filepath.Base(t))
			if err != nil {
				return fmt.Errorf("read %s: %w", t, err)
			}
			if err := unix.SchedSetaffinity(id, to.set()); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("pin to CPUs %s: %w", to, err)
			}
		}
		if !news {
			return nil
		}
	}
}
