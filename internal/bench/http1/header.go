package http1

import "bytes"

// framing is what a header says of where its answer ends.
type framing struct {
	length    int64 // Content-Length, or -1
	chunked   bool  // the last of Transfer-Encoding's codings is chunked
	encoded   bool  // there is a Transfer-Encoding
	close     bool
	keepAlive bool
	minor     byte // of HTTP/1.minor
	folds     bool // the field read last may go on in a line that begins with a space
}

// readHeader reads a status line and the header that follows it.
func (r *Reader) readHeader() (framing, error) {
	f := framing{length: -1}
	r.response.Location, r.response.Server = nil, nil
	if err := r.greeting(); err != nil {
		return f, err
	}
	text, err := r.line(Header)
	if err != nil {
		return f, err
	}
	if f.minor, r.response.Status, err = statusLine(text); err != nil {
		return f, err
	}
	for {
		text, err = r.line(Header)
		if err != nil {
			return f, err
		}
		if len(text) == 0 {
			break
		}
		if err := r.field(&f, text); err != nil {
			return f, err
		}
	}
	if f.minor == 0 && f.encoded {
		// RFC 9112 section 6.1: its end is not known.
		return f, syntax("an answer of HTTP/1.0 has a Transfer-Encoding", nil)
	}
	// RFC 9112 section 9.3: HTTP/1.0 closes unless it says otherwise.
	f.close = f.close || f.minor == 0 && !f.keepAlive
	return f, nil
}

// greeting looks at an answer's first byte: what speaks another protocol may never send
// a whole line.
func (r *Reader) greeting() error {
	if r.r == r.w {
		stage := Header
		if r.header == 0 {
			stage = Silent
		}
		if err := r.fill(stage, int64(r.header), -1); err != nil {
			return err
		}
	}
	if c := r.buf[r.r]; c != 'H' && c != '\r' && c != '\n' {
		text, _, _ := bytes.Cut(r.buf[r.r:r.w], []byte("\n"))
		return syntax("the answer does not begin as HTTP", bytes.TrimSuffix(text, []byte("\r")))
	}
	return nil
}

// statusLine reads "HTTP/1.1 200 OK". The reason may be missing, with its space.
func statusLine(text []byte) (minor byte, status int, err error) {
	const version = "HTTP/1."
	switch {
	case len(text) == 0:
		return 0, 0, syntax("the answer begins with an empty line", nil)
	case !bytes.HasPrefix(text, []byte("HTTP/")):
		return 0, 0, syntax("the answer does not begin as HTTP", text)
	case len(text) < len(version)+5 || string(text[:len(version)]) != version || !digit(text[len(version)]) || text[len(version)+1] != ' ':
		return 0, 0, syntax("the status line is not that of HTTP/1.0 or HTTP/1.1", text)
	}
	minor = text[len(version)] - '0'
	code := text[len(version)+2:]
	for i, c := range code[:3] {
		if !digit(c) || i == 0 && c == '0' {
			return 0, 0, syntax("the status is not a number from 100 to 999", text)
		}
		status = status*10 + int(c-'0')
	}
	if len(code) > 3 && code[3] != ' ' {
		return 0, 0, syntax("the status is not a number from 100 to 999", text)
	}
	return minor, status, nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// field reads one line of the header. Those that frame the answer are what matters.
func (r *Reader) field(f *framing, text []byte) error {
	if text[0] == ' ' || text[0] == '\t' {
		// RFC 9112 section 5.2: a folded line belongs to the value before it.
		if !f.folds {
			return syntax("a line of the header begins with a space where none may", text)
		}
		return nil
	}
	colon := bytes.IndexByte(text, ':')
	if colon < 1 || text[colon-1] == ' ' || text[colon-1] == '\t' {
		return syntax("a line of the header is not NAME: VALUE", text)
	}
	name := text[:colon]
	f.folds = true
	// Few names matter, and their lengths differ.
	switch len(name) {
	case len("server"):
		if is(name, "server") {
			r.server = append(r.server[:0], trim(text[colon+1:])...)
			r.response.Server = r.server
		}
	case len("location"):
		if is(name, "location") {
			r.location = append(r.location[:0], trim(text[colon+1:])...)
			r.response.Location = r.location
		}
	case len("connection"):
		if is(name, "connection") {
			f.folds = false
			f.connection(trim(text[colon+1:]))
		}
	case len("content-length"):
		if is(name, "content-length") {
			f.folds = false
			return f.contentLength(trim(text[colon+1:]))
		}
	case len("transfer-encoding"):
		if is(name, "transfer-encoding") {
			f.folds = false
			f.transferEncoding(trim(text[colon+1:]))
		}
	}
	return nil
}

// is compares a name with one in lower case.
func is(name []byte, lower string) bool {
	for i := range lower {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// trim cuts the white space that may surround a value (RFC 9110 section 5.6.3).
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// next cuts the first of a list's words off (RFC 9110 section 5.6.1).
func next(list []byte) (word, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:]
	}
	return trim(list), nil
}

func (f *framing) connection(list []byte) {
	for len(list) > 0 {
		var word []byte
		word, list = next(list)
		f.close = f.close || len(word) == len("close") && is(word, "close")
		f.keepAlive = f.keepAlive || len(word) == len("keep-alive") && is(word, "keep-alive")
	}
}

func (f *framing) transferEncoding(list []byte) {
	f.encoded = true
	for len(list) > 0 {
		var word []byte
		word, list = next(list)
		if len(word) > 0 {
			f.chunked = len(word) == len("chunked") && is(word, "chunked")
		}
	}
}

// contentLength reads a length. It may be there more than once, but has to be the same
// (RFC 9112 section 6.3).
func (f *framing) contentLength(list []byte) error {
	whole := list
	for first := true; first || len(list) > 0; first = false {
		var word []byte
		word, list = next(list)
		n, ok := decimal(word)
		switch {
		case !ok:
			return syntax("the Content-Length is not a number", whole)
		case f.length >= 0 && n != f.length:
			return syntax("the answer has more than one Content-Length, and they differ", whole)
		}
		f.length = n
	}
	return nil
}

func decimal(word []byte) (int64, bool) {
	var n int64
	for _, c := range word {
		if !digit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, 0 < len(word) && len(word) <= 18
}
