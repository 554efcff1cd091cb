package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// Error says that a monitor did not answer, or not as one does.
type Error struct {
	Where  string // that was asked
	Why    string // for people
	Status int    // of the answer, 0 if there was none
	Err    error  // the cause, or nil
}

// Error implements error.
func (e *Error) Error() string { return "monitor at " + e.Where + ": " + e.Why }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Why is what a person is told of an error of this package, without the address.
func Why(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Why
	}
	return err.Error()
}

func (c *Client) fail(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Where: c.where, Why: c.why(err), Err: err}
}

// why says as well as it can what is wrong and how to mend it.
func (c *Client) why(err error) string {
	var (
		name     *net.DNSError
		stranger x509.UnknownAuthorityError
		wrong    x509.HostnameError
		invalid  x509.CertificateInvalidError
		alert    tls.AlertError
		plain    tls.RecordHeaderError
		timeout  net.Error
	)
	switch {
	case errors.As(err, &name):
		return "no machine has the name " + name.Name
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there; is `sarn monitor serve` running, and at this address?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to that machine"
	case errors.As(err, &stranger) && c.config.CA == "":
		return "its certificate is signed by none of this system's authorities; name its own with --tls-ca"
	case errors.As(err, &stranger):
		return "its certificate is not signed by " + c.config.CA
	case errors.As(err, &wrong):
		return "its certificate is for another machine: " + wrong.Error()
	case errors.As(err, &invalid):
		return "its certificate does not hold: " + invalid.Error()
	case errors.As(err, &alert) && c.config.Cert == "":
		return "it wants a certificate; show one with --tls-cert and --tls-key (" + alert.Error() + ")"
	case errors.As(err, &alert):
		return "it refuses the certificate " + c.config.Cert + " (" + alert.Error() + ")"
	case errors.As(err, &plain), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS; write http:// if it is a tunnel's end on this machine"
	case errors.Is(err, errSilent), errors.Is(err, errTooLarge), errors.Is(err, errTooMany), errors.Is(err, errNoSample):
		return err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "it ended the connection"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer within " + patience.String()
	}
	return strings.TrimPrefix(err.Error(), "net/http: ")
}

// mostRefusal is how much is read of an answer that is none.
const mostRefusal = 1 << 10

// refused says why a server answers with something else than what was asked for.
func (c *Client) refused(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, mostRefusal)) // less is as good
	var problem struct{ Error string }
	said := ""
	if json.Unmarshal(text, &problem) == nil && problem.Error != "" && res.StatusCode != http.StatusUnauthorized {
		return &Error{Where: c.where, Why: problem.Error, Status: res.StatusCode}
	}
	if kind := res.Header.Get("Content-Type"); kind == "" || strings.HasPrefix(kind, "text/plain") {
		said, _, _ = strings.Cut(string(text), "\n")
	}
	why := fmt.Sprintf("it answers %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	switch {
	case res.StatusCode == http.StatusUnauthorized && strings.HasPrefix(problem.Error, "a client's certificate"):
		why, said = "it wants a certificate; give --tls-cert and --tls-key, such as `sarn pki issue --admin` makes", ""
	case res.StatusCode == http.StatusUnauthorized && c.token() == "":
		why, said = "it wants a token; give --token-file", ""
	case res.StatusCode == http.StatusUnauthorized:
		why, said = "it refuses the token", ""
	case res.StatusCode == http.StatusBadRequest && strings.Contains(said, "HTTPS server"):
		why, said = "it speaks TLS: write https://", ""
	case res.StatusCode == http.StatusNotFound && said == "":
		why = "it is no monitor of Sarn: it has no " + res.Request.URL.Path
	}
	if said != "" {
		why += ": " + said
	}
	return &Error{Where: c.where, Why: why, Status: res.StatusCode}
}
