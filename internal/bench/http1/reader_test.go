package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

// lines joins lines as HTTP does.
func lines(l ...string) string { return strings.Join(l, "\r\n") }

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Response // without the slices
		rest       int      // bytes that no answer has used
		head       bool
	}{
		{name: "length", text: lines("HTTP/1.1 200 OK", "Content-Length: 5", "", "hello"), want: Response{Status: 200, Body: 5}},
		{name: "empty", text: lines("HTTP/1.1 200 OK", "Content-Length: 0", "", ""), want: Response{Status: 200}},
		{name: "line feeds alone", text: "HTTP/1.1 200 OK\nContent-Length:5\n\nhello", want: Response{Status: 200, Body: 5}},
		{name: "no reason", text: lines("HTTP/1.1 404", "Content-Length: 2", "", "no"), want: Response{Status: 404, Body: 2}},
		{name: "one length twice", text: lines("HTTP/1.1 200 OK", "Content-Length: 5, 5", "content-length: 5", "", "hello"), want: Response{Status: 200, Body: 5}},
		{name: "more than the answer", text: lines("HTTP/1.1 200 OK", "Content-Length: 3", "", "hello"), want: Response{Status: 200, Body: 3}, rest: 2},
		{name: "chunks", text: lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "5", "hello", "6;x=y", " world", "0", "", ""), want: Response{Status: 200, Body: 11}},
		{name: "chunks of other cases", text: lines("HTTP/1.1 200 OK", "TRANSFER-ENCODING: gzip, Chunked", "", "A", "0123456789", "000", "", ""), want: Response{Status: 200, Body: 10}},
		{name: "trailers", text: lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "1", "x", "0", "Expires: never", "A: b", "", ""), want: Response{Status: 200, Body: 1}},
		{name: "chunks and a length", text: lines("HTTP/1.1 200 OK", "Content-Length: 3", "Transfer-Encoding: chunked", "", "1", "x", "0", "", ""), want: Response{Status: 200, Body: 1, Close: true}},
		{name: "another encoding", text: lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked, gzip", "", "abc"), want: Response{Status: 200, Body: 3, Close: true, UntilClose: true}},
		{name: "until close", text: lines("HTTP/1.1 200 OK", "Server: x", "", "abc"), want: Response{Status: 200, Body: 3, Close: true, UntilClose: true}},
		{name: "close", text: lines("HTTP/1.1 200 OK", "Connection: foo, Close", "Content-Length: 1", "", "x"), want: Response{Status: 200, Body: 1, Close: true}},
		{name: "1.0 closes", text: lines("HTTP/1.0 200 OK", "Content-Length: 1", "", "x"), want: Response{Status: 200, Body: 1, Close: true}},
		{name: "1.0 may stay", text: lines("HTTP/1.0 200 OK", "Connection: keep-alive", "Content-Length: 1", "", "x"), want: Response{Status: 200, Body: 1}},
		{name: "nothing to say", text: lines("HTTP/1.1 204 No Content", "Content-Length: 5", "", ""), want: Response{Status: 204}},
		{name: "not modified", text: lines("HTTP/1.1 304 Not Modified", "Content-Length: 5", "", ""), want: Response{Status: 304}},
		{name: "to HEAD", text: lines("HTTP/1.1 200 OK", "Content-Length: 5", "", ""), head: true, want: Response{Status: 200}},
		{name: "interim", text: lines("HTTP/1.1 100 Continue", "", "HTTP/1.1 103 Early Hints", "Link: </x>", "Content-Length: 9", "", "HTTP/1.1 200 OK", "Content-Length: 1", "", "x"), want: Response{Status: 200, Interim: 2, Body: 1}},
		{name: "a fold", text: lines("HTTP/1.1 200 OK", "X-Long: a", "  b", "Content-Length: 1", "", "x"), want: Response{Status: 200, Body: 1}},
	} {
		for _, how := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			r := NewReader(how(strings.NewReader(c.text)))
			got, err := r.Read(c.head)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			got.Server, got.Location = nil, nil
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("%s: got %+v, want %+v", c.name, *got, c.want)
			}
			if rest := r.Buffered(); rest > c.rest {
				t.Errorf("%s: %d bytes are left, want %d", c.name, rest, c.rest)
			}
		}
	}
}

func TestHeadersKept(t *testing.T) {
	r := NewReader(strings.NewReader(lines("HTTP/1.1 301 Moved", "Location:  /there\t", "SERVER: x/1", "Content-Length: 0", "", "") +
		lines("HTTP/1.1 200 OK", "Content-Length: 0", "", "")))
	got, err := r.Read(false)
	if err != nil || string(got.Location) != "/there" || string(got.Server) != "x/1" {
		t.Errorf("got %q and %q, %v", got.Location, got.Server, err)
	}
	if got, err = r.Read(false); err != nil || got.Location != nil || got.Server != nil {
		t.Errorf("the next answer has %q and %q, %v", got.Location, got.Server, err)
	}
}

func TestBadAnswers(t *testing.T) {
	ok := lines("HTTP/1.1 200 OK", "")
	for _, c := range []struct{ text, want string }{
		{"", "the server closed the connection without an answer"},
		{"HTTP/1.1 200 OK\r\nServer", "the server closed the connection in the middle of the header, after 23 bytes"},
		{lines("HTTP/1.1 103 Early Hints", "", ""), "the server closed the connection in the middle of the header, after 28 bytes"},
		{ok + lines("Content-Length: 10", "", "hello"), "the server closed the connection after 5 of the body's 10 bytes"},
		{ok + lines("Transfer-Encoding: chunked", "", "a", "hello"), "the server closed the connection in the middle of a chunked body, after 5 bytes of it"},
		{ok + lines("Transfer-Encoding: chunked", "", "5", "hello", "0", ""), "the server closed the connection in the middle of a chunked body, after 5 bytes of it"},
		{ok + lines("Transfer-Encoding: chunked", "", "5", "hello!", "0", "", ""), `a chunk is longer than it says: "!"`},
		{ok + lines("Transfer-Encoding: chunked", "", "0x5", "hello"), `a chunk's size is not a hexadecimal number: "0x5"`},
		{ok + lines("Transfer-Encoding: chunked", "", "", "hello"), "a chunk's size is missing"},
		{ok + lines("Transfer-Encoding: chunked", "", "ffffffffffffffff", "hello"), `a chunk's size is too large: "ffffffffffffffff"`},
		{"SSH-2.0-OpenSSH_9.2\r\n", `the answer does not begin as HTTP: "SSH-2.0-OpenSSH_9.2"`},
		{"\r\nHTTP/1.1 200 OK\r\n", "the answer begins with an empty line"},
		{"HTTP/2.0 200 OK\r\n\r\n", `the status line is not that of HTTP/1.0 or HTTP/1.1: "HTTP/2.0 200 OK"`},
		{"HTTP/1.1 2000 OK\r\n\r\n", `the status is not a number from 100 to 999: "HTTP/1.1 2000 OK"`},
		{"HTTP/1.1 020 OK\r\n\r\n", `the status is not a number from 100 to 999: "HTTP/1.1 020 OK"`},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", ErrSwitched.Error()},
		{ok + lines("no colon", "", ""), `a line of the header is not NAME: VALUE: "no colon"`},
		{ok + lines("Content-Length : 5", "", "hello"), `a line of the header is not NAME: VALUE: "Content-Length : 5"`},
		{ok + lines(" folded", "", ""), `a line of the header begins with a space where none may: " folded"`},
		{ok + lines("Content-Length: 1", " 0", "", "0123456789"), `a line of the header begins with a space where none may: " 0"`},
		{ok + lines("Content-Length: five", "", "hello"), `the Content-Length is not a number: "five"`},
		{ok + lines("Content-Length: -5", "", "hello"), `the Content-Length is not a number: "-5"`},
		{ok + lines("Content-Length: 9999999999999999999", "", "hello"), `the Content-Length is not a number: "9999999999999999999"`},
		{ok + lines("Content-Length: 5", "Content-Length: 6", "", "hello"), `the answer has more than one Content-Length, and they differ: "6"`},
		{lines("HTTP/1.0 200 OK", "Transfer-Encoding: chunked", "", "0", "", ""), "an answer of HTTP/1.0 has a Transfer-Encoding"},
		{ok + "X: " + strings.Repeat("x", 300<<10), ErrTooLong.Error()},
		{ok + strings.Repeat("X: y\r\n", 60<<10), ErrTooLong.Error()},
		{strings.Repeat(lines("HTTP/1.1 100 Continue", "", ""), 20<<10), ErrTooLong.Error()},
		{ok + lines("Transfer-Encoding: chunked", "", "0") + strings.Repeat("\r\nX: y", 60<<10), ErrTooLong.Error()},
	} {
		for i, how := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader} {
			_, err := NewReader(how(strings.NewReader(c.text))).Read(false)
			if err == nil || err.Error() != c.want && !(i == 1 && strings.HasPrefix(c.want, "the answer does not begin") && strings.HasPrefix(err.Error(), c.want[:30])) {
				t.Errorf("%.60q: %v, want %s", c.text, err, c.want)
			}
		}
	}
}

// TestStage tells a connection that was closed before an answer, on which a request may
// be sent again, from one that broke in the middle.
func TestStage(t *testing.T) {
	for text, want := range map[string]Stage{
		"": Silent, "H": Header, lines("HTTP/1.1 200 OK", "Content-Length: 2", "", ""): Content,
		lines("HTTP/1.1 100 Continue", "", ""): Header,
	} {
		r := NewReader(io.MultiReader(strings.NewReader(text), iotest.ErrReader(syscall.ECONNRESET)))
		_, err := r.Read(false)
		var failed *ReadError
		if !errors.As(err, &failed) || failed.Stage != want || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q: %v, want stage %d", text, err, want)
		}
	}
}

// endless gives the same answer for ever.
type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

func TestNothingIsAllocatedForAnAnswer(t *testing.T) {
	for _, text := range []string{
		lines("HTTP/1.1 200 OK", "Server: x", "Content-Length: 5", "", "hello"),
		lines("HTTP/1.1 200 OK", "Server: x", "Transfer-Encoding: chunked", "", "5", "hello", "0", "", ""),
		lines("HTTP/1.1 200 OK", "Content-Length: 1000000", "", strings.Repeat("x", 1000000)),
	} {
		r := NewReader(&endless{text: []byte(text)})
		read := func() {
			if p, err := r.Read(false); err != nil || p.Body == 0 {
				t.Fatal(p, err)
			}
		}
		read()
		if n := testing.AllocsPerRun(100, read); n > 0 {
			t.Errorf("%.40q: %v allocations", text, n)
		}
	}
}

// FuzzRead holds the reader against net/http's: where both take an answer they must
// see the same one, and it must not matter how the bytes come.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		lines("HTTP/1.1 200 OK", "Content-Length: 5", "", "hello"),
		lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "", "5;a=b", "hello", "0", "T: x", "", ""),
		lines("HTTP/1.1 100 Continue", "", "HTTP/1.0 301 Moved", "Location: /", "Connection: keep-alive, close", "", "x"),
		lines("HTTP/1.1 200 OK", "Content-Length: 5, 5", "X: y", " z", "", "hello", "HTTP/1.1 204 No"),
	} {
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, head bool) {
		whole := NewReader(bytes.NewReader(text))
		got, err := whole.Read(head)
		first := *got
		if len(whole.buf) > 2*maxHeader {
			t.Fatalf("a buffer of %d bytes", len(whole.buf))
		}
		slow, slowErr := NewReader(iotest.OneByteReader(bytes.NewReader(text))).Read(head)
		var odd *SyntaxError // quotes what has come, which may be more in one piece
		if (err == nil) != (slowErr == nil) || err != nil && err.Error() != slowErr.Error() && !errors.As(err, &odd) {
			t.Fatalf("in one piece %v, byte by byte %v", err, slowErr)
		}
		if err != nil {
			return
		}
		if first.Status != slow.Status || first.Body != slow.Body || first.Close != slow.Close {
			t.Fatalf("in one piece %+v, byte by byte %+v", first, *slow)
		}
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		theirs := bufio.NewReader(bytes.NewReader(text))
		for {
			p, err := http.ReadResponse(theirs, &http.Request{Method: method})
			if err != nil {
				return
			}
			if p.StatusCode < 200 {
				continue
			}
			n, err := io.Copy(io.Discard, p.Body)
			if err != nil {
				return
			}
			if p.StatusCode != first.Status || n != first.Body {
				t.Fatalf("%d with %d bytes, net/http sees %d with %d", first.Status, first.Body, p.StatusCode, n)
			}
			return
		}
	})
}
