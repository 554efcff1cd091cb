package lab

import (
	"sarn/internal/intent"
)

// VMKind says what a VM of the lab's file is.
type VMKind string

// QEMU is a virtual machine with a kernel of its own.
const QEMU VMKind = "qemu"

// VM is a virtual machine behind the Port of its name, which attaches by a tap. Ports
// that have no VM need none: theirs are network namespaces.
type VM struct {
	Name   string `json:"name"`
	Kind   VMKind `json:"kind"`
	Memory int    `json:"memory,omitempty"` // in MiB
	// Kernel is a directory with the boot/ and lib/modules/ of a kernel package: what the
	// lab's own small guest boots. Default: see kernelTree.
	Kernel string `json:"kernel,omitempty"`
	// Image is a disk image to boot instead. The VM writes to a copy that goes with it.
	Image string `json:"image,omitempty"`
}

// Memory of a VM, in MiB.
const (
	defaultMemory = 192
	leastMemory   = 96
	mostMemory    = 1 << 20
)

// vms checks what is said of VMs.
func (t *Topology) vms(c *check) {
	seen := map[string]bool{}
	for i, v := range t.VMs {
		field := element("vms", i, v.Name)
		if c.name(field+".name", v.Name) && seen[v.Name] {
			c.fail(field, "there is a VM %q already", v.Name)
		}
		seen[v.Name] = true
		if v.Kind != QEMU {
			c.fail(field+".kind", "%q is not a kind of VM; use qemu", v.Kind)
		}
		if v.Memory != 0 && (v.Memory < leastMemory || v.Memory > mostMemory) {
			c.fail(field+".memory", "%d is not a usable size; it is in MiB, from %d on", v.Memory, leastMemory)
		}
		if v.Kernel != "" && v.Image != "" {
			c.fail(field+".image", "an image brings its own kernel; leave one of the two out")
		}
	}
}

// plugged checks that each VM has a port that it can be plugged into.
func (p *Plan) plugged() []intent.FieldError {
	var c check
	for i, v := range p.VMs {
		field := element("vms", i, v.Name) + ".name"
		port := p.port(v.Name)
		switch {
		case port == nil:
			c.fail(field, "there is no port %q; a VM has the name of its port: {kind: Port, name: %s, attach: {type: tap}, …}", v.Name, v.Name)
		case port.Attach.Type != intent.AttachTap:
			c.fail(field, "the port %q is not for a VM of this kind; give it `attach: {type: tap}`", v.Name)
		}
	}
	return c.errs
}

func (p *Plan) port(name string) *intent.Port {
	for _, o := range p.Intent.Ports {
		if o.Name == name {
			return o
		}
	}
	return nil
}
