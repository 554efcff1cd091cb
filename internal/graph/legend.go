package graph

import "strings"

// mostBlocks is how many of a VPC's address blocks the legend shows.
const mostBlocks = 2

// legend says which colour is which subnet, a line or more for each VPC, and returns
// where it ends.
func (d *drawing) legend(c *canvas) int {
	const lineHigh = 24
	name, blocks, subnet, cidr := 0, 0, 0, 0 // widths of the columns
	for _, v := range d.VPCs {
		name = max(name, labelFace.width("VPC "+v.Name)+12)
		blocks = max(blocks, v.blocksWidth()+18)
		for _, s := range v.Subnets {
			subnet = max(subnet, labelFace.width(s.Name)+10)
			cidr = max(cidr, monoFace.width(s.CIDR)+10)
		}
	}
	left := margin + name + blocks
	step := 16 + subnet + cidr + plainFace.width("NAT") + 18
	across := max(1, (d.width-margin-left+18)/step)
	y := d.bottom + 8
	for _, v := range d.VPCs {
		y += lineHigh
		c.text(labelFace, margin, y, "", "VPC "+v.Name)
		x := margin + name
		for _, b := range v.CIDRs[:min(len(v.CIDRs), mostBlocks)] {
			c.text(monoFace, x, y, "quiet", b)
			x += monoFace.width(b) + 10
		}
		c.text(plainFace, x, y, "quiet", v.more())
		for i, s := range v.Subnets {
			if i > 0 && i%across == 0 {
				y += lineHigh
			}
			x := left + i%across*step
			c.swatch(d.colour[s.Name], x, y-9)
			c.text(labelFace, x+16, y, "", s.Name)
			c.text(monoFace, x+16+subnet, y, "quiet", s.CIDR)
			if s.NAT {
				c.text(plainFace, x+16+subnet+cidr, y, "quiet", "NAT")
			}
		}
	}
	return y
}

func (v VPC) blocksWidth() int {
	w := plainFace.width(v.more())
	for _, b := range v.CIDRs[:min(len(v.CIDRs), mostBlocks)] {
		w += monoFace.width(b) + 10
	}
	return w
}

// more is what the legend says of a VPC after its first blocks.
func (v VPC) more() string {
	words := moreOf(v.CIDRs, mostBlocks)
	if v.Direct {
		words += "  direct"
	}
	return strings.TrimSpace(words)
}

// legendWidth is the least width of the legend.
func (m *Map) legendWidth() int {
	name, blocks, subnet := 0, 0, 0
	for _, v := range m.VPCs {
		name = max(name, labelFace.width("VPC "+v.Name)+12)
		blocks = max(blocks, v.blocksWidth()+18)
		for _, s := range v.Subnets {
			subnet = max(subnet, 16+labelFace.width(s.Name)+10+monoFace.width(s.CIDR)+10+plainFace.width("NAT"))
		}
	}
	return name + blocks + subnet
}
