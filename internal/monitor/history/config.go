package history

import (
	"errors"
	"fmt"
	"time"
)

// Tier is one resolution: a record for each Step, and records for Keep of running time.
// Time in which nothing was recorded does not count, so that neither a machine that was
// off nor a clock that jumps makes history expire.
type Tier struct {
	Step time.Duration
	Keep time.Duration
}

func (t Tier) records() int { return int(t.Keep / t.Step) }

// Config says where history is kept, and how much.
type Config struct {
	Dir string
	// Memory keeps all in the machine's memory, outside the program's heap, instead of in
	// a directory: it is gone when the program ends, however that is.
	Memory bool
	// Tiers are the finest first. The first holds samples as they come; each other one
	// sums up the one before it. DefaultTiers if empty.
	Tiers []Tier
	// Top is how many processes are kept by each of CPU, memory, disk and network. 10 if 0.
	Top int
	// MaxBytes bounds all files together: the oldest go first. 512 MiB if 0.
	MaxBytes int64
}

// DefaultTiers are seconds for 10 minutes, 10 seconds for a day, minutes for 30 days.
func DefaultTiers() []Tier {
	const day = 24 * time.Hour
	return []Tier{{time.Second, 10 * time.Minute}, {10 * time.Second, day}, {time.Minute, 30 * day}}
}

const (
	defaultTop   = 10
	defaultBytes = 512 << 20
	leastBytes   = 1 << 20
	mostTop      = 1000
	// firstBlock is how many records of the finest tier are written together: what a
	// crash can lose.
	firstBlock = 10
	// mostBlock is the same of the others. A crash loses none of these: they are made
	// again from the finer tier.
	mostBlock = 30
)

func (c Config) withDefaults() Config {
	if len(c.Tiers) == 0 {
		c.Tiers = DefaultTiers()
	}
	if c.Top == 0 {
		c.Top = defaultTop
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultBytes
	}
	return c
}

// Validate says everything that is wrong with c.
func (c Config) Validate() error {
	c = c.withDefaults()
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf("history: "+format, args...)) }
	if (c.Dir == "") != c.Memory {
		bad("no directory is given, or one for what is kept in memory")
	}
	if c.Top < 1 || c.Top > mostTop {
		bad("top %d: give a number of processes from 1 to %d", c.Top, mostTop)
	}
	if c.MaxBytes < leastBytes {
		bad("a bound of %d bytes holds next to nothing: give at least %d", c.MaxBytes, leastBytes)
	}
	for i, t := range c.Tiers {
		switch {
		case t.Step < time.Second || t.Step%time.Second != 0:
			bad("a step of %s: give whole seconds", t.Step)
			continue
		case t.Keep < 2*t.Step:
			bad("%s kept for %s: keep at least two steps", t.Step, t.Keep)
		}
		if i == 0 {
			continue
		}
		switch finer := c.Tiers[i-1]; {
		case finer.Step <= 0:
		case t.Step <= finer.Step || t.Step%finer.Step != 0:
			bad("a step of %s after %s: each step must be a multiple of the one before", t.Step, finer.Step)
		case t.Keep <= finer.Keep:
			bad("%s kept for %s, but %s for %s: keep the coarser one longer", t.Step, t.Keep, finer.Step, finer.Keep)
		case finer.Keep < 4*t.Step:
			bad("%s kept for %s: keep at least four steps of the next tier (%s), which is made from it", finer.Step, finer.Keep, t.Step)
		}
	}
	return errors.Join(all...)
}

// block is how many records of tier i are written together. Twice their time is kept in
// the finer tier, from which they are made again after a crash.
func (c Config) block(i int) int {
	if i == 0 {
		return min(firstBlock, c.Tiers[0].records()/2)
	}
	return max(1, min(mostBlock, int(c.Tiers[i-1].Keep/c.Tiers[i].Step/2)))
}
