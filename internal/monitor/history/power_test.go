package history

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const powerDir = "SARN_HISTORY_TEST_POWER"

// TestPowerCut runs cutPower in a mount namespace of its own.
func TestPowerCut(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), powerDir+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "came back\n") {
		t.Fatalf("%v: %s", err, out)
	}
}

// cutPower writes to a disk of its own, and looks at what is on that disk at a moment at
// which nothing but syncing has brought it there: what a machine finds after a power cut.
func cutPower(dir string) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		die(err)
	}
	disk, after, at := filepath.Join(dir, "disk"), filepath.Join(dir, "after"), filepath.Join(dir, "mnt")
	run := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			die(fmt.Errorf("%s %v: %w: %s", name, args, err, out))
		}
	}
	run("truncate", "-s", "32M", disk)
	run("mkfs.ext4", "-q", disk)
	if err := os.Mkdir(at, 0o700); err != nil {
		die(err)
	}
	// The file system's own commit is put off, so that it does not help.
	run("mount", "-o", "loop,commit=300", disk, at)
	s, err := Open(Config{Dir: filepath.Join(at, "history"), Tiers: smallTiers()})
	if err != nil {
		die(err)
	}
	when := noon
	const passes = 655 // the last half a minute is not in sync
	for range passes {
		when = when.Add(time.Second)
		if err := s.Add(host(when, process(1, 1))); err != nil {
			die(err)
		}
		s.syncing.Wait() // in real life there is a second for it
	}
	run("cp", disk, after)
	if err := s.Close(); err != nil {
		die(err)
	}
	run("umount", at)
	run("mount", "-o", "loop", after, at)
	s, err = Open(Config{Dir: filepath.Join(at, "history"), Tiers: smallTiers()})
	if err != nil {
		die(err)
	}
	r, err := s.At(when, 0)
	if err != nil {
		die(err)
	}
	if lost := when.Sub(r.Time); lost > 70*time.Second {
		die(fmt.Errorf("a power cut has cost %s", lost))
	}
	if bounds, err := s.Bounds(); err != nil || bounds[2].To.Before(r.Time.Add(-3*time.Minute)) {
		die(fmt.Errorf("the minutes were not made again up to %s: %v, %w", r.Time, bounds, err))
	}
	if err := s.Close(); err != nil {
		die(err)
	}
	run("umount", at)
	fmt.Println("came back")
}
