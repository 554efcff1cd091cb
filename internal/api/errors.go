package api

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"

	"sarn/internal/intent"
)

// Stopping is the type (RFC 9457) of the problem that a controller answers with when
// it stops in the middle of a request.
const Stopping = "urn:sarn:stopping"

// UnreachableError says that a request got no answer from a controller.
type UnreachableError struct {
	// Where is the address that was tried.
	Where string
	// Why says what the controller does instead of answering, or is empty if nobody
	// seems to be there.
	Why string
	// Err is the cause, or nil.
	Err error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	text := "controller at " + e.Where
	switch {
	case e.Why == "":
		return fmt.Sprintf("%s does not answer; is `sarn server` running? %v", text, e.Err)
	case e.Err == nil:
		return text + " " + e.Why
	}
	return fmt.Sprintf("%s %s: %v", text, e.Why, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// unreachable says as well as it can why a request did not get through.
func (c *Client) unreachable(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // without the path that was asked for
	}
	u := &UnreachableError{Where: c.endpoint.Address, Err: err}
	var (
		stranger x509.UnknownAuthorityError
		theirs   *tls.CertificateVerificationError
		remote   *net.OpError
	)
	switch {
	case errors.Is(err, fs.ErrPermission):
		u.Why = "has a socket that only root, or the user who started it, may open"
	case errors.As(err, &stranger):
		u.Why = "has a certificate that is not signed by --tls-ca " + c.endpoint.CA
	case errors.As(err, &theirs):
		u.Why = "has a certificate that does not fit"
	case errors.As(err, &remote) && remote.Op == "remote error" && strings.Contains(err.Error(), "certificate"):
		u.Why = "refused the certificate --tls-cert " + c.endpoint.Cert
	}
	return u
}

// WaitError says that the time ran out before every node held the revision.
type WaitError struct {
	Revision int64
	Statuses []NodeStatus
}

// Error names the nodes that are behind.
func (e *WaitError) Error() string {
	var late []string
	for _, s := range e.Statuses {
		away := ""
		if !s.Connected {
			away = "; its agent is not connected"
		}
		switch {
		case s.Error != "":
			late = append(late, s.Node+" (failed: "+s.Error+away+")")
		case s.InSync():
		case !s.Connected:
			late = append(late, s.Node+" (its agent is not connected)")
		default:
			late = append(late, fmt.Sprintf("%s (at revision %d of %d)", s.Node, s.Applied, s.Wanted))
		}
	}
	if len(late) == 0 {
		return fmt.Sprintf("time ran out before revision %d reached the nodes", e.Revision)
	}
	return fmt.Sprintf("time ran out before revision %d was applied on %s", e.Revision, strings.Join(late, ", "))
}

// CheckName returns intent.Problems if no object can have the name.
func CheckName(ref intent.Ref) error {
	o := intent.New(ref.Kind)
	if o == nil {
		return nil // the kind is wrong, which is not for here to say
	}
	o.Head().Name = ref.Name
	for _, e := range o.Validate() {
		if e.Field == "name" {
			return intent.Problems{{Ref: ref, FieldError: e}}
		}
	}
	return nil
}

// refusal is an answer that is a problem, in the form of RFC 9457.
type refusal struct {
	Type     string       `json:"type"`
	Status   int          `json:"status"`
	Detail   string       `json:"detail"`
	Statuses []NodeStatus `json:"statuses"`
	Errors   []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// Error implements error.
func (r *refusal) Error() string {
	text := r.Detail
	for _, e := range r.Errors {
		text += "; " + strings.TrimSpace(e.Location+" "+e.Message)
	}
	return text
}

func (c *Client) refusal(res *http.Response) error {
	r := &refusal{}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(r); err != nil || r.Detail == "" {
		return fmt.Errorf("what listens at %s is no controller: it answered %s", c.endpoint.Address, res.Status)
	}
	r.Status = res.StatusCode
	if r.Type == Stopping {
		return &UnreachableError{Where: c.endpoint.Address, Why: "is stopping"}
	}
	if ps := r.problems(); ps != nil {
		return ps
	}
	return fmt.Errorf("controller at %s: %w", c.endpoint.Address, r)
}

// Location writes where a problem is: kind/name/field. A name that is none may hold
// anything, so it is escaped as in a URL.
func Location(p intent.Problem) string {
	return p.Kind.Noun() + "/" + url.PathEscape(p.Name) + "/" + p.Field
}

// problems returns the problems of the change that was refused, or nil if the refusal
// is not about objects.
func (r *refusal) problems() error {
	var ps intent.Problems
	for _, e := range r.Errors {
		parts := strings.SplitN(e.Location, "/", 3)
		if len(parts) != 3 {
			return nil
		}
		name, err := url.PathUnescape(parts[1])
		if err != nil {
			name = parts[1]
		}
		p := intent.Problem{FieldError: intent.FieldError{Field: parts[2], Message: e.Message}}
		p.Kind, p.Name = intent.Kind(parts[0]), name
		for _, k := range intent.Kinds {
			if k.Noun() == parts[0] {
				p.Kind = k
			}
		}
		ps = append(ps, p)
	}
	if len(ps) == 0 {
		return nil
	}
	return ps
}
