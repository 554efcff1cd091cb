package alert

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is what a value is measured in, and so how thresholds are written.
type unit int

const (
	share   unit = iota // 0 to 1, written 80%
	cpus                // 1.5, or 150%
	size                // bytes: 2GiB
	rate                // bytes a second: 50MB/s
	number              // 3
	persec              // 100/s
	seconds             // 20ms
)

// example returns a threshold as one is written.
func (u unit) example() string {
	return [...]string{"80%", "1.5 (CPUs) or 150%", "2GiB or 500MB", "50MB/s or 400Mbit/s", "3", "100/s", "20ms"}[u]
}

// parse reads a threshold.
func (u unit) parse(text string) (float64, error) {
	v, ok := u.read(strings.ReplaceAll(strings.TrimSpace(text), " ", ""))
	if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q does not fit this value; write it like %s", text, u.example())
	}
	if v < 0 {
		return 0, fmt.Errorf("%q is negative; write it like %s", text, u.example())
	}
	return v, nil
}

func (u unit) read(text string) (float64, bool) {
	percent, isPercent := strings.CutSuffix(text, "%")
	switch u {
	case share, cpus:
		if isPercent {
			v, ok := plain(percent)
			return v / 100, ok
		}
		if u == share {
			return 0, false
		}
		return plain(text)
	case size:
		return bytesOf(text)
	case rate:
		text, ok := strings.CutSuffix(text, "/s")
		if !ok {
			return 0, false
		}
		return bytesOf(text)
	case persec:
		return plain(strings.TrimSuffix(text, "/s"))
	case seconds:
		d, err := time.ParseDuration(text)
		return d.Seconds(), err == nil
	}
	return plain(text)
}

func plain(text string) (float64, bool) {
	if strings.ContainsAny(text, "xXpPnN_") { // neither 0x10 nor NaN nor 1_000
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}

func bytesOf(text string) (float64, bool) {
	i := strings.LastIndexAny(text, "0123456789.") + 1
	v, ok := plain(text[:i])
	if !ok {
		return 0, false
	}
	word, scale := text[i:], 1.0
	switch {
	case strings.HasSuffix(word, "bit"):
		word, scale = strings.TrimSuffix(word, "bit"), 1./8
	case word == "":
	case strings.HasSuffix(word, "B"):
		word = strings.TrimSuffix(word, "B")
	default:
		return 0, false
	}
	base := 1000.0
	if w, ok := strings.CutSuffix(word, "i"); ok && w != "" {
		word, base = w, 1024
	}
	power := strings.Index("kMGTP", strings.Replace(word, "K", "k", 1)) + 1
	if word == "" {
		power = 0
	} else if len(word) > 1 || power == 0 {
		return 0, false
	}
	return v * scale * math.Pow(base, float64(power)), true
}

// text writes a value for people.
func (u unit) text(v float64) string {
	switch u {
	case share:
		return short(v*100) + "%"
	case cpus:
		return short(v) + " CPUs"
	case size:
		return scaled(v, 1024, " B", " KiB", " MiB", " GiB", " TiB", " PiB")
	case rate:
		return scaled(v, 1000, " B/s", " kB/s", " MB/s", " GB/s", " TB/s")
	case persec:
		return short(v) + "/s"
	case seconds:
		return time.Duration(v * float64(time.Second)).Round(time.Microsecond).String()
	}
	return short(v)
}

func short(v float64) string {
	digits := 0
	switch {
	case v == math.Trunc(v):
	case math.Abs(v) < 0.1:
		digits = 4
	case math.Abs(v) < 10:
		digits = 2
	case math.Abs(v) < 100:
		digits = 1
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if digits > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func scaled(v, base float64, words ...string) string {
	i := 0
	for ; v >= base && i < len(words)-1; i++ {
		v /= base
	}
	return short(v) + words[i]
}
