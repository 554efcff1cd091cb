package alert

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Event is what happened to an alert.
type Event string

// The events that actions are told of.
const (
	Fire   Event = "fire"
	Change Event = "change" // of level
	Clear  Event = "clear"
)

// Notification is what an action is told: the body of a webhook, the input of a program.
type Notification struct {
	Event Event     `json:"event"`
	Time  time.Time `json:"time"`
	Alert Alert     `json:"alert"`
}

// title is one line for people.
func (n *Notification) title() string {
	word := n.Alert.Level.String()
	if n.Event == Clear {
		word = "cleared"
	}
	return "[" + word + "] " + oneLine(n.Alert.Message)
}

// Delivery is what became of what an action was told.
type Delivery struct {
	Action   string    `json:"action"`
	Queued   int       `json:"queued"`
	Sent     uint64    `json:"sent"`
	Failed   uint64    `json:"failed"`    // after all tries
	Retried  uint64    `json:"retried"`   // tries that failed and were not the last
	HeldBack uint64    `json:"held_back"` // by the limit
	Dropped  uint64    `json:"dropped"`   // as the queue was full
	Error    string    `json:"error,omitempty"`
	ErrorAt  time.Time `json:"error_at,omitzero"`
	SentAt   time.Time `json:"sent_at,omitzero"`
}

const (
	mostQueued   = 200
	defaultTries = 10 // over some three minutes
	mostTries    = 20
	slowestTry   = time.Minute // between tries
)

// sender does what one kind of action does. An error that no other try would mend is
// backoff.Permanent.
type sender interface {
	send(context.Context, *Notification) error
}

// outlet is an action with what waits for it.
type outlet struct {
	Action
	deps   *Deps
	sender sender
	tries  int
	limit  *limit
	wake   chan struct{}
	// failing says that the last try failed, which was said. It is run's own.
	failing bool

	mu    sync.Mutex
	queue []Notification
	state Delivery
}

// wants reports whether the action is told of such events.
func (o *outlet) wants(event Event) bool {
	if len(o.On) == 0 {
		return event != Change
	}
	for _, word := range o.On {
		if word == string(event) {
			return true
		}
	}
	return false
}

// tell queues what there is to say for a rule's actions. Who was not told that an alert
// fires is not told that it does not any more.
func (e *Engine) tell(r *rule, st *state, event Event) {
	for _, i := range r.actions {
		o := e.out[i]
		if !o.wants(event) || event != Fire && !st.told[i] && o.wants(Fire) {
			continue
		}
		n := Notification{Event: event, Time: st.Alert.Fired, Alert: st.Alert}
		switch event {
		case Clear:
			n.Time = st.Alert.Ended
		case Change:
			n.Time = time.Time{}
		}
		if o.put(n, e.at) && event == Fire {
			st.told[i] = true
		}
	}
}

// put queues a notification unless the limit or the queue is full.
func (o *outlet) put(n Notification, at time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n.Time.IsZero() {
		n.Time = o.deps.Now()
	}
	if n.Event != Clear && !o.limit.take(at) {
		o.state.HeldBack++
		o.fail(errors.New("the limit of " + o.Limit + " is reached"))
		return false
	}
	if len(o.queue) >= mostQueued {
		o.state.Dropped++
		o.fail(errors.New("the queue is full"))
		return false
	}
	o.queue = append(o.queue, n)
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return true
}

func (o *outlet) fail(err error) {
	o.state.Error, o.state.ErrorAt = oneLine(err.Error()), o.deps.Now()
}

func (o *outlet) delivery() Delivery {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.state
	d.Action, d.Queued = o.Name, len(o.queue)
	return d
}

// run delivers what is queued until the context ends. What is then left stays queued.
func (o *outlet) run(ctx context.Context, changed func()) {
	for {
		n, ok := o.first()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-o.wake:
			}
			continue
		}
		err := o.deliver(ctx, &n)
		if ctx.Err() != nil && err != nil {
			return
		}
		o.done(&n, err)
		changed()
	}
}

func (o *outlet) first() (Notification, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return Notification{}, false
	}
	return o.queue[0], true
}

func (o *outlet) deliver(ctx context.Context, n *Notification) error {
	wait := backoff.NewExponentialBackOff()
	wait.Multiplier, wait.MaxInterval = 2, slowestTry
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, o.sender.send(ctx, n) },
		backoff.WithBackOff(wait), backoff.WithMaxTries(uint(o.tries)), backoff.WithMaxElapsedTime(time.Hour),
		backoff.WithNotify(func(err error, after time.Duration) {
			o.mu.Lock()
			o.state.Retried++
			o.fail(err)
			o.mu.Unlock() // a slow log does not keep Observe from queueing
			if !o.failing {
				o.failing = true
				o.deps.Log.Warn("an alert's action failed; it is tried again and again, each time after a longer pause", "action", o.Name, "alert", n.Alert.ID, "error", err.Error(), "after", after.Round(time.Millisecond))
			}
		}))
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		return permanent.Err
	}
	return err
}

func (o *outlet) done(n *Notification, err error) {
	o.mu.Lock()
	o.queue = o.queue[1:]
	if err == nil {
		o.state.Sent++
		o.state.SentAt = o.deps.Now()
	} else {
		o.state.Failed++
		o.fail(err)
	}
	o.mu.Unlock()
	if err == nil {
		if o.failing {
			o.failing = false
			o.deps.Log.Info("an alert's action works again", "action", o.Name)
		}
		return
	}
	o.failing = true
	o.deps.Log.Error("an alert's action failed; this is not told to anybody by it", "action", o.Name, "alert", n.Alert.ID, "event", string(n.Event), "error", err.Error())
}

// limit is a bucket of tokens: full at first, and filled over `per`.
type limit struct {
	most   float64
	per    time.Duration
	tokens float64
	last   time.Duration
}

func (l *limit) take(at time.Duration) bool {
	if l == nil {
		return true
	}
	l.tokens = min(l.most, l.tokens+l.most*(at-l.last).Seconds()/l.per.Seconds())
	l.last = at
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}
