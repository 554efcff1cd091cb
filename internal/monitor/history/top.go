package history

import (
	"cmp"
	"slices"

	"sarn/internal/monitor/sample"
)

// ranked is a process that is kept, and in what it was the first: a bit for each measure.
type ranked struct {
	sample.Process
	first int
}

// The columns of the processes by which they are chosen.
const (
	colCPU = iota
	colResident
	colRead
	colWrite
	colRx
	colTx
	colFirst
)

const nMeasures = 4

// measures are what processes are ranked by: CPU, memory, disk, network.
func measures(p *sample.Process) [nMeasures]float64 {
	return [nMeasures]float64{
		p.CPU, float64(p.Resident),
		max(p.ReadBytes, 0) + max(p.WriteBytes, 0), max(p.RxBytes, 0) + max(p.TxBytes, 0),
	}
}

func rowMeasures(values []int64) [nMeasures]float64 {
	sum := func(a, b int) float64 { return float64(max(values[a], 0)) + float64(max(values[b], 0)) }
	return [nMeasures]float64{
		float64(values[colCPU]), float64(values[colResident]), sum(colRead, colWrite), sum(colRx, colTx),
	}
}

// leaders are the n largest of one measure, the largest first. What has nothing is none.
type leaders struct {
	n   int
	all []leader
}

type leader struct {
	value float64
	index int
}

func (l *leaders) offer(value float64, index int) {
	if !(value > 0) || len(l.all) == l.n && value <= l.all[l.n-1].value {
		return
	}
	at, _ := slices.BinarySearchFunc(l.all, value, func(have leader, v float64) int {
		if have.value >= v { // who was there first stays before
			return -1
		}
		return 1
	})
	if len(l.all) == l.n {
		l.all = l.all[:l.n-1]
	}
	l.all = slices.Insert(l.all, at, leader{value, index})
}

// topProcesses are the n largest by each measure, in the order of all.
func topProcesses(all []sample.Process, n int) []*ranked {
	var by [nMeasures]leaders
	for i := range by {
		by[i].n = n
	}
	for i := range all {
		for m, v := range measures(&all[i]) {
			by[m].offer(v, i)
		}
	}
	first := map[int]int{}
	for m := range by {
		for rank, l := range by[m].all {
			bit := 0
			if rank == 0 {
				bit = 1 << m
			}
			first[l.index] |= bit
		}
	}
	kept := make([]*ranked, 0, len(first))
	for i, bits := range first {
		kept = append(kept, &ranked{all[i], bits})
	}
	slices.SortFunc(kept, func(a, b *ranked) int { return cmp.Compare(a.PID, b.PID) })
	return kept
}

// topRows chooses from all that were kept in some second of a period: those that were
// the first in one, and the n largest by each measure, by mean and by peak.
func topRows(rows []row, n int) []row {
	var by [2 * nMeasures]leaders
	for i := range by {
		by[i].n = n
	}
	keep := make([]bool, len(rows))
	for i, r := range rows {
		keep[i] = r.now[colFirst] != 0
		for m, v := range rowMeasures(r.now) {
			by[m].offer(v, i)
		}
		for m, v := range rowMeasures(r.peak) {
			by[nMeasures+m].offer(v, i)
		}
	}
	for _, l := range by {
		for _, l := range l.all {
			keep[l.index] = true
		}
	}
	kept := rows[:0]
	for i, r := range rows {
		if keep[i] {
			kept = append(kept, r)
		}
	}
	return kept
}
