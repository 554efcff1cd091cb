package http1

import (
	"errors"
	"io"
)

// readBody reads and drops the body, whose end RFC 9112 section 6.3 lays down.
func (r *Reader) readBody(f *framing, toHEAD bool) error {
	p := &r.response
	switch {
	case toHEAD || p.Status == 204 || p.Status == 304:
		return nil
	case f.chunked:
		// With both a Content-Length and chunks somebody on the way may see another end.
		p.Close = p.Close || f.length >= 0
		return r.chunks()
	case f.encoded || f.length < 0:
		p.Close, p.UntilClose = true, true
		return r.untilClose()
	default:
		return r.drop(f.length, f.length)
	}
}

// drop reads and drops n bytes of the body, which has want in all.
func (r *Reader) drop(n, want int64) error {
	for {
		have := min(int64(r.w-r.r), n)
		r.r += int(have)
		r.response.Body += have
		if n -= have; n == 0 {
			return nil
		}
		r.widen(n)
		if err := r.fill(Content, r.response.Body, want); err != nil {
			return err
		}
	}
}

// widen makes the buffer large for a body of which n bytes are still to come. What has
// come is used already.
func (r *Reader) widen(n int64) {
	if n >= streamSize && len(r.buf) < streamSize {
		r.buf, r.r, r.w = make([]byte, streamSize), 0, 0
	}
}

func (r *Reader) untilClose() error {
	for {
		r.response.Body += int64(r.w - r.r)
		r.r = r.w
		if r.response.Body >= streamSize {
			r.widen(streamSize)
		}
		if err := r.fill(Content, r.response.Body, -1); err != nil {
			if failed := (*ReadError)(nil); errors.As(err, &failed) && failed.Err == io.EOF { //nolint:errorlint // as net.Conn has it
				return nil
			}
			return err
		}
	}
}

// chunks reads a chunked body and its trailers (RFC 9112 section 7.1).
func (r *Reader) chunks() error {
	for {
		r.header = 0 // bounds each chunk's line, then the trailers
		text, err := r.line(Content)
		if err != nil {
			return err
		}
		size, err := chunkSize(text)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if err := r.drop(size, -1); err != nil {
			return err
		}
		switch text, err = r.line(Content); {
		case err != nil:
			return err
		case len(text) > 0:
			return syntax("a chunk is longer than it says", text)
		}
	}
	for {
		text, err := r.line(Content)
		if err != nil || len(text) == 0 {
			return err
		}
	}
}

// chunkSize reads the line before a chunk: hexadecimal digits, and extensions behind a
// semicolon.
func chunkSize(text []byte) (int64, error) {
	var size int64
	digits := 0
	for _, c := range text {
		var v byte
		switch {
		case digit(c):
			v = c - '0'
		case 'a' <= c && c <= 'f':
			v = c - 'a' + 10
		case 'A' <= c && c <= 'F':
			v = c - 'A' + 10
		case digits > 0 && (c == ';' || c == ' ' || c == '\t'):
			return size, nil
		default:
			return 0, syntax("a chunk's size is not a hexadecimal number", text)
		}
		if digits++; digits > 15 {
			return 0, syntax("a chunk's size is too large", text)
		}
		size = size<<4 | int64(v)
	}
	if digits == 0 {
		return 0, syntax("a chunk's size is missing", nil)
	}
	return size, nil
}
