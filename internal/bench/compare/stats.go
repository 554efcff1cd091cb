package compare

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Estimate is a figure and the interval that holds its true value with the comparison's
// confidence. Low and High are Value's own where too few rounds say nothing about it.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

const (
	// miss is how often an interval may miss the truth.
	miss = 0.05
	// resamples is how many times the rounds are drawn again.
	resamples = 5_000
	// fewest is the number of rounds below which nothing is said about certainty.
	fewest = 3
)

// mean returns the mean of what was measured, one figure a round, with its interval at
// the level 1 - alpha.
//
// The interval is that of a bootstrap, which resamples the rounds and so takes their
// distribution as it is. Two things make its percentiles too narrow for few rounds. They
// lack Student's correction and the one for n - 1, so they are expanded (Hesterberg,
// "What Teachers Should Know About the Bootstrap", 2015, section 3.3). And no resample
// leaves the range of what was measured, which for five rounds holds the truth only 94
// times in 100, whatever percentile is asked for. Student's own interval has no such
// bound, so the ends are the outer ones of the two.
func mean(rounds []float64, alpha float64, seed uint64) Estimate {
	n := float64(len(rounds))
	m, sd := stat.MeanStdDev(rounds, nil)
	if n < fewest {
		return Estimate{m, m, m}
	}
	t := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(1 - alpha/2)
	half := t * sd / math.Sqrt(n)
	tail := distuv.UnitNormal.CDF(-math.Sqrt(n/(n-1)) * t)
	drawn := bootstrap(rounds, seed)
	return Estimate{
		Value: m,
		Low:   min(m-half, stat.Quantile(tail, stat.Empirical, drawn, nil)),
		High:  max(m+half, stat.Quantile(1-tail, stat.Empirical, drawn, nil)),
	}
}

// level returns the geometric mean of figures above zero, with its interval: the mean on
// the scale of logarithms, where twice as much and half as much are equally far away. So
// the interval is one of possible figures, requests a second and the time that each takes
// tell the same, and two servers' means have the ratio that ratio returns.
func level(rounds []float64, alpha float64, seed uint64) Estimate {
	logs := make([]float64, len(rounds))
	for i, v := range rounds {
		logs[i] = math.Log(v)
	}
	e := mean(logs, alpha, seed)
	return Estimate{math.Exp(e.Value), math.Exp(e.Low), math.Exp(e.High)}
}

// bootstrap returns the means of the resampled rounds, sorted. Equal seeds draw the same
// rounds.
func bootstrap(rounds []float64, seed uint64) []float64 {
	random := rand.New(rand.NewPCG(seed, uint64(len(rounds))))
	means := make([]float64, resamples)
	for i := range means {
		sum := 0.0
		for range rounds {
			sum += rounds[random.IntN(len(rounds))]
		}
		means[i] = sum / float64(len(rounds))
	}
	slices.Sort(means)
	return means
}

// ratio returns how many times as large a is as b: the level of the rounds' own ratios.
// Both have a figure above zero for each round. What slows a whole round down slows both,
// and falls out.
func ratio(a, b []float64, alpha float64, seed uint64) Estimate {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return level(ratios, alpha, seed)
}

// median returns the middle of the figures, 0 if there are none.
func median(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(figures))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
