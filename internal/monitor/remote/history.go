package remote

import (
	"context"
	"net/url"
	"time"

	"sarn/internal/monitor/alert"
	"sarn/internal/monitor/history"
	"sarn/internal/monitor/sample"
)

// mostHistory is the size of an answer about history, in bytes.
const mostHistory = 32 << 20

// Bounds are what the server's history holds.
func (c *Client) Bounds(ctx context.Context) ([]history.Extent, error) {
	var answer struct {
		Bounds []history.Extent `json:"bounds"`
	}
	err := c.get(ctx, "history", nil, mostHistory, &answer)
	return answer.Bounds, err
}

// At is what the server knows of a time: see history.Store.At.
func (c *Client) At(ctx context.Context, t time.Time, resolution time.Duration) (*history.Record, error) {
	r := &history.Record{}
	query := url.Values{"time": {t.UTC().Format(time.RFC3339Nano)}, "resolution": {resolution.String()}}
	if err := c.get(ctx, "history/at", query, mostHistory, r); err != nil {
		return nil, err
	}
	r.Step = cut(r.Step, 0, 1e9)
	// Samples of history have no order, and peaks are of several passes.
	if r.Sample == nil {
		return nil, c.fail(errNoSample)
	}
	r.Sample.Sort()
	if err := fit(r.Sample); err != nil {
		return nil, c.fail(err)
	}
	if r.Peak != nil {
		if err := fitPeak(r.Peak); err != nil {
			return nil, c.fail(err)
		}
	}
	return r, nil
}

// fitPeak is fit for peaks, which are no sample: idle times may be below 0 there.
func fitPeak(s *sample.Sample) error {
	total := cut(s.CPU.Total.Idle, -1, 1)
	var cores []float64
	for i := range s.CPU.Cores {
		cores = append(cores, cut(s.CPU.Cores[i].Idle, -1, 1))
	}
	if err := fitFigures(s); err != nil {
		return err
	}
	s.CPU.Total.Idle = total
	for i := range cores {
		s.CPU.Cores[i].Idle = cores[i]
	}
	return nil
}

// Range is fields over time: see history.Store.Range.
func (c *Client) Range(ctx context.Context, from, to time.Time, step time.Duration, fields ...string) (*history.Series, error) {
	s := &history.Series{}
	query := url.Values{"from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}, "field": fields}
	if step > 0 {
		query.Set("step", step.String())
	}
	if err := c.get(ctx, "history/range", query, mostHistory, s); err != nil {
		return nil, err
	}
	return s, nil
}

// mostAlerts is how many alerts of each kind a server may have.
const mostAlerts = 10_000

func fitAlerts(a *Alerts) error {
	f := &fitter{}
	counts(&a.Rules)
	for _, list := range [][]alert.Alert{a.Active, a.Pending, a.Past} {
		if len(list) > mostAlerts {
			return errTooMany
		}
		for i := range list {
			x := &list[i]
			f.texts(&x.ID, &x.Rule, &x.Of, &x.Metric, &x.Subject, &x.Host, (*string)(&x.Phase), &x.Text, &x.Message)
			for k, v := range x.Labels {
				f.bytes += len(k) + len(v)
			}
		}
	}
	for i := range a.Deliveries {
		f.texts(&a.Deliveries[i].Action, &a.Deliveries[i].Error)
	}
	if f.bytes > mostTexts {
		return errTooLarge
	}
	return nil
}
