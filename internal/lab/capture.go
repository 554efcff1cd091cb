package lab

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"syscall"

	"sarn/internal/compile"
	"sarn/internal/kernel"
)

// Spot is a place in a lab where packets can be seen.
type Spot struct {
	Member Member // in whose network namespace it is
	Device string
}

// anyDevice is tcpdump's word for all devices at once.
const anyDevice = "any"

// Spot returns where to see a member's packets: at the device, or if that is empty at
// all of the member's. What passes a network is seen once at its bridge; of a VM on a
// tap, which has a network of its own, its host sees the tap.
func (l *Lab) Spot(d *Directory, m Member, device string) (Spot, error) {
	switch {
	case m.Netns == "":
		host, err := d.Find(m.Host)
		if err != nil {
			return Spot{}, err
		}
		host.Name = m.Name
		return Spot{host, compile.PortDevice(m.Name)}, nil
	case device != "":
		return Spot{m, device}, nil
	case m.Kind == NetworkMember:
		return Spot{m, bridgeDevice}, nil
	}
	return Spot{m, anyDevice}, nil
}

// Devices lists the devices of a member that a capture can name.
func (m Member) Devices() ([]string, error) {
	if m.Netns == "" {
		return nil, nil
	}
	names := []string{anyDevice}
	err := kernel.Enter(m.Netns, func() error {
		devices, err := net.Interfaces()
		for _, d := range devices {
			names = append(names, d.Name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the devices of %s: %w", m.Name, err)
	}
	slices.Sort(names)
	return names, nil
}

// Capture says what to capture, and how.
type Capture struct {
	Count  int  // packets after which it ends; 0 is none
	Raw    bool // packets as a capture file instead of text
	Filter []string
}

// Command returns the command that captures at the spot, for Start. It is alone in its
// process group, so a terminal's Ctrl-C does not reach it: who starts it ends it, by an
// interrupt, and then it says how much it has seen.
func (c Capture) Command(s Spot) (*exec.Cmd, error) {
	program, err := exec.LookPath("tcpdump")
	if err != nil {
		return nil, errors.New("captures are made by tcpdump, which is not here; install the package tcpdump")
	}
	// Packets are shown as they come: somebody waits for them.
	args := []string{"-n", "--immediate-mode", "-i", s.Device}
	if c.Raw {
		args = append(args, "-U", "-w", "-")
	} else {
		args = append(args, "-l")
	}
	if c.Count > 0 {
		args = append(args, "-c", strconv.Itoa(c.Count))
	}
	cmd := exec.Command(program, append(append(args, "--"), c.Filter...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}
