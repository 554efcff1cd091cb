package history

import (
	"math"
	"time"

	"sarn/internal/monitor/sample"
)

// Record is what is known of one period: of one pass in the finest tier.
type Record struct {
	// Time is that of the pass, or the start of the period.
	Time time.Time `json:"time"`
	// Step is the period, in seconds.
	Step float64 `json:"step"`
	// Sample has the means of rates and shares, and the last of all other values. What
	// was not there, or a process not among the first, counts as 0 in a mean.
	Sample *sample.Sample `json:"sample"`
	// Peak has the largest of each value in any pass of the period (of what is free or
	// available the smallest), for the same items in the same order. Idle times are such
	// that Busy is right, and may be below 0. Nil in the finest tier.
	Peak *sample.Sample `json:"peak,omitempty"`
}

// entry is a record by tables.
type entry struct {
	seq    uint64 // of the newest pass in it, counted since history began
	time   int64  // milliseconds since 1970
	weight int64  // milliseconds that its passes cover
	rows   [][]row
}

// schema is all tables in order, and where each section starts.
type schema struct {
	tables [nSections][]table
	shapes []shape
	start  [nSections + 1]int
	top    int
}

func newSchema(top int) *schema {
	s := &schema{tables: sections(top), top: top}
	for i, tables := range s.tables {
		for _, t := range tables {
			s.shapes = append(s.shapes, t.shape())
		}
		s.start[i+1] = len(s.shapes)
	}
	return s
}

func (sc *schema) entry(s *sample.Sample, seq uint64) *entry {
	e := &entry{seq: seq, time: s.Time.UnixMilli(), rows: make([][]row, 0, len(sc.shapes))}
	if s.Interval > 0 && !math.IsInf(s.Interval, 0) {
		e.weight = scaled(min(s.Interval, 1e9), 1000)
	}
	for _, tables := range sc.tables {
		for _, t := range tables {
			e.rows = append(e.rows, t.rows(s))
		}
	}
	return e
}

func (sc *schema) record(e *entry, step time.Duration, peaks bool) *Record {
	r := &Record{Time: time.UnixMilli(e.time).UTC(), Step: step.Seconds(), Sample: sc.restore(e, false)}
	if peaks {
		r.Peak = sc.restore(e, true)
	}
	return r
}

func (sc *schema) restore(e *entry, peak bool) *sample.Sample {
	s := &sample.Sample{}
	for i, tables := range sc.tables {
		for j, t := range tables {
			t.restore(s, e.rows[sc.start[i]+j], peak)
		}
	}
	s.Time, s.Interval = time.UnixMilli(e.time).UTC(), float64(e.weight)/1000
	return s
}

// roller makes one entry of a coarser tier from those of the finer one.
type roller struct {
	schema *schema
	step   int64 // milliseconds
	period int64
	newest *entry // of those that were added, nil if none was
	weight int64
	tables []rolled
}

type rolled struct {
	index map[string]int
	rows  []row
	sums  [][]float64 // of value times weight
}

func newRoller(sc *schema, step time.Duration) *roller {
	return &roller{schema: sc, step: step.Milliseconds()}
}

// add takes e in. It returns the entry of the period before, if e starts another one:
// earlier ones too, since clocks are set back.
func (r *roller) add(e *entry) (done *entry) {
	period := e.time - ((e.time%r.step)+r.step)%r.step
	if r.newest != nil && period != r.period {
		done = r.done()
	}
	if r.newest == nil {
		r.period, r.weight = period, 0
		r.tables = make([]rolled, len(r.schema.shapes))
		for i := range r.tables {
			r.tables[i].index = map[string]int{}
		}
	}
	r.newest = e
	r.weight += e.weight
	for i, sh := range r.schema.shapes {
		r.tables[i].add(sh.merges, e.rows[i], float64(e.weight))
	}
	return done
}

func (t *rolled) add(merges []merge, rows []row, weight float64) {
	for _, from := range rows {
		peak := from.peak
		if peak == nil {
			peak = from.now
		}
		at, have := t.index[from.key]
		if !have {
			at = len(t.rows)
			t.index[from.key] = at
			t.rows = append(t.rows, row{
				key: from.key, now: make([]int64, len(merges)), peak: append([]int64(nil), peak...),
			})
			t.sums = append(t.sums, make([]float64, len(merges)))
		}
		to, sums := &t.rows[at], t.sums[at]
		to.texts = from.texts
		for i, m := range merges {
			switch {
			case m == flags:
				to.now[i] |= from.now[i]
				continue
			case m == low:
				to.peak[i] = min(to.peak[i], peak[i])
			case m.peaks():
				to.peak[i] = max(to.peak[i], peak[i])
			}
			to.now[i] = from.now[i]
			if m == mean && from.now[i] > 0 { // below is what nobody knows
				sums[i] += float64(from.now[i]) * weight
			}
		}
	}
}

// done ends the period.
func (r *roller) done() *entry {
	e := &entry{seq: r.newest.seq, time: r.period, weight: r.weight, rows: make([][]row, len(r.tables))}
	for i, t := range r.tables {
		merges := r.schema.shapes[i].merges
		for j, to := range t.rows {
			for k, m := range merges {
				if m != mean {
					continue
				}
				switch {
				case to.peak[k] < 0: // nobody ever knew
					to.now[k] = to.peak[k]
				case r.weight > 0:
					to.now[k] = int64(math.Round(t.sums[j][k] / float64(r.weight)))
				}
			}
		}
		e.rows[i] = t.rows
	}
	at := r.schema.start[processes]
	e.rows[at] = topRows(e.rows[at], r.schema.top)
	r.newest, r.tables = nil, nil
	return e
}
