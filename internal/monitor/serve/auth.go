package serve

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sarn/internal/keys"
)

// sessions knows who has shown the token. Sessions live in their cookies, so that they
// survive a restart and end when the token is changed.
type sessions struct {
	now func() *secret

	mu    sync.Mutex
	wrong int       // tokens since they were last told of
	told  time.Time // when that was
}

// secret is the token, and what signs sessions.
type secret struct {
	token string
	key   []byte
}

const (
	sessionTime = 7 * 24 * time.Hour
	// tellEvery is how often the log is told of wrong tokens.
	tellEvery = time.Minute
)

func newSecret(token string) *secret {
	key := hmac.New(sha256.New, []byte(token))
	key.Write([]byte("sarn monitor session"))
	return &secret{token: token, key: key.Sum(nil)}
}

func newSessions(token string) *sessions {
	one := newSecret(token)
	return &sessions{now: func() *secret { return one }}
}

// readToken reads the token, which from then on is read again when it changes.
func (s *Server) readToken() error {
	s.sessions = newSessions(s.config.Token)
	file := s.config.TokenFile
	if file == "" {
		return nil
	}
	read := func() (*secret, error) {
		token, err := readToken(file)
		return newSecret(token), err
	}
	held, err := keys.NewFresh(read, s.unread, file)
	if err != nil {
		return err
	}
	s.sessions.now = held.Now
	return nil
}

// right compares hashes, so that the time tells neither contents nor length. How often it
// is asked is not bounded: a token of minToken characters by chance is not guessed however
// often one tries (NIST SP 800-63B asks for bounds below 64 bits), and any bound by address
// would keep out whoever shares it, such as all who come by one proxy.
func (s *sessions) right(shown string) bool {
	token := s.now().token
	a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(token))
	return token != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func (s *sessions) signed(until int64) string {
	m := hmac.New(sha256.New, s.now().key)
	fmt.Fprintf(m, "%d", until)
	return fmt.Sprintf("%d.%s", until, hex.EncodeToString(m.Sum(nil)))
}

// valid reports whether a cookie is one that signed has made, and not too old.
func (s *sessions) valid(cookie string) bool {
	text, _, _ := strings.Cut(cookie, ".")
	until, err := strconv.ParseInt(text, 10, 64)
	return s.now().token != "" && err == nil && time.Now().Unix() < until &&
		subtle.ConstantTimeCompare([]byte(cookie), []byte(s.signed(until))) == 1
}

// refused counts a wrong token, and returns how many there were if it is time to tell.
func (s *sessions) refused(now time.Time) (wrong int, tell bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong++
	if now.Sub(s.told) < tellEvery {
		return 0, false
	}
	wrong, s.wrong, s.told = s.wrong, 0, now
	return wrong, true
}

// admits says whether a token that was shown is right. Of those that are not the log is
// told, as somebody may be guessing.
func (s *Server) admits(r *http.Request, shown string) bool {
	if s.sessions.right(shown) {
		return true
	}
	if n, tell := s.sessions.refused(time.Now()); tell {
		s.Log.Warn("wrong tokens were shown", "times", n, "last_from", r.RemoteAddr)
	}
	return false
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
	if s.admits(r, shown) {
		return http.StatusOK, ""
	}
	return http.StatusUnauthorized, "that is not the token"
}

// cutScheme takes "Bearer", in any case of letters, from the header: RFC 9110, 11.1.
func cutScheme(given string) (string, bool) {
	scheme, shown, ok := strings.Cut(given, " ")
	return strings.TrimSpace(shown), ok && strings.EqualFold(scheme, "Bearer")
}

// stop tells programs in JSON and people with a form what is missing.
func (s *Server) stop(w http.ResponseWriter, r *http.Request, status int, why string) {
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
	if !s.admits(r, r.PostFormValue("token")) {
		s.form(w, http.StatusUnauthorized, "that is not the token")
		return
	}
	until := time.Now().Add(sessionTime)
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(), Value: s.sessions.signed(until.Unix()), Path: "/", MaxAge: int(sessionTime.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.config.TLSCert != "",
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Server) form(w http.ResponseWriter, status int, message string) {
	if s.config.Web == nil {
		refuse(w, status, "%s", message)
		return
	}
	s.config.Web.Login(w, message)
}
