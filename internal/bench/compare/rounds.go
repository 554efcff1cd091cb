package compare

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// measure warms all servers up and runs the rounds. It returns an error if it could not
// run them all; Result.Order then holds those that are whole.
func (r *run) measure(ctx context.Context) error {
	if err := r.warmUp(ctx); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(r.config.Seed, 0))
	for n := 1; n <= r.config.Rounds; n++ {
		var standing []*contender
		for _, s := range r.servers {
			if s.figure.Failure == "" {
				standing = append(standing, s)
			}
		}
		if len(standing) == 0 {
			return nil
		}
		random.Shuffle(len(standing), func(i, j int) { standing[i], standing[j] = standing[j], standing[i] })
		if err := r.round(ctx, n, standing); err != nil {
			return err
		}
	}
	return nil
}

// warmUp asks each server for a while, so that the first round finds caches filled.
func (r *run) warmUp(ctx context.Context) error {
	if *r.config.Warmup == 0 {
		return nil
	}
	for i, s := range r.servers {
		r.progress(Progress{Phase: Warming, Server: s.config.Name, Place: i + 1, Of: len(r.servers), Rounds: r.config.Rounds})
		if _, err := r.test(ctx, s, true); err != nil {
			return err
		}
	}
	return nil
}

// round measures each server once. Unless it is whole, nothing of it is kept.
func (r *run) round(ctx context.Context, n int, standing []*contender) error {
	var order []string
	rounds := make([]*Round, len(standing))
	for i, s := range standing {
		r.progress(Progress{
			Phase: Measuring, Server: s.config.Name, Round: n, Rounds: r.config.Rounds, Place: i + 1, Of: len(standing),
			Left: r.left(n, i, len(standing)),
		})
		got, err := r.test(ctx, s, false)
		if err != nil {
			return err
		}
		order = append(order, s.config.Name)
		if got != nil {
			got.Number, got.Place = n, i+1
			rounds[i] = got
		}
	}
	r.result.Order = append(r.result.Order, order)
	for i, s := range standing {
		if rounds[i] != nil {
			s.figure.Rounds = append(s.figure.Rounds, *rounds[i])
		}
	}
	return nil
}

// left is how long the rest takes, going by how long it took so far.
func (r *run) left(round, place, standing int) time.Duration {
	each := time.Duration(r.config.Duration)
	if r.measured > 0 {
		each = r.took / time.Duration(r.measured)
	}
	return each * time.Duration((r.config.Rounds-round+1)*standing-place)
}

// test asks one server for the length of a round, or of a warm-up. It returns nil, and
// the server drops out, if the server ends meanwhile or answers nothing. An error is that
// of ctx.
func (r *run) test(ctx context.Context, s *contender, warmup bool) (*Round, error) {
	test := r.config.test(s.config)
	when := fmt.Sprintf("in round %d", len(r.result.Order)+1)
	if warmup {
		test.Requests, test.Duration = 0, time.Duration(*r.config.Warmup)
		when = "while it was warmed up"
	}
	before := 0.0
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.proc != nil {
		before = s.proc.cpuSeconds()
		watched := make(chan struct{})
		defer func() { cancel(); <-watched }()
		go func() { // nobody waits for the answers of a server that is no more
			defer close(watched)
			select {
			case <-s.proc.exited:
				cancel()
			case <-inner.Done():
			}
		}()
	}
	began, busy := time.Now(), machineSeconds()
	result, err := r.deps.Measure(inner, test)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if s.proc != nil && (err != nil || result.Requests == 0 || result.Failed > 0) {
		s.proc.perhapsEnded()
	}
	if gone := s.died(); gone != nil {
		s.figure.Failure = fmt.Sprintf("%s %v", when, gone)
		return nil, nil
	}
	if err != nil { // it cannot even be connected to
		s.figure.Failure = fmt.Sprintf("%s: %v", when, err)
		return nil, nil
	}
	if result.Requests == 0 {
		s.figure.Failure = when + " it answered nothing"
		if len(result.Failures) > 0 {
			s.figure.Failure += ": " + result.Failures[0].Words
		}
		return nil, nil
	}
	s.figure.Protocol = result.Protocol
	if !warmup {
		r.measured++
		r.took += time.Since(began)
	}
	round := roundOf(result)
	if s.proc != nil {
		round.ServerCPUSeconds = max(0, s.proc.cpuSeconds()-before)
	}
	round.OtherCPUSeconds = max(0, machineSeconds()-busy-round.ServerCPUSeconds-round.Client.CPUSeconds)
	return &round, nil
}
