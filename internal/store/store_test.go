package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sarn/internal/store"
	"sarn/internal/store/storetest"
	"sarn/internal/timetest"
)

func TestMain(m *testing.M) { timetest.Main(m) }

func TestEmbedded(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store {
		return open(t, store.Config{Dir: t.TempDir()})
	})
}

func TestExternal(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store {
		return open(t, store.Config{Endpoints: []string{store.ServeForTest(t)}})
	})
}

func open(t *testing.T, c store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	used := t.TempDir()
	open(t, store.Config{Dir: used})
	for _, test := range []struct {
		name   string
		config store.Config
		want   string
	}{
		{"nowhere", store.Config{}, "give a data directory"},
		{"both", store.Config{Dir: used, Endpoints: []string{"http://127.0.0.1:1"}}, "one or the other"},
		{"no URL", store.Config{Endpoints: []string{"10.0.0.1:2379"}}, "write it like https://"},
		{"key without certificate", store.Config{Endpoints: []string{"https://127.0.0.1:1"}, Key: "k"}, "go together"},
		{"TLS without endpoints", store.Config{Dir: used, CA: file}, "without etcd endpoints"},
		{"TLS with http", store.Config{Endpoints: []string{"https://127.0.0.1:1", "http://127.0.0.1:2"}, CA: file}, "no use with etcd endpoint http://127.0.0.1:2"},
		{"CA is no PEM", store.Config{Endpoints: []string{"https://127.0.0.1:1"}, CA: file}, "no PEM certificate"},
		{"in use", store.Config{Dir: used}, "in use by another process"},
		{"below a file", store.Config{Dir: filepath.Join(file, "data")}, "this user may write to"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := store.Open(t.Context(), test.config)
			if err == nil {
				_ = s.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %q, want something with %q", err, test.want)
			}
		})
	}
}

func TestUnreachableClusterIsSaid(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Open(ctx, store.Config{Endpoints: []string{"unix://" + filepath.Join(t.TempDir(), "none")}})
	if err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("error is %v, want that etcd does not answer", err)
	}
}
