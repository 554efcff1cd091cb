package cli

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"time"

	"sarn/internal/monitor/sample"
)

// field is a column of processes, by the name that it has in JSON.
type field struct {
	name string
	head string // in the table
	// value is a string, an int, a uint64, a float64 or a time.
	value func(*sample.Sample, *sample.Process) any
	// show writes it for people, nil for as it is.
	show func(any) string
}

func fields() []field {
	type S = *sample.Sample
	type P = *sample.Process
	return []field{
		{"time", "TIME", func(s S, _ P) any { return s.Time }, nil},
		{"pid", "PID", func(_ S, p P) any { return p.PID }, nil},
		{"parent", "PARENT", func(_ S, p P) any { return p.Parent }, nil},
		{"start", "START", func(_ S, p P) any { return p.Start }, nil},
		{"user", "USER", func(_ S, p P) any { return p.User }, nil},
		{"name", "NAME", func(_ S, p P) any { return p.Name }, nil},
		{"command", "COMMAND", func(_ S, p P) any { return p.Command }, nil},
		{"state", "STATE", func(_ S, p P) any { return p.State }, nil},
		{"threads", "THREADS", func(_ S, p P) any { return p.Threads }, nil},
		{"nice", "NICE", func(_ S, p P) any { return p.Nice }, nil},
		{"cpu", "CPU", func(_ S, p P) any { return p.CPU }, showShare},
		{"cpu_time", "CPU-TIME", func(_ S, p P) any { return p.CPUTime }, showSeconds},
		{"resident", "MEMORY", func(_ S, p P) any { return p.Resident }, showSize},
		{"virtual", "VIRTUAL", func(_ S, p P) any { return p.Virtual }, showSize},
		{"shared", "SHARED", func(_ S, p P) any { return p.Shared }, showSize},
		{"read_bytes", "READ", func(_ S, p P) any { return p.ReadBytes }, showRate},
		{"write_bytes", "WRITE", func(_ S, p P) any { return p.WriteBytes }, showRate},
		{"rx_bytes", "RX", func(_ S, p P) any { return p.RxBytes }, showRate},
		{"tx_bytes", "TX", func(_ S, p P) any { return p.TxBytes }, showRate},
		{"machine", "MACHINE", func(_ S, p P) any { return p.Machine }, nil},
	}
}

func fieldNames() []string {
	var names []string
	for _, f := range fields() {
		names = append(names, f.name)
	}
	return names
}

// pickFields returns those with the names, in their order.
func pickFields(names []string) []field {
	var picked []field
	for _, name := range names {
		for _, f := range fields() {
			if f.name == name {
				picked = append(picked, f)
			}
		}
	}
	return picked
}

// sortKey returns how to compare processes by a field: numbers with the largest first,
// words by the alphabet.
func sortKey(name string) (func(a, b sample.Process) int, bool) {
	switch name {
	case "memory":
		name = "resident"
	case "io":
		return func(a, b sample.Process) int {
			return cmp.Compare(b.ReadBytes+b.WriteBytes, a.ReadBytes+a.WriteBytes)
		}, true
	case "pid", "parent":
		return func(a, b sample.Process) int {
			if name == "pid" {
				return cmp.Compare(a.PID, b.PID)
			}
			return cmp.Compare(a.Parent, b.Parent)
		}, true
	}
	picked := pickFields([]string{name})
	if len(picked) == 0 {
		return nil, false
	}
	var none sample.Sample
	value := picked[0].value
	return func(a, b sample.Process) int {
		return compareValues(value(&none, &a), value(&none, &b))
	}, true
}

func compareValues(a, b any) int {
	switch a := a.(type) {
	case string:
		return cmp.Compare(a, b.(string))
	case int:
		return cmp.Compare(b.(int), a)
	case uint64:
		return cmp.Compare(b.(uint64), a)
	case float64:
		return cmp.Compare(b.(float64), a)
	case time.Time:
		return b.(time.Time).Compare(a)
	}
	return 0
}

// text writes a value as CSV has it.
func (f field) text(s *sample.Sample, p *sample.Process) string {
	switch v := f.value(s, p).(type) {
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case float64:
		return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// cell writes a value as the table has it.
func (f field) cell(s *sample.Sample, p *sample.Process) string {
	if f.show == nil {
		return f.text(s, p)
	}
	return f.show(f.value(s, p))
}

func showShare(v any) string { return fmt.Sprintf("%.1f%%", v.(float64)*100) }

func showSeconds(v any) string {
	return time.Duration(v.(float64) * float64(time.Second)).Round(10 * time.Millisecond).String()
}

func showSize(v any) string { return sizeWords(float64(v.(uint64))) }

func showRate(v any) string { return rateWords(v.(float64)) }

// rateWords writes bytes a second; what nobody tells is a question mark.
func rateWords(v float64) string {
	if v < 0 {
		return "?"
	}
	return sizeWords(v) + "/s"
}

// sizeWords writes bytes in the largest unit that leaves a whole number.
func sizeWords(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 || v >= 100 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
