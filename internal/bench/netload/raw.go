package netload

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawRead and rawWrite are read(2) and write(2) without telling the Go scheduler, which
// would take the thread's processor away each time that a call lasts longer than 20 µs,
// and wake up every 20 µs to see: that costs a test of requests and answers some 15 % of
// its rate. A call ends at a signal, and the scheduler sends one when it needs the
// thread; for one thread at each end that is
// enough. A process with few processors (GOMAXPROCS) had better have one more for it.
func rawRead(fd int, b []byte) (int, error) { return raw(unix.SYS_READ, fd, b) }

func rawWrite(fd int, b []byte) (int, error) { return raw(unix.SYS_WRITE, fd, b) }

func raw(call uintptr, fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// acceptBare is accept4(2) without the address, which would be memory each time.
func acceptBare(fd int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// readNow reads what is there, without waiting.
func readNow(fd int, b []byte) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
