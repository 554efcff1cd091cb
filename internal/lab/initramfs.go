package lab

import (
	"bytes"
	"debug/elf"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The lab's small guest is a distribution's kernel, the kernel's modules for a network
// card, and busybox.

//go:embed guest
var guestFiles embed.FS

// guestModules are what a virtio network card needs, in kernels that have it as modules.
var guestModules = []string{
	"virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
	"failover", "net_failover", "virtio_net",
}

// devKernel is where `make deps` unpacks a kernel in Sarn's source tree.
const devKernel = ".cache/kernel"

// guestKernel is a kernel that a guest boots.
type guestKernel struct {
	image   string   // file
	modules []string // files
}

// findKernel looks for a kernel package's files in the tree, or if that is empty in the
// places where one may be.
func findKernel(tree, configured string) (guestKernel, error) {
	places := []string{tree}
	if tree == "" {
		places = slices.DeleteFunc([]string{configured, devKernel, "/"}, func(p string) bool { return p == "" })
	}
	for _, p := range places {
		p, err := filepath.Abs(p) // qemu runs in a directory of its own
		if err != nil {
			return guestKernel{}, fmt.Errorf("find the kernel for VMs: %w", err)
		}
		k, err := kernelIn(p)
		if err != nil || k.image != "" {
			return k, err
		}
	}
	return guestKernel{}, fmt.Errorf("there is no kernel for VMs in %s: install the package linux-image-cloud-amd64, or unpack it somewhere "+
		"(dpkg-deb -x) and name the directory by `kernel:` or in SARN_GUEST_KERNEL", strings.Join(places, " or "))
}

// kernelIn returns the newest kernel of a tree that has its modules beside it.
func kernelIn(tree string) (guestKernel, error) {
	images, err := filepath.Glob(filepath.Join(tree, "boot", "vmlinuz-*"))
	if err != nil {
		return guestKernel{}, fmt.Errorf("look for kernels in %s: %w", tree, err)
	}
	slices.SortFunc(images, func(a, b string) int { return natural(b, a) })
	for _, image := range images {
		version := strings.TrimPrefix(filepath.Base(image), "vmlinuz-")
		dir := filepath.Join(tree, "lib/modules", version)
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		k := guestKernel{image: image}
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			name, _, module := strings.Cut(filepath.Base(path), ".ko")
			if err == nil && module && !e.IsDir() && slices.Contains(guestModules, name) {
				k.modules = append(k.modules, path)
			}
			return err
		})
		if err != nil {
			return guestKernel{}, fmt.Errorf("look for the modules of %s: %w", image, err)
		}
		return k, nil
	}
	return guestKernel{}, nil
}

// findBusybox returns the file of a busybox that needs no libraries.
func findBusybox() (string, error) {
	missing := errors.New("the VMs' system is a static busybox, which is not here; install the package busybox-static")
	path, err := exec.LookPath("busybox")
	if err != nil {
		return "", missing
	}
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w (%s: %w)", missing, path, err)
	}
	defer f.Close() //nolint:errcheck // read only
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return "", fmt.Errorf("%w (%s is not static)", missing, path)
	}
	return path, nil
}

// initramfs makes the guests' file system; hosts is its /etc/hosts.
func initramfs(k guestKernel, busybox, hosts string) ([]byte, error) {
	var a archive
	for _, d := range []string{"bin", "dev", "etc", "lib", "lib/modules", "proc", "sys", "tmp"} {
		a.add(d, dirMode, nil)
	}
	for path, from := range map[string]string{"init": "guest/init", "bin/serve": "guest/serve"} {
		text, err := guestFiles.ReadFile(from)
		if err != nil {
			return nil, err
		}
		a.add(path, fileMode, text)
	}
	a.add("etc/hosts", fileMode, []byte(hosts))
	files := map[string]string{"bin/busybox": busybox}
	for _, m := range k.modules {
		files["lib/modules/"+filepath.Base(m)] = m
	}
	for path, from := range files {
		data, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("make the VMs' file system: %w", err)
		}
		a.add(path, fileMode, data)
	}
	a.add("TRAILER!!!", 0, nil)
	return a.Bytes(), nil
}

// archive is a cpio archive of the "newc" kind, which the kernel unpacks as its first
// file system (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	bytes.Buffer
	files int
}

// Modes of files: S_IFDIR and S_IFREG with rights.
const (
	dirMode  = 0o040755
	fileMode = 0o100755
)

func (a *archive) add(name string, mode uint32, data []byte) {
	a.files++ // they are told apart by their inode number
	a.WriteString("070701")
	for _, field := range []int{a.files, int(mode), 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0} {
		fmt.Fprintf(a, "%08X", field)
	}
	a.WriteString(name + "\x00")
	a.pad()
	a.Write(data)
	a.pad()
}

// pad fills up to the 4 bytes that names and data end at.
func (a *archive) pad() { a.Write(make([]byte, -a.Len()&3)) }
