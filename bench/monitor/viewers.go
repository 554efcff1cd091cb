package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// audience looks on at a server as browsers do: compressed. One reads what it is sent; the
// others only count, as their work is not what is measured.
type audience struct {
	all      []net.Conn
	gone     sync.WaitGroup
	received atomic.Int64
	events   atomic.Int64
}

// audience returns when all are connected.
func (s *server) audience(ctx context.Context, n int) (*audience, error) {
	a := &audience{}
	for i := range n {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
		if err != nil {
			a.leave()
			return nil, err
		}
		a.all = append(a.all, conn)
		if _, err := fmt.Fprintf(conn, "GET /api/v1/stream HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: gzip\r\n\r\n", s.address); err != nil {
			a.leave()
			return nil, err
		}
		in := &counted{conn, &a.received}
		if i == 0 {
			a.gone.Go(func() { a.read(in) })
			continue
		}
		a.gone.Go(func() { _, _ = io.CopyBuffer(io.Discard, in, make([]byte, 32<<10)) })
	}
	return a, nil
}

// read counts events until the connection is closed.
func (a *audience) read(from io.Reader) {
	answer, err := http.ReadResponse(bufio.NewReader(from), nil)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	plain, err := gzip.NewReader(answer.Body)
	if err != nil {
		return
	}
	for lines := bufio.NewReaderSize(plain, 1<<20); ; {
		line, err := lines.ReadSlice('\n')
		if strings.HasPrefix(string(line), "event: ") {
			a.events.Add(1)
		}
		if err != nil && err != bufio.ErrBufferFull { //nolint:errorlint // as it is documented
			return
		}
	}
}

func (a *audience) counts() (received, events int64) { return a.received.Load(), a.events.Load() }

func (a *audience) leave() {
	for _, conn := range a.all {
		_ = conn.Close()
	}
	a.gone.Wait()
}

// counted counts what is read.
type counted struct {
	from io.Reader
	n    *atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// get asks for something and reads all of it.
func (s *server) get(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return err
}
