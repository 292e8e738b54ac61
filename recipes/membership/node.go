package membership

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
)

var (
	// ErrForeignOwner says that there is a znode at the path which another session, or another kind of program, made.
	ErrForeignOwner = errors.New("znode belongs to somebody else")
	// ErrClosed ends what waits for something that was closed: a [PersistentNode], a [Roster].
	ErrClosed = errors.New("membership closed")
)

// Registration is one life of a node's znode.
type Registration struct {
	Path    string
	Czxid   int64  // zxid of its creation: a token that grows with every registration
	Session int64  // the session that an ephemeral belongs to, 0 of others
	Count   uint64 // of the lives that this node has seen, from 1
}

// PersistentNode keeps a znode with data registered: it is made again in every new session and after every deletion,
// and holds the newest data given to [PersistentNode.SetData]. It is safe for concurrent use. Whoever made it closes it.
type PersistentNode struct {
	zk   *gazoo.Client
	opts options
	dir  string // parent
	name string // with GUID, without sequence number
	guid string // prefix of the name that is this node's alone, "" without protection

	stop context.CancelFunc
	ctx  context.Context // ends with Close
	done chan struct{}   // closed when run has left
	wake chan struct{}   // tells run of new data

	// Owned by run, and by the removal once run has left.
	path    string              // "" while a sequential one has no name yet
	former  map[int64]bool      // sessions in which it may have been made
	tenancy *gazoo.Session      // the newest of those
	tried   bool                // there may be a znode to remove
	written uint64              // revision of the data that the znode got last
	touched touch               // when it was written last, with a TTL
	fights  pacer               // against those who delete and overwrite it
	faults  pacer               // against servers that refuse
	removal func() *removalWork // starts the removal, once

	mu       sync.Mutex
	data     []byte
	revision uint64 // of data, from 1
	current  Registration
	held     *gazoo.Session // tenancy in which current was seen
	have     bool           // current is there as far as run knows
	fresh    uint64         // revision that current holds
	err      error          // why it is not, or does not hold the newest data
	changed  chan struct{}  // closed and replaced at every change of the above
}

// NewPersistentNode begins to keep a znode at path, ephemeral unless the options say otherwise, with its parents made
// where they are missing. It returns at once: the client need not be connected yet, nor ever have been.
// [PersistentNode.WaitCreated] waits for the znode. data is copied. The error is a [gazoo.ArgumentError].
func NewPersistentNode(zk *gazoo.Client, path string, data []byte, opts ...Option) (*PersistentNode, error) {
	o, err := newOptions(opts)
	if path == "/" {
		err = errors.Join(err, &gazoo.ArgumentError{Arg: "path", Reason: "the root cannot be registered"})
	} else if perr := gazoo.ValidatePath(path); perr != nil {
		err = errors.Join(err, perr)
	}
	if err != nil {
		return nil, fmt.Errorf("persistent node %s: %w", path, err)
	}
	n := &PersistentNode{
		zk: zk, opts: o,
		done: make(chan struct{}), wake: make(chan struct{}, 1),
		former: make(map[int64]bool),
		data:   slices.Clone(data), revision: 1,
		changed: make(chan struct{}),
	}
	n.dir, n.name = gazoo.SplitPath(path)
	if o.protected || o.sequential {
		n.guid = "_c_" + owned.NewGUID().Dashed() + "-"
		n.name = n.guid + n.name
	}
	if !o.sequential {
		n.path = gazoo.JoinPath(n.dir, n.name)
	}
	n.ctx, n.stop = context.WithCancel(zk.Context())
	n.removal = sync.OnceValue(n.startRemoval)
	go n.run()
	return n, nil
}

// SetData changes the data, which is copied, and returns at once. What counts is the newest: earlier data that was not
// written yet never will be. [PersistentNode.WaitCreated] waits until it is there. After Close it does nothing.
func (n *PersistentNode) SetData(data []byte) {
	n.mu.Lock()
	n.data = slices.Clone(data)
	n.revision++
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Current returns the present registration. ok is false while there is none that can be relied on: before the first
// one, after a deletion that was seen, and when an ephemeral's session is over or presumed so, which is read from the
// clock. While the connection is lost the registration stays current until then.
func (n *PersistentNode) Current() (r Registration, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.have || n.opts.ephemeral() && n.held.Err() != nil {
		return Registration{}, false
	}
	return n.current, true
}

// Err returns nil while the znode is registered with the newest data, as far as is known, and otherwise what it waits
// for: [ErrForeignOwner], what a server refused, how the session ended, [ErrClosed]. It is nil too before the first try.
func (n *PersistentNode) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.errLocked()
}

func (n *PersistentNode) errLocked() error {
	if n.err == nil && n.have && n.opts.ephemeral() {
		return n.held.Err()
	}
	return n.err
}

// WaitCreated waits until the znode is registered with the data that is newest at the time of the call, or newer.
// It returns earlier with what only a change elsewhere can mend, such as [gazoo.ErrNoAuth] and, with [ForeignReport],
// ErrForeignOwner, though the node goes on trying; and with [ErrClosed], or the client's end. When ctx ends, the error
// matches its error and says what the node waits for.
func (n *PersistentNode) WaitCreated(ctx context.Context) error {
	n.mu.Lock()
	want := n.revision
	n.mu.Unlock()
	for {
		n.mu.Lock()
		err, there, changed := n.errLocked(), n.have && n.fresh >= want, n.changed
		n.mu.Unlock()
		switch {
		case there && err == nil:
			return nil
		case err != nil && (final(err) || n.opts.foreign == ForeignReport && errors.Is(err, ErrForeignOwner)):
			return n.wrap("create", err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return n.wrap("wait for", errors.Join(context.Cause(ctx), err))
		}
	}
}

func (n *PersistentNode) wrap(verb string, err error) error {
	return fmt.Errorf("%s persistent node %s: %w", verb, gazoo.JoinPath(n.dir, n.name), err)
}

// final reports whether an error will not go away by itself.
func final(err error) bool {
	for _, target := range []error{
		ErrClosed, gazoo.ErrClosed, gazoo.ErrAuthFailed, gazoo.ErrNoAuth, gazoo.ErrInvalidACL, gazoo.ErrBadArguments,
		gazoo.ErrNoChildrenForEphemerals, gazoo.ErrQuotaExceeded, gazoo.ErrUnimplemented, gazoo.ErrNotSupported,
		gazoo.ErrRequestTooLarge, gazoo.ErrEphemeralOnLocalSession,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// Registrations iterates over the registrations: the present one at once, then each time that the znode was made
// again. A slow loop misses some, never the newest: [Registration.Count] tells. The last element is the error that
// ended it: the context's, [ErrClosed], or the client's end.
func (n *PersistentNode) Registrations(ctx context.Context) iter.Seq2[Registration, error] {
	return func(yield func(Registration, error) bool) {
		var seen uint64
		for {
			n.mu.Lock()
			now, have, err, changed := n.current, n.have, n.err, n.changed
			n.mu.Unlock()
			if have && now.Count > seen {
				seen = now.Count
				if !yield(now, nil) {
					return
				}
				continue
			}
			if errors.Is(err, ErrClosed) || errors.Is(err, gazoo.ErrClosed) || errors.Is(err, gazoo.ErrAuthFailed) {
				yield(Registration{}, n.wrap("follow", err))
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(Registration{}, n.wrap("follow", context.Cause(ctx)))
				return
			}
		}
	}
}

// Close ends the upkeep and deletes the znode (but see [KeepOnClose]), and waits until it has gone. When ctx ends
// first, the deletion goes on in the background, across lost connections, until it has succeeded, or the session of an
// ephemeral or the client has ended; the error then matches the context's. Close may be called again, to wait again.
// A znode that belongs to somebody else stays.
func (n *PersistentNode) Close(ctx context.Context) error {
	_, err := n.remove(ctx)
	return err
}

// abandon is Close that does not wait.
func (n *PersistentNode) abandon() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _ = n.remove(ctx) // its error is that it did not wait
}

// remove is Close that also tells whether there was a znode that it deleted.
func (n *PersistentNode) remove(ctx context.Context) (bool, error) {
	n.stop()
	<-n.done
	n.settle(func() { n.have, n.err = false, ErrClosed })
	r := n.removal()
	select {
	case <-r.done:
		return r.deleted, r.err
	default:
	}
	select {
	case <-r.done:
		return r.deleted, r.err
	case <-ctx.Done():
		return false, n.wrap("close", fmt.Errorf("%w; the deletion goes on in the background", context.Cause(ctx)))
	}
}

// settle changes the state that others read, and tells them.
func (n *PersistentNode) settle(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	close(n.changed)
	n.changed = make(chan struct{})
}
