package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"sarn/internal/intent"
)

func TestUnreachable(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "unix", Err: syscall.EACCES}
	c := &Client{endpoint: Endpoint{Address: "https://c:1", CA: "my-ca.crt", Cert: "me.crt"}}
	for _, test := range []struct {
		err  error
		want string
	}{
		{syscall.ECONNREFUSED, "does not answer; is `sarn server` running? connection refused"},
		{dial, "has a socket that only root, or the user who started it, may open: "},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "has a certificate that is not signed by --tls-ca my-ca.crt: "},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"d"}}, Host: "c"}}, "has a certificate that does not fit: tls: "},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(48)}, "refused the certificate --tls-cert me.crt: remote error: tls: unknown certificate authority"},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(80)}, "does not answer"},
	} {
		got := c.unreachable(test.err)
		if !strings.HasPrefix(got.Error(), "controller at https://c:1 "+test.want) || !errors.Is(got, test.err) {
			t.Errorf("unreachable(%v) = %q, want %q", test.err, got, test.want)
		}
	}
}

// TestBrokenAnswers is about what listens and does not get to its answer: each is the
// typed error that programs look for.
func TestBrokenAnswers(t *testing.T) {
	hangUp := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"it hangs up": hangUp,
		"it hangs up in the middle": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "[")
			_ = http.NewResponseController(w).Flush()
			hangUp(w, r)
		},
		"it is stopping": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"type":"urn:sarn:stopping","detail":"the controller is stopping"}`)
		},
	} {
		_, err := clientOf(t, answer).Status(t.Context())
		var u *UnreachableError
		if !errors.As(err, &u) || strings.Contains(err.Error(), "Get ") {
			t.Errorf("%s: error is %v, want an UnreachableError", name, err)
		}
	}
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	var u *UnreachableError
	if _, err := c.Status(t.Context()); err == nil || errors.As(err, &u) {
		t.Errorf("an answer that is no JSON: %v, want another error", err)
	}
}

func TestStrangeCertificate(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	c := clientOf(t, http.NotFound)
	c.base = s.URL
	_, err := c.Status(t.Context())
	var u *UnreachableError
	if !errors.As(err, &u) || !strings.Contains(err.Error(), "not signed by --tls-ca") {
		t.Errorf("error is %v, want that the certificate is not signed by the CA", err)
	}
}

func TestNamesAreCheckedBeforeTheyAreSent(t *testing.T) {
	c := clientOf(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) })
	for _, name := range []string{"", ".", "..", "a/b", "a\nb", "VM", strings.Repeat("x", 41)} {
		ref := intent.Ref{Kind: intent.KindNode, Name: name}
		_, get := c.Get(t.Context(), ref)
		_, apply := c.Apply(t.Context(), Change{Delete: []intent.Ref{ref}})
		report := c.Report(t.Context(), name, NodeReport{})
		follow := c.Follow(t.Context(), name, "", nil)
		for what, err := range map[string]error{"Get": get, "Apply": apply, "Report": report, "Follow": follow} {
			var ps intent.Problems
			if !errors.As(err, &ps) || ps[0].Ref != ref || ps[0].Field != "name" {
				t.Errorf("%s of %q = %v, want a problem of its name", what, name, err)
			}
		}
	}
}

func TestLocationsComeBack(t *testing.T) {
	want := intent.Problem{Ref: intent.Ref{Kind: intent.KindPort, Name: "a/b\n%2F"}, FieldError: intent.FieldError{Field: "attach.type", Message: "m"}}
	r := &refusal{}
	r.Errors = append(r.Errors, struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	}{"m", Location(want)})
	var ps intent.Problems
	if !errors.As(r.problems(), &ps) || len(ps) != 1 || ps[0] != want {
		t.Errorf("problems are %+v, want %+v", ps, want)
	}
}

func TestWaitOfNoTime(t *testing.T) {
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.URL.Query().Get("timeout")); err != nil || d <= 0 {
			t.Errorf("asked to wait %s", r.URL)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if err := c.Wait(context.WithoutCancel(t.Context()), 1, -time.Second); err != nil {
		t.Error(err)
	}
}
