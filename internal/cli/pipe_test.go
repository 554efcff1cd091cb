package cli

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestTokenFromAPipe: a token that can be read once, as a shell's <(command), is the token
// of those who ask and of those who serve.
func TestTokenFromAPipe(t *testing.T) {
	const token = "a-token-of-more-than-22-characters"
	pipe := func() string {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		fmt.Fprintln(w, token)
		w.Close()
		return fmt.Sprintf("/dev/fd/%d", r.Fd())
	}
	shown := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	code, _, said := run(t, nil, "top", "--once", "--host", server.URL, "--token-file", pipe())
	if !strings.Contains(said, "refuses the token") || len(shown) == 0 || <-shown != "Bearer "+token {
		t.Errorf("sarn top: exit code %d: %s", code, said)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	code, _, said = run(t, nil, "monitor", "serve", "--no-history", "--state", t.TempDir(), "--listen", taken.Addr().String(), "--token-file", pipe())
	if !strings.Contains(said, "another program listens") {
		t.Errorf("sarn monitor serve does not come as far as to listen: exit code %d: %s", code, said)
	}
}
