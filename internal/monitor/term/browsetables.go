package term

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"sarn/internal/monitor/sample"
)

// hostProcess and hostMachine are rows of the fleet's pages.
type hostProcess struct {
	host string
	*sample.Process
}

type hostMachine struct {
	host string
	*sample.Machine
}

type processKey struct {
	host string
	pidStart
}

type machineKey struct{ host, id string }

// lift makes a column of T one of rows that have a T.
func lift[T, R any](c column[T], of func(*R) *T) column[R] {
	up := column[R]{title: c.title, key: c.key, width: c.width, rank: c.rank, most: c.most,
		order: func(a, b *R) int { return c.order(of(a), of(b)) }}
	if c.text != nil {
		up.text = func(r *R) string { return c.text(of(r)) }
	}
	if c.value != nil {
		up.value = func(b []byte, r *R) []byte { return c.value(b, of(r)) }
	}
	return up
}

// withHost are the columns of T with the host's name before them.
func withHost[T, R any](columns []column[T], of func(*R) *T, host func(*R) string) []column[R] {
	all := []column[R]{{title: "HOST", key: 'O', width: 14, text: host, order: func(a, b *R) int { return strings.Compare(host(a), host(b)) }}}
	for _, c := range columns {
		all = append(all, lift(c, of))
	}
	return all
}

func sortedBy[R any](columns []column[R], key rune) int {
	return slices.IndexFunc(columns, func(c column[R]) bool { return c.key == key })
}

func newHostProcesses() *table[hostProcess, processKey] {
	t := &table[hostProcess, processKey]{first: true}
	host := func(r *hostProcess) string { return r.host }
	t.columns = withHost(processColumns(), func(r *hostProcess) *sample.Process { return r.Process }, host)
	t.id = func(r *hostProcess) processKey { return processKey{r.host, processID(r.Process)} }
	t.tie = func(a, b *hostProcess) int {
		return cmp.Or(strings.Compare(a.host, b.host), cmp.Compare(a.PID, b.PID))
	}
	t.matches = func(r *hostProcess, text string) bool { return holds(r.host, text) || processMatches(r.Process, text) }
	t.sort = sortedBy(t.columns, 'C')
	return t
}

func newHostMachines() *table[hostMachine, machineKey] {
	t := &table[hostMachine, machineKey]{first: true}
	host := func(r *hostMachine) string { return r.host }
	t.columns = withHost(machineColumns(), func(r *hostMachine) *sample.Machine { return r.Machine }, host)
	t.id = func(r *hostMachine) machineKey { return machineKey{r.host, r.ID} }
	t.tie = func(a, b *hostMachine) int {
		return cmp.Or(strings.Compare(machineName(a.Machine), machineName(b.Machine)), strings.Compare(a.host, b.host), strings.Compare(a.ID, b.ID))
	}
	t.matches = func(r *hostMachine, text string) bool { return holds(r.host, text) || machineMatches(r.Machine, text) }
	t.sort = sortedBy(t.columns, 'C')
	return t
}

func newHosts() *table[HostStatus, string] {
	t := &table[HostStatus, string]{first: true}
	t.columns, t.words = hostColumns(), 4
	t.id = func(h *HostStatus) string { return h.Name }
	t.tie = func(a, b *HostStatus) int { return strings.Compare(a.Name, b.Name) }
	t.matches = func(h *HostStatus, text string) bool {
		return holds(h.Name, text) || holds(h.Address, text) || holds(h.State, text) || holds(doing(h), text)
	}
	t.instead = func(h *HostStatus) string {
		if h.Summary == nil {
			return note(h)
		}
		return ""
	}
	t.tint = func(h *HostStatus) look {
		switch {
		case h.Summary == nil && h.State == "down":
			return bad
		case h.Summary == nil:
			return dim
		case h.Summary.Worst != nil:
			return warn
		}
		return plain
	}
	return t
}

// hostColumns: what is not known of a host, as it is not up, is "-", and comes last.
func hostColumns() []column[HostStatus] {
	type H = HostStatus
	figure := func(title string, key rune, rank int, write func([]byte, float64) []byte, of func(*sample.Summary) float64) column[H] {
		value := func(h *H) float64 {
			if h.Summary == nil {
				return -1
			}
			return of(h.Summary)
		}
		return column[H]{title: title, key: key, width: 6, rank: rank, most: true,
			value: func(b []byte, h *H) []byte {
				if h.Summary == nil {
					return append(b, '-')
				}
				return write(b, value(h))
			},
			order: func(a, b *H) int { return cmp.Compare(value(a), value(b)) }}
	}
	words := func(title string, key rune, width, rank int, of func(*H) string) column[H] {
		return column[H]{title: title, key: key, width: width, rank: rank, text: of,
			order: func(a, b *H) int { return strings.Compare(of(a), of(b)) }}
	}
	count := func(b []byte, v float64) []byte { return strconv.AppendInt(b, int64(v), 10) }
	return []column[H]{
		words("HOST", 'A', 16, 0, func(h *H) string { return h.Name }),
		words("STATE", 'S', 6, 1, func(h *H) string { return stateWord(h.State) }),
		figure("CPU%", 'C', 0, percent, func(s *sample.Summary) float64 { return s.CPU.Busy() }),
		figure("LOAD", 'L', 2, func(b []byte, v float64) []byte { return number(b, min(v, 9999), 1) }, func(s *sample.Summary) float64 { return s.Load[0] }),
		figure("MEM%", 'M', 0, percent, func(s *sample.Summary) float64 { return share(s.Memory.Used(), s.Memory.Total) }),
		figure("SWP%", 'W', 5, percent, func(s *sample.Summary) float64 {
			return share(s.Swap.Total-min(s.Swap.Free, s.Swap.Total), s.Swap.Total)
		}),
		figure("PSI%", 'P', 2, percent, stalled),
		figure("RD/s", 'D', 6, size, func(s *sample.Summary) float64 { return s.ReadBytes }),
		figure("WR/s", 'E', 6, size, func(s *sample.Summary) float64 { return s.WriteBytes }),
		figure("RX/s", 'X', 4, size, func(s *sample.Summary) float64 { return s.RxBytes }),
		figure("TX/s", 'Y', 4, size, func(s *sample.Summary) float64 { return s.TxBytes }),
		figure("VMS", 'V', 1, count, func(s *sample.Summary) float64 { return float64(s.VMs) }),
		figure("CTRS", 'H', 3, count, func(s *sample.Summary) float64 { return float64(s.Containers) }),
		figure("ALERTS", 'B', 3, count, func(s *sample.Summary) float64 { return float64(s.Alerts) }),
		words("ALERT, TOP PROCESS", 'T', 0, 0, doing),
	}
}

func stateWord(state string) string {
	if state == "connecting" {
		return "..."
	}
	return state
}

func share(part, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// stalled is the worst of the pressures.
func stalled(s *sample.Summary) float64 {
	if s.Pressure == nil {
		return 0
	}
	return max(s.Pressure.CPU.Some10, s.Pressure.Memory.Some10, s.Pressure.IO.Some10)
}

// busiest is the process that uses the most CPU, and how much.
func busiest(h *HostStatus) string {
	if h.Summary == nil {
		return ""
	}
	var top *sample.Process
	for i := range h.Summary.Processes {
		if p := &h.Summary.Processes[i]; p.CPU > 0 && (top == nil || p.CPU > top.CPU) {
			top = p
		}
	}
	if top == nil {
		return ""
	}
	return string(append(percent(nil, top.CPU), "% "...)) + top.Name
}

// doing is what stands out on a host that is up: its worst alert, and its top process.
func doing(h *HostStatus) string {
	alert, top := note(h), busiest(h)
	if alert != "" && top != "" {
		return alert + "; " + top
	}
	return alert + top
}

// note is what there is to say of a host in words.
func note(h *HostStatus) string {
	switch {
	case h.Summary == nil && h.State == "down":
		return "no connection since " + clock(h.Since) + ": " + h.Error
	case h.Summary == nil:
		return "connecting to " + h.Address
	case h.Summary.Worst != nil:
		return strings.ToUpper(h.Summary.Worst.Level) + ": " + h.Summary.Worst.Message
	}
	return ""
}
