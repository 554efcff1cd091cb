package collect

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sarn/internal/monitor/sample"
)

// sensors reads hwmon beside the passes: some chips take long to answer.
type sensors struct {
	chips []string // directories
	kicks chan struct{}

	mu   sync.Mutex
	last []sample.Sensor
}

func newSensors(sys string) *sensors {
	chips, err := filepath.Glob(filepath.Join(sys, "class/hwmon/hwmon*"))
	if err != nil || len(chips) == 0 {
		return nil
	}
	slices.Sort(chips)
	s := &sensors{chips: chips, kicks: make(chan struct{}, 1), last: []sample.Sensor{}}
	go func() {
		for range s.kicks {
			now := s.read()
			s.mu.Lock()
			s.last = now
			s.mu.Unlock()
		}
	}()
	return s
}

func (s *sensors) close() {
	if s != nil {
		close(s.kicks)
	}
}

func (s *sensors) kick() {
	if s == nil {
		return
	}
	select {
	case s.kicks <- struct{}{}:
	default:
	}
}

// answer returns the readings of the last time.
func (s *sensors) answer() []sample.Sensor {
	if s == nil {
		return []sample.Sensor{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.last)
}

// measure is what a file of hwmon tells: Documentation/hwmon/sysfs-interface.rst.
type measure struct {
	prefix, suffix, kind string
	unit                 float64
}

func measures() []measure {
	return []measure{
		{"temp", "_input", "temperature", 1e-3},
		{"fan", "_input", "fan", 1},
		{"power", "_average", "power", 1e-6},
		{"power", "_input", "power", 1e-6},
	}
}

func (s *sensors) read() []sample.Sensor {
	list := []sample.Sensor{}
	for _, chip := range s.chips {
		name := text(filepath.Join(chip, "name"))
		for _, m := range measures() {
			files, err := filepath.Glob(filepath.Join(chip, m.prefix+"[0-9]*"+m.suffix))
			if err != nil {
				continue
			}
			for _, file := range files {
				value, ok := reading(file, m.unit)
				if !ok {
					continue
				}
				base := strings.TrimSuffix(file, m.suffix)
				one := sample.Sensor{Chip: name, Kind: m.kind, Value: value, Label: text(base + "_label")}
				if one.Label == "" {
					one.Label = filepath.Base(base)
				}
				for _, limit := range []string{"_crit", "_max"} {
					if high, ok := reading(base+limit, m.unit); ok && high > 0 {
						one.High = high
					}
				}
				list = append(list, one)
			}
		}
	}
	return list
}

func text(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func reading(path string, unit float64) (float64, bool) {
	n, err := strconv.ParseInt(text(path), 10, 64)
	return float64(n) * unit, err == nil
}
