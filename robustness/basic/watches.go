package basic

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Watches changes a few znodes and their children, and follows them in every way that there is. A one-shot watch has ended
// before a read on its client shows the change, and has a reason. A stream has an event for each change between two reads,
// unless it has marked a gap. [gazoo.Client.WatchData] and WatchChildren never go backwards. All of them see the last
// state, when everything is well again.
func Watches() *program.Program {
	return &program.Program{Name: "watches", Setup: made(watched...), Client: watchesClient, Check: checkWatches}
}

// watched are there for ever. Their child x comes and goes, and one more for each client.
var watched = []string{"/a", "/b"}

// watchState is what a watch is about: of the data of a znode the version, of its children theirs.
type watchState struct {
	Found   bool  `json:"f"`
	Version int32 `json:"n"`
	Czxid   int64 `json:"z,omitempty"` // of one that comes and goes
}

func dataState(stat gazoo.Stat) watchState     { return watchState{true, stat.Version, 0} }
func childrenState(stat gazoo.Stat) watchState { return watchState{true, stat.Cversion, 0} }
func presentState(stat gazoo.Stat, found bool) watchState {
	return watchState{found, stat.Version, stat.Czxid}
}

// What is noted of watches. The Key is the path.
type (
	// watchLook is a look at a one-shot watch behind a read.
	watchLook struct {
		Kind   string     `json:"k"`
		Base   watchState `json:"b"` // when the watch was set
		Now    watchState `json:"s"` // as read
		Done   bool       `json:"d"` // the watch has ended
		Event  int32      `json:"e,omitempty"`
		Err    string     `json:"r,omitempty"` // why there is no event
		Reason bool       `json:"w,omitempty"` // that is one of those which there may be
	}
	// watchTally counts the events of a stream, and says what was read between two counts.
	watchTally struct {
		Before, After watchCount
		Data          int32 `json:"n"`
		Children      int32 `json:"c"`
	}
	watchCount struct{ Data, Children, Gaps int32 }
	// watchLast compares the last state that was followed with the one that was read.
	watchLast struct {
		Kind string     `json:"k"`
		Last watchState `json:"l"`
		Now  watchState `json:"s"`
	}
)

// watcher is a client of the program.
type watcher struct {
	*program.Env
	zk     *gazoo.Client
	key    string // what it has one-shot watches on, and follows
	slots  []*watchSlot
	stream *gazoo.Stream
	count  watchCount

	mu   sync.Mutex // guards last
	last map[string]watchState
}

// watchSlot is a one-shot watch that is set again and again.
type watchSlot struct {
	kind  string
	path  string
	watch *gazoo.Watch
	base  watchState
	set   func(ctx context.Context, path string) (watchState, *gazoo.Watch, error)
	read  func(ctx context.Context, path string) (watchState, error)
}

func watchesClient(ctx context.Context, e *program.Env) error {
	zk, err := e.Open(ctx)
	if zk == nil {
		return err
	}
	defer func() { <-zk.Done() }()
	defer zk.CloseNow()
	w := &watcher{Env: e, zk: zk, key: watched[e.Client%2], last: map[string]watchState{}}
	// Some have the stream where their one-shot watches are, since servers keep both in one place.
	streamed := watched[(e.Client+e.Client/2)%2]
	if !w.open(ctx, streamed, e.Rand.IntN(2) == 0) {
		return nil
	}
	w.fill()
	if err := w.follow(); err != nil {
		return err
	}
	for e.Pause(ctx, 200*time.Millisecond) {
		op, cancel := context.WithTimeout(ctx, call)
		switch e.Rand.IntN(3) {
		case 0:
			w.look(op)
		case 1:
			w.tally(op, streamed)
		default:
			w.write(op)
		}
		cancel()
	}
	w.settle(context.WithoutCancel(ctx))
	return nil
}

// open opens the stream.
func (w *watcher) open(ctx context.Context, path string, recursive bool) bool {
	var opts []gazoo.StreamOption
	if recursive {
		opts = append(opts, gazoo.Recursive())
	}
	for {
		op, cancel := context.WithTimeout(ctx, call)
		stream, err := w.zk.Watch(op, path, opts...)
		cancel()
		if err == nil {
			w.stream = stream
			return true
		}
		if !w.Pause(ctx, time.Second) {
			return false
		}
	}
}

// fill makes the slots.
func (w *watcher) fill() {
	get := func(ctx context.Context, path string) (gazoo.Stat, error) {
		_, stat, err := w.zk.Get(ctx, path)
		return stat, err
	}
	w.slots = []*watchSlot{
		{
			kind: "data", path: w.key,
			set: func(ctx context.Context, path string) (watchState, *gazoo.Watch, error) {
				_, stat, watch, err := w.zk.GetW(ctx, path)
				return dataState(stat), watch, err
			},
			read: func(ctx context.Context, path string) (watchState, error) {
				stat, err := get(ctx, path)
				return dataState(stat), err
			},
		},
		{
			kind: "children", path: w.key,
			set: func(ctx context.Context, path string) (watchState, *gazoo.Watch, error) {
				_, stat, watch, err := w.zk.ChildrenW(ctx, path)
				return childrenState(stat), watch, err
			},
			read: func(ctx context.Context, path string) (watchState, error) {
				stat, err := get(ctx, path)
				return childrenState(stat), err
			},
		},
		{
			kind: "exists", path: w.key + "/x",
			set: func(ctx context.Context, path string) (watchState, *gazoo.Watch, error) {
				stat, found, watch, err := w.zk.ExistsW(ctx, path)
				return presentState(stat, found), watch, err
			},
			read: func(ctx context.Context, path string) (watchState, error) {
				stat, found, err := w.zk.Exists(ctx, path)
				return presentState(stat, found), err
			},
		},
	}
}

// follow begins to follow states. It goes on until the client is closed.
func (w *watcher) follow() error {
	ctx := context.Background()
	note := func(kind, path string, s watchState) bool {
		w.Note("follow "+kind, path, s)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.last[kind] = s
		return true
	}
	data := func(kind, path string) error {
		_, err := w.zk.WatchDataFunc(ctx, path, func(s gazoo.DataSnapshot) bool {
			return note(kind, path, presentState(s.Stat, s.Exists))
		})
		return err
	}
	_, err := w.zk.WatchChildrenFunc(ctx, w.key, func(s gazoo.ChildrenSnapshot) bool {
		return note("children", w.key, watchState{s.Exists, s.Stat.Cversion, s.Stat.Czxid})
	})
	return errors.Join(err, data("data", w.key), data("exists", w.key+"/x"))
}

// write changes something.
func (w *watcher) write(ctx context.Context) {
	path := watched[w.Rand.IntN(len(watched))]
	child := path + "/x"
	if w.Rand.IntN(2) == 0 {
		child = path + "/" + name(w.Env, 0)
	}
	switch w.Rand.IntN(5) {
	case 0, 1:
		p := w.Begin("set", path, nil)
		stat, err := w.zk.Set(ctx, path, nil, gazoo.AnyVersion)
		p.End(stat.Version, err)
	case 2:
		p := w.Begin("set child", child, nil)
		_, err := w.zk.Set(ctx, child, nil, gazoo.AnyVersion)
		p.End(nil, err)
	case 3:
		p := w.Begin("create", child, nil)
		_, err := w.zk.Create(ctx, child, nil)
		p.End(nil, err)
	default:
		p := w.Begin("delete", child, nil)
		p.End(nil, w.zk.Delete(ctx, child, gazoo.AnyVersion))
	}
}

// look reads what the one-shot watches are set on, and then looks at them. Those that have ended are set again.
func (w *watcher) look(ctx context.Context) {
	for _, s := range w.slots {
		if s.watch != nil {
			now, err := s.read(ctx, s.path)
			if err != nil {
				continue
			}
			note := watchLook{Kind: s.kind, Base: s.base, Now: now}
			select {
			case <-s.watch.Done():
				note.Done = true
				ev, err := s.watch.Result()
				note.Event = int32(ev.Type)
				if err != nil {
					note.Err, note.Reason = err.Error(), gazoo.SessionLost(err) || errors.Is(err, gazoo.ErrWatchNotSet)
				}
			default:
			}
			if note.Done || now != s.base {
				w.Note("look", s.path, note)
				s.watch.Close()
				s.watch = nil
			} else if w.Rand.IntN(8) == 0 {
				s.watch.Close() // others on the path must not suffer
				s.watch = nil
			}
		}
		if s.watch == nil {
			if base, watch, err := s.set(ctx, s.path); err == nil {
				s.base, s.watch = base, watch
			}
		}
	}
}

// tally counts the stream's events before and behind a read.
func (w *watcher) tally(ctx context.Context, path string) {
	t := watchTally{Before: w.drain(path)}
	_, stat, err := w.zk.Get(ctx, path)
	if err != nil || w.stream.Emulated() {
		return
	}
	t.After, t.Data, t.Children = w.drain(path), stat.Version, stat.Cversion
	w.Note("tally", path, t)
}

// drain takes the events that are there.
func (w *watcher) drain(path string) watchCount {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		ev, err := w.stream.Next(now)
		switch {
		case err != nil:
			return w.count
		case ev.Gap != gazoo.GapNone:
			w.count.Gaps++
		case ev.Path == path && ev.Type == gazoo.EventDataChanged:
			w.count.Data++
		case ev.Path == path && ev.Type == gazoo.EventChildrenChanged, ev.Path != path && ev.Type != gazoo.EventDataChanged:
			w.count.Children++
		}
	}
}

// How long the last state may take when everything is well again, and how long it may take until it is.
const (
	settled  = 10 * time.Second
	settling = 20 * time.Second
)

// settle compares the last states with what is there, when all is well and the others are settling too.
func (w *watcher) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for fresh(ctx, w.zk) != nil {
		if w.zk.Context().Err() != nil || !program.Sleep(ctx, 100*time.Millisecond) {
			return // something is not well
		}
	}
	ctx, cancel = context.WithTimeout(ctx, settled)
	defer cancel()
	w.look(ctx)
	compared := map[string]watchLast{}
	for program.Sleep(ctx, 100*time.Millisecond) {
		for _, s := range w.slots {
			now, err := s.read(ctx, s.path)
			if err != nil {
				return
			}
			w.mu.Lock()
			last := w.last[s.kind]
			w.mu.Unlock()
			if s.kind != "exists" {
				last.Czxid = 0 // never another one
			}
			compared[s.kind] = watchLast{s.kind, last, now}
		}
		if !slices.ContainsFunc(w.slots, func(s *watchSlot) bool { return compared[s.kind].Last != compared[s.kind].Now }) {
			break
		}
	}
	for _, s := range w.slots {
		w.Note("last", s.path, compared[s.kind])
	}
}
