package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"sarn/internal/intent"
)

// ServeForTest runs an etcd that listens on a unix socket and returns its URL.
func ServeForTest(t *testing.T) string {
	t.Helper()
	// t.TempDir holds the test's name and may be too long for a socket's path.
	dir, err := os.MkdirTemp("", "sarn")
	if err != nil {
		t.Fatal(err)
	}
	at := url.URL{Scheme: "unix", Path: filepath.Join(dir, "etcd.sock")}
	srv, err := serve(t.Context(), filepath.Join(dir, "data"), []url.URL{at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		srv.close()
		_ = os.RemoveAll(dir)
	})
	return at.String()
}

func TestWatchOfForgottenRevisions(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	_, last, err := s.Load(t.Context())
	for i := 0; i < 3 && err == nil; i++ {
		o := &intent.VPC{Header: intent.Header{Name: fmt.Sprint("v", i)}}
		last, err = s.Commit(t.Context(), last, []intent.Object{o}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Compact(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if err := s.Watch(t.Context(), 1, func(Batch) error { return nil }); !errors.Is(err, ErrCompacted) {
		t.Errorf("Watch = %v, want %v", err, ErrCompacted)
	}
}

// TestFullStore lets etcd say that its database is as large as it may be. Nobody but
// the program itself can end that.
func TestFullStore(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if conf := s.server.etcd.Config(); conf.QuotaBackendBytes != quotaBytes || conf.AutoCompactionRetention != "1h" {
		t.Errorf("etcd has %d bytes for changes of %s", conf.QuotaBackendBytes, conf.AutoCompactionRetention)
	}
	etcd := s.server.etcd.Server
	_, err = etcd.Alarm(t.Context(), &etcdserverpb.AlarmRequest{
		Action: etcdserverpb.AlarmRequest_ACTIVATE, Alarm: etcdserverpb.AlarmType_NOSPACE, MemberID: uint64(etcd.MemberID()),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, at, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Commit(t.Context(), at, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "the store is full: more than 8 GB") || strings.Contains(err.Error(), "etcdctl") {
		t.Errorf("Commit = %v, want that the store is full and what helps", err)
	}
	if external := (&Store{}).explain(rpctypes.ErrNoSpace); !strings.Contains(external.Error(), "etcdctl") {
		t.Errorf("a full cluster is told as %v, want what its keeper can do", external)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.Commit(t.Context(), at, nil, nil); err != nil {
		t.Errorf("Commit after a new start = %v", err)
	}
}

// TestKilledWriter kills a process that writes to a store and opens what it left.
func TestKilledWriter(t *testing.T) {
	if dir := os.Getenv("SARN_TEST_WRITER"); dir != "" {
		writeForEver(dir)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledWriter$")
	cmd.Env = append(os.Environ(), "SARN_TEST_WRITER="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	acknowledged := 0
	for acknowledged < 20 && lines.Scan() {
		acknowledged++
	}
	if _, err := Open(t.Context(), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Open beside a living process = %v, want that it is in use", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	s, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	objects, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) < acknowledged || acknowledged < 20 {
		t.Errorf("%d objects are left of %d acknowledged", len(objects), acknowledged)
	}
}

func writeForEver(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, at, err := s.Load(ctx)
	for i := 0; err == nil; i++ {
		o := &intent.VPC{Header: intent.Header{Name: fmt.Sprint("v", i)}}
		at, err = s.Commit(ctx, at, []intent.Object{o}, nil)
		fmt.Println("wrote", i)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestNoRoomForNewStore(t *testing.T) {
	dir := t.TempDir()
	err := roomFor(dir, 1<<62)
	if err == nil || !strings.Contains(err.Error(), "MB are free for data directory "+dir) {
		t.Errorf("roomFor = %v, want how much is free and where", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "member"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := roomFor(dir, 1<<62); err != nil {
		t.Errorf("a store that is there already was refused: %v", err)
	}
}

func TestNoRoomForAChange(t *testing.T) {
	dir := t.TempDir()
	s := &server{dir: dir}
	if err := s.roomy(1 << 62); err == nil || !strings.Contains(err.Error(), "the disk is full") || !strings.Contains(err.Error(), dir) {
		t.Errorf("roomy = %v, want that the disk is full, and where", err)
	}
	if err := s.roomy(0); err != nil {
		t.Errorf("with room for nothing: %v", err)
	}
}

// TestFatal says through etcd's logger what etcd says when a write fails: the watch
// and the commits end with it in words, and the program goes on.
func TestFatal(t *testing.T) {
	f := newFatal("/data")
	logger := zap.New(zap.NewNop().Core(), zap.WithFatalHook(f), zap.WithPanicHook(f))
	ended := make(chan bool)
	go func() {
		defer close(ended)
		logger.Fatal("failed to save entries", zap.Error(fmt.Errorf("write wal: %w", unix.ENOSPC)))
		t.Error("the goroutine went on after a fatal error")
	}()
	<-ended
	err := f.get()
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "the disk is full; make room") {
		t.Errorf("error is %v, want that the disk is full", err)
	}
	s := &Store{server: &server{fatal: f}}
	if got := s.explain(context.DeadlineExceeded); got != err {
		t.Errorf("a request that timed out says %v, want why", got)
	}
}

// TestKeyIsTheName has an object copied by hand to another key.
func TestKeyIsTheName(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.client.Put(t.Context(), prefix+"vpc/copy", `{"name":"main","cidrs":["10.10.0.0/16"]}`); err != nil {
		t.Fatal(err)
	}
	objects, _, err := s.Load(t.Context())
	if err != nil || len(objects) != 1 || objects[0].Head().Name != "copy" {
		t.Errorf("Load = %v, %v; want the VPC by the name of its key", objects, err)
	}
}

func TestLoadAt(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var revisions []int64
	for i := range 3 {
		at, err := s.Revision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at, err = s.Commit(t.Context(), at, []intent.Object{&intent.VPC{Header: intent.Header{Name: fmt.Sprint("v", i)}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		revisions = append(revisions, at)
	}
	for i, at := range revisions {
		if objects, err := s.LoadAt(t.Context(), at); err != nil || len(objects) != i+1 {
			t.Errorf("LoadAt %d = %v, %v; want %d objects", at, objects, err, i+1)
		}
	}
}
