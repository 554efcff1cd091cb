package kernel

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"sarn/internal/netstate"
)

// DefaultNetnsDir is where ip-netns(8) keeps named network namespaces.
const DefaultNetnsDir = "/run/netns"

// Config says how a Kernel finds its way.
type Config struct {
	// NetnsDir holds the named network namespaces. The namespaces in it that bear
	// Sarn's mark belong to this Kernel: two that share a machine need a directory each.
	NetnsDir string
	// Owner is whose marks tell what is this Kernel's to read and change. Default:
	// Sarn's agents.
	Owner netstate.Owner
	// Logger is told of every op at level debug; nil is silence.
	Logger *slog.Logger
}

// Kernel reads and changes the network of one machine. It is safe for concurrent use,
// but passes that change things should follow each other.
type Kernel struct {
	dir   string
	owner netstate.Owner
	log   *slog.Logger
	// own is the namespace of the thread that called New. It is kept open because
	// /proc/self/ns/net is that of the main thread, which may be elsewhere.
	own *os.File
}

// New returns a Kernel whose own namespace, "", is the caller's.
func New(config Config) (*Kernel, error) {
	if config.NetnsDir == "" {
		config.NetnsDir = DefaultNetnsDir
	}
	if !filepath.IsAbs(config.NetnsDir) {
		return nil, fmt.Errorf("network namespace directory %q: want an absolute path such as %s", config.NetnsDir, DefaultNetnsDir)
	}
	if config.Owner == (netstate.Owner{}) {
		config.Owner = netstate.Sarn()
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	own, err := os.Open(threadNetns)
	if err != nil {
		return nil, fmt.Errorf("open this thread's network namespace: %w", err)
	}
	if err := enter(own, func() error { return nil }); errors.Is(err, unix.EPERM) {
		return nil, errors.Join(errors.New("to change the network needs root, or the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN"), own.Close())
	}
	return &Kernel{dir: config.NetnsDir, owner: config.Owner, log: config.Logger, own: own}, nil
}
