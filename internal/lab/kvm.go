package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// kvmTime is how long the trial of KVM may take. Where KVM works it is over at once.
const kvmTime = time.Second

// accelerator returns what qemu should compute with: kvm where it works, and tcg,
// which works everywhere. That /dev/kvm opens does not tell: inside some virtual
// machines the first step out of real mode never ends. So it is tried, by a program in
// the place of the BIOS that takes this step and tells qemu to exit.
func accelerator(ctx context.Context, qemu string) string {
	const kvm, tcg = "kvm", "tcg"
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return tcg
	}
	f.Close() //nolint:errcheck // only that it opens counts
	dir, err := os.MkdirTemp("", "sarn-kvm-")
	if err != nil {
		return tcg
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary file of 64 KiB at most
	bios := filepath.Join(dir, "bios")
	if err := os.WriteFile(bios, trialBIOS(), 0o600); err != nil {
		return tcg
	}
	ctx, cancel := context.WithTimeout(ctx, kvmTime)
	defer cancel()
	err = exec.CommandContext(ctx, qemu, "-accel", kvm, "-nodefaults", "-display", "none", "-bios", bios,
		"-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=1", exitPort)).Run()
	var ended *exec.ExitError
	// The device exits with twice what is written to it and one.
	if errors.As(err, &ended) && ended.ExitCode() == 2*exitWord+1 {
		return kvm
	}
	return tcg
}

const (
	exitPort = 0xf4
	exitWord = 1
)

// trialBIOS returns 64 KiB that end at 4 GiB, where an x86 begins (at the last 16
// bytes), and are seen from 0xf0000 on too.
func trialBIOS() []byte {
	const (
		size, reset = 1 << 16, 0xfff0
		entry       = 0xe000
	)
	bios := make([]byte, size)
	copy(bios[reset:], []byte{0xea, 0x00, 0xe0, 0x00, 0xf0}) // ljmp 0xf000:entry
	copy(bios[entry:], []byte{
		0x2e, 0x66, 0x0f, 0x01, 0x16, 0x2c, 0xe0, // lgdtl %cs:0xe02c
		0x0f, 0x20, 0xc0, // mov %cr0, %eax
		0x0c, 0x01, // or $1, %al: protected mode
		0x0f, 0x22, 0xc0, // mov %eax, %cr0
		0x66, 0xea, 0x17, 0xe0, 0x0f, 0x00, 0x08, 0x00, // ljmpl $8, the next line
		0xb0, exitWord, // mov $1, %al
		0xe6, exitPort, // out %al, $0xf4
		0xf4,                   // hlt
		0, 0, 0, 0, 0, 0, 0, 0, // the descriptor table: nothing,
		0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0, // code, all 4 GiB
		0x0f, 0x00, 0x1c, 0xe0, 0x0f, 0x00, // its length less one, and its address
	})
	return bios
}
