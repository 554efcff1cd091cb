package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"sarn/internal/bench/http1"
)

// Kind is a way in which a request can fail, as a word for programs.
type Kind string

// The kinds of failures.
const (
	Refused   Kind = "refused"   // nobody listens
	NoPort    Kind = "no-port"   // this machine has no local port or descriptor left
	NoRoute   Kind = "no-route"  // the network says that there is no way
	NoConnect Kind = "connect"   // a connection failed in another way
	BadTLS    Kind = "tls"       // TLS could not be agreed on
	Timeout   Kind = "timeout"   // the request's time was over
	Reset     Kind = "reset"     // the server broke the connection off
	Truncated Kind = "truncated" // the server closed the connection before the answer's end
	Malformed Kind = "malformed" // the answer is not what the protocol allows
	Excess    Kind = "excess"    // more came than the answer
	Stream    Kind = "stream"    // HTTP/2: the server ended the stream or the connection
	Other     Kind = "other"
)

// Fault is a failure of one request in words.
type Fault struct {
	Kind  Kind
	Words string
}

// dialError, tlsError and ioError say what was being done.
type dialError struct {
	to  netip.AddrPort
	err error
}

type tlsError struct{ err error }

type ioError struct {
	what string
	err  error
}

func (e *dialError) Error() string { return fmt.Sprintf("connect to %s: %v", e.to, e.err) }
func (e *dialError) Unwrap() error { return e.err }
func (e *tlsError) Error() string  { return fmt.Sprintf("agree on TLS: %v", e.err) }
func (e *tlsError) Unwrap() error  { return e.err }
func (e *ioError) Error() string   { return fmt.Sprintf("%s: %v", e.what, e.err) }
func (e *ioError) Unwrap() error   { return e.err }

// faultOf puts an error of a request into words.
func faultOf(err error) Fault {
	var (
		dial   *dialError
		secure *tlsError
		read   *http1.ReadError
		syntax *http1.SyntaxError
		stream *streamError
	)
	switch {
	case errors.As(err, &dial):
		return dial.fault()
	case errors.As(err, &secure):
		return secure.fault()
	case errors.As(err, &stream):
		return stream.fault()
	case errors.As(err, &syntax):
		return syntaxFault(syntax)
	case errors.Is(err, http1.ErrSwitched), errors.Is(err, http1.ErrTooLong):
		return Fault{Malformed, err.Error()}
	case errors.Is(err, http1.ErrExcess):
		return Fault{Excess, excessWords}
	case errors.As(err, &read):
		return readFault(read)
	case isTimeout(err):
		return Fault{Timeout, "the request could not be sent in time: the server does not read it"}
	case hungUp(err):
		return Fault{Reset, "the server broke the connection off"}
	}
	return Fault{Other, reason(err)}
}

const excessWords = "the server sent more than the answer: its Content-Length is too small, or it answered twice"

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

func (e *dialError) fault() Fault {
	switch {
	case errors.Is(e.err, syscall.ECONNREFUSED):
		return Fault{Refused, fmt.Sprintf("nobody listens on %s: connection refused", e.to)}
	case errors.Is(e.err, syscall.EADDRNOTAVAIL):
		return Fault{NoPort, "this machine has no local port left: closed connections keep theirs for a minute; use -k, or widen net.ipv4.ip_local_port_range"}
	case errors.Is(e.err, syscall.EMFILE), errors.Is(e.err, syscall.ENFILE):
		return Fault{NoPort, "this program may not open more files: raise `ulimit -n`, or lower -c"}
	case errors.Is(e.err, syscall.EHOSTUNREACH), errors.Is(e.err, syscall.ENETUNREACH):
		return Fault{NoRoute, fmt.Sprintf("there is no way to %s: %s", e.to.Addr(), reason(e.err))}
	case isTimeout(e.err):
		return Fault{Timeout, fmt.Sprintf("no connection to %s in time: nobody answers", e.to)}
	case hungUp(e.err):
		return Fault{Reset, fmt.Sprintf("%s broke a new connection off", e.to)}
	}
	return Fault{NoConnect, fmt.Sprintf("no connection to %s: %s", e.to, reason(e.err))}
}

// reason is what the kernel said, without who asked it for what.
func reason(err error) string {
	if number := syscall.Errno(0); errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}

func (e *tlsError) fault() Fault {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		notTLS  tls.RecordHeaderError
	)
	words := "TLS: " + e.err.Error()
	switch {
	case errors.As(e.err, &unknown):
		words = "TLS: nobody that this machine trusts has signed the server's certificate; give its authority with --tls-ca FILE, or --insecure"
	case errors.As(e.err, &name):
		words = "TLS: the server's certificate is for another name: " + name.Error()
	case errors.As(e.err, &invalid) && invalid.Reason == x509.Expired:
		words = "TLS: the server's certificate is not valid now: " + invalid.Error()
	case errors.As(e.err, &notTLS):
		words = "TLS: the server does not speak TLS there; try http://"
	case strings.Contains(e.err.Error(), "no application protocol"): // RFC 7301; its type is crypto/tls's own
		words = "TLS: the server does not speak the wanted version of HTTP there (ALPN)"
	case alertOf(e.err) != "":
		words = "TLS: the server refused: " + alertOf(e.err)
	case isTimeout(e.err):
		return Fault{Timeout, "TLS: the server did not answer in time"}
	case errors.Is(e.err, io.EOF), hungUp(e.err):
		words = "TLS: the server closed the connection in the middle of the handshake"
	}
	return Fault{BadTLS, words}
}

// alertOf is what a server has said by TLS itself (RFC 8446 section 6), or "". It may be
// after the handshake: of TLS 1.3 the client's certificate is looked at then.
func alertOf(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return ""
}

func syntaxFault(e *http1.SyntaxError) Fault {
	if strings.HasPrefix(e.Text, "\x15\x03") { // a TLS alert: RFC 8446 section 5.1
		return Fault{Malformed, "the server speaks TLS there; try https://"}
	}
	return Fault{Malformed, e.Error()}
}

func readFault(e *http1.ReadError) Fault {
	switch {
	case isTimeout(e.Err) && e.Stage == http1.Silent:
		return Fault{Timeout, "no answer in time"}
	case isTimeout(e.Err) && e.Stage == http1.Header:
		return Fault{Timeout, fmt.Sprintf("the header was not whole in time: %d bytes had come", e.Got)}
	case isTimeout(e.Err) && e.Want >= 0:
		return Fault{Timeout, fmt.Sprintf("the body was not whole in time: %d of %d bytes had come", e.Got, e.Want)}
	case isTimeout(e.Err):
		return Fault{Timeout, fmt.Sprintf("the body was not whole in time: %d bytes had come", e.Got)}
	case alertOf(e.Err) != "":
		return Fault{BadTLS, "TLS: the server refused: " + alertOf(e.Err)}
	case errors.Is(e.Err, io.EOF):
		return Fault{Truncated, e.Error()}
	case errors.Is(e.Err, io.ErrUnexpectedEOF): // in the middle of a TLS record
		e = &http1.ReadError{Stage: e.Stage, Got: e.Got, Want: e.Want, Err: io.EOF}
		return Fault{Truncated, e.Error()}
	case hungUp(e.Err):
		e = &http1.ReadError{Stage: e.Stage, Got: e.Got, Want: e.Want, Err: errors.New("the server broke the connection off")}
		return Fault{Reset, e.Error()}
	}
	e = &http1.ReadError{Stage: e.Stage, Got: e.Got, Want: e.Want, Err: errors.New(reason(e.Err))}
	return Fault{Other, e.Error()}
}
