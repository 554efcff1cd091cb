package http1

import (
	"bytes"
	"io"
)

// Bounds of what is read. net/http's are 10 MB of header (its client) and 5 interim
// answers beyond 100.
const (
	maxHeader  = 256 << 10 // bytes of the header, of all interim answers and of trailers
	firstSize  = 8 << 10   // of the buffer
	streamSize = 64 << 10  // of the buffer once an answer is longer than that
)

// Response is what is kept of an answer. It is final: interim answers (1xx) before it
// are only counted.
type Response struct {
	Status  int
	Interim int   // 1xx before it
	Body    int64 // of the body, without the chunks' framing
	// Close says that the connection carries no further request (RFC 9112 section 9.3).
	Close bool
	// UntilClose says that the body had no length: it ended with the connection, and
	// nobody knows if it was whole (RFC 9112 section 8).
	UntilClose bool
	// Location and Server are those headers. They are valid until the next Read.
	Location, Server []byte
}

// Reader reads answers from one connection.
type Reader struct {
	src  io.Reader
	buf  []byte
	r, w int // what is read and not yet used is buf[r:w]
	err  error

	response         Response
	location, server []byte
	header           int // bytes of header so far, against maxHeader
}

// NewReader returns a reader of src, or of what Reset gives it.
func NewReader(src io.Reader) *Reader { return &Reader{src: src, buf: make([]byte, firstSize)} }

// Reset begins with a new connection.
func (r *Reader) Reset(src io.Reader) { r.src, r.r, r.w, r.err = src, 0, 0, nil }

// Buffered is how many bytes have come that no answer has used.
func (r *Reader) Buffered() int { return r.w - r.r }

// Read reads one answer. toHEAD says that it answers HEAD, and so has no body whatever
// its header says. The errors are *SyntaxError, *ReadError, ErrSwitched and ErrTooLong;
// after one the connection is of no use.
func (r *Reader) Read(toHEAD bool) (*Response, error) {
	p := &r.response
	*p = Response{}
	r.header = 0
	for {
		f, err := r.readHeader()
		if err != nil {
			return p, err
		}
		switch {
		case p.Status == 101:
			return p, ErrSwitched
		case p.Status < 200:
			p.Interim++
			continue
		}
		p.Close = f.close
		return p, r.readBody(&f, toHEAD)
	}
}

// fill reads more behind what is there. It makes room first.
func (r *Reader) fill(stage Stage, got, want int64) error {
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	if r.w == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for range 10 {
		if r.err != nil {
			return &ReadError{stage, got, want, r.err}
		}
		var n int
		n, r.err = r.src.Read(r.buf[r.w:])
		if r.w += n; n > 0 {
			return nil
		}
	}
	return &ReadError{stage, got, want, io.ErrNoProgress}
}

// line returns the next line without its end, which is CR LF or, as RFC 9112 section
// 2.2 allows, LF alone. The slice is valid until the next read.
func (r *Reader) line(stage Stage) ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(r.buf[r.r+seen:r.w], '\n'); i >= 0 {
			text := r.buf[r.r : r.r+seen+i]
			r.r += len(text) + 1
			if r.header += len(text) + 1; r.header > maxHeader {
				return nil, ErrTooLong
			}
			if n := len(text); n > 0 && text[n-1] == '\r' {
				text = text[:n-1]
			}
			return text, nil
		}
		if seen = r.w - r.r; r.header+seen > maxHeader {
			return nil, ErrTooLong
		}
		got := int64(r.header + seen)
		switch {
		case stage == Content:
			got = r.response.Body
		case got == 0:
			stage = Silent
		default:
			stage = Header
		}
		if err := r.fill(stage, got, -1); err != nil {
			return nil, err
		}
	}
}
