package term

import "github.com/gdamore/tcell/v2"

// look says how a cell looks; what that is in colours, only styles knows.
type look uint8

const (
	plain look = iota
	dim
	strong
	heading
	sorted
	selected
	user
	nice
	system
	irq
	iowait
	steal
	cached
	warn
	bad
	warned   // of alerts
	critical //
	looks
)

// styles are Okabe and Ito's colours, which people with every kind of colour vision tell
// apart. The background is the terminal's own.
func styles(noColor bool) [looks]tcell.Style {
	s := tcell.StyleDefault
	all := [looks]tcell.Style{
		plain: s, dim: s.Dim(true), strong: s.Bold(true),
		heading: s.Bold(true), sorted: s.Bold(true).Underline(true), selected: s.Reverse(true),
		user: s, nice: s, system: s.Bold(true), irq: s, iowait: s.Bold(true), steal: s.Bold(true), cached: s,
		warn: s.Bold(true), bad: s.Bold(true), warned: s.Bold(true), critical: s.Bold(true).Reverse(true),
	}
	if noColor {
		return all
	}
	for l, colour := range map[look]int32{
		user: 0x009e73, nice: 0x0072b2, system: 0x56b4e9, irq: 0xcc79a7, iowait: 0xe69f00, steal: 0xd55e00,
		cached: 0x56b4e9, warn: 0xe69f00, bad: 0xd55e00, warned: 0xe69f00, critical: 0xd55e00,
	} {
		all[l] = all[l].Foreground(tcell.NewHexColor(colour))
	}
	return all
}
