package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// header stands before each block. The checksum is over all of the header that follows it.
type header struct {
	Magic    uint32
	Checksum uint32
	Records  uint32
	Peaks    uint32 // 1 if the rows have peaks
	From, To int64  // the earliest and the latest time in it
	First    uint64 // seq of the first record
	Last     uint64
	Sizes    [nSections]uint32
	Sums     [nSections]uint32 // CRC-32C of each section
}

const (
	blockMagic   = 0x4b4c4253 // "SBLK"
	headerSize   = 16 + 32 + 8*nSections
	mostSection  = 16 << 20 // packed
	mostUnpacked = 32 << 20
	mostRecords  = 1000
)

var errDamaged = errors.New("damaged")

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// size is that of the whole block.
func (h *header) size() int64 {
	n := int64(headerSize)
	for _, s := range h.Sizes {
		n += int64(s)
	}
	return n
}

// offset is where a section starts in the block.
func (h *header) offset(section int) int64 {
	n := int64(headerSize)
	for _, s := range h.Sizes[:section] {
		n += int64(s)
	}
	return n
}

func parseHeader(b []byte) (h header, err error) {
	if _, err := binary.Decode(b, binary.LittleEndian, &h); err != nil {
		return h, errDamaged
	}
	if h.Magic != blockMagic || h.Checksum != checksum(b[8:headerSize]) {
		return h, errDamaged
	}
	for _, s := range h.Sizes {
		if s > mostSection {
			return h, errDamaged
		}
	}
	if h.Records == 0 || h.Records > mostRecords || h.Peaks > 1 || h.From > h.To {
		return h, errDamaged
	}
	return h, nil
}

// coder makes blocks of entries and back.
type coder struct {
	schema *schema
	pack   *zstd.Encoder
	unpack *zstd.Decoder
	spare  sync.Pool // of *[]byte, to unpack into
}

func newCoder(sc *schema) (*coder, error) {
	// A block is some 100 KiB: a larger window would only cost memory.
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(mostUnpacked), zstd.IgnoreChecksum(true))
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &coder{schema: sc, pack: pack, unpack: unpack, spare: sync.Pool{New: func() any { return new([]byte) }}}, nil
}

func (c *coder) close() {
	_ = c.pack.Close() // it has no stream to end
	c.unpack.Close()
}

// encode makes a block, header and all.
func (c *coder) encode(all []*entry, peaks bool) (header, []byte) {
	h := header{Magic: blockMagic, Records: uint32(len(all)), From: all[0].time, To: all[0].time, First: all[0].seq, Last: all[len(all)-1].seq}
	if peaks {
		h.Peaks = 1
	}
	for _, e := range all {
		h.From, h.To = min(h.From, e.time), max(h.To, e.time)
	}
	block := make([]byte, headerSize, 32<<10)
	for i := range h.Sizes {
		start := len(block)
		block = c.pack.EncodeAll(encodeSection(c.schema, all, i, peaks), block)
		h.Sizes[i], h.Sums[i] = uint32(len(block)-start), checksum(block[start:])
	}
	_, _ = binary.Encode(block, binary.LittleEndian, &h)
	h.Checksum = checksum(block[8:headerSize])
	binary.LittleEndian.PutUint32(block[4:], h.Checksum)
	return h, block
}

// decode unpacks one section of a block.
func (c *coder) decode(h *header, section int, packed []byte, visit visitor) ([]entry, error) {
	if checksum(packed) != h.Sums[section] {
		return nil, errDamaged
	}
	buf := c.spare.Get().(*[]byte)
	defer c.spare.Put(buf)
	raw, err := c.unpack.DecodeAll(packed, (*buf)[:0])
	if err != nil {
		return nil, errDamaged
	}
	*buf = raw
	return decodeSection(c.schema, raw, section, int(h.Records), h.Peaks == 1, visit)
}

// encodeSection is the strings, of section 0 the time of each record, and the tables.
func encodeSection(sc *schema, all []*entry, section int, peaks bool) []byte {
	w := &writer{ids: map[string]int64{}}
	if section == 0 {
		times, seqs, weights := make([]int64, len(all)), make([]int64, len(all)), make([]int64, len(all))
		for i, e := range all {
			times[i], seqs[i], weights[i] = e.time, int64(e.seq), e.weight
		}
		w.column(times)
		w.column(seqs)
		w.column(weights)
	}
	for t := sc.start[section]; t < sc.start[section+1]; t++ {
		w.table(sc.shapes[t], all, t, peaks)
	}
	var out []byte
	out = binary.AppendUvarint(out, uint64(len(w.strings)))
	for _, s := range w.strings {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	return append(out, w.buf...)
}

type writer struct {
	buf     []byte
	ids     map[string]int64
	strings []string
}

func (w *writer) id(s string) int64 {
	id, have := w.ids[s]
	if !have {
		id = int64(len(w.strings))
		w.ids[s] = id
		w.strings = append(w.strings, s)
	}
	return id
}

// column is a byte that says whether all values are the same, then one, or the first and
// the differences.
func (w *writer) column(values []int64) {
	same := true
	for _, v := range values {
		same = same && v == values[0]
	}
	if same {
		w.buf = binary.AppendVarint(append(w.buf, 1), values[0])
		return
	}
	w.buf = append(w.buf, 0)
	before := int64(0)
	for _, v := range values {
		w.buf = binary.AppendVarint(w.buf, v-before)
		before = v
	}
}

// table is the items: of each its key, in which records it is, and its columns.
func (w *writer) table(sh shape, all []*entry, t int, peaks bool) {
	type item struct {
		key  string
		in   []byte
		rows []*row
	}
	var items []*item
	index := map[string]*item{}
	for i, e := range all {
		for j := range e.rows[t] {
			r := &e.rows[t][j]
			it := index[r.key]
			if it == nil {
				it = &item{key: r.key, in: make([]byte, (len(all)+7)/8)}
				index[r.key] = it
				items = append(items, it)
			}
			it.in[i/8] |= 1 << (i % 8)
			it.rows = append(it.rows, r)
		}
	}
	w.buf = binary.AppendUvarint(w.buf, uint64(len(items)))
	for _, it := range items {
		w.buf = binary.AppendVarint(w.buf, w.id(it.key))
		w.buf = append(w.buf, it.in...)
		values := make([]int64, len(it.rows))
		for c := range sh.texts {
			for i, r := range it.rows {
				values[i] = w.id(r.texts[c])
			}
			w.column(values)
		}
		for c, m := range sh.merges {
			for i, r := range it.rows {
				values[i] = r.now[c]
			}
			w.column(values)
			if peaks && m.peaks() {
				for i, r := range it.rows {
					values[i] = r.peak[c] - r.now[c]
				}
				w.column(values)
			}
		}
	}
}
