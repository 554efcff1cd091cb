package serve

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// sessions knows who has shown the token. Sessions live in their cookies, so that they
// survive a restart and end when the token is changed.
type sessions struct {
	token string
	key   []byte

	mu    sync.Mutex
	wrong map[netip.Addr]*rate.Limiter // by who showed wrong tokens
}

const (
	sessionTime = 7 * 24 * time.Hour
	// An address may be wrong so often at once, and after that once in a while.
	mostWrong  = 10
	wrongPause = 6 * time.Second
	// mostAddresses are remembered.
	mostAddresses = 1000
)

func newSessions(token string) *sessions {
	key := hmac.New(sha256.New, []byte(token))
	key.Write([]byte("sarn monitor session"))
	return &sessions{token: token, key: key.Sum(nil), wrong: map[netip.Addr]*rate.Limiter{}}
}

// right compares hashes, so that the time tells neither contents nor length.
func (s *sessions) right(shown string) bool {
	a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(s.token))
	return s.token != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func (s *sessions) signed(until int64) string {
	m := hmac.New(sha256.New, s.key)
	fmt.Fprintf(m, "%d", until)
	return fmt.Sprintf("%d.%s", until, hex.EncodeToString(m.Sum(nil)))
}

// valid reports whether a cookie is one that signed has made, and not too old.
func (s *sessions) valid(cookie string) bool {
	text, _, _ := strings.Cut(cookie, ".")
	until, err := strconv.ParseInt(text, 10, 64)
	return s.token != "" && err == nil && time.Now().Unix() < until &&
		subtle.ConstantTimeCompare([]byte(cookie), []byte(s.signed(until))) == 1
}

// limiter is that of an address; an IPv6 network is one, as it is one's own.
func (s *sessions) limiter(r *http.Request) *rate.Limiter {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	a, _ := netip.ParseAddr(host)
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64)
		a = p.Addr()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.wrong[a]; ok {
		return l
	}
	if len(s.wrong) >= mostAddresses {
		for old, l := range s.wrong {
			if l.Tokens() >= mostWrong {
				delete(s.wrong, old)
			}
		}
	}
	if len(s.wrong) >= mostAddresses { // all others share one
		a = netip.Addr{}
		if l, ok := s.wrong[a]; ok {
			return l
		}
	}
	l := rate.NewLimiter(rate.Every(wrongPause), mostWrong)
	s.wrong[a] = l
	return l
}

// try says whether a token that was shown is right. Who has shown too many that were not
// is not even heard.
func (s *sessions) try(r *http.Request, shown string) (right, tooMany bool) {
	l := s.limiter(r)
	if l.Tokens() < 1 {
		return false, true
	}
	if s.right(shown) {
		return true, false
	}
	l.Allow()
	return false, false
}

// cookieName is bound to the machine by its prefix where there is TLS: RFC 6265bis, 4.1.3.2.
func (s *Server) cookieName() string {
	if s.config.TLSCert != "" {
		return "__Host-sarn-monitor"
	}
	return "sarn-monitor"
}

// authorized answers those who may not come in, and lets on who may.
func (s *Server) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.config.Token == "" && s.config.ClientCA == "" {
			next.ServeHTTP(w, r)
			return
		}
		status, why := s.identify(r)
		if status == http.StatusOK {
			next.ServeHTTP(w, r)
			return
		}
		s.stop(w, r, status, why)
	})
}

// identify says whether a client may come in, by certificate, cookie or token.
func (s *Server) identify(r *http.Request) (status int, why string) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if s.config.Admit == nil {
			return http.StatusOK, ""
		}
		err := s.config.Admit(r.TLS.PeerCertificates[0])
		if err == nil {
			return http.StatusOK, ""
		}
		why = err.Error()
	}
	if c, err := r.Cookie(s.cookieName()); err == nil && s.sessions.valid(c.Value) {
		return http.StatusOK, ""
	}
	given := r.Header.Get("Authorization")
	switch {
	case s.config.Token == "" && why != "":
		return http.StatusForbidden, why
	case s.config.Token == "":
		return http.StatusUnauthorized, "a client's certificate is needed"
	case given == "" && s.config.ClientCA != "":
		return http.StatusUnauthorized, "a token is needed (Authorization: Bearer TOKEN), or a client's certificate"
	case given == "":
		return http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN"
	}
	shown, ok := cutScheme(given)
	if !ok {
		return http.StatusUnauthorized, "the header is Authorization: Bearer TOKEN"
	}
	right, tooMany := s.sessions.try(r, shown)
	switch {
	case right:
		return http.StatusOK, ""
	case tooMany:
		return http.StatusTooManyRequests, tooManyWords
	}
	return http.StatusUnauthorized, "that is not the token"
}

const tooManyWords = "too many wrong tokens came from there; wait a minute"

// cutScheme takes "Bearer", in any case of letters, from the header: RFC 9110, 11.1.
func cutScheme(given string) (string, bool) {
	scheme, shown, ok := strings.Cut(given, " ")
	return strings.TrimSpace(shown), ok && strings.EqualFold(scheme, "Bearer")
}

// stop tells programs in JSON and people with a form what is missing.
func (s *Server) stop(w http.ResponseWriter, r *http.Request, status int, why string) {
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "60")
	}
	if s.config.Token != "" && status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sarn monitor"`)
	}
	api := strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/metrics"
	if api || s.config.Web == nil || s.config.Token == "" {
		refuse(w, status, "%s", why)
		return
	}
	s.config.Web.Login(w, "")
}

// login answers the form with a session.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	if s.config.Token == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	// A body that trickles in ends here.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.patience))
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := r.ParseForm(); err != nil {
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusBadRequest, "the form cannot be read: %v", err)
		return
	}
	right, tooMany := s.sessions.try(r, r.PostFormValue("token"))
	switch {
	case tooMany:
		w.Header().Set("Retry-After", "60")
		s.form(w, http.StatusTooManyRequests, tooManyWords)
	case !right:
		s.form(w, http.StatusUnauthorized, "that is not the token")
	default:
		until := time.Now().Add(sessionTime)
		http.SetCookie(w, &http.Cookie{
			Name: s.cookieName(), Value: s.sessions.signed(until.Unix()), Path: "/", MaxAge: int(sessionTime.Seconds()),
			HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.config.TLSCert != "",
		})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func (s *Server) form(w http.ResponseWriter, status int, message string) {
	if s.config.Web == nil {
		refuse(w, status, "%s", message)
		return
	}
	s.config.Web.Login(w, message)
}
