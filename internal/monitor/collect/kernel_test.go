package collect

import (
	"encoding/json"
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sarn/internal/monitor/sample"
	"sarn/internal/netnstest"
)

// tick is how fine the kernel tells CPU time of processes, in seconds.
const tick = 1.0 / ticksPerSecond

// burn uses CPU time in a thread of its own, which ends with it.
func burn(d time.Duration) {
	runtime.LockOSThread()                                  // and never unlocked, so that the thread ends
	for end := time.Now().Add(d); time.Now().Before(end); { //nolint:revive // it is to burn
	}
}

// What threads have used that are gone by the next pass is their process's all the same.
func TestCPUIsThatOfAllThreads(t *testing.T) {
	readers(t, func(t *testing.T, conf Config) {
		c := newCollector(t, conf)
		earliest := cpuTime(unix.RUSAGE_SELF)
		pass(t, c)
		before := cpuTime(unix.RUSAGE_SELF)
		var threads sync.WaitGroup
		for range 3 {
			threads.Go(func() {
				done := make(chan struct{})
				go func() { defer close(done); burn(300 * time.Millisecond) }()
				<-done
			})
		}
		threads.Wait()
		// This process is read some time in a pass: it has used no less than between the two,
		// and no more than with them.
		least := (cpuTime(unix.RUSAGE_SELF) - before).Seconds()
		s := pass(t, c)
		most := (cpuTime(unix.RUSAGE_SELF) - earliest).Seconds()
		got := mustHave(t, s, os.Getpid()).CPU * s.Interval
		t.Logf("used from %.3f to %.3f s, seen %.3f s", least, most, got)
		if got < least-5*tick || got > most+5*tick {
			t.Errorf("%.3f CPU seconds seen, %.3f to %.3f used", got, least, most)
		}
	})
}

// A process whose quota is known does not use more, and a busy one not less.
func TestCPUOfAQuota(t *testing.T) {
	const quota = 0.2
	cgroup := quotaGroup(t, quota)
	cmd := start(t, "sh", "-c", "while :; do :; done")
	if err := os.WriteFile(cgroup+"/cgroup.procs", []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	c := newCollector(t, Config{})
	// A machine that stalls in a pass, or is too busy, makes another number: there are a few
	// attempts.
	for attempt := 1; ; attempt++ {
		pass(t, c)
		time.Sleep(1500 * time.Millisecond) // the length of a measurement, not a wait for an event
		s := pass(t, c)
		got := mustHave(t, s, cmd.Process.Pid).CPU
		t.Logf("quota %.2f CPUs, seen %.3f", quota, got)
		if got <= quota*1.3+tick && got >= quota/3 {
			return
		}
		if attempt == 20 {
			t.Fatalf("%.3f CPUs seen of a process with a quota of %.2f", got, quota)
		}
	}
}

// quotaGroup makes a cgroup, of v2 if that has the CPU controller, otherwise of v1.
func quotaGroup(t *testing.T, cpus float64) string {
	t.Helper()
	const period = 50_000
	quota := strconv.Itoa(int(cpus * period))
	name := "/sarn-test-" + strconv.Itoa(os.Getpid())
	v2 := cgroup2("/proc")
	controllers, err := os.ReadFile(v2 + "/cgroup.subtree_control")
	files := map[string]string{"cpu.max": quota + " " + strconv.Itoa(period)}
	dir := v2 + name
	if err != nil || !strings.Contains(string(controllers), "cpu") {
		dir = "/sys/fs/cgroup/cpu" + name
		files = map[string]string{"cpu.cfs_period_us": strconv.Itoa(period), "cpu.cfs_quota_us": quota}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeGroup(t, dir) })
	for file, value := range files {
		if err := os.WriteFile(dir+"/"+file, []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// removeGroup removes a cgroup as soon as its last process has ended.
func removeGroup(t *testing.T, dir string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Rmdir(dir)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Errorf("remove %s: %v", dir, err)
			return
		}
	}
}

// Bytes that reach the disk are counted, once each, however they were written; and those
// that are read from it.
func TestDiskRates(t *testing.T) {
	readers(t, func(t *testing.T, conf Config) {
		const size = 16 << 20
		f, err := os.CreateTemp(".", "collect-*") // where /tmp may be, memory is no disk
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(f.Name())
		defer f.Close()
		direct, err := unix.Open(f.Name(), unix.O_RDWR|unix.O_DIRECT, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(direct) //nolint:errcheck // it is removed
		block, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(block) //nolint:errcheck // it is gone with the test
		c := newCollector(t, conf)
		pass(t, c)
		for _, step := range []struct {
			what        string
			do          func() error
			read, write float64
		}{
			{"write and sync", func() error {
				if _, err := f.Write(block); err != nil {
					return err
				}
				return f.Sync()
			}, 0, size},
			{"write past the cache", func() error { _, err := unix.Pwrite(direct, block, 0); return err }, 0, size},
			{"read past the cache", func() error { _, err := unix.Pread(direct, block, 0); return err }, size, 0},
		} {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			s := pass(t, c)
			p := mustHave(t, s, os.Getpid())
			read, written := p.ReadBytes*s.Interval, p.WriteBytes*s.Interval
			if !near(read, step.read, size/4) || !near(written, step.write, size/4) { // a part of this program may have to be read
				t.Errorf("%s: %.0f bytes read and %.0f written by the process, want %.0f and %.0f", step.what, read, written, step.read, step.write)
			}
			var disks [2]float64
			for _, d := range s.Disks {
				disks[0] += d.ReadBytes * s.Interval
				disks[1] += d.WriteBytes * s.Interval
				if d.Busy < 0 || d.Busy > 1 || d.Wait < 0 {
					t.Errorf("disk %+v", d)
				}
			}
			if disks[0] < step.read-1 || disks[1] < step.write-1 {
				t.Errorf("%s: all disks have read and written %.0f bytes", step.what, disks)
			}
		}
	})
}

// near reports whether got is what is wanted, or a little more.
func near(got, want, more float64) bool { return got >= want-1 && got <= want+more }

// A process that waits for another gets its bytes from the kernel, but has not written
// them now, nor a second time.
func TestDiskRatesOfAParent(t *testing.T) {
	readers(t, func(t *testing.T, conf Config) {
		const size = 4 << 20
		file, err := os.CreateTemp(".", "collect-*")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(file.Name())
		defer file.Close()
		cmd := exec.Command("sh", "-c", `read a; sh -c "dd if=/dev/zero of=`+file.Name()+` bs=1M count=4 conv=fsync 2>/dev/null; echo ready; read b"; echo ready; read c`)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		launch(t, cmd)
		a := &assistant{cmd.Process.Pid, in, out}
		c := newCollector(t, conf)
		pass(t, c)
		step := func() (s *sample.Sample) {
			if _, err := in.Write([]byte("\n")); err != nil {
				t.Fatal(err)
			}
			a.ready(t)
			return pass(t, c)
		}
		s := step()
		var child *sample.Process
		for i, p := range s.Processes {
			if p.Parent == a.pid {
				child = &s.Processes[i]
			}
		}
		if child == nil || child.WriteBytes*s.Interval < size-1 {
			t.Fatalf("written %d bytes, seen %+v", size, child)
		}
		s = step()
		if p := mustHave(t, s, a.pid); p.WriteBytes < 0 || p.WriteBytes*s.Interval > size/4 {
			t.Errorf("the parent seems to have written %.0f bytes itself", p.WriteBytes*s.Interval)
		}
		if processOf(s, child.PID) != nil {
			t.Error("the child is still there")
		}
	})
}

func TestMemory(t *testing.T) {
	readers(t, func(t *testing.T, conf Config) {
		const size = 64 << 20
		c := newCollector(t, conf)
		debug.FreeOSMemory() // or the runtime gives memory back meanwhile
		before := mustHave(t, pass(t, c), os.Getpid())
		hog, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
		if err != nil {
			t.Fatal(err)
		}
		after := mustHave(t, pass(t, c), os.Getpid())
		if err := unix.Munmap(hog); err != nil {
			t.Fatal(err)
		}
		if grown := float64(after.Resident) - float64(before.Resident); math.Abs(grown-size) > size/4 {
			t.Errorf("took %d bytes, seen %.0f", size, grown)
		}
		shared, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON|unix.MAP_POPULATE)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(shared)
		s := pass(t, c)
		if grown := float64(mustHave(t, s, os.Getpid()).Shared) - float64(after.Shared); math.Abs(grown-size) > size/4 {
			t.Errorf("shares %d bytes, seen %.0f", size, grown)
		}
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			t.Fatal(err)
		}
		if s.Memory.Total != info.Totalram || s.Memory.Available == 0 || s.Swap.Total != info.Totalswap {
			t.Errorf("memory %+v, swap %+v; the kernel says %+v", s.Memory, s.Swap, info)
		}
	})
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func interfaceOf(t *testing.T, s *sample.Sample, name string) sample.Interface {
	t.Helper()
	for _, i := range s.Interfaces {
		if i.Name == name {
			return i
		}
	}
	t.Fatalf("no interface %s in %+v", name, s.Interfaces)
	return sample.Interface{}
}

// send sends datagrams of 1000 bytes, 1042 with their headers, to 10.9.9.2.
func send(t *testing.T, count int) {
	t.Helper()
	conn, err := net.Dial("udp", "10.9.9.2:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range count {
		if _, err := conn.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
}

// bytesByIP is what ip says that an interface has sent.
func bytesByIP(t *testing.T, name string) uint64 {
	t.Helper()
	out, err := exec.Command("ip", "-s", "-j", "link", "show", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	var links []struct {
		Stats struct{ Tx struct{ Bytes uint64 } } `json:"stats64"`
	}
	if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
		t.Fatalf("%s: %v", out, err)
	}
	return links[0].Stats.Tx.Bytes
}

func TestInterfaceRates(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		ip(t, "link", "add", "va", "type", "veth", "peer", "name", "vb")
		for _, name := range []string{"va", "vb"} {
			ip(t, "link", "set", name, "addrgenmode", "none", "up")
		}
		ip(t, "address", "add", "10.9.9.1/24", "dev", "va")
		ip(t, "neighbour", "add", "10.9.9.2", "lladdr", "02:00:00:00:00:02", "dev", "va")
		c := newCollector(t, Config{})
		// The kernel tells of the carrier a little later, and sends nothing before.
		await(t, c, func(s *sample.Sample) bool { return interfaceOf(t, s, "va").Up && interfaceOf(t, s, "vb").Up })
		const count, size = 500, 1042
		before := bytesByIP(t, "va")
		send(t, count)
		s := pass(t, c)
		// A queue that is full of others' packets may drop some of these.
		by := float64(bytesByIP(t, "va") - before)
		if by < count*size/2 || by > count*size {
			t.Errorf("ip -s link counts %.0f bytes of %d", by, count*size)
		}
		va, vb := interfaceOf(t, s, "va"), interfaceOf(t, s, "vb")
		for what, got := range map[string]float64{"va tx": va.TxBytes, "vb rx": vb.RxBytes} {
			if n := got * s.Interval; math.Abs(n-by) > size {
				t.Errorf("%s: %.0f bytes, want %.0f", what, n, by)
			}
		}
		if n := vb.RxPackets * s.Interval; math.Abs(n-by/size) > 1 || va.RxBytes != 0 || !va.Up {
			t.Errorf("va %+v, vb %+v", va, vb)
		}
		ip(t, "link", "delete", "va")
		if s = pass(t, c); len(s.Interfaces) != 1 {
			t.Errorf("after va is gone: %+v", s.Interfaces)
		}
	})
}

// The same second, in the words of top, pidstat and ps. On a busy machine one's second may
// be longer than another's: there are many attempts, in one of which each figure agrees.
func TestAgreesWithOthers(t *testing.T) {
	quiet := start(t, "sleep", "1000").Process.Pid
	a := helper(t, "steady")
	a.tell(t)
	collectors := map[Reader]*Collector{BPF: newCollector(t, Config{Reader: BPF}), Files: newCollector(t, Config{Reader: Files})}
	agreed := map[string]bool{}
	for attempt := 1; len(agreed) < 4*len(collectors); attempt++ {
		if attempt > 30 {
			t.Fatalf("no second is the same; only these agree: %v", agreed)
		}
		sameSecond(t, collectors, a.pid, agreed)
	}
	for _, c := range collectors {
		agreesWithPs(t, mustHave(t, pass(t, c), quiet))
	}
}

// sameSecond notes in what others agree.
func sameSecond(t *testing.T, collectors map[Reader]*Collector, pid int, agreed map[string]bool) {
	t.Helper()
	for _, c := range collectors {
		pass(t, c)
	}
	var top, pidstat []float64
	var both sync.WaitGroup
	both.Go(func() { top = figures(t, "top", "-b", "-n", "2", "-d", "1", "-p", strconv.Itoa(pid)) })
	both.Go(func() { pidstat = figures(t, "pidstat", "-h", "-u", "-d", "-r", "-p", strconv.Itoa(pid), "1", "1") })
	both.Wait()
	if len(top) < 12 || len(pidstat) < 19 {
		t.Fatalf("top says %v, pidstat %v", top, pidstat)
	}
	for r, c := range collectors {
		p := mustHave(t, pass(t, c), pid)
		for _, f := range []struct {
			what           string
			ours, of, more float64
		}{
			{"CPU in percent by top", p.CPU * 100, top[8], 5},
			{"CPU in percent by pidstat", p.CPU * 100, pidstat[7], 5},
			{"bytes written by pidstat", p.WriteBytes, pidstat[15] * 1024, 256 << 10},
			{"resident by pidstat", float64(p.Resident), pidstat[12] * 1024, 1 << 20}, // of stat, which is rough
		} {
			if math.Abs(f.ours-f.of) <= f.of/10+f.more {
				agreed[f.what+", "+string(r)] = true
			} else {
				t.Logf("%s %.0f, by %s %.0f", f.what, f.of, r, f.ours)
			}
		}
	}
}

// figures are the words of the last line that a program prints, of those that are numbers.
func figures(t *testing.T, program string, args ...string) []float64 {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "TERM=dumb", "LC_ALL=C", "HOME=/nonexistent")
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v", program, err)
	}
	text := strings.TrimSpace(string(out))
	var list []float64
	for _, word := range strings.Fields(text[strings.LastIndex(text, "\n")+1:]) {
		f, err := strconv.ParseFloat(word, 64)
		if err != nil {
			f = math.NaN()
		}
		list = append(list, f)
	}
	return list
}

func agreesWithPs(t *testing.T, p *sample.Process) {
	t.Helper()
	out, err := exec.Command("ps", "-o", "ppid=,user=,rss=,vsz=,nlwp=,ni=,comm=,args=", "-p", strconv.Itoa(p.PID)).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := []string{
		strconv.Itoa(p.Parent), p.User, strconv.FormatUint(p.Resident>>10, 10), strconv.FormatUint(p.Virtual>>10, 10),
		strconv.Itoa(p.Threads), strconv.Itoa(p.Nice), p.Name, p.Command,
	}
	if want := strings.Join(strings.Fields(string(out)), " "); strings.Join(got, " ") != want {
		t.Errorf("ps says %s\nhere it is %s", want, strings.Join(got, " "))
	}
}
