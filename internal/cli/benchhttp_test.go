package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLoadDefaults are what a test does of which little is said.
func TestLoadDefaults(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := loadOptions{concurrency: 1, timeout: seconds(time.Second)}
	posted, put, counted := plain, plain, plain
	posted.body = empty
	put.body, put.method = empty, http.MethodPut
	counted.requests = 5
	for _, c := range []struct {
		o        loadOptions
		method   string
		duration time.Duration
	}{{plain, "", 10 * time.Second}, {posted, http.MethodPost, 10 * time.Second}, {put, http.MethodPut, 10 * time.Second}, {counted, "", 0}} {
		got, err := c.o.config(&app{}, "http://127.0.0.1/")
		if err != nil || got.Method != c.method || got.Duration != c.duration {
			t.Errorf("%+v: %q for %s, %v", c.o, got.Method, got.Duration, err)
		}
	}
}

// TestSecretsAreNotSaid of a header that cannot be sent.
func TestSecretsAreNotSaid(t *testing.T) {
	o := loadOptions{concurrency: 1, timeout: seconds(time.Second), headers: []string{"Authorization: sec\x01ret"}}
	if _, err := o.config(&app{}, "http://127.0.0.1/"); err == nil || !strings.Contains(err.Error(), "Authorization") || strings.Contains(err.Error(), "ret") {
		t.Errorf("got %v", err)
	}
}
