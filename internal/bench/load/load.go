package load

import (
	"context"
	"errors"
	"time"
)

// Test is one run of a Config.
type Test struct{ config Config }

// New makes a test of a config, or says what is wrong with it. It connects to nobody.
func New(c Config) (*Test, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Test{config: c}, nil
}

// Run asks until the test's end and returns what it measured. When ctx ends it stops at
// once and returns what there is, without an error: Result.CutOff counts what was under
// way.
//
// An error is about the test itself, such as a host that cannot be found. What the
// server does wrong stands in the result.
func (t *Test) Run(ctx context.Context) (*Result, error) { return nil, errors.New("not yet") }

// Progress is how far a running test is.
type Progress struct {
	Elapsed           time.Duration
	Requests, Failed  int64
	RequestsPerSecond float64 // since the last call
}

// Progress may be called while Run runs, by one goroutine.
func (t *Test) Progress() Progress { return Progress{} }
