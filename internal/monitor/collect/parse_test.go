package collect

import (
	"maps"
	"slices"
	"testing"
	"time"

	"sarn/internal/monitor/sample"
)

func TestSensors(t *testing.T) {
	dir := fake(t, map[string]string{
		"class/hwmon/hwmon0/name":           "coretemp\n",
		"class/hwmon/hwmon0/temp1_input":    "45500\n",
		"class/hwmon/hwmon0/temp1_label":    "Package\n",
		"class/hwmon/hwmon0/temp1_max":      "90000\n",
		"class/hwmon/hwmon0/temp2_input":    "not yet\n",
		"class/hwmon/hwmon0/fan1_input":     "1200\n",
		"class/hwmon/hwmon0/power1_average": "12500000\n",
	})
	s := newSensors(dir)
	defer s.close()
	want := []sample.Sensor{
		{Chip: "coretemp", Label: "Package", Kind: "temperature", Value: 45.5, High: 90},
		{Chip: "coretemp", Label: "fan1", Kind: "fan", Value: 1200},
		{Chip: "coretemp", Label: "power1", Kind: "power", Value: 12.5},
	}
	s.kick()
	var got []sample.Sensor
	for end := time.Now().Add(time.Minute); len(got) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		got = s.answer()
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if none := newSensors(t.TempDir()).answer(); none == nil || len(none) != 0 {
		t.Errorf("without sensors: %v", none)
	}
}

func TestDevices(t *testing.T) {
	dir := fake(t, map[string]string{
		"stat":                          "cpu 0 0 0 1\n",
		"block/sda/size":                "100\n",
		"block/loop0/loop/backing_file": "/image\n",
		"block/loop1/size":              "100\n",
		"block/cciss!c0d0/size":         "100\n",
		"block/dm-0/slaves/sda/size":    "100\n",
		"diskstats": "8 0 sda 10 0 20 5 10 0 40 15 0 10 20\n8 1 sda1 10 0 20 5 10 0 40 15 0 10 20\n" +
			"7 0 loop0 1 0 2 1 0 0 0 0 0 1 1\n7 1 loop1 1 0 2 1 0 0 0 0 0 1 1\n7 2 loop2 0 0 0 0 0 0 0 0 0 0 0\n104 0 cciss/c0d0 1\n253 0 dm-0 1\n",
		"net/dev": "eth0: 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\nbr0: 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n", "class/net/eth0/device/vendor": "x",
	})
	c := newCollector(t, Config{Proc: dir, Sys: dir})
	var names, stacked []string
	first := pass(t, c)
	for _, d := range first.Disks {
		names = append(names, d.Name)
		if d.Stacked {
			stacked = append(stacked, d.Name)
		}
	}
	if want := []string{"sda", "loop0", "cciss/c0d0", "dm-0"}; !slices.Equal(names, want) {
		t.Errorf("disks %v, want %v", names, want)
	}
	if want := []string{"loop0", "dm-0"}; !slices.Equal(stacked, want) {
		t.Errorf("stacked disks %v, want %v", stacked, want)
	}
	if eth, br := interfaceOf(t, first, "eth0"), interfaceOf(t, first, "br0"); !eth.Physical || br.Physical {
		t.Errorf("physical: eth0 %v, br0 %v", eth.Physical, br.Physical)
	}
	c.rate = 0.5 // two seconds
	var d sample.Disk
	c.diskRates(&d, diskCounters{}, diskCounters{reads: 10, readSectors: 20, readMillis: 5, writes: 10, writeSectors: 40, writeMillis: 15, busyMillis: 1000})
	if want := (sample.Disk{Reads: 5, Writes: 5, ReadBytes: 5120, WriteBytes: 10240, Wait: 0.001, Busy: 0.5}); d != want {
		t.Errorf("%+v, want %+v", d, want)
	}
}

func TestMounts(t *testing.T) {
	found := scanMounts(`22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 8:1 /srv /mnt/bind rw shared:1 - ext4 /dev/sda1 rw
24 22 0:30 / /mnt/a\040b rw - nfs4 server:/x\134y rw
25 22 0:5 / /proc rw - proc proc rw
26 22 0:6 / /run/user/0 rw - tmpfs tmpfs rw
27 22 0:7 / /tmp rw - tmpfs tmpfs rw
28 22 8:2 / /over rw - xfs /dev/sda2 rw
29 22 0:8 / /over rw - proc proc rw
`)
	got := slices.Sorted(maps.Keys(found))
	if want := []string{"/", "/mnt/a b", "/tmp"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	if m := found["/mnt/a b"]; m.fs.Device != `server:/x\y` || m.fs.Type != "nfs4" {
		t.Errorf("%+v", m.fs)
	}
}

func TestSystemFiles(t *testing.T) {
	dir := fake(t, map[string]string{
		"stat":           "cpu 0 0 0 1\n",
		"pressure/cpu":   "some avg10=12.50 avg60=1.25 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"pressure/io":    "some avg10=0.10 avg60=0.00 avg300=0.00 total=5\nfull avg10=100.00 avg60=0.01 avg300=0.00 total=0\n",
		"meminfo":        "MemTotal:  100 kB\nMemAvailable: 40 kB\nSwapTotal: 8 kB\nSwapFree: 4 kB\nDirty: 1 kB\n",
		"loadavg":        "1.25 0.05 10.00 1/2 3\n",
		"self/mountinfo": "",
		"net/dev":        "h\nh\n  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n",
		"3/stat":         "3 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 0 7 0 0 20 0 1 0 5 0 0 0\n",
		"4/stat":         "4 (gone) Z 1 0 0 0 -1 4194560 0 0 0 0 0 7 0 0 20 -5 1 0 5 0 0 0\n",
	})
	s := pass(t, newCollector(t, Config{Proc: dir, Sys: dir}))
	if p := s.Pressure; p == nil || p.CPU.Some10 != 0.125 || p.CPU.Some60 != 0.0125 || p.IO.Full10 != 1 || p.IO.Full60 != 0.0001 {
		t.Errorf("pressure %+v", p)
	}
	if m := s.Memory; m.Used() != 60<<10 || m.Dirty != 1<<10 || s.Swap.Total != 8<<10 || s.Swap.Free != 4<<10 {
		t.Errorf("memory %+v, swap %+v", m, s.Swap)
	}
	if s.Load != [3]float64{1.25, 0.05, 10} {
		t.Errorf("load %v", s.Load)
	}
	if k := s.Tasks; k.Processes != 2 || k.Zombie != 1 || k.Threads != 2 {
		t.Errorf("tasks %+v", k)
	}
	if p := mustHave(t, s, 3); p.Command != "[kworker/0:1]" || p.State != "I" {
		t.Errorf("kernel thread %+v", p)
	}
	if p := mustHave(t, s, 4); p.Command != "[gone]" || p.Nice != -5 {
		t.Errorf("zombie %+v", p)
	}
	if s.CPU.Total.Busy() != 0 {
		t.Errorf("busy before anything is known: %+v", s.CPU)
	}
	if i := s.Interfaces; len(i) != 1 || i[0].Name != "eth0" || i[0].RxBytes != 0 {
		t.Errorf("interfaces %+v", i)
	}
}

// Any bytes are read without harm.
func FuzzParsers(f *testing.F) {
	for _, seed := range []string{
		statLine("5", "a) R (b", 1, 1), "qemu-system-x86_64\x00-name\x00guest=,,\x00-smp\x00cores=99999,threads=99999\x00-m\x00size=9e99T\x00-netdev\x00tap,ifname=\x00",
		"0::/docker/\n1:a:/lxc/..\n", "1 2 3:4 / \\040\\9 rw - ext4 \\", "some avg10=1.2.3\n", "eth0: 1 2\n", ")(", "8:0 rbytes=1 wbytes=99999999999999999999999\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if name, _, ok := scanStat(b); ok && len(name) > len(b) {
			t.Errorf("name %q", name)
		}
		if g, ok := parseQEMU(string(b)); ok && g.cpus < 1 {
			t.Errorf("guest %+v", g)
		}
		if c, ok := parseCgroup(string(b)); ok && (c.by == "" || c.path == "") {
			t.Errorf("container %+v", c)
		}
		scanMounts(string(b))
		scanLink(words(b))
		scanIOStat(b)
		field(b, "usage_usec")
		decimal(b)
		vcpuNumber(b)
		appendNumbers(nil, b)
		scanDisk(words(b))
	})
}
