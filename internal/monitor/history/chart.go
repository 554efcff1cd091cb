package history

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Series are values for a chart. Point i is of the time from Start+i*Step to the next.
type Series struct {
	Start time.Time `json:"start"`
	Step  float64   `json:"step"` // seconds
	Lines []Line    `json:"lines"`
}

// Line is one field. Peaks are the largest (of what is free or available, the smallest)
// in any pass; Values are means of what is a rate or a share, else of the last values.
type Line struct {
	Field  string `json:"field"`
	Values Values `json:"values"`
	Peaks  Values `json:"peaks"`
}

// Values are numbers, NaN where nothing is known: null in JSON.
type Values []float64

// MarshalJSON writes NaN as null.
func (v Values) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, x := range v {
		if i > 0 {
			out = append(out, ',')
		}
		if math.IsNaN(x) {
			out = append(out, "null"...)
			continue
		}
		b, err := json.Marshal(x)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *Values) UnmarshalJSON(text []byte) error {
	var read []*float64
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*v = make(Values, len(read))
	for i, x := range read {
		(*v)[i] = math.NaN()
		if x != nil {
			(*v)[i] = *x
		}
	}
	return nil
}

const mostPoints = 100_000

// Any stands for the name of an item: disks[*].busy is that of the busiest disk in each
// record (of what is free or available, the smallest).
const Any = "*"

// Fields are the names that Range takes; between brackets goes the name of an item, such
// as disks[sda].busy, or Any. A process is named by ProcessKey.
func Fields() []string {
	var all []string
	for _, sh := range newSchema(defaultTop).shapes {
		for _, name := range sh.names {
			switch {
			case sh.name == "":
			case sh.single:
				name = sh.name + "." + name
			default:
				name = sh.name + "[]." + name
			}
			all = append(all, name)
		}
	}
	return all
}

// field is where a field is.
type field struct {
	section, table, column int
	key                    string
	any                    bool // of all items the most
}

func (sc *schema) field(name string) (field, error) {
	table, key, column := "", "", name
	before, after, keyed := strings.Cut(name, "[")
	if keyed {
		end := strings.LastIndex(after, "].")
		if end < 0 {
			return field{}, unknown(name)
		}
		table, key, column = before, after[:end], after[end+2:]
	}
	for i, sh := range sc.shapes {
		want := column
		if sh.single && sh.name != "" {
			var ok bool
			if want, ok = strings.CutPrefix(name, sh.name+"."); !ok {
				continue
			}
		} else if sh.name != table || sh.single == keyed {
			continue
		}
		if c := slices.Index(sh.names, want); c >= 0 {
			section := 0
			for sc.start[section+1] <= i {
				section++
			}
			return field{section: section, table: i, column: c, key: key}, nil
		}
	}
	return field{}, unknown(name)
}

func unknown(name string) error {
	return fmt.Errorf("history: there is no field %q: give one such as cpu.busy, memory.used or disks[sda].read_bytes", name)
}

// Range is the fields from one time to another, a point for each step (600 points if
// step is 0), from the finest records that are no finer than step. Where these have
// expired the coarser ones stand in.
func (s *archive) Range(from, to time.Time, step time.Duration, fields ...string) (*Series, error) {
	if !from.Before(to) {
		return nil, fmt.Errorf("history: from %s to %s is no time: the end must be after the start", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	if step == 0 {
		step = max(to.Sub(from)/600, time.Second)
	}
	if step < time.Second {
		return nil, fmt.Errorf("history: a step of %s: give a second or more", step)
	}
	step = step.Truncate(time.Millisecond)
	n := (to.Sub(from) + step - 1) / step
	if n > mostPoints {
		return nil, fmt.Errorf("history: %d points are more than %d: give a longer step", n, mostPoints)
	}
	c := newChart(s.schema, from.UnixMilli(), step.Milliseconds(), int(n))
	for _, name := range fields {
		if err := c.add(name); err != nil {
			return nil, err
		}
	}
	views, err := s.views()
	if err != nil {
		return nil, err
	}
	defer s.unview()
	first := 0
	for first+1 < len(views) && views[first+1].tier.step <= step {
		first++
	}
	for i := first; i < len(views); i++ {
		s.draw(c, &views[i], i+1)
	}
	for i := first - 1; i >= 0; i-- { // what the coarser ones do not have yet
		s.draw(c, &views[i], i+1)
	}
	return c.series(fields), nil
}

// chart is a Series in the making.
type chart struct {
	schema     *schema
	from, step int64
	fields     []field
	lines      []points
	owner      []int // the tier that each point is of, 0 if none yet
	// by has the lines that want an item of a table; those of Any are under Any.
	by       map[item][]int
	needs    [][]bool        // by table and column
	sections [nSections]bool // that have a field
}

type item struct {
	table int
	key   string
}

func newChart(sc *schema, from, step int64, n int) *chart {
	return &chart{schema: sc, from: from, step: step, owner: make([]int, n), by: map[item][]int{}, needs: make([][]bool, len(sc.shapes))}
}

func (c *chart) add(name string) error {
	f, err := c.schema.field(name)
	if err != nil {
		return err
	}
	f.any = f.key == Any
	n, at := len(c.owner), item{f.table, f.key}
	c.by[at] = append(c.by[at], len(c.fields))
	c.fields = append(c.fields, f)
	c.lines = append(c.lines, points{make([]float64, n), make([]float64, n), make([]int, n)})
	c.sections[f.section] = true
	if c.needs[f.table] == nil {
		c.needs[f.table] = make([]bool, len(c.schema.shapes[f.table].names))
	}
	c.needs[f.table][f.column] = true
	return nil
}

type points struct {
	sums, peaks []float64
	counts      []int
}

// span is the points of the time from a to b, the last one not included.
func (c *chart) span(a, b int64) (int, int) {
	lo, hi := a-c.from, b-c.from
	if hi <= 0 || lo >= int64(len(c.owner))*c.step {
		return 0, 0
	}
	return int(max(lo, 0) / c.step), int(min((hi+c.step-1)/c.step, int64(len(c.owner))))
}

// claim takes the points of a record that no finer tier has.
func (c *chart) claim(tier int, lo, hi int) (some bool) {
	for i := lo; i < hi; i++ {
		if c.owner[i] == 0 {
			c.owner[i] = tier
		}
		some = some || c.owner[i] == tier
	}
	return some
}

func (c *chart) put(tier, line, lo, hi int, value, peak float64, low bool) {
	p := &c.lines[line]
	for i := lo; i < hi; i++ {
		if c.owner[i] != tier {
			continue
		}
		p.sums[i] += value
		if p.counts[i] == 0 || low == (peak < p.peaks[i]) {
			p.peaks[i] = peak
		}
		p.counts[i]++
	}
}

// cover is the points that a record at ms stands for, whose passes cover weight. A pass
// stands for the time since the one before it too: where passes are further apart than
// points, or late, no point between them is without a value.
func (c *chart) cover(v *view, ms, weight int64) (int, int) {
	const most = 5 * 60 * 1000 // of a pass that is said to cover more than that
	switch {
	case v.tier.step.Milliseconds() > c.step:
		return c.span(ms, ms+v.tier.step.Milliseconds())
	case v.peaks:
		return c.span(ms, ms+1)
	}
	before := ms - min(max(weight, 0), most) - c.from
	next := before - ((before%c.step)+c.step)%c.step + c.step
	return c.span(min(c.from+next, ms), ms+1)
}

func (s *archive) draw(c *chart, v *view, tier int) {
	for i := range v.segments {
		seg := &v.segments[i]
		for j := range seg.blocks {
			b := &seg.blocks[j]
			lo, hi := c.span(b.From, b.To+v.tier.step.Milliseconds())
			if c.wanted(tier, lo, hi) {
				// What is damaged or has expired meanwhile is left out.
				_ = s.drawBlock(c, v, tier, seg, b)
			}
		}
	}
	for _, e := range v.pending {
		lo, hi := c.cover(v, e.time, e.weight)
		if c.claim(tier, lo, hi) {
			c.entry(tier, e, lo, hi)
		}
	}
}

// entry puts a record that is in memory.
func (c *chart) entry(tier int, e *entry, lo, hi int) {
	for k, f := range c.fields {
		var most extreme
		for _, r := range e.rows[f.table] {
			if r.key != f.key && !f.any {
				continue
			}
			peak := r.now[f.column]
			if r.peak != nil && c.merge(f).peaks() {
				peak = r.peak[f.column]
			}
			most.take(r.now[f.column], peak, c.merge(f) == low)
		}
		if most.have {
			c.value(tier, k, lo, hi, most.now, most.peak)
		}
	}
}

// extreme is the most of several items of one record.
type extreme struct {
	now, peak int64
	have      bool
}

func (x *extreme) take(now, peak int64, low bool) {
	switch {
	case !x.have:
		*x = extreme{now, peak, true}
	case low:
		x.now, x.peak = min(x.now, now), min(x.peak, peak)
	default:
		x.now, x.peak = max(x.now, now), max(x.peak, peak)
	}
}

// wanted says whether some point is not of a finer tier.
func (c *chart) wanted(tier, lo, hi int) bool {
	return hi > lo && slices.ContainsFunc(c.owner[lo:hi], func(o int) bool { return o == 0 || o == tier })
}

func (c *chart) merge(f field) merge { return c.schema.shapes[f.table].merges[f.column] }

func (c *chart) value(tier, line, lo, hi int, now, peak int64) {
	f := c.fields[line]
	scale := c.schema.shapes[f.table].scales[f.column]
	c.put(tier, line, lo, hi, float64(now)/scale, float64(peak)/scale, c.merge(f) == low)
}

func (s *archive) drawBlock(c *chart, v *view, tier int, seg *segment, b *block) error {
	d := drawing{c: c, tier: tier}
	times := func(entries []entry) bool {
		d.spans = make([][2]int, len(entries))
		for i, e := range entries {
			lo, hi := c.cover(v, e.time, e.weight)
			if c.claim(tier, lo, hi) {
				d.spans[i] = [2]int{lo, hi}
			}
		}
		return c.sections[0]
	}
	visit := visitor{record: -1, times: times, item: d.item, needs: c.needs}
	if _, err := s.read(seg, b, 0, visit); err != nil {
		return err
	}
	d.flush()
	for section := 1; section < nSections; section++ {
		if !c.sections[section] {
			continue
		}
		if _, err := s.read(seg, b, section, visit); err != nil {
			return err
		}
		d.flush()
	}
	return nil
}

// drawing is a block on its way into a chart.
type drawing struct {
	c     *chart
	tier  int
	spans [][2]int          // the points of each record
	most  map[int][]extreme // by line of Any and record
}

func (d *drawing) item(table int, key string, in []int, of, peaks [][]int64) {
	for _, k := range d.c.by[item{table, key}] {
		f := d.c.fields[k]
		if f.any { // an item that is called so is one of all
			break
		}
		for i, record := range in {
			d.c.value(d.tier, k, d.spans[record][0], d.spans[record][1], of[f.column][i], peaks[f.column][i])
		}
	}
	for _, k := range d.c.by[item{table, Any}] {
		f := d.c.fields[k]
		if d.most == nil {
			d.most = map[int][]extreme{}
		}
		if d.most[k] == nil {
			d.most[k] = make([]extreme, len(d.spans))
		}
		for i, record := range in {
			d.most[k][record].take(of[f.column][i], peaks[f.column][i], d.c.merge(f) == low)
		}
	}
}

// flush puts the most of each record, when all items of it have been seen.
func (d *drawing) flush() {
	for k, all := range d.most {
		for record, x := range all {
			if x.have {
				d.c.value(d.tier, k, d.spans[record][0], d.spans[record][1], x.now, x.peak)
			}
		}
	}
	clear(d.most)
}

func (c *chart) series(fields []string) *Series {
	out := &Series{Start: time.UnixMilli(c.from).UTC(), Step: float64(c.step) / 1000}
	for k, name := range fields {
		p := c.lines[k]
		for i, n := range p.counts {
			if n == 0 {
				p.sums[i], p.peaks[i] = math.NaN(), math.NaN()
				continue
			}
			p.sums[i] /= float64(n)
		}
		out.Lines = append(out.Lines, Line{name, p.sums, p.peaks})
	}
	return out
}
