package http1

import (
	"errors"
	"fmt"
	"io"
)

// SyntaxError says what in an answer is not HTTP/1.1.
type SyntaxError struct {
	What string // such as "the status line"
	Text string // what stands there, cut to a few dozen bytes
}

func (e *SyntaxError) Error() string {
	if e.Text == "" {
		return e.What
	}
	return fmt.Sprintf("%s: %q", e.What, e.Text)
}

// maxQuote is how much of an answer an error repeats.
const maxQuote = 60

func syntax(what string, text []byte) error {
	return &SyntaxError{What: what, Text: string(text[:min(len(text), maxQuote)])}
}

// Stage is a part of an answer.
type Stage int

// The stages of an answer, in their order.
const (
	Silent  Stage = iota // nothing has come yet
	Header               // the status line and the header
	Content              // the body, and trailers
)

// ReadError says where in an answer reading failed.
type ReadError struct {
	Stage Stage
	// Got is how many bytes of that stage had come; of a body how many of Want, which is
	// -1 where the answer does not say how long it is.
	Got, Want int64
	Err       error // from the connection; io.EOF if the server closed it
}

func (e *ReadError) Unwrap() error { return e.Err }

func (e *ReadError) Error() string {
	how := e.Err.Error()
	if errors.Is(e.Err, io.EOF) {
		how = "the server closed the connection"
	}
	switch {
	case e.Stage == Silent:
		return how + " without an answer"
	case e.Stage == Header:
		return fmt.Sprintf("%s in the middle of the header, after %d bytes", how, e.Got)
	case e.Want >= 0:
		return fmt.Sprintf("%s after %d of the body's %d bytes", how, e.Got, e.Want)
	default:
		return fmt.Sprintf("%s in the middle of a chunked body, after %d bytes of it", how, e.Got)
	}
}

// ErrSwitched is the answer 101: the connection does not speak HTTP any more
// (RFC 9110 section 15.2.2).
var ErrSwitched = errors.New("the server switched to another protocol (101)")

// ErrExcess says that bytes follow an answer that nobody asked for.
var ErrExcess = errors.New("the server sent more than the answer")

// ErrTooLong says that a header or an interim answer has no end within the bounds.
var ErrTooLong = fmt.Errorf("the header is longer than %d KiB", maxHeader>>10)
