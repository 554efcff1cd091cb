package history

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"sarn/internal/monitor/sample"
)

// merge is how a column's values become one value of a coarser tier.
type merge int

const (
	mean  merge = iota // over time; the largest is kept beside it
	high               // the last; the largest is kept beside it
	low                // the last; the smallest is kept beside it
	last               // the last alone
	flags              // the bits that were ever set
)

// peaks says whether a column has a value beside it in the coarser tiers.
func (m merge) peaks() bool { return m == mean || m == high || m == low }

// The scales: a column holds whole numbers, its value times its scale.
const (
	whole  = 1
	cents  = 100
	shares = 10_000 // 0.01 %
	micros = 1_000_000
)

// column is a number of an item. At points to it in the item: a *float64, *uint64, *int,
// *bool or *time.Time. A derived column is computed, and kept for charts and its peak.
type column[T any] struct {
	name    string
	merge   merge
	scale   float64
	at      func(*T) any
	derived func(*T) float64
}

func (c column[T]) get(item *T) int64 {
	if c.derived != nil {
		return scaled(c.derived(item), c.scale)
	}
	switch p := c.at(item).(type) {
	case *float64:
		return scaled(*p, c.scale)
	case *uint64:
		return int64(min(*p, math.MaxInt64))
	case *int:
		return int64(*p)
	case *bool:
		if *p {
			return 1
		}
		return 0
	case *time.Time:
		if p.IsZero() {
			return 0
		}
		return p.UnixMilli()
	default:
		panic(fmt.Sprintf("history: column %s is a %T", c.name, p))
	}
}

func (c column[T]) set(item *T, v int64) {
	if c.derived != nil {
		return
	}
	switch p := c.at(item).(type) {
	case *float64:
		*p = float64(v) / c.scale
	case *uint64:
		*p = uint64(max(v, 0))
	case *int:
		*p = int(v)
	case *bool:
		*p = v != 0
	case *time.Time:
		*p = time.Time{}
		if v != 0 {
			*p = time.UnixMilli(v).UTC()
		}
	}
}

// scaled rounds; what no number is becomes 0.
func scaled(v, scale float64) int64 {
	v = math.Round(v * scale)
	switch {
	case math.IsNaN(v):
		return 0
	case v > 1<<62:
		return 1 << 62
	case v < -1<<62:
		return -1 << 62
	}
	return int64(v)
}

// text is a string of an item.
type text[T any] func(*T) *string

// mostText is how much of a string is kept, in bytes: a command can be of megabytes.
const mostText = 256

func clipped(s string) string {
	if len(s) <= mostText {
		return s
	}
	return strings.Clone(strings.ToValidUTF8(s[:mostText], ""))
}

// row is an item in a record, by its table's columns.
type row struct {
	key   string
	texts []string
	now   []int64
	peak  []int64 // nil in the finest tier
}

// shape is what can be said of a table without knowing its items.
type shape struct {
	name   string
	single bool // it has one item, without a name
	texts  int
	names  []string
	merges []merge
	scales []float64
}

// table is one sort of items: the disks, say.
type table interface {
	shape() shape
	rows(*sample.Sample) []row
	// restore puts rows into a sample: their peaks, if asked for.
	restore(s *sample.Sample, rows []row, peak bool)
}

// tableOf is the table of items that are a T.
type tableOf[T any] struct {
	name    string
	single  bool
	key     func(item *T, i int) string
	texts   []text[T]
	columns []column[T]
	read    func(*sample.Sample) []*T
	write   func(*sample.Sample, []T)
}

func (t tableOf[T]) shape() shape {
	s := shape{name: t.name, single: t.single, texts: len(t.texts)}
	for _, c := range t.columns {
		s.names, s.merges, s.scales = append(s.names, c.name), append(s.merges, c.merge), append(s.scales, c.scale)
	}
	return s
}

func (t tableOf[T]) rows(s *sample.Sample) []row {
	items := t.read(s)
	rows := make([]row, 0, len(items))
	seen := make(map[string]int, len(items))
	for i, item := range items {
		r := row{texts: make([]string, len(t.texts)), now: make([]int64, len(t.columns))}
		if !t.single {
			key := t.key(item, i)
			r.key = key
			// Two sensors may have one name.
			if seen[key]++; seen[key] > 1 {
				r.key += "#" + strconv.Itoa(seen[key])
			}
		}
		for j, at := range t.texts {
			r.texts[j] = clipped(*at(item))
		}
		for j, c := range t.columns {
			r.now[j] = c.get(item)
		}
		rows = append(rows, r)
	}
	return rows
}

func (t tableOf[T]) restore(s *sample.Sample, rows []row, peak bool) {
	if len(rows) == 0 {
		return
	}
	items := make([]T, len(rows))
	for i, r := range rows {
		for j, at := range t.texts {
			*at(&items[i]) = r.texts[j]
		}
		for j, c := range t.columns {
			v := r.now[j]
			if peak && r.peak != nil && c.merge.peaks() {
				v = r.peak[j]
			}
			c.set(&items[i], v)
		}
	}
	t.write(s, items)
}
