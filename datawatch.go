package gazoo

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

// DataSnapshot is a znode's data at one moment, as the data watch yields it.
type DataSnapshot struct {
	Exists bool
	Data   []byte // nil when the znode is missing, or its data null
	Stat   Stat   // zero when it is missing
	Event  Event  // what led to this look; EventNone for the first and after a reconnect
}

// ChildrenSnapshot is a znode's children at one moment, as the children watch yields it.
type ChildrenSnapshot struct {
	Exists   bool
	Children []string // in no order
	Stat     Stat
	Event    Event
}

// SurvivingOption configures WatchData and WatchChildren.
type SurvivingOption func(*surviving)

// UntilSessionLost ends the watch with the session's error when the session is lost, presumed
// or confirmed, instead of going on in the next one.
func UntilSessionLost() SurvivingOption { return func(s *surviving) { s.stopOnLoss = true } }

type surviving struct {
	stopOnLoss bool
	session    *Session // of the last look, with stopOnLoss
	ctx        context.Context
	zk         *Client
	path       string
}

// WatchData iterates over the states of a znode: the present one at once, missing or not, then
// one after each change. It survives reconnects and new sessions, may coalesce changes that
// come faster than they are consumed, never goes backwards, and always delivers the last
// state. It ends when the loop breaks, or with an error as its last element: the context's,
// [ErrClosed], a refused read ([ErrNoAuth]), or the session's with [UntilSessionLost].
func (zk *Client) WatchData(ctx context.Context, path string, opts ...SurvivingOption) iter.Seq2[DataSnapshot, error] {
	return func(yield func(DataSnapshot, error) bool) {
		s, err := zk.survive(ctx, path, opts)
		if err != nil {
			yield(DataSnapshot{}, err)
			return
		}
		var last DataSnapshot
		first, history := true, zk.core.history.Load()
		s.loop(func(ev Event) (*Watch, bool, error) {
			snap, w, err := s.lookData()
			if err != nil {
				return nil, true, err
			}
			if now := zk.core.history.Load(); now != history {
				history, first = now, true // zxids of before prove nothing
			}
			news := first || snap.Exists != last.Exists || snap.Stat.Czxid > last.Stat.Czxid || snap.Stat.Mzxid > last.Stat.Mzxid
			if !news {
				return w, true, nil
			}
			first, last = false, snap
			snap.Event = ev
			return w, yield(snap, nil), nil
		}, func(err error) { yield(DataSnapshot{}, err) })
	}
}

// WatchChildren is [Client.WatchData] for a znode's children: it yields the present list at
// once and then after each change. A missing znode is waited for. After a reconnect it yields
// only if the list differs.
func (zk *Client) WatchChildren(ctx context.Context, path string, opts ...SurvivingOption) iter.Seq2[ChildrenSnapshot, error] {
	return func(yield func(ChildrenSnapshot, error) bool) {
		s, err := zk.survive(ctx, path, opts)
		if err != nil {
			yield(ChildrenSnapshot{}, err)
			return
		}
		var last ChildrenSnapshot
		first, history := true, zk.core.history.Load()
		s.loop(func(ev Event) (*Watch, bool, error) {
			snap, w, err := s.lookChildren()
			if err != nil {
				return nil, true, err
			}
			if now := zk.core.history.Load(); now != history {
				history, first = now, true
			}
			news := first || snap.Exists != last.Exists || snap.Stat.Czxid != last.Stat.Czxid
			if snap.Stat.Pzxid != last.Stat.Pzxid {
				// An event is always news: a child may have been replaced by its namesake.
				news = news || ev.Type != EventNone || !sameNames(snap.Children, last.Children)
			}
			if !news {
				return w, true, nil
			}
			first, last = false, snap
			snap.Event = ev
			return w, yield(snap, nil), nil
		}, func(err error) { yield(ChildrenSnapshot{}, err) })
	}
}

func (zk *Client) survive(ctx context.Context, path string, opts []SurvivingOption) (*surviving, error) {
	if ctx == nil {
		return nil, refuse("watch", path, errNilContext)
	}
	if err := ValidatePath(path); err != nil {
		return nil, refuse("watch", path, err)
	}
	s := &surviving{ctx: ctx, zk: zk, path: path}
	for _, opt := range opts {
		opt(s)
	}
	return s, nil
}

// loop looks, waits for the watch, and looks again. look returns the watch to wait for and
// whether to go on; finish gets the error that ends the watch.
func (s *surviving) loop(look func(Event) (*Watch, bool, error), finish func(error)) {
	if s.stopOnLoss {
		if err := s.bind(); err != nil {
			finish(err)
			return
		}
	}
	ev := Event{Type: EventNone}
	for {
		w, more, err := look(ev)
		if err == nil && s.stopOnLoss {
			s.session = s.zk.Session()
		}
		if err == nil && more {
			ev, err = w.Wait(s.ctx)
		}
		if w != nil {
			w.Close()
		}
		if !more {
			return
		}
		if err == nil {
			continue
		}
		ev = Event{Type: EventNone}
		if err := s.recover(err); err != nil {
			finish(err)
			return
		}
	}
}

// bind ties the watch to the present session, or to the first one to come. Without it, an expiry
// that falls between two looks, or behind a look whose connection was lost, would go unnoticed.
func (s *surviving) bind() error {
	session := s.zk.Session()
	if session == nil || session.Err() != nil && !session.ReadOnly() {
		if err := s.zk.WaitState(s.ctx, StateConnected); err != nil {
			return err
		}
		session = s.zk.Session()
	}
	if s.zk.session == nil && session != nil && !session.ReadOnly() {
		s.zk = s.zk.InSession(session)
	}
	return nil
}

// recover decides whether an error ends the watch, and otherwise waits until it is worth
// looking again.
func (s *surviving) recover(err error) error {
	lost := SessionLost(err)
	switch {
	case s.ctx.Err() != nil, isEnded(err), errors.Is(err, ErrSessionOver):
		return err
	case lost && s.stopOnLoss:
		return err
	case lost, errors.Is(err, ErrConnectionLoss), errors.Is(err, ErrReadOnlyEnded), errors.Is(err, ErrWatchNotSet):
		return s.waitConnected()
	case errors.Is(err, ErrThrottledOp), errors.Is(err, ErrSessionMoved):
		return sleep(s.ctx, 100*time.Millisecond, nil)
	}
	return err
}

// waitConnected waits for a connection and, with UntilSessionLost, looks whether it came too
// late: a read that failed with its connection does not tell what became of the session.
func (s *surviving) waitConnected() error {
	if s.session == nil {
		return s.zk.WaitState(s.ctx, StateConnected)
	}
	tenancy := s.session.Tenancy()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(tenancy, cancel)()
	err := s.zk.WaitState(ctx, StateConnected)
	if tenancy.Err() != nil {
		return refuse("watch", s.path, context.Cause(tenancy))
	}
	return err
}

func (s *surviving) lookData() (DataSnapshot, *Watch, error) {
	for {
		data, stat, w, err := s.zk.GetW(s.ctx, s.path)
		if err == nil {
			return DataSnapshot{Exists: true, Data: data, Stat: stat}, w, nil
		}
		w, again, err := s.absent(err)
		if !again {
			return DataSnapshot{}, w, err
		}
	}
}

func (s *surviving) lookChildren() (ChildrenSnapshot, *Watch, error) {
	for {
		names, stat, w, err := s.zk.ChildrenW(s.ctx, s.path)
		if err == nil {
			return ChildrenSnapshot{Exists: true, Children: names, Stat: stat}, w, nil
		}
		w, again, err := s.absent(err)
		if !again {
			return ChildrenSnapshot{}, w, err
		}
	}
}

// absent puts a watch on a missing znode; again says that it exists after all.
func (s *surviving) absent(err error) (w *Watch, again bool, _ error) {
	if !errors.Is(err, ErrNoNode) {
		return nil, false, err
	}
	_, found, w, err := s.zk.ExistsW(s.ctx, s.path)
	if err == nil && found {
		w.Close()
		return nil, true, nil
	}
	return w, false, err
}

// Watching is a data or children watch that runs a function.
type Watching struct {
	cancel context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	err    error
}

// Stop ends the watch. It does not wait: Done tells when the function will not be called
// again.
func (w *Watching) Stop() { w.cancel() }

// Done is closed when the function will not be called again.
func (w *Watching) Done() <-chan struct{} { return w.done }

// Err returns what ended the watch once Done is closed: nil when the function returned false.
func (w *Watching) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// WatchDataFunc calls fn with each state that [Client.WatchData] would yield, on a goroutine
// of its own, until fn returns false, ctx ends, Stop is called or the client is closed. fn may
// call anything, Close included.
func (zk *Client) WatchDataFunc(ctx context.Context, path string, fn func(DataSnapshot) bool, opts ...SurvivingOption) (*Watching, error) {
	return watchFunc(ctx, zk, path, fn, opts, zk.WatchData)
}

// WatchChildrenFunc is WatchDataFunc for [Client.WatchChildren].
func (zk *Client) WatchChildrenFunc(ctx context.Context, path string, fn func(ChildrenSnapshot) bool, opts ...SurvivingOption) (*Watching, error) {
	return watchFunc(ctx, zk, path, fn, opts, zk.WatchChildren)
}

func watchFunc[S any](ctx context.Context, zk *Client, path string, fn func(S) bool, opts []SurvivingOption,
	watch func(context.Context, string, ...SurvivingOption) iter.Seq2[S, error],
) (*Watching, error) {
	if fn == nil {
		return nil, refuse("watch", path, badArg("fn", "nil"))
	}
	if _, err := zk.survive(ctx, path, opts); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &Watching{cancel: cancel, done: make(chan struct{})}
	stop := context.AfterFunc(zk.core.ctx, cancel)
	zk.core.users.start(func() {
		defer close(w.done)
		defer cancel()
		defer stop()
		for snap, err := range watch(ctx, path, opts...) {
			if err != nil {
				if cause := context.Cause(zk.core.ctx); cause != nil {
					err = refuse("watch", path, cause)
				}
				w.mu.Lock()
				w.err = err
				w.mu.Unlock()
				return
			}
			more := false
			zk.core.users.call(func() { more = fn(snap) })
			if !more {
				return
			}
		}
	})
	return w, nil
}
