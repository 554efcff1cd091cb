package controller

import (
	"context"
	"log/slog"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sarn/internal/api"
	"sarn/internal/netnstest"
	"sarn/internal/store"
)

// TestAMachineThatIsGone has a follower fall silent without a word, as one does whose machine
// loses its power: what is sent to it is never acknowledged, and it counts as gone.
func TestAMachineThatIsGone(t *testing.T) {
	netnstest.Run(t, func(t *testing.T) {
		st, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(Config{Socket: filepath.Join(shortDir(t), "api.sock"), Listen: "127.0.0.1:0"},
			Deps{Store: st, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		c.heartbeat = 100 * time.Millisecond
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		<-c.Ready()
		if _, err := c.Change(ctx, change(t, base)); err != nil {
			t.Fatal(err)
		}
		far, err := api.New(api.Endpoint{Address: "http://" + c.addresses[1]})
		if err != nil {
			t.Fatal(err)
		}
		begun, left := make(chan bool, 100), make(chan struct{})
		go func() {
			defer close(left)
			_ = far.Follow(ctx, "host1", "", func(api.NodeEvent) error { begun <- true; return nil })
		}()
		<-begun
		connected := func() bool { return len(c.nodes["host1"].followers) > 0 }
		if err := exec.Command("ip", "link", "set", "lo", "down").Run(); err != nil {
			t.Fatal(err)
		}
		soon, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := c.await(soon, func() bool { return !connected() }); err != nil {
			t.Error("a machine that is gone counts as connected")
		}
		stop()
		<-left
		far.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = st.Close()
	})
}
