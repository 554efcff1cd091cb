package netload

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// version is that of the protocol. Ends of different versions do not measure.
const version = 1

// Every connection, and every datagram that is not a test's data, begins with a preface:
// magic, version, channel, two bytes unused, cookie.
const (
	magic       = "sarn"
	cookieSize  = 16
	prefaceSize = 8 + cookieSize
)

// channel says what a connection is for.
type channel byte

const (
	controlChannel channel = 'c'
	dataChannel    channel = 'd'
)

// cookie shows that who opens a data channel has the control channel.
type cookie [cookieSize]byte

func newCookie() cookie {
	var c cookie
	_, _ = rand.Read(c[:]) // never fails: crypto/rand
	return c
}

type preface [prefaceSize]byte

func newPreface(ch channel, c cookie) preface {
	var p preface
	copy(p[:], magic)
	p[4], p[5] = version, byte(ch)
	copy(p[8:], c[:])
	return p
}

// errForeign is about bytes that no end of a test has sent.
var errForeign = errors.New("that is not the protocol of sarn bench net")

func (p *preface) read() (channel, cookie, error) {
	var c cookie
	copy(c[:], p[8:])
	ch := channel(p[5])
	if string(p[:4]) != magic || ch != controlChannel && ch != dataChannel || p[6] != 0 || p[7] != 0 {
		return 0, c, errForeign
	}
	return ch, c, nil
}

// message is a line of the control channel. One field is set.
type message struct {
	Hello  *hello   `json:"hello,omitempty"`
	Test   *Test    `json:"test,omitempty"`   // client: run this
	Ready  *signal  `json:"ready,omitempty"`  // server: open the data channels
	Go     *signal  `json:"go,omitempty"`     // server: they are all there
	Finish *Outcome `json:"finish,omitempty"` // client: my part is over, and this is what I counted
	Result *Outcome `json:"result,omitempty"` // server: likewise
	Error  string   `json:"error,omitempty"`  // server: I cannot, and why; the end of the channel
}

type signal struct{}

// hello is the server's first word.
type hello struct {
	Version int    `json:"version"`
	Cookie  string `json:"cookie"`
}

func (h *hello) cookie() (cookie, error) {
	var c cookie
	b, err := hex.DecodeString(h.Cookie)
	if err != nil || len(b) != cookieSize {
		return c, errForeign
	}
	copy(c[:], b)
	return c, nil
}

// maxLine bounds a message: the longest is an outcome with its intervals.
const maxLine = 16 << 10

// decode reads a message strictly: one value, no field that it does not know, one field set.
func decode(line []byte) (message, error) {
	var m message
	if len(line) > maxLine {
		return m, errForeign
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return message{}, errForeign
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return message{}, errForeign
	}
	set := 0
	for _, is := range []bool{m.Hello != nil, m.Test != nil, m.Ready != nil, m.Go != nil, m.Finish != nil, m.Result != nil, m.Error != ""} {
		if is {
			set++
		}
	}
	if set != 1 {
		return message{}, errForeign
	}
	for _, o := range []*Outcome{m.Finish, m.Result} {
		if o != nil && !o.sane() {
			return message{}, errForeign
		}
	}
	return m, nil
}

// control is one end of a control channel.
type control struct {
	conn    net.Conn
	lines   *bufio.Reader
	sending sync.Mutex
}

func newControl(conn net.Conn) *control {
	return &control{conn: conn, lines: bufio.NewReaderSize(conn, maxLine)}
}

// sendTime bounds the sending of a message: it is small, and fits any buffer.
const sendTime = 5 * time.Second

func (c *control) send(m message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	_, err = c.conn.Write(append(line, '\n'))
	return err
}

// deafen ends the hearing of messages: whoever waits for one gets io.EOF.
func (c *control) deafen() {
	if conn, ok := c.conn.(*net.TCPConn); ok {
		_ = conn.CloseRead() // one that is closed hears nothing either
	}
}

// receive returns the next message, if it comes within the time.
func (c *control) receive(within time.Duration) (message, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return message{}, err
	}
	line, err := c.lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return message{}, errForeign
	}
	if err != nil {
		return message{}, err
	}
	return decode(line)
}

// stamp is what a test's datagram begins with: its number, and the time when it was sent
// on the sender's clock. The number's highest bit marks those that count. It never begins
// as a preface does.
const (
	stampSize = 16
	counted   = 1 << 63
)

func putStamp(b []byte, number, at uint64) {
	binary.BigEndian.PutUint64(b, number)
	binary.BigEndian.PutUint64(b[8:], at)
}

func stampOf(b []byte) (number, at uint64) {
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
}

func isPreface(b []byte) bool { return len(b) == prefaceSize && string(b[:4]) == magic }
