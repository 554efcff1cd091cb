package compare

import (
	"fmt"
	"slices"
	"strconv"
)

// Pair is two servers against each other, by the requests a second of the rounds that
// both have.
type Pair struct {
	// Faster is the one that did more requests a second, whether or not that is shown.
	Faster string `json:"faster"`
	Slower string `json:"slower"`
	// Ratio is Faster's requests a second over Slower's.
	Ratio  Estimate `json:"ratio"`
	Rounds int      `json:"rounds"`
	// Verdict is for programs, Words are for people.
	Verdict Verdict `json:"verdict"`
	Words   string  `json:"words"`
}

// Verdict is what a pair's figures show.
type Verdict string

// The verdicts.
const (
	// Differ says that the ratio's interval leaves 1 out.
	Differ Verdict = "faster"
	// AtLeast says so as well, but the client was the limit for the faster one: it may
	// be faster still.
	AtLeast Verdict = "at-least"
	// NotShown says that the interval holds 1. That does not make the two equal: the
	// interval says how far apart they may be.
	NotShown Verdict = "no-difference-shown"
	// ClientLimited says that the interval holds 1, and that the client was the limit: the
	// two may differ more than it can see. It is no excuse where a difference is shown,
	// for a client that gets more from the faster one did not hold the slower one back,
	// unless the slower one's answers are larger and so more work.
	ClientLimited Verdict = "client-limited"
	// Wrong says that too many of the faster one's requests failed or had a wrong status,
	// at which servers are often faster.
	Wrong Verdict = "errors"
	// TooFew says that there are less than 3 rounds.
	TooFew Verdict = "too-few-rounds"
)

// pairs compares each server with each slower one; servers are in order of speed. With
// many pairs there are many chances to be wrong, so each pair's interval is widened
// (Bonferroni): all of them together hold their true ratios in 95 of 100 comparisons.
func pairs(servers []Server, seed uint64) []Pair {
	count := len(servers) * (len(servers) - 1) / 2
	var all []Pair
	for i := range servers {
		for j := i + 1; j < len(servers); j++ {
			all = append(all, pair(&servers[i], &servers[j], miss/float64(count), seed))
		}
	}
	return all
}

func pair(a, b *Server, alpha float64, seed uint64) Pair {
	x, y := together(a, b)
	p := Pair{Faster: a.Name, Slower: b.Name, Rounds: len(x), Verdict: TooFew}
	if len(x) > 0 {
		p.Ratio = ratio(x, y, alpha, seed)
	}
	if p.Ratio.Value < 1 && len(x) > 0 {
		// Of the rounds that both have, the one that is slower in all of its own did better.
		a, b = b, a
		p.Faster, p.Slower = a.Name, b.Name
		p.Ratio = Estimate{1 / p.Ratio.Value, 1 / p.Ratio.High, 1 / p.Ratio.Low}
	}
	p.Verdict = p.verdict(a, b)
	p.Words = p.words()
	return p
}

// together returns both servers' requests a second of the rounds that both have.
func together(a, b *Server) (x, y []float64) {
	for _, r := range a.Rounds {
		at := slices.IndexFunc(b.Rounds, func(o Round) bool { return o.Number == r.Number })
		if at >= 0 {
			x, y = append(x, r.RequestsPerSecond), append(y, b.Rounds[at].RequestsPerSecond)
		}
	}
	return x, y
}

func (p *Pair) verdict(faster, slower *Server) Verdict {
	const tooMuch = 0.01
	shown := p.Ratio.Low > 1
	switch {
	case p.Rounds < fewest:
		return TooFew
	case faster.wrong() > tooMuch:
		return Wrong
	case slower.ClientLimit && slower.Answer.Bytes > faster.Answer.Bytes:
		return ClientLimited
	case shown && faster.ClientLimit:
		return AtLeast
	case shown:
		return Differ
	case faster.ClientLimit || slower.ClientLimit:
		return ClientLimited
	}
	return NotShown
}

func (p *Pair) words() string {
	value, low, high := p.Ratio.words()
	switch p.Verdict {
	case Differ:
		return fmt.Sprintf("%s is %s× (%s–%s) as fast as %s", p.Faster, value, low, high, p.Slower)
	case AtLeast:
		return fmt.Sprintf("%s is at least %s× as fast as %s: the client was the limit for %[1]s", p.Faster, low, p.Slower)
	case NotShown:
		return fmt.Sprintf("no difference shown between %s and %s (%s×, %s–%s)", p.Faster, p.Slower, value, low, high)
	case ClientLimited:
		return fmt.Sprintf("cannot tell %s from %s (%s×, %s–%s): the client was the limit", p.Faster, p.Slower, value, low, high)
	case Wrong:
		return fmt.Sprintf("cannot tell %s from %s: too many requests to %[1]s went wrong", p.Faster, p.Slower)
	}
	return fmt.Sprintf("too few rounds to tell %s from %s", p.Faster, p.Slower)
}

// Short is the verdict without the names: what stands in a table whose row and column
// name them.
func (p *Pair) Short() string {
	value, low, high := p.Ratio.words()
	switch p.Verdict {
	case Differ:
		return fmt.Sprintf("%s× (%s–%s)", value, low, high)
	case AtLeast:
		return "at least " + low + "×"
	case NotShown:
		return "no difference shown"
	case ClientLimited:
		return "the client was the limit"
	case Wrong:
		return "too many requests went wrong"
	}
	return "too few rounds to tell"
}

// words writes a ratio with as many digits as it takes to tell the ends of its interval
// from each other and from 1.
func (e Estimate) words() (value, low, high string) {
	const most = 3
	text := func(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }
	digits := 1
	if e.Value >= 10 {
		digits = 0
	}
	for ; digits < most; digits++ {
		low, high := text(e.Low, digits), text(e.High, digits)
		one := text(1, digits)
		if low != high && low != one && high != one {
			break
		}
	}
	return text(e.Value, digits), text(e.Low, digits), text(e.High, digits)
}
