package netload

import (
	"crypto/rand"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many datagrams one system call sends or receives.
const batchSize = 64

// batch is datagrams that are sent or received at a time: sendmmsg(2), recvmmsg(2). The
// batches of golang.org/x/net/ipv4 make two objects of each datagram that they receive.
// The datagrams are not joined to a big one (UDP_SEGMENT): that crosses virtual links
// whole, and the cost of each packet is what is asked for.
type batch struct {
	headers  [batchSize]messageHeader
	vectors  [batchSize]unix.Iovec
	payloads [batchSize][]byte
}

// messageHeader is struct mmsghdr.
type messageHeader struct {
	unix.Msghdr
	n uint32
}

func newBatch(size int) *batch {
	b := &batch{}
	for i := range b.headers {
		b.payloads[i] = make([]byte, size)
		_, _ = rand.Read(b.payloads[i]) // so that nothing on the way can compress it
		b.vectors[i].Base = &b.payloads[i][0]
		b.vectors[i].SetLen(size)
		b.headers[i].Iov = &b.vectors[i]
		b.headers[i].SetIovlen(1)
	}
	return b
}

// payload is that of the datagram at i, to be sent.
func (b *batch) payload(i int) []byte { return b.payloads[i] }

// received is the payload of the datagram at i, as far as there was room.
func (b *batch) received(i int) []byte { return b.payloads[i][:b.headers[i].n] }

// send sends the first n and returns how many it has sent.
func (b *batch) send(fd, n int) (int, error) { return b.call(unix.SYS_SENDMMSG, fd, n, 0) }

// receive waits for one datagram, and returns that and how many more are there.
func (b *batch) receive(fd int) (int, error) {
	return b.call(unix.SYS_RECVMMSG, fd, batchSize, unix.MSG_WAITFORONE)
}

func (b *batch) call(number uintptr, fd, n, flags int) (int, error) {
	done, _, errno := unix.Syscall6(number, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])), uintptr(n), uintptr(flags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(done), nil
}
