package collect

import (
	"bytes"
	_ "embed" // the programs
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	attach "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

//go:generate ./bpf/build

//go:embed bpf/tasks.o
var programs []byte

// bpf reads all threads of the machine in one go. Its records are those of bpf/tasks.c.
type bpf struct {
	tasks   *attach.Iter
	sockets []io.Closer // what counts bytes of sockets, while it is attached
	// noSockets says why bytes of sockets are not counted, nil if they are.
	noSockets error
	buf       []uint64 // so that records are aligned
}

// threadRecord is struct thread of bpf/tasks.c.
type threadRecord struct {
	pid, leader                                      uint32
	runtime, faults, read, write                     uint64
	endedRuntime, endedFaults, endedRead, endedWrite uint64
	threads                                          uint64
}

// processRecord is struct process.
type processRecord struct {
	thread                          threadRecord
	parent, state, exitState, flags uint32
	nice                            int64
	start                           uint64 // nanoseconds since boot
	virtual                         uint64 // pages
	resident                        int64  // pages, roughly
	changing                        uint64
	rx, tx                          uint64
	comm                            [16]byte
}

const (
	threadSize  = int(unsafe.Sizeof(threadRecord{}))
	processSize = int(unsafe.Sizeof(processRecord{}))
)

// newBPF loads the programs. It is an error if the kernel does not let this user, does not
// have what they need, or tells another thing than proc.
func newBPF(proc string) (*bpf, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(programs))
	if err != nil {
		return nil, fmt.Errorf("read the BPF programs: %w", err)
	}
	b := &bpf{buf: make([]uint64, 64<<10/8)}
	if err := b.load(spec); err != nil {
		b.close()
		return nil, err
	}
	if err := b.agrees(proc); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bpf) load(spec *ebpf.CollectionSpec) error {
	if err := allowed(); err != nil {
		return err
	}
	sockets, err := ebpf.NewMap(spec.Maps["sockets"])
	if err != nil {
		return fmt.Errorf("create a BPF map: %w", err)
	}
	defer sockets.Close() //nolint:errcheck // the programs hold it
	types := btf.NewCache()
	one := func(name string) (*ebpf.Program, error) {
		only := spec.Copy()
		only.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
		loaded, err := ebpf.NewCollectionWithOptions(only, ebpf.CollectionOptions{
			MapReplacements: map[string]*ebpf.Map{"sockets": sockets}, Cache: types,
		})
		if err != nil {
			return nil, fmt.Errorf("load the BPF program %s: %w", name, err)
		}
		defer loaded.Close()
		return loaded.DetachProgram(name), nil
	}
	tasks, err := one("tasks")
	if err != nil {
		return err
	}
	defer tasks.Close() //nolint:errcheck // the link holds it
	b.tasks, err = attach.AttachIter(attach.IterOptions{Program: tasks})
	if err != nil {
		return fmt.Errorf("attach the BPF iterator: %w", err)
	}
	b.noSockets = b.countSockets(one)
	return nil
}

// allowed asks whether this user may load BPF programs at all, with types that are none.
func allowed() error {
	const load = 18 // BPF_BTF_LOAD of include/uapi/linux/bpf.h
	var none [32]byte
	_, _, errno := unix.Syscall(unix.SYS_BPF, load, uintptr(unsafe.Pointer(&none)), unsafe.Sizeof(none))
	switch errno {
	case unix.EPERM, unix.EACCES:
		return errno
	case unix.ENOSYS:
		return ebpf.ErrNotSupported
	}
	return nil
}

// countSockets has the bytes of sockets counted from now on: at tracepoints, or where the
// kernel is older than those, at the ends of functions.
func (b *bpf) countSockets(one func(string) (*ebpf.Program, error)) error {
	names := []string{"sock_send_length", "sock_recv_length"}
	err := b.attach(one, names[0])
	if lacks(err) {
		names = []string{"inet_sendmsg", "inet_recvmsg", "inet6_sendmsg", "inet6_recvmsg", "inet_sendpage"}
		err = b.attach(one, names[0])
	}
	for _, name := range names[1:] {
		if err != nil {
			return err
		}
		// A kernel without IPv6 has nothing to count there.
		if err = b.attach(one, name); lacks(err) {
			err = nil
		}
	}
	return err
}

// lacks reports whether the kernel has not what a program needs.
func lacks(err error) bool {
	return errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, btf.ErrNotFound)
}

func (b *bpf) attach(one func(string) (*ebpf.Program, error), name string) error {
	program, err := one(name)
	if err != nil {
		return err
	}
	defer program.Close() //nolint:errcheck // the link holds it
	l, err := attach.AttachTracing(attach.TracingOptions{Program: program})
	if err != nil {
		return fmt.Errorf("attach the BPF program %s: %w", name, err)
	}
	b.sockets = append(b.sockets, l)
	return nil
}

func (b *bpf) close() {
	for _, l := range b.sockets {
		_ = l.Close()
	}
	if b.tasks != nil {
		_ = b.tasks.Close()
	}
}

// read calls each for each thread of this PID namespace, with its process's record if it is the
// first thread of that. What it is given holds for the call.
func (b *bpf) read(each func(*threadRecord, *processRecord)) error {
	f, err := b.tasks.Open()
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	data := unsafe.Slice((*byte)(unsafe.Pointer(&b.buf[0])), len(b.buf)*8)
	have := 0
	for {
		n, err := f.Read(data[have:])
		if errors.Is(err, io.EOF) && have == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the BPF iterator: %w", err)
		}
		have += n
		have = copy(data, records(data[:have], each))
	}
}

// records calls each for whole records, and returns what is left.
func records(data []byte, each func(*threadRecord, *processRecord)) []byte {
	for len(data) >= threadSize {
		t := (*threadRecord)(unsafe.Pointer(&data[0]))
		if t.leader == 0 {
			each(t, nil)
			data = data[threadSize:]
			continue
		}
		if len(data) < processSize {
			break
		}
		each(t, (*processRecord)(unsafe.Pointer(&data[0])))
		data = data[processSize:]
	}
	return data
}

// agrees holds what is told of this process against proc, which may be another machine's,
// or that of another namespace of PIDs or clocks.
func (b *bpf) agrees(proc string) error {
	line := text(filepath.Join(proc, "self/stat"))
	_, want, ok := scanStat([]byte(line))
	if !ok {
		return fmt.Errorf("%s is not that of this machine", proc)
	}
	pid, found := signed([]byte(line)), false
	err := b.read(func(_ *threadRecord, p *processRecord) {
		if p != nil && int(p.thread.pid) == pid {
			got := p.stat()
			found = got.start == want.start && got.parent == want.parent && got.nice == want.nice
		}
	})
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("what BPF sees is not what is in %s", proc)
	}
	return nil
}

// stat is what a record says of its process, but for sums over threads.
func (p *processRecord) stat() stat {
	return stat{
		state: stateOf(p.state, p.exitState), parent: int(p.parent), flags: uint64(p.flags), nice: int(p.nice),
		threads: int(p.thread.threads), start: p.start / (1e9 / ticksPerSecond), pages: uint64(max(p.resident, 0)),
		virtual: p.virtual * uint64(unix.Getpagesize()),
	}
}

// stateOf is task_state_index of the kernel's include/linux/sched.h.
func stateOf(state, exit uint32) byte {
	const (
		lock, frozen = 0x1000, 0x8000
		idle         = 0x402
		report       = 0x7f
	)
	switch {
	case state&(lock|frozen) != 0:
		return 'D'
	case state&idle == idle:
		return 'I'
	}
	const letters = "RSDTtXZP"
	n := 0
	for s := (state | exit) & report; s != 0; s >>= 1 {
		n++
	}
	return letters[n]
}
