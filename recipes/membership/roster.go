package membership

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/gazoo-zk/gazoo"
)

// ErrStale says that a list may be out of date: it was not read yet, or there is no connection at present.
var ErrStale = errors.New("list may be out of date")

// Entry is a child of a roster's path.
type Entry struct {
	Name string
	Data []byte
	Stat gazoo.Stat
}

// RosterOption configures a [Roster].
type RosterOption func(*Roster)

// WithNames keeps a roster to the children whose name a function accepts; it is called on the roster's goroutine.
func WithNames(accept func(name string) bool) RosterOption {
	return func(r *Roster) { r.accept = accept }
}

// Roster is the list of a path's children with their data, kept up to date by one persistent watch, across reconnects
// and sessions. It is safe for concurrent use. Whoever made it closes it.
type Roster struct {
	zk     *gazoo.Client
	path   string
	accept func(string) bool

	ctx  context.Context
	stop context.CancelFunc
	done chan struct{} // closed when run has left

	// Owned by run.
	members map[string]Entry
	dirty   map[string]bool
	all     bool // everything is to be read again
	faults  pacer

	mu      sync.Mutex
	list    []Entry // never changed, only replaced
	read    bool    // list is what was read, nothing is dirty
	err     error   // why it is not, or what could not be read
	version uint64  // of list
	changed chan struct{}
}

// NewRoster begins to follow the children of a path, which need not exist. It returns at once: [Roster.WaitSynced]
// waits for the first list. The error is a [gazoo.ArgumentError].
func NewRoster(zk *gazoo.Client, path string, opts ...RosterOption) (*Roster, error) {
	if err := gazoo.ValidatePath(path); err != nil {
		return nil, fmt.Errorf("roster %s: %w", path, err)
	}
	r := &Roster{
		zk: zk, path: path, accept: func(string) bool { return true },
		done:    make(chan struct{}),
		members: make(map[string]Entry), dirty: make(map[string]bool),
		changed: make(chan struct{}),
	}
	for _, opt := range opts {
		if opt != nil {
			opt(r)
		}
	}
	if r.accept == nil {
		return nil, fmt.Errorf("roster %s: %w", path, &gazoo.ArgumentError{Arg: "WithNames", Reason: "must not be nil"})
	}
	r.ctx, r.stop = context.WithCancel(zk.Context())
	go r.run()
	return r, nil
}

// Entries returns the children as they were read last, by name. Their data is shared: do not change it.
func (r *Roster) Entries() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// Get returns the child with a name as it was read last.
func (r *Roster) Get(name string) (Entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, found := slices.BinarySearchFunc(r.list, name, byName); found {
		return r.list[i], true
	}
	return Entry{}, false
}

func byName(e Entry, name string) int { return strings.Compare(e.Name, name) }

// Err returns nil while the list is up to date, as far as this program can know: what one server knew a moment ago.
// Otherwise it says why it is not: [ErrStale], [ErrClosed], the client's end, or the server's refusal to let a child be
// read, which is left out then.
func (r *Roster) Err() error {
	r.mu.Lock()
	read, err := r.read, r.err
	r.mu.Unlock()
	switch {
	case over(err), read && err != nil:
		return err
	case err != nil:
		return fmt.Errorf("%s: %w: %w", r.path, ErrStale, err)
	case !read, !r.zk.Connected():
		return fmt.Errorf("%s: %w", r.path, ErrStale)
	}
	return nil
}

// WaitSynced waits until the list has been read and nothing is known that it lacks. Its other errors than ctx's are
// those of Err that do not pass.
func (r *Roster) WaitSynced(ctx context.Context) error {
	for {
		r.mu.Lock()
		read, err, changed := r.read, r.err, r.changed
		r.mu.Unlock()
		switch {
		case err != nil && final(err):
			return fmt.Errorf("roster %s: %w", r.path, err)
		case read:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("roster %s: %w", r.path, errors.Join(context.Cause(ctx), err))
		}
	}
}

// Watch iterates over the lists: the first one as soon as it was read, then the newest after each change. A slow loop
// misses some, never the newest. The last element carries the error that ended it: the context's, [ErrClosed], or the
// client's end.
func (r *Roster) Watch(ctx context.Context) iter.Seq2[[]Entry, error] {
	return func(yield func([]Entry, error) bool) {
		var seen uint64
		for {
			r.mu.Lock()
			list, version, err, changed := r.list, r.version, r.err, r.changed
			r.mu.Unlock()
			if version > seen {
				seen = version
				if !yield(slices.Clone(list), nil) {
					return
				}
				continue
			}
			if over(err) {
				yield(nil, fmt.Errorf("roster %s: %w", r.path, err))
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(nil, fmt.Errorf("roster %s: %w", r.path, context.Cause(ctx)))
				return
			}
		}
	}
}

// over reports whether an error says that this package or the client has been closed.
func over(err error) bool {
	return errors.Is(err, ErrClosed) || errors.Is(err, gazoo.ErrClosed) || errors.Is(err, gazoo.ErrAuthFailed)
}

// Close ends the roster and waits for its goroutine, which does not wait for any server. It may be called again. The
// entries can still be read.
func (r *Roster) Close() {
	r.stop()
	<-r.done
}

// run follows the children through one stream, or several when one fails.
func (r *Roster) run() {
	defer close(r.done)
	for r.ctx.Err() == nil {
		stream, err := r.zk.Watch(r.ctx, r.path, gazoo.Recursive())
		if err == nil {
			err = r.follow(stream)
			stream.Close()
		}
		if r.ctx.Err() == nil {
			r.settle(false, err)
			_ = pause(r.ctx, r.faults.next(), nil)
		}
	}
	r.settle(false, ended(r.zk, context.Canceled))
}

// follow reads what the stream says has changed, until the stream ends.
func (r *Roster) follow(stream *gazoo.Stream) error {
	r.all = true
	now, cancel := context.WithCancel(r.ctx)
	cancel() // for what is queued already
	for {
		for {
			ev, err := stream.Next(now)
			if err != nil {
				break // nothing queued; the end of the stream shows below
			}
			r.mark(ev)
		}
		if r.all || len(r.dirty) > 0 {
			err := r.refresh()
			switch {
			case r.ctx.Err() != nil:
				return r.ctx.Err()
			case err != nil:
				r.settle(false, err)
				if pause(r.ctx, r.faults.next(), nil) != nil {
					return r.ctx.Err()
				}
			default:
				r.faults.reset()
			}
			continue
		}
		ev, err := stream.Next(r.ctx)
		if err != nil {
			return err
		}
		r.mark(ev)
	}
}

// mark notes what an event makes worth reading.
func (r *Roster) mark(ev gazoo.Event) {
	if ev.Type == gazoo.EventNone {
		r.all = true
		return
	}
	if ev.Path == r.path {
		// Its children have events of their own. A recreated path may have children that nobody has told of.
		r.all = r.all || ev.Type == gazoo.EventCreated
		return
	}
	if parent, name := gazoo.SplitPath(ev.Path); parent == r.path && r.accept(name) {
		r.dirty[name] = true
	}
}

// refresh reads what is dirty, in a pipeline, and publishes the list.
func (r *Roster) refresh() error {
	if r.all {
		names, err := r.zk.Children(r.ctx, r.path)
		if err != nil && !errors.Is(err, gazoo.ErrNoNode) {
			return err
		}
		listed := make(map[string]bool, len(names))
		for _, name := range names {
			if r.accept(name) {
				listed[name], r.dirty[name] = true, true
			}
		}
		for name := range r.members {
			if !listed[name] {
				delete(r.members, name)
			}
		}
		r.all = false
	}
	names := make([]string, 0, len(r.dirty))
	reads := make([]gazoo.Future[gazoo.Node], 0, len(r.dirty))
	for name := range r.dirty {
		names = append(names, name)
		reads = append(reads, r.zk.Async().Get(r.ctx, gazoo.JoinPath(r.path, name)))
	}
	var refused, failed error
	for i, read := range reads {
		node, err := read.Wait(r.ctx)
		switch {
		case err == nil:
			r.members[names[i]] = Entry{names[i], node.Data, node.Stat}
		case errors.Is(err, gazoo.ErrNoNode):
			delete(r.members, names[i])
		case errors.Is(err, gazoo.ErrNoAuth):
			delete(r.members, names[i])
			refused = err
		default:
			failed = err
			continue
		}
		delete(r.dirty, names[i])
	}
	if failed != nil {
		return failed
	}
	r.settle(true, refused)
	return nil
}

// settle publishes the state of the list: read, or why not.
func (r *Roster) settle(read bool, err error) {
	var list []Entry
	if read {
		list = make([]Entry, 0, len(r.members))
		for _, e := range r.members {
			list = append(list, e)
		}
		slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if read && (r.version == 0 || !slices.EqualFunc(list, r.list, sameEntry)) {
		r.list = list
		r.version++
	}
	r.read, r.err = read, err
	close(r.changed)
	r.changed = make(chan struct{})
}

func sameEntry(a, b Entry) bool {
	return a.Name == b.Name && a.Stat.Czxid == b.Stat.Czxid && a.Stat.Mzxid == b.Stat.Mzxid && bytes.Equal(a.Data, b.Data)
}
