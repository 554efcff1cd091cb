package history

import (
	"encoding/binary"
	"math/bits"
)

// visitor says what to keep of a section: one record, or all of the columns of a chart.
// What is not kept is read over and costs no memory.
type visitor struct {
	// record is the only one whose rows are kept; none if below 0.
	record int
	// times is called when entries have their times, before any item, and says whether
	// to go on.
	times func([]entry) bool
	// item is called for each item of a table, if not nil: in says in which records it
	// is, of[c] has the values of column c in these, peaks[c] what was beside them or nil.
	// All are valid until it returns.
	item func(table int, key string, in []int, of, peaks [][]int64)
	// needs has the columns of each table that item looks at, if not nil: the others are
	// skipped, and hold anything.
	needs [][]bool
}

// done says whether no table from t on is needed.
func (v *visitor) done(t int) bool {
	if v.needs == nil {
		return false
	}
	for _, n := range v.needs[t:] {
		if n != nil {
			return false
		}
	}
	return true
}

// skips says whether nobody looks at a column.
func (v *visitor) skips(t, c int) bool {
	return v.needs != nil && (v.needs[t] == nil || !v.needs[t][c])
}

// decodeSection reads what encodeSection wrote. Of section 0 all entries have their time;
// of each section the entry visit.record has its rows. It trusts nothing.
func decodeSection(sc *schema, raw []byte, section, records int, peaks bool, visit visitor) ([]entry, error) {
	r := &reader{buf: raw}
	n := r.count()
	strings := make([]string, 0, min(n, 1<<12)) // append takes no more than there is
	for range n {
		strings = append(strings, r.text())
	}
	entries := make([]entry, records)
	if section == 0 {
		column := make([]int64, records)
		r.column(column)
		for i, v := range column {
			entries[i].time = v
		}
		r.column(column)
		for i, v := range column {
			entries[i].seq = uint64(v)
		}
		r.column(column)
		for i, v := range column {
			entries[i].weight = v
		}
		if visit.times != nil && !r.bad && !visit.times(entries) {
			return entries, nil
		}
	}
	d := decoder{reader: r, strings: strings, records: records, peaks: peaks, visit: visit}
	for t := sc.start[section]; t < sc.start[section+1] && !r.bad; t++ {
		if visit.done(t) {
			return entries, nil
		}
		rows := d.table(sc.shapes[t], t)
		if visit.record >= 0 {
			entries[visit.record].rows = append(entries[visit.record].rows, rows)
		}
	}
	if r.bad || len(r.buf) > 0 {
		return nil, errDamaged
	}
	return entries, nil
}

type decoder struct {
	*reader
	strings []string
	records int
	peaks   bool
	visit   visitor
	in      []int
	texts   [][]int64
	of      [][]int64
	beside  [][]int64
}

// columns are n columns of m values, in the memory of the ones before.
func columns(have [][]int64, n, m int) [][]int64 {
	for len(have) < n {
		have = append(have, nil)
	}
	for i := range have {
		if cap(have[i]) < m {
			have[i] = make([]int64, m)
		}
		have[i] = have[i][:m]
	}
	return have
}

func (d *decoder) table(sh shape, t int) (kept []row) {
	for range d.count() {
		key := d.string(d.varint())
		at := d.present()
		if d.bad {
			return nil
		}
		d.texts = columns(d.texts, sh.texts, len(d.in))
		for c := range sh.texts {
			if d.visit.needs != nil {
				d.skip(len(d.in))
				continue
			}
			d.column(d.texts[c])
		}
		d.of, d.beside = columns(d.of, len(sh.merges), len(d.in)), columns(d.beside, len(sh.merges), len(d.in))
		for c, m := range sh.merges {
			if d.visit.skips(t, c) {
				d.skip(len(d.in))
				if d.peaks && m.peaks() {
					d.skip(len(d.in))
				}
				continue
			}
			d.column(d.of[c])
			if !d.peaks || !m.peaks() {
				copy(d.beside[c], d.of[c])
				continue
			}
			d.column(d.beside[c])
			for i := range d.beside[c] {
				d.beside[c][i] += d.of[c][i]
			}
		}
		if d.bad {
			return nil
		}
		if d.visit.item != nil {
			d.visit.item(t, key, d.in, d.of, d.beside)
		}
		if at >= 0 {
			kept = append(kept, d.row(sh, key, at))
		}
	}
	return kept
}

// present reads in which records an item is, and where among these the wanted one is.
func (d *decoder) present() (at int) {
	at, d.in = -1, d.in[:0]
	for i, b := range d.bytes((d.records + 7) / 8) {
		for ; b != 0; b &= b - 1 {
			record := i*8 + bits.TrailingZeros8(b)
			if record >= d.records {
				d.fail()
				return -1
			}
			if record == d.visit.record {
				at = len(d.in)
			}
			d.in = append(d.in, record)
		}
	}
	if len(d.in) == 0 {
		d.fail()
	}
	return at
}

func (d *decoder) row(sh shape, key string, at int) row {
	r := row{key: key, texts: make([]string, sh.texts), now: make([]int64, len(sh.merges))}
	for c := range sh.texts {
		r.texts[c] = d.string(d.texts[c][at])
	}
	for c := range sh.merges {
		r.now[c] = d.of[c][at]
	}
	if d.peaks {
		r.peak = make([]int64, len(sh.merges))
		for c := range sh.merges {
			r.peak[c] = d.beside[c][at]
		}
	}
	return r
}

func (d *decoder) string(id int64) string {
	if id < 0 || id >= int64(len(d.strings)) {
		d.fail()
		return ""
	}
	return d.strings[id]
}

// reader reads varints. After the first that is wrong it is bad, and all is 0.
type reader struct {
	buf []byte
	bad bool
}

func (r *reader) fail() { r.bad, r.buf = true, nil }

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.buf) {
		r.fail()
		return nil
	}
	b := r.buf[:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.buf)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

// count is a number of things, each of which takes a byte or more.
func (r *reader) count() int {
	v, n := binary.Uvarint(r.buf)
	if n <= 0 || v > uint64(len(r.buf)) {
		r.fail()
		return 0
	}
	r.buf = r.buf[n:]
	return int(v)
}

func (r *reader) text() string { return string(r.bytes(r.count())) }

func (r *reader) column(into []int64) {
	kind := r.bytes(1)
	if r.bad {
		return
	}
	v := int64(0)
	for i := range into {
		if i == 0 || kind[0] == 0 {
			v += r.varint()
		}
		into[i] = v
	}
}

// skip goes over a column of n values.
func (r *reader) skip(n int) {
	kind := r.bytes(1)
	if r.bad {
		return
	}
	if kind[0] != 0 {
		n = min(n, 1)
	}
	for i, b := range r.buf {
		if n == 0 {
			r.buf = r.buf[i:]
			return
		}
		if b < 0x80 { // the last byte of a varint
			n--
		}
	}
	if n > 0 {
		r.fail()
		return
	}
	r.buf = nil
}
