package netload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Config is whom a client measures with, and from where.
type Config struct {
	Address netip.AddrPort
	// Inside runs a function where the sockets are to be opened, such as in another
	// network namespace, on one thread. Nil is here.
	Inside func(func() error) error
	// CPU is where the client does its part; -1 is anywhere.
	CPU int
}

// Client is connected to a server.
type Client struct {
	config  Config
	control *control
	cookie  cookie
	mtu     int
}

// Error is what went wrong between the two ends, in words.
type Error struct {
	Address netip.AddrPort
	Words   string
	err     error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Address, e.Words) }

// Unwrap returns what the system said.
func (e *Error) Unwrap() error { return e.err }

// Dial connects to a server.
func Dial(ctx context.Context, config Config) (*Client, error) {
	if config.Inside == nil {
		config.Inside = func(f func() error) error { return f() }
	}
	c := &Client{config: config}
	fd := -1
	err := config.Inside(func() (err error) {
		fd, err = dial(config.Address, joinTime)
		return err
	})
	if err != nil {
		return nil, c.explain(ctx, err, "")
	}
	c.mtu = pathMTU(fd, config.Address.Addr())
	conn, err := goConn(fd)
	if err != nil {
		return nil, err
	}
	c.control = newControl(conn)
	head := newPreface(controlChannel, cookie{})
	if _, err = conn.Write(head[:]); err == nil {
		err = c.greet(ctx)
	}
	if err != nil {
		return nil, errors.Join(c.explain(ctx, err, ""), conn.Close())
	}
	return c, nil
}

func (c *Client) greet(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = c.control.conn.Close() })()
	m, err := c.next(joinTime)
	switch {
	case err != nil:
		var said *saidError
		if errors.As(err, &said) || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		return errForeign
	case m.Hello == nil:
		return errForeign
	case m.Hello.Version != version:
		return fmt.Errorf("it speaks version %d of the protocol, and this is version %d; run the same sarn at both ends", m.Hello.Version, version)
	}
	c.cookie, err = m.Hello.cookie()
	return err
}

// saidError is what the server gives as its reason.
type saidError struct{ words string }

func (e *saidError) Error() string { return e.words }

// next returns the server's next message; its last one is an error.
func (c *Client) next(within time.Duration) (message, error) {
	m, err := c.control.receive(within)
	if err == nil && m.Error != "" {
		err = &saidError{m.Error}
	}
	return m, err
}

// Close ends the session.
func (c *Client) Close() error { return c.control.conn.Close() }

// PathMTU is the size of the largest packet that the kernel knows to fit the path, and 0
// if it does not know.
func (c *Client) PathMTU() int { return c.mtu }

// Run runs one test. After an error the client is of no more use.
func (c *Client) Run(ctx context.Context, t Test) (*Result, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if t.fill(); t.Size == 0 {
		t.Size = min(max(payloadOf(c.mtu, c.config.Address.Addr()), stampSize), maxPacket)
	}
	// Whoever waits for the server's word stops when ctx ends.
	defer context.AfterFunc(ctx, func() { _ = c.control.conn.Close() })()
	p := &part{test: t, cpu: c.config.CPU}
	defer p.limit(ctx, t.length()+2*silence)()
	r, err := c.run(ctx, p)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, c.explain(ctx, err, t.Kind)
	}
	return r, nil
}

func (c *Client) run(ctx context.Context, p *part) (*Result, error) {
	if err := c.control.send(message{Test: &p.test}); err != nil {
		return nil, err
	}
	m, err := c.next(joinTime)
	if err == nil && m.Ready == nil {
		err = errForeign
	}
	if err != nil {
		return nil, err
	}
	switch {
	case p.test.Kind == TCPCRR:
		return c.asks(p, nil, func() (r *Result, err error) {
			err = c.config.Inside(func() error {
				return pinned(p.cpu, func() error { r, err = p.askCRR(c.config.Address, c.cookie); return err })
			})
			return r, err
		})
	case p.test.Kind.packets():
		return c.packets(ctx, p)
	}
	fds, err := c.connections(p.test.Streams)
	defer func() { closeAll(fds) }()
	if err != nil {
		return nil, err
	}
	if p.test.Kind == TCPRR {
		return c.asks(p, &fds, func() (r *Result, err error) {
			err = p.threads(fds, func(_, fd int) error { r, err = p.askTCP(fd); return err })
			return r, err
		})
	}
	return c.streams(p, &fds)
}

// connections opens the data channels.
func (c *Client) connections(n int) (fds []int, err error) {
	head := newPreface(dataChannel, c.cookie)
	err = c.config.Inside(func() error {
		for range n {
			fd, err := dial(c.config.Address, joinTime)
			if err != nil {
				return err
			}
			fds = append(fds, fd)
			if err := writeAll(fd, head[:], time.Now().Add(silence)); err != nil {
				return err
			}
		}
		return nil
	})
	return fds, err
}

// begin waits until the server says that all data channels are there.
func (c *Client) begin() error {
	m, err := c.next(joinTime + silence)
	if err == nil && m.Go == nil {
		err = errForeign
	}
	return err
}

// end tells the server what this end has counted, and returns what that one has.
func (c *Client) end(p *part, o *Outcome) (*Outcome, error) {
	within := joinTime
	if p.test.Kind == UDPStream && !p.test.Reverse {
		within = drainTime + silence // until what is under way has arrived
	}
	if err := c.control.send(message{Finish: o}); err != nil {
		return nil, err
	}
	m, err := c.next(within)
	if err == nil && m.Result == nil {
		err = errForeign
	}
	return m.Result, err
}

// asks runs a test of requests and answers. The data channels end with it.
func (c *Client) asks(p *part, fds *[]int, ask func() (*Result, error)) (*Result, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	r, err := ask()
	if fds != nil {
		closeAll(*fds)
		*fds = nil
	}
	if err != nil {
		return nil, c.reason(err)
	}
	if r.Transactions == 0 && !p.stop.Load() {
		return nil, errTooShort
	}
	_, err = c.end(p, &Outcome{})
	return r, err
}

func (c *Client) streams(p *part, fds *[]int) (*Result, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	run := p.sendStreams
	if p.test.Reverse {
		run = p.receiveStreams
	}
	mine, err := run(*fds)
	closeAll(*fds) // a sender that still sends sees it
	*fds = nil
	if err != nil {
		return nil, c.reason(err)
	}
	other, err := c.end(p, mine)
	if err != nil {
		return nil, err
	}
	if p.test.Reverse {
		return p.test.result(other, mine), nil
	}
	return p.test.result(mine, other), nil
}

// reason returns what the server gives as its reason, if it has given one or left.
func (c *Client) reason(err error) error {
	var said *saidError
	_, last := c.next(3 * glance) // it looks at its threads each glance
	if errors.As(last, &said) || errors.Is(last, io.EOF) || errors.Is(last, unix.ECONNRESET) {
		return last
	}
	return err
}

func (c *Client) packets(ctx context.Context, p *part) (*Result, error) {
	fd, err := c.introduce(ctx, p)
	if err != nil {
		return nil, err
	}
	if p.test.Kind != UDPStream {
		fds := []int{fd}
		defer func() { closeAll(fds) }()
		return c.asks(p, &fds, func() (r *Result, err error) {
			err = p.threads(fds, func(_, fd int) error { r, err = p.askUDP(fd); return err })
			return r, err
		})
	}
	if err := c.begin(); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	var sent atomic.Int64
	sent.Store(-1)
	if !p.test.Reverse {
		mine, err := p.runPackets(fd, true, nil)
		if err != nil {
			return nil, c.reason(err)
		}
		other, err := c.end(p, mine)
		if err != nil {
			return nil, err
		}
		return p.checked(mine, other)
	}
	// The server sends for as long as the test says; this end waits for stragglers.
	over := time.AfterFunc(p.test.length()+quietTime, func() { sent.CompareAndSwap(-1, 1<<62) })
	defer over.Stop()
	mine, err := p.runPackets(fd, false, &sent)
	if err != nil {
		return nil, c.reason(err)
	}
	other, err := c.end(p, mine)
	if err != nil {
		return nil, err
	}
	return p.checked(other, mine)
}

// checked is the result of a udp-stream, unless nothing at all has arrived.
func (p *part) checked(sender, receiver *Outcome) (*Result, error) {
	if sender.Sent == 0 && !p.stop.Load() {
		return nil, errors.New("no datagram fell due within the test's time; let it measure longer, or send more")
	}
	if receiver.Received == 0 && !p.stop.Load() {
		return nil, fmt.Errorf("of %d datagrams with %d bytes none arrived, though small ones do: "+
			"does the path's MTU allow that size (--size makes them smaller)?", sender.Sent, p.test.Size)
	}
	return p.test.result(sender, receiver), nil
}

// introduce opens a socket for datagrams and shows the server its cookie from there, until
// that answers.
func (c *Client) introduce(ctx context.Context, p *part) (int, error) {
	fd := -1
	err := c.config.Inside(func() (err error) {
		fd, err = open(c.config.Address.Addr(), unix.SOCK_DGRAM)
		if err != nil {
			return err
		}
		return connect(fd, sockaddr(c.config.Address))
	})
	if err == nil && p.test.Kind == UDPStream {
		err = prepareUDP(fd, c.config.Address.Addr())
	}
	head, answer := newPreface(dataChannel, c.cookie), make([]byte, maxPacket)
	for end := time.Now().Add(silence); err == nil; {
		if _, err = unix.Write(fd, head[:]); err != nil {
			break
		}
		n, readErr := unix.Read(fd, answer)
		switch {
		case readErr == nil && n == prefaceSize && string(answer[:n]) == string(head[:]):
			return fd, nil
		case readErr == nil && p.test.Reverse && n == p.test.Size:
			return fd, nil // the answer was lost, and the server has begun
		case readErr != nil && !again(readErr):
			err = readErr
		case ctx.Err() != nil:
			err = ctx.Err()
		case time.Now().After(end):
			err = fmt.Errorf("no answer over UDP, though there is one over TCP: does a firewall let UDP port %d pass?", c.config.Address.Port())
		}
	}
	if fd >= 0 {
		closeAll([]int{fd})
	}
	return -1, err
}
