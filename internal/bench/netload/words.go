package netload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// explain says in words what went wrong at the client.
func (c *Client) explain(ctx context.Context, err error, test Kind) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := &Error{Address: c.config.Address, err: err}
	var said *saidError
	switch {
	case errors.As(err, &said):
		e.Words = "the other end says: " + said.words
	case errors.Is(err, errForeign):
		e.Words = "what listens there is not sarn bench net"
	case test == "":
		e.Words = unreached(c, err)
	default:
		e.Words = wordsOf(err).Error()
		if errors.Is(err, unix.EMSGSIZE) {
			e.Words = fmt.Sprintf("a datagram of that size does not fit the path, whose MTU is %d: --size up to %d does",
				c.mtu, payloadOf(c.mtu, c.config.Address.Addr()))
		}
	}
	if test != "" {
		e.Words = string(test) + ": " + e.Words
	}
	return e
}

// unreached says why there is no server.
func unreached(c *Client, err error) string {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Sprintf("nobody listens there; run `sarn bench net --listen %s` on that machine", c.config.Address)
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINPROGRESS), errors.Is(err, unix.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("no answer in %s: is the machine up, and does a firewall let TCP port %d pass?", joinTime, c.config.Address.Port())
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return "there is no way to that address: " + wordsOf(err).Error()
	}
	return wordsOf(err).Error()
}

// wordsOf puts what the system says of a connection into words.
func wordsOf(err error) error {
	words := ""
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE), errors.Is(err, net.ErrClosed):
		words = "the other end closed the connection in the middle of the test"
	case errors.Is(err, os.ErrDeadlineExceeded):
		words = "the connection was lost in the middle of the test: the other end is silent"
	case errors.Is(err, unix.ECONNREFUSED):
		words = "nobody listens there any more"
	case errors.Is(err, unix.EADDRINUSE):
		words = "somebody listens there already; choose another port"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		words = "this machine does not have that address, or no port is left"
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINPROGRESS), errors.Is(err, unix.ETIMEDOUT):
		words = "no answer in time"
	default:
		return err
	}
	return &wordedError{words, err}
}

// wordedError is a system's error in other words.
type wordedError struct {
	words string
	err   error
}

func (e *wordedError) Error() string { return e.words }

func (e *wordedError) Unwrap() error { return e.err }
