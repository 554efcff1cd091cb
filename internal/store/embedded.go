package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const (
	// maxTxnOps and maxRequestBytes let one file with tens of thousands of objects
	// be one transaction. etcd's own defaults are 128 operations and 1.5 MB.
	maxTxnOps       = 200_000
	maxRequestBytes = 64 << 20

	// quotaBytes is what etcd lets its database grow to: the most that it advises.
	quotaBytes = 8 << 30
	// defragMegabytes is how much of its file a store must have no use for to give
	// it back when it starts.
	defragMegabytes = 64

	// newStoreBytes is the room that a new store needs: etcd allocates two 64 MB
	// segments of its log beforehand and 16 MB of its database, and reserveBytes must
	// be left.
	newStoreBytes = 256 << 20
	// reserveBytes is the room without which no change is taken: what one change can
	// make etcd allocate, a segment and a step of the database. An etcd whose disk is
	// full does not go on.
	reserveBytes = 80 << 20
)

// server is an etcd server inside the program. It listens on no network at all.
type server struct {
	dir   string
	etcd  *embed.Etcd
	lock  *os.File
	fatal *fatal
}

// serve starts a server on the data directory and waits until it answers. Tests give
// it URLs to listen on, which makes of it an external cluster.
func serve(ctx context.Context, dir string, listen []url.URL) (*server, error) {
	lock, err := claim(dir)
	if err != nil {
		return nil, err
	}
	srv := &server{dir: dir, lock: lock, fatal: newFatal(dir)}
	if err := srv.start(ctx, dir, listen); err != nil {
		srv.close()
		return nil, err
	}
	return srv, nil
}

// claim makes the data directory and locks it. etcd has a lock too, but waits for it
// without a word and without an end.
func claim(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w; name a directory that this user may write to", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory cannot be written: %w; name one that this user may write to", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is in use by another process; stop that one or name another directory", dir)
		}
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	if err := roomFor(dir, newStoreBytes); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

// roomFor reports an error if a new store would not fit. One that is there already
// has its room, and says so itself when that ends.
func roomFor(dir string, need uint64) error {
	if _, err := os.Stat(filepath.Join(dir, "member")); err == nil {
		return nil
	}
	free, err := freeBytes(dir)
	if err != nil {
		return err
	}
	if free < need {
		return fmt.Errorf("only %d MB are free for data directory %s; a new store needs %d MB", free>>20, dir, need>>20)
	}
	return nil
}

func freeBytes(dir string) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("look for free space in %s: %w", dir, err)
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}

// roomy reports an error if the disk is so full that a change could end the server.
func (s *server) roomy(reserve uint64) error {
	free, err := freeBytes(s.dir)
	if err != nil {
		return err
	}
	if free < reserve {
		return fmt.Errorf("the disk is full: only %d MB are free for data directory %s and a change needs %d MB; make room and repeat it",
			free>>20, s.dir, reserve>>20)
	}
	return nil
}

func (s *server) start(ctx context.Context, dir string, listen []url.URL) error {
	conf := etcdConfig(dir, listen, s.fatal)
	type started struct {
		etcd *embed.Etcd
		err  error
	}
	result := make(chan started, 1)
	// In a goroutine of its own, which a fatal error of etcd's may end.
	go func() {
		e, err := embed.StartEtcd(conf)
		result <- started{e, err}
	}()
	select {
	case r := <-result:
		if r.err != nil {
			return fmt.Errorf("start store in %s: %w", dir, r.err)
		}
		s.etcd = r.etcd
	case <-s.fatal.done:
		return s.fatal.err
	}
	select {
	case <-s.etcd.Server.ReadyNotify():
		return s.silence(ctx)
	case err := <-s.etcd.Err():
		return fmt.Errorf("start store in %s: %w", dir, err)
	case <-s.fatal.done:
		return s.fatal.err
	case <-ctx.Done():
		return fmt.Errorf("start store in %s: %w", dir, ctx.Err())
	}
}

// silence ends the alarm of a store that was full: compaction has made room since, and
// the start has given it back. If it has not, the next change sets the alarm again.
func (s *server) silence(ctx context.Context) error {
	if len(s.etcd.Server.Alarms()) == 0 {
		return nil
	}
	client := s.client()
	defer func() { _ = client.Close() }()
	if _, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("end the alarm of the full store: %w", err)
	}
	return nil
}

func etcdConfig(dir string, listen []url.URL, f *fatal) *embed.Config {
	// Nobody listens on this URL: etcd wants one as the member's identity.
	self := []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}}
	conf := embed.NewConfig()
	conf.Name = "sarn"
	conf.Dir = dir
	conf.ListenPeerUrls = nil
	conf.AdvertisePeerUrls = self
	conf.ListenClientUrls = listen
	conf.AdvertiseClientUrls = listen
	conf.InitialCluster = conf.InitialClusterFromName(conf.Name)
	conf.EnableGRPCGateway = false
	conf.MaxTxnOps = maxTxnOps
	conf.MaxRequestBytes = maxRequestBytes
	// Keep an hour of changes: whoever lags behind further loads everything again.
	conf.AutoCompactionMode = embed.CompactorModePeriodic
	conf.AutoCompactionRetention = "1h"
	conf.QuotaBackendBytes = quotaBytes
	conf.BootstrapDefragThresholdMegabytes = defragMegabytes
	// A single member wins every election; these only decide how soon it starts one.
	conf.TickMs, conf.ElectionMs = 20, 100
	conf.ZapLoggerBuilder = embed.NewZapLoggerBuilder(
		zap.New(zap.NewNop().Core(), zap.WithFatalHook(f), zap.WithPanicHook(f)))
	return conf
}

// client returns a client that calls the server directly, without a socket.
func (s *server) client() *clientv3.Client { return v3client.New(s.etcd.Server) }

// close stops the server. After a fatal error it stays as it is, with its lock: parts
// of etcd hold locks of their own that only the end of the process releases.
func (s *server) close() {
	if s.fatal.get() != nil {
		return
	}
	if s.etcd != nil {
		s.etcd.Close()
	}
	_ = s.lock.Close()
}
