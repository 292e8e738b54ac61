package gazoo

import (
	"iter"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// watchEntry is everything about one absolute path. It is small, because there may be a million
// of them: nearly all have a single one-shot and nothing else. Guarded by registry.mu.
type watchEntry struct {
	path    string
	shots   [watchKinds]watchRing // one-shots; data and exist share the server's data table
	streams *streamEntry          // nil where there has been no stream

	inflight int32  // one-shot registrations not answered
	remote   int32  // of these, sent with the watch flag
	epoch    uint32 // the connection for which server is true
	server   table
	gone     bool // it is not in the registry any more
}

// streamEntry is what concerns streams on one path.
type streamEntry struct {
	persistent []*Stream
	recursive  []*Stream
	adding     bool                 // a stream registration is on its way
	waiters    []chan struct{}      // stream registrations that wait for those before them
	mode       zkproto.AddWatchMode // when the server has tableStream
}

// table is what the server holds for a path.
type table uint8

const (
	tableData   table = 1 << iota // a one-shot in the data table
	tableChild                    // a one-shot in the child table
	tableStream                   // a persistent or recursive watch (both tables)
)

func (k watchKind) table() table {
	if k == watchChild {
		return tableChild
	}
	return tableData
}

// stream returns where the path's streams are kept.
func (e *watchEntry) stream() *streamEntry {
	if e.streams == nil {
		e.streams = &streamEntry{}
	}
	return e.streams
}

func (e *watchEntry) persistent() []*Stream {
	if e.streams == nil {
		return nil
	}
	return e.streams.persistent
}

func (e *watchEntry) recursive() []*Stream {
	if e.streams == nil {
		return nil
	}
	return e.streams.recursive
}

func (e *watchEntry) hasStreams() bool {
	return e.streams != nil && len(e.streams.persistent)+len(e.streams.recursive) > 0
}

func (e *watchEntry) adding() bool { return e.streams != nil && e.streams.adding }

// take empties the list of streams.
func (e *watchEntry) take() []*Stream {
	if e.streams == nil {
		return nil
	}
	all := append(e.streams.persistent, e.streams.recursive...)
	e.streams.persistent, e.streams.recursive = nil, nil
	return all
}

// used returns the tables that something local still needs.
func (e *watchEntry) used() (used table) {
	if e.hasStreams() {
		return tableData | tableChild
	}
	if e.shots[watchData].first != nil || e.shots[watchExist].first != nil {
		used |= tableData
	}
	if e.shots[watchChild].first != nil {
		used |= tableChild
	}
	return used
}

// admit lets stream registrations look again.
func (e *watchEntry) admit() {
	if s := e.streams; s != nil && e.remote == 0 && !s.adding {
		for _, ch := range s.waiters {
			close(ch)
		}
		s.waiters = nil
	}
}

// watchRing has the one-shots of one kind on one path, in the order of their registration. They
// are linked among themselves, so that a list costs nothing and a watch leaves it at once.
type watchRing struct{ first *Watch }

func (r *watchRing) add(w *Watch) {
	if r.first == nil {
		r.first, w.next, w.prev = w, w, w
		return
	}
	last := r.first.prev
	last.next, w.prev = w, last
	w.next, r.first.prev = r.first, w
}

// remove takes a watch out, if it is in.
func (r *watchRing) remove(w *Watch) {
	switch {
	case w.next == nil:
		return
	case w.next == w:
		r.first = nil
	default:
		w.prev.next, w.next.prev = w.next, w.prev
		if r.first == w {
			r.first = w.next
		}
	}
	w.next, w.prev = nil, nil
}

// take empties the ring and yields what was in it.
func (r *watchRing) take() iter.Seq[*Watch] {
	return func(yield func(*Watch) bool) {
		for w := r.first; w != nil; w = r.first {
			r.remove(w)
			if !yield(w) {
				return
			}
		}
	}
}

func (r *watchRing) len() (n int) {
	for w := r.first; w != nil; {
		n++
		if w = w.next; w == r.first {
			break
		}
	}
	return n
}
