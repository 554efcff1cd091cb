package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sarn/internal/intent"
)

const (
	prefix   = "/sarn/v1/"
	epochKey = prefix + "epoch"

	// patience bounds each request: an etcd that cannot answer, because most of its
	// members are away, would otherwise hold the caller for ever.
	patience = 15 * time.Second
)

// ErrCompacted says that the changes asked for are no longer kept: Load again.
var ErrCompacted = errors.New("the store no longer keeps the changes since that revision")

// ErrFailed says that the embedded server cannot go on, for example because the disk
// is full. Only a new process opens the store again.
var ErrFailed = errors.New("the store has failed")

// ConflictError says that somebody else changed the store since the revision that a
// Commit was made for.
type ConflictError struct {
	// Revision is that of the change which came first.
	Revision int64
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("the store was changed by somebody else at revision %d", e.Revision)
}

// Store is intent in etcd. It is safe for concurrent use.
type Store struct {
	client *clientv3.Client
	server *server // nil if the cluster is external
}

// Open opens the store, starting the embedded server if there is no external one.
// It returns when the store answers.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if len(c.Endpoints) > 0 {
		return dial(ctx, c)
	}
	srv, err := serve(ctx, c.Dir, nil)
	if err != nil {
		return nil, err
	}
	return &Store{client: srv.client(), server: srv}, nil
}

// Close releases the store and stops the embedded server.
func (s *Store) Close() error {
	err := s.client.Close()
	// Closing a client always ends the context that it was made with.
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	if s.server != nil {
		s.server.close()
	}
	return err
}

// Load returns every object, with its Revision, and the revision of the whole.
func (s *Store) Load(ctx context.Context) ([]intent.Object, int64, error) { return s.load(ctx, 0) }

// LoadAt returns every object as it was at the revision, which the store must have
// reached, or ErrCompacted.
func (s *Store) LoadAt(ctx context.Context, revision int64) ([]intent.Object, error) {
	objects, _, err := s.load(ctx, revision)
	return objects, err
}

// Revision returns the revision that the store is at now.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	r, err := s.client.Get(ctx, epochKey)
	if err != nil {
		return 0, fmt.Errorf("ask for the store's revision: %w", s.explain(err))
	}
	return r.Header.Revision, nil
}

// load is Load at a revision, of which 0 is the newest.
func (s *Store) load(ctx context.Context, revision int64) ([]intent.Object, int64, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	r, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(revision))
	if err != nil {
		return nil, 0, fmt.Errorf("load intent: %w", s.explain(err))
	}
	objects := make([]intent.Object, 0, len(r.Kvs))
	for _, kv := range r.Kvs {
		if string(kv.Key) == epochKey {
			continue
		}
		o, err := decode(kv)
		if err != nil {
			return nil, 0, fmt.Errorf("load intent: %w", err)
		}
		objects = append(objects, o)
	}
	return objects, r.Header.Revision, nil
}

// Commit makes one change, all or nothing, on top of what the store held at the
// revision at. It returns the new revision, or a *ConflictError if the store has
// changed since. The Revision that the objects carry is not kept: etcd counts it.
func (s *Store) Commit(ctx context.Context, at int64, puts []intent.Object, deletes []intent.Ref) (int64, error) {
	if s.server != nil {
		if err := s.server.roomy(reserveBytes); err != nil {
			return 0, fmt.Errorf("commit change: %w", err)
		}
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	ops := make([]clientv3.Op, 0, 1+len(puts)+len(deletes))
	ops = append(ops, clientv3.OpPut(epochKey, ""))
	for _, o := range puts {
		js, err := json.Marshal(o)
		if err != nil {
			return 0, fmt.Errorf("encode %s: %w", intent.RefOf(o), err)
		}
		ops = append(ops, clientv3.OpPut(keyOf(intent.RefOf(o)), string(js)))
	}
	for _, ref := range deletes {
		ops = append(ops, clientv3.OpDelete(keyOf(ref)))
	}
	r, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(epochKey), "<", at+1)).
		Then(ops...).
		Else(clientv3.OpGet(epochKey)).
		Commit()
	if err != nil {
		return 0, fmt.Errorf("commit change: %w", s.explain(err))
	}
	if !r.Succeeded {
		return 0, &ConflictError{Revision: r.Responses[0].GetResponseRange().Kvs[0].ModRevision}
	}
	return r.Header.Revision, nil
}

// Batch is everything that changed at one revision.
type Batch struct {
	Revision int64
	Puts     []intent.Object
	Deletes  []intent.Ref
}

// Watch calls apply with each change after the given revision, in order and each
// once. It returns when ctx ends, apply or the store fails, or with ErrCompacted.
func (s *Store) Watch(ctx context.Context, after int64, apply func(Batch) error) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	changes := s.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(after+1))
	for {
		select {
		case r, open := <-changes:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !open {
				return errors.New("watch intent: the store ended the watch")
			}
			if err := r.Err(); err != nil {
				return fmt.Errorf("watch intent: %w", s.explain(err))
			}
			if err := each(r.Events, apply); err != nil {
				return err
			}
		case <-s.failed():
			return fmt.Errorf("watch intent: %w", s.server.fatal.err)
		}
	}
}

// each cuts the events into batches of one revision each. etcd never splits a
// revision over two responses unless it is asked to (clientv3.WithFragment).
func each(events []*clientv3.Event, apply func(Batch) error) error {
	var b Batch
	for i, e := range events {
		b.Revision = e.Kv.ModRevision
		switch {
		case string(e.Kv.Key) == epochKey:
		case e.Type == clientv3.EventTypeDelete:
			ref, err := refOf(string(e.Kv.Key))
			if err != nil {
				return err
			}
			b.Deletes = append(b.Deletes, ref)
		default:
			o, err := decode(e.Kv)
			if err != nil {
				return err
			}
			b.Puts = append(b.Puts, o)
		}
		if i+1 < len(events) && events[i+1].Kv.ModRevision == b.Revision {
			continue
		}
		if err := apply(b); err != nil {
			return err
		}
		b = Batch{}
	}
	return nil
}

// bound gives a request its time, which also ends when the embedded server fails.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	go func() {
		select {
		case <-s.failed():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// failed is closed when the embedded server has failed for good.
func (s *Store) failed() <-chan struct{} {
	if s.server == nil {
		return nil
	}
	return s.server.fatal.done
}

func keyOf(ref intent.Ref) string { return prefix + ref.Kind.Noun() + "/" + ref.Name }

func refOf(key string) (intent.Ref, error) {
	noun, name, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	for _, k := range intent.Kinds {
		if k.Noun() == noun && name != "" {
			return intent.Ref{Kind: k, Name: name}, nil
		}
	}
	return intent.Ref{}, fmt.Errorf("the store holds %s, which this version does not know; was it written by a newer one?", key)
}

func decode(kv *mvccpb.KeyValue) (intent.Object, error) {
	ref, err := refOf(string(kv.Key))
	if err != nil {
		return nil, err
	}
	o := intent.New(ref.Kind)
	if err := json.Unmarshal(kv.Value, o); err != nil {
		return nil, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	// Whatever is written there, an object is found under its key alone.
	o.Head().Name = ref.Name
	o.Head().Revision = kv.ModRevision
	return o, nil
}

// explain puts etcd's errors into words that say what to do.
func (s *Store) explain(err error) error {
	if s.server != nil {
		if fatal := s.server.fatal.get(); fatal != nil {
			return fatal
		}
	}
	// What helps depends on whose etcd it is: the embedded one has no flags, and
	// etcdctl cannot reach it.
	raiseRequest, raiseOps, makeRoom := "", "", fmt.Sprintf("more than %d GB of changes that it still remembers; "+
		"let `sarn server` run for two hours, in which it forgets them, and start it again, which makes room", quotaBytes>>30)
	if s.server == nil {
		raiseRequest, raiseOps = ", or raise etcd's --max-request-bytes", ", or raise etcd's --max-txn-ops"
		makeRoom = "make room with etcdctl compact, defrag and alarm disarm"
	}
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		return ErrCompacted
	case errors.Is(err, rpctypes.ErrRequestTooLarge):
		return fmt.Errorf("the change is too large for one transaction; make it in parts%s: %w", raiseRequest, err)
	case errors.Is(err, rpctypes.ErrTooManyOps):
		return fmt.Errorf("the change has too many objects for one transaction; make it in parts%s: %w", raiseOps, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("the store is full: %s: %w", makeRoom, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return err
}
