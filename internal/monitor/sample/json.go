package sample

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// AppendJSON appends what json.Marshal makes of d, at a fraction of the cost: a server does
// this in each pass that somebody looks on, and nearly all of it is processes.
func (d *Delta) AppendJSON(to []byte) ([]byte, error) {
	rest := *d
	rest.Changed = nil
	text, err := json.Marshal(&rest)
	if err != nil {
		return to, fmt.Errorf("write a delta as JSON: %w", err)
	}
	to = append(to, text...)
	if len(d.Changed) == 0 {
		return to, nil
	}
	to = append(to[:len(to)-1], `,"changed":`...)
	for i := range d.Changed {
		p := &d.Changed[i]
		to = append(to, "[,"[min(i, 1)])
		if to, err = p.appendJSON(to); err != nil {
			return to, fmt.Errorf("write process %d as JSON: %w", p.PID, err)
		}
	}
	return append(to, "]}"...), nil
}

// appendJSON has the fields in the order of the type, which a test holds against
// json.Marshal.
func (p *Process) appendJSON(to []byte) ([]byte, error) {
	for _, f := range []float64{p.CPU, p.CPUTime, p.ReadBytes, p.WriteBytes, p.RxBytes, p.TxBytes} {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return to, fmt.Errorf("%v is no figure of JSON", f)
		}
	}
	to = strconv.AppendInt(append(to, `{"pid":`...), int64(p.PID), 10)
	to = strconv.AppendInt(append(to, `,"parent":`...), int64(p.Parent), 10)
	to = append(p.Start.AppendFormat(append(to, `,"start":"`...), time.RFC3339Nano), '"')
	to = appendText(append(to, `,"user":`...), p.User)
	to = appendText(append(to, `,"name":`...), p.Name)
	to = appendText(append(to, `,"command":`...), p.Command)
	to = appendText(append(to, `,"state":`...), p.State)
	to = strconv.AppendInt(append(to, `,"threads":`...), int64(p.Threads), 10)
	to = strconv.AppendInt(append(to, `,"nice":`...), int64(p.Nice), 10)
	to = appendFigure(append(to, `,"cpu":`...), p.CPU)
	to = appendFigure(append(to, `,"cpu_time":`...), p.CPUTime)
	to = strconv.AppendUint(append(to, `,"resident":`...), p.Resident, 10)
	to = strconv.AppendUint(append(to, `,"virtual":`...), p.Virtual, 10)
	to = strconv.AppendUint(append(to, `,"shared":`...), p.Shared, 10)
	to = appendFigure(append(to, `,"read_bytes":`...), p.ReadBytes)
	to = appendFigure(append(to, `,"write_bytes":`...), p.WriteBytes)
	to = appendFigure(append(to, `,"rx_bytes":`...), p.RxBytes)
	to = appendFigure(append(to, `,"tx_bytes":`...), p.TxBytes)
	if p.Machine != "" {
		to = appendText(append(to, `,"machine":`...), p.Machine)
	}
	return append(to, '}'), nil
}

// appendText leaves what needs escapes to encoding/json.
func appendText(to []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // words can always be written
			return append(to, text...)
		}
	}
	to = append(to, '"')
	to = append(to, s...)
	return append(to, '"')
}

// appendFigure leaves what is written with an exponent to encoding/json.
func appendFigure(to []byte, f float64) []byte {
	size := math.Abs(f)
	switch {
	case f == 0 && !math.Signbit(f):
		return append(to, '0')
	case size < 1e15 && f == math.Trunc(f) && f != 0:
		return strconv.AppendInt(to, int64(f), 10)
	case size >= 1e-6 && size < 1e21:
		return strconv.AppendFloat(to, f, 'f', -1, 64)
	}
	text, _ := json.Marshal(f) // it is finite
	return append(to, text...)
}
