package remote

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Event is one server-sent event.
type Event struct {
	Name string
	Data []byte // valid until the next one is read
}

const (
	// mostEvent is the size of an event, in bytes: a sample of 20,000 processes has 10 MiB.
	mostEvent = 32 << 20
	// mostName is the size of any line that is not data.
	mostName = 1 << 10
	// keptBuffer is how much memory is kept for the next event.
	keptBuffer = 1 << 20
)

var errTooLarge = errors.New("it sends more than a monitor does")

// events reads server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html.
// Of their fields it knows event and data.
type events struct {
	r    *bufio.Reader
	most int
	name string
	data []byte
}

func newEvents(r io.Reader, most int) *events {
	return &events{r: bufio.NewReaderSize(r, 32<<10), most: most}
}

// next is the next event that has data.
func (e *events) next() (Event, error) {
	if cap(e.data) > keptBuffer {
		e.data = nil
	}
	e.name, e.data = "", e.data[:0]
	some := false
	for {
		isData, end, err := e.line(some)
		if err != nil {
			return Event{}, err
		}
		some = some || isData
		if !end {
			continue
		}
		if some {
			return Event{Name: e.name, Data: e.data}, nil
		}
		e.name = ""
	}
}

// line takes one line. Data goes to e.data without a copy between; comments, which may
// be as long as they like, nowhere.
func (e *events) line(more bool) (isData, end bool, err error) {
	piece, err := e.r.ReadSlice('\n')
	partial := errors.Is(err, bufio.ErrBufferFull)
	if err != nil && !partial {
		return false, false, err
	}
	if !partial && len(bytes.TrimRight(piece, "\r\n")) == 0 {
		return false, true, nil
	}
	field, value, _ := bytes.Cut(piece, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field[:min(len(field), 6)]) {
	case "data":
		if more {
			e.data = append(e.data, '\n')
		}
		isData = true
	case "event":
		if partial || len(value) > mostName {
			return false, false, errTooLarge
		}
		e.name = string(bytes.TrimRight(value, "\r\n"))
		return false, false, nil
	}
	for {
		if isData {
			if len(e.data)+len(value) > e.most {
				return false, false, errTooLarge
			}
			e.data = append(e.data, value...)
		}
		if !partial {
			break
		}
		value, err = e.r.ReadSlice('\n')
		partial = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !partial {
			return false, false, err
		}
	}
	if isData {
		e.data = bytes.TrimSuffix(bytes.TrimSuffix(e.data, []byte("\n")), []byte("\r"))
	}
	return isData, false, nil
}
