package alert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Saved is what an Engine has written to its state file.
type Saved struct {
	At                    time.Time // when it was written
	Active, Pending, Past []Alert   // in the order of the Engine's
}

// ReadState reads the state file of an Engine that may be running, and changes nothing.
// The error is fs.ErrNotExist if there is none.
func ReadState(path string) (*Saved, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the state of alerts: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, mostState+1))
	if err != nil {
		return nil, fmt.Errorf("read the state of alerts: %w", err)
	}
	if len(text) > mostState {
		return nil, fmt.Errorf("%s is larger than %d bytes, so it is not the state of alerts", path, mostState)
	}
	var have struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &have); err != nil {
		return nil, fmt.Errorf("%s is not the state of alerts: %w", path, err)
	}
	if have.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d, but this program knows version 1 alone: use the sarn that wrote it", path, have.Version)
	}
	var s file
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%s is not the state of alerts: %w", path, err)
	}
	saved := &Saved{At: s.Saved, Past: s.Past}
	for _, a := range s.Alerts {
		if a.Alert.Level > OK {
			saved.Active = append(saved.Active, a.Alert)
		} else {
			saved.Pending = append(saved.Pending, a.Alert)
		}
	}
	worstFirst(saved.Active)
	worstFirst(saved.Pending)
	slices.Reverse(saved.Past)
	return saved, nil
}
