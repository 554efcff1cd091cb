package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// simulate makes up a comparison of servers whose true requests a second are known. All
// rounds drift together, and each figure has lognormal noise of its own.
func simulate(random *rand.Rand, rounds int, noise float64, truth ...float64) []Server {
	servers := make([]Server, len(truth))
	drift := 0.0
	for n := range rounds {
		drift += 0.1 * random.NormFloat64()
		for i, v := range truth {
			figure := v * math.Exp(drift+noise*random.NormFloat64())
			servers[i].Name = fmt.Sprint(i)
			servers[i].Rounds = append(servers[i].Rounds, Round{Number: n + 1, RequestsPerSecond: figure})
		}
	}
	return servers
}

func TestIntervalsHoldTheTruth(t *testing.T) {
	const runs, truth = 400, 1.5
	for _, rounds := range []int{5, 10, 20} {
		random := rand.New(rand.NewPCG(1, uint64(rounds)))
		held := 0
		for i := range runs {
			s := simulate(random, rounds, 0.05, 1500, 1000)
			x, y := together(&s[0], &s[1])
			if e := ratio(x, y, miss, uint64(i)); e.Low <= truth && truth <= e.High {
				held++
			}
		}
		// 95 % of 400 is 380; three standard deviations are 13. The outer of two
		// intervals holds a little more.
		if held < 367 || held > 396 {
			t.Errorf("%d rounds: %d of %d intervals hold the true ratio", rounds, held, runs)
		}
	}
}

func TestEqualServersAreSeldomCalledDifferent(t *testing.T) {
	const runs = 120
	for _, c := range []struct{ rounds, servers int }{{3, 2}, {5, 2}, {5, 5}, {10, 5}} {
		random := rand.New(rand.NewPCG(2, uint64(10*c.rounds+c.servers)))
		wrong := 0
		for i := range runs {
			for _, p := range pairs(simulate(random, c.rounds, 0.03, make1000(c.servers)...), uint64(i)) {
				if p.Verdict != NotShown {
					wrong++ // one wrong pair spoils the comparison
					break
				}
			}
		}
		// 5 % of 120 is 6; three standard deviations are 7.
		if wrong > 13 {
			t.Errorf("%+v: %d of %d comparisons of equal servers find a difference", c, wrong, runs)
		}
	}
}

func make1000(n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = 1000
	}
	return all
}

func TestADifferenceIsFound(t *testing.T) {
	const runs = 100
	random := rand.New(rand.NewPCG(3, 3))
	found := 0
	for i := range runs {
		p := pairs(simulate(random, 10, 0.03, 1100, 1000), uint64(i))[0]
		if p.Verdict == Differ && p.Faster == "0" {
			found++
		}
		if p.Verdict == Differ && p.Faster == "1" {
			t.Errorf("the slower one is called faster: %s", p.Words)
		}
	}
	if found < 95 {
		t.Errorf("10 %% are found in %d of %d comparisons", found, runs)
	}
}

func TestVerdictsInWords(t *testing.T) {
	steady := func(name string, limit bool, figures ...float64) Server {
		s := Server{Name: name, ClientLimit: limit}
		for i, v := range figures {
			s.Rounds = append(s.Rounds, Round{Number: i + 1, RequestsPerSecond: v})
		}
		return s
	}
	larger := func(s Server) Server {
		s.Answer.Bytes = 1 << 20
		return s
	}
	wrong := func(s Server) Server {
		s.Requests, s.BadCodes = 1000, 20
		return s
	}
	slow := steady("slow", false, 100, 101, 99, 100, 100)
	fast := steady("fast", false, 180, 181, 179, 180, 181)
	for _, c := range []struct {
		a, b    Server
		verdict Verdict
		words   string
		short   string
	}{
		{fast, slow, Differ, "fast is 1.80× (1.79–1.81) as fast as slow", "1.80× (1.79–1.81)"},
		{slow, fast, Differ, "fast is 1.80× (1.79–1.81) as fast as slow", "1.80× (1.79–1.81)"},
		{steady("fast", true, 180, 181, 179, 180, 181), slow, AtLeast, "fast is at least 1.79× as fast as slow: the client was the limit for fast", "at least 1.79×"},
		// A server that is fast at failing is not the faster one.
		{wrong(fast), slow, Wrong, "cannot tell fast from slow: too many requests to fast went wrong", "too many requests went wrong"},
		{fast, wrong(slow), Differ, "fast is 1.80×", "1.80× (1.79–1.81)"},
		// A client that gets more from another was not what held this one back.
		{fast, steady("slow", true, 100, 101, 99, 100, 100), Differ, "fast is 1.80× (1.79–1.81) as fast as slow", "1.80× (1.79–1.81)"},
		// Unless the other's answers are more work.
		{fast, larger(steady("slow", true, 100, 101, 99, 100, 100)), ClientLimited, "cannot tell fast from slow (1.80×, 1.79–1.81): the client was the limit", "the client was the limit"},
		{larger(fast), steady("slow", true, 100, 101, 99, 100, 100), Differ, "fast is 1.80×", "1.80× (1.79–1.81)"},
		{steady("a", true, 100, 110, 95, 104), steady("b", false, 101, 99, 100, 98), ClientLimited, "cannot tell a from b (1.0×, 0.9–1.1): the client was the limit", "the client was the limit"},
		{steady("a", false, 100, 110, 95, 104), steady("b", true, 101, 99, 100, 98), ClientLimited, "cannot tell a from b", "the client was the limit"},
		{steady("a", false, 100, 110, 95, 104), steady("b", false, 101, 99, 100, 98), NotShown, "no difference shown between a and b", "no difference shown"},
		{steady("a", false, 200, 200), steady("b", false, 100, 100), TooFew, "too few rounds to tell a from b", "too few rounds to tell"},
		{steady("a", false, 200, 200, 200), steady("b", false), TooFew, "too few rounds to tell a from b", "too few rounds to tell"},
		// One drops out: what both have counts.
		{steady("a", false, 200, 201, 199, 200), steady("b", false, 100, 100, 100), Differ, "a is 2.00× (1.98–2.02) as fast as b", "2.00× (1.98–2.02)"},
		{steady("a", false, 5000, 5100, 5050, 5020), slow, Differ, "a is 50× (50–51) as fast as slow", "50× (50–51)"},
	} {
		p := pair(&c.a, &c.b, miss, 1)
		if p.Verdict != c.verdict || !strings.HasPrefix(p.Words, c.words) || p.Short() != c.short {
			t.Errorf("%s and %s: %s, %q, %q; want %s, %q, %q", c.a.Name, c.b.Name, p.Verdict, p.Words, p.Short(), c.verdict, c.words, c.short)
		}
	}
}

func TestRatioInWords(t *testing.T) {
	for e, want := range map[Estimate]string{
		{1.8, 1.7, 1.9}:         "1.8 1.7 1.9",
		{1.03, 1.02, 1.04}:      "1.03 1.02 1.04",
		{1.012, 1.003, 1.02}:    "1.012 1.003 1.020",
		{24.4, 22.2, 26.3}:      "24 22 26",
		{10.04, 10.01, 10.07}:   "10.0 10.0 10.1",
		{1.0001, 1.00005, 1.01}: "1.000 1.000 1.010",
		{1, 1, 1}:               "1.000 1.000 1.000",
		{1.01, 0.97, 1.06}:      "1.01 0.97 1.06",
	} {
		v, l, h := e.words()
		if got := v + " " + l + " " + h; got != want {
			t.Errorf("%v: %s, want %s", e, got, want)
		}
	}
}

func TestMeanOfEqualFigures(t *testing.T) {
	if e := mean([]float64{7, 7, 7, 7}, miss, 1); e != (Estimate{7, 7, 7}) {
		t.Errorf("%v", e)
	}
	if e := level([]float64{1, 100, 1}, miss, 1); e.Low <= 0 {
		t.Errorf("%v: what is above zero may be below", e)
	}
	if e := mean([]float64{1, 3}, miss, 1); e != (Estimate{2, 2, 2}) {
		t.Errorf("%v: two rounds say nothing of their certainty", e)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		figures []float64
		want    float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.figures); got != c.want {
			t.Errorf("median(%v) = %g, want %g", c.figures, got, c.want)
		}
	}
}
