package history

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	writerDir = "SARN_HISTORY_TEST_DIR"
	fullDir   = "SARN_HISTORY_TEST_FULL"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(writerDir) != "":
		writeForEver(os.Getenv(writerDir))
	case os.Getenv(powerDir) != "":
		cutPower(os.Getenv(powerDir))
	case os.Getenv(fullDir) != "":
		fillDisk(os.Getenv(fullDir))
	default:
		os.Exit(m.Run())
	}
}

func die(err error) {
	fmt.Println("error:", err)
	os.Exit(1)
}

func smallTiers() []Tier {
	return []Tier{{time.Second, 2 * time.Minute}, {10 * time.Second, 20 * time.Minute}, {time.Minute, 10 * time.Hour}}
}

// writeForEver adds a sample for each second from where history ends, and says so.
func writeForEver(dir string) {
	s, err := Open(Config{Dir: dir, Tiers: smallTiers()})
	if err != nil {
		die(err)
	}
	bounds, err := s.Bounds()
	if err != nil {
		die(err)
	}
	start := noon
	if !bounds[0].To.IsZero() {
		start = bounds[0].To.Add(time.Second)
	}
	for i := 0; ; i++ {
		when := start.Add(time.Duration(i) * time.Second)
		if err := s.Add(host(when, process(int(when.Sub(noon)/time.Second)+1, 1))); err != nil {
			die(err)
		}
		fmt.Println(when.Unix())
	}
}

// TestKilled kills a writer at any moment, many times over, and first of all before
// anything of it is on the disk. Each time history opens, what was written is there up to
// the last block of seconds, and the coarser tiers go on without a gap.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	kept := noon.Add(-time.Second)
	for round := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		said := kept
		for n := 1 + round*rand.IntN(100); n > 0 && lines.Scan(); n-- {
			sec, err := strconv.ParseInt(lines.Text(), 10, 64)
			if err != nil {
				t.Fatal(lines.Text())
			}
			said = time.Unix(sec, 0).UTC()
		}
		cmd.Process.Kill()
		cmd.Wait()
		s := opened(t, Config{Dir: dir, Tiers: smallTiers()})
		bounds, err := s.Bounds()
		if err != nil {
			t.Fatal(err)
		}
		if !bounds[0].To.IsZero() {
			kept = bounds[0].To
		}
		if lost := said.Sub(kept); lost > firstBlock*time.Second {
			t.Errorf("%s is lost", lost)
		}
		// A writer is faster than who reads its words: it may have written more than is kept.
		from := noon
		if old := kept.Add(-9 * time.Hour); old.After(from) {
			from = old
		}
		noGap(t, s, from, kept)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoTierIsAhead of a finer one on the disk, whenever the writer is killed: what goes on
// from the finest one would be in a period that is written already.
func TestNoTierIsAhead(t *testing.T) {
	s := opened(t, Config{Dir: t.TempDir(), Tiers: smallTiers()})
	for i := range 4000 {
		add(t, s, host(noon.Add(time.Duration(i+3)*time.Second), process(1, 1)))
		for n, tier := range s.tiers[1:] {
			if tier.newest() > s.tiers[n].newest() {
				t.Fatalf("after %d passes the tier of %s has %d on the disk, the finer one %d", i+1, tier.step, tier.newest(), s.tiers[n].newest())
			}
		}
	}
}

// noGap looks for a gap, and for the process that was alone in each second.
func noGap(t *testing.T, s *Store, from, to time.Time) {
	t.Helper()
	for when := from; when.Before(to.Add(-2 * time.Minute)); when = when.Add(7 * time.Second) {
		r := at(t, s, when, 0)
		if p := find(r.Sample.Processes, int(when.Sub(noon)/time.Second)+1); p == nil {
			t.Fatalf("at %s: a record of %s, %v s, without the process", when, r.Time, r.Step)
		}
	}
}

// small makes a store of a few blocks in two tiers.
func small(t *testing.T) (Config, []string) {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Tiers: []Tier{{time.Second, 10 * time.Minute}, {10 * time.Second, time.Hour}}}
	s := opened(t, cfg)
	for i := range 35 {
		add(t, s, host(noon.Add(time.Duration(i)*time.Second), process(i+1, 1)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(cfg.Dir, "*.seg"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	return cfg, files
}

// TestDamage flips bits at, and cuts files at, every offset.
func TestDamage(t *testing.T) {
	cfg, files := small(t)
	for _, file := range files {
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks, _, _, err := scan(bytes.NewReader(good), int64(len(good)), true)
		if err != nil || len(blocks) == 0 || len(blocks) < 3 && file == files[1] {
			t.Fatal(blocks, err)
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			left, _, _, err := scan(bytes.NewReader(bad), int64(len(bad)), true)
			if err != nil {
				t.Fatalf("bit flipped at %d: %v", i, err)
			}
			if len(left) < len(blocks)-1 || i >= segmentHeader && len(left) != len(blocks)-1 {
				t.Fatalf("bit flipped at %d: %d of %d blocks left", i, len(left), len(blocks))
			}
			cut, _, _, err := scan(bytes.NewReader(good[:i]), int64(i), true)
			if err != nil {
				t.Fatalf("cut at %d: %v", i, err)
			}
			want := 0
			for _, b := range blocks {
				if b.at+b.size() <= int64(i) {
					want++
				}
			}
			if len(cut) != want {
				t.Fatalf("cut at %d: %d blocks, want %d", i, len(cut), want)
			}
			// Opening all of it is dear: do so at some.
			if i%40 == 0 {
				lives(t, cfg, file, bad)
				lives(t, cfg, file, good[:i])
			}
		}
		if err := os.WriteFile(file, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// lives opens a copy of the store in which one file is another, asks and adds.
func lives(t *testing.T, cfg Config, file string, data []byte) {
	t.Helper()
	dir, err := os.MkdirTemp("", "history")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), data, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = dir
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at(t, s, noon.Add(8*time.Second), 0)
	if _, err := s.Range(noon, noon.Add(time.Minute), time.Second, "cpu.busy", "cores[0].busy"); err != nil {
		t.Fatal(err)
	}
	add(t, s, host(noon.Add(time.Hour), process(99, 1)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if r := at(t, s, noon.Add(time.Hour), 0); find(r.Sample.Processes, 99) == nil {
		t.Fatalf("what was added after the damage is not there: %s", r.Time)
	}
}

// TestDiskFull runs fillDisk in a mount namespace of its own.
func TestDiskFull(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fullDir+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "went on\n") {
		t.Fatalf("%v: %s", err, out)
	}
}

// fillDisk fills the disk below a store, and makes room again.
func fillDisk(dir string) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		die(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		die(err)
	}
	s, err := Open(Config{Dir: filepath.Join(dir, "history"), Tiers: smallTiers()})
	if err != nil {
		die(err)
	}
	when := noon
	write := func(n int) (failed []error) {
		for range n {
			when = when.Add(time.Second)
			if err := s.Add(host(when, process(int(when.Sub(noon)/time.Second), 1))); err != nil {
				failed = append(failed, err)
			}
		}
		return failed
	}
	if failed := write(100); failed != nil {
		die(failed[0])
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		die(fmt.Errorf("the disk is not full: %w", err))
	}
	// The last page of a file has room still.
	if failed := write(2000); len(failed) != 1 || !errors.Is(failed[0], unix.ENOSPC) {
		die(fmt.Errorf("a full disk is reported %d times: %v", len(failed), failed))
	}
	if _, err := s.At(when, 0); err != nil {
		die(err)
	}
	if err := os.Remove(ballast); err != nil {
		die(err)
	}
	if failed := write(100); failed != nil {
		die(failed[0])
	}
	if err := s.Close(); err != nil {
		die(err)
	}
	if s, err = Open(Config{Dir: filepath.Join(dir, "history"), Tiers: smallTiers()}); err != nil {
		die(err)
	}
	for _, back := range []int{0, 50, 99, 2150} {
		want := when.Add(-time.Duration(back) * time.Second)
		r, err := s.At(want, 0)
		if err != nil || find(r.Sample.Processes, int(want.Sub(noon)/time.Second)) == nil {
			die(fmt.Errorf("%d s before the end: %+v, %w", back, r, err))
		}
	}
	if err := s.Close(); err != nil {
		die(err)
	}
	fmt.Println("went on")
}

// FuzzSegment reads any bytes as a segment, and as a section that is past its checksum.
func FuzzSegment(f *testing.F) {
	sc := newSchema(3)
	c, err := newCoder(sc)
	if err != nil {
		f.Fatal(err)
	}
	e := sc.entry(full(noon), 1)
	_, block := c.encode([]*entry{e, e}, false)
	f.Add(append(segmentStart(), block...))
	for i := range nSections {
		f.Add(encodeSection(sc, []*entry{e, e}, i, false))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		blocks, _, _, err := scan(r, int64(len(data)), false)
		if err == nil {
			for _, b := range blocks {
				for i := range nSections {
					packed := make([]byte, b.Sizes[i])
					r.ReadAt(packed, b.at+b.offset(i))
					c.decode(&b.header, i, packed, visitor{record: 0})
				}
			}
		}
		for i := range nSections {
			for _, peaks := range []bool{false, true} {
				decodeSection(sc, data, i, 2, peaks, visitor{record: 1, item: func(int, string, []int, [][]int64, [][]int64) {}})
				chart := newChart(sc, noon.UnixMilli(), 1000, 10)
				for _, name := range []string{"cpu.busy", "cores[0].user", "disks[*].busy", "filesystems[/].available", "processes[1].cpu"} {
					if err := chart.add(name); err != nil {
						t.Fatal(err)
					}
				}
				d := drawing{c: chart, tier: 1, spans: [][2]int{{0, 3}, {3, 10}}}
				decodeSection(sc, data, i, 2, peaks, visitor{record: -1, item: d.item, needs: chart.needs})
				d.flush()
			}
		}
	})
}
