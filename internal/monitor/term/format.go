package term

import (
	"math"
	"strconv"
	"time"
)

// size appends bytes, in at most five characters: 0, 999, 1.2K, 12.3M, 123G.
func size(b []byte, bytes float64) []byte {
	const units = " KMGTPE"
	unit := 0
	for bytes >= 999.5 && unit < len(units)-1 {
		bytes /= 1024
		unit++
	}
	switch {
	case math.IsNaN(bytes) || math.IsInf(bytes, 0) || bytes < 0:
		return append(b, '?')
	case unit == 0:
		return strconv.AppendInt(b, int64(bytes+0.5), 10)
	case bytes < 99.95:
		b = strconv.AppendFloat(b, bytes, 'f', 1, 64)
	default:
		b = strconv.AppendFloat(b, min(bytes, 9999), 'f', 0, 64)
	}
	return append(b, units[unit])
}

// percent appends a share as per cent, with a decimal as long as there is room in five
// characters.
func percent(b []byte, share float64) []byte {
	p := share * 100
	switch {
	case math.IsNaN(p) || math.IsInf(p, 0) || p < 0:
		return append(b, '?')
	case p < 999.95:
		return strconv.AppendFloat(b, p, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, min(p, 99999), 'f', 0, 64)
}

// number appends with as many decimals as asked.
func number(b []byte, v float64, decimals int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, '?')
	}
	return strconv.AppendFloat(b, v, 'f', decimals, 64)
}

// cpuTime appends seconds as m:ss.cc, h:mm:ss from an hour on, and 12d03h from four
// days on.
func cpuTime(b []byte, seconds float64) []byte {
	if math.IsNaN(seconds) || seconds < 0 || seconds > 1e12 {
		return append(b, '?')
	}
	whole := int64(seconds)
	switch {
	case whole < 3600:
		b = strconv.AppendInt(b, whole/60, 10)
		b = two(append(b, ':'), whole%60)
		return two(append(b, '.'), int64((seconds-float64(whole))*100))
	case whole < 4*86400:
		b = strconv.AppendInt(b, whole/3600, 10)
		b = two(append(b, ':'), whole/60%60)
		return two(append(b, ':'), whole%60)
	}
	b = strconv.AppendInt(b, whole/86400, 10)
	b = two(append(b, 'd'), whole/3600%24)
	return append(b, 'h')
}

// uptime appends as 12d 3:04.
func uptime(b []byte, d time.Duration) []byte {
	minutes := max(int64(d/time.Minute), 0)
	if days := minutes / (24 * 60); days > 0 {
		b = append(strconv.AppendInt(b, days, 10), "d "...)
	}
	b = strconv.AppendInt(b, minutes/60%24, 10)
	return two(append(b, ':'), minutes%60)
}

func two(b []byte, v int64) []byte {
	return append(b, byte('0'+v/10%10), byte('0'+v%10))
}
