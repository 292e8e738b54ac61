package lock

import (
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
)

// RW is a fair read/write lock: readers hold it together, a writer alone. All of them queue in one line, so a reader
// waits for a writer that came before it, even while others read, and no writer starves.
//
// A writer may become a reader, without a moment in which another writer could get in: [Held.Downgrade].
//
// A reader cannot become a writer. It would have to wait for the other readers to leave, and two readers that want it
// would wait for each other for ever; to let one pass that is alone could be decided only by a write that every new
// reader checks, of which the other libraries on the path know nothing. So a Lock whose context is that of a reader fails
// with [ErrUpgrade]: release first, and look again at what was read behind the Lock.
//
// With [WithReentrance] a reader may read again, and a writer write again or read; each release gives one handle back,
// and the tenure stays what it was, a writer's, until the last.
//
// Safe for concurrent use; it needs no close.
type RW struct{ read, write *Mutex }

// NewRW makes a read/write lock at a path. Nothing is sent. The style must have a name for readers: [Kazoo], which is
// the default, [CuratorRW], or [Custom] with two texts.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func NewRW(zk *gazoo.Client, path string, opts ...Option) (*RW, error) {
	cfg, err := configure(zk, path, opts, contend.Exclusive, contend.Shared)
	if err := cfg.lockOnly(err); err != nil {
		return nil, fmt.Errorf("new read/write lock: %w", err)
	}
	return &RW{
		read:  &Mutex{zk: zk, path: path, cfg: cfg, role: contend.Shared, kind: rwSide},
		write: &Mutex{zk: zk, path: path, cfg: cfg, role: contend.Exclusive, kind: rwSide},
	}, nil
}

// Path returns the path of the lock.
func (rw *RW) Path() string { return rw.write.path }

// Writer returns the write lock as a Mutex, for what takes one.
func (rw *RW) Writer() *Mutex { return rw.write }

// Reader returns the read lock as a Mutex, for what takes one; its "exclusion" is that of writers.
func (rw *RW) Reader() *Mutex { return rw.read }

// Lock waits until it holds the write lock: see [Mutex.Lock].
func (rw *RW) Lock(ctx context.Context) (*Held, error) { return rw.write.Lock(ctx) }

// TryLock is Lock that does not wait for other contenders: see [Mutex.TryLock].
func (rw *RW) TryLock(ctx context.Context) (*Held, error) { return rw.write.TryLock(ctx) }

// RLock waits until it holds the read lock: see [Mutex.Lock].
func (rw *RW) RLock(ctx context.Context) (*Held, error) { return rw.read.Lock(ctx) }

// TryRLock is RLock that does not wait for other contenders.
func (rw *RW) TryRLock(ctx context.Context) (*Held, error) { return rw.read.TryLock(ctx) }

// Contenders lists readers and writers: see [Mutex.Contenders].
func (rw *RW) Contenders(ctx context.Context) ([]Contender, error) { return rw.write.Contenders(ctx) }

// Revoke asks a contender to give the lock up: see [Mutex.Revoke].
func (rw *RW) Revoke(ctx context.Context, c Contender) error { return rw.write.Revoke(ctx, c) }

// Downgrade turns the write lock of an [RW] into a read lock. One transaction deletes the writer's znode and makes a
// reader's with the same number, so the place in the queue stays, the readers that wait behind it come in, and no writer
// gets between. This handle ends with [ErrReleased] when the one that is returned is alive, whose fencing token is above the
// writer's, and below the next writer's.
//
// With an error nothing is held any more, like behind a Release, unless the error is one of those below.
//
// Errors that change nothing: [gazoo.ErrBadArguments] when this is not the write lock of an RW; [ErrBusy] when there are
// other handles of it ([WithReentrance]). Else the context's; [ErrLost], [ErrReleased].
func (h *Held) Downgrade(ctx context.Context) (*Held, error) {
	m := h.hold.mutex
	if m.kind != rwSide || h.shared() {
		return nil, fmt.Errorf("downgrade %s: %w", h.Path(), &gazoo.ArgumentError{Arg: "lock", Reason: "is not the write lock of an RW"})
	}
	if err := h.Err(); err != nil {
		return nil, fmt.Errorf("downgrade: %w", err)
	}
	switch mine, alone := h.leaveAlone(); {
	case !mine:
		<-h.freed
		return nil, fmt.Errorf("downgrade: %w", h.Err())
	case !alone:
		return nil, fmt.Errorf("downgrade %s: there are other handles: %w", h.Path(), ErrBusy)
	}
	defer close(h.freed)
	defer h.end(ErrReleased)
	var reader *Held
	err := h.Replace(ctx, func(ctx context.Context, zk *gazoo.Client) (err error) {
		reader, err = h.downgrade(ctx, zk)
		return err
	})
	if err != nil {
		h.result = h.Tenure.Release(ctx)
		return nil, fmt.Errorf("downgrade: %w", retry.Canceled(ctx, err))
	}
	return reader, nil
}

// downgrade makes the reader's znode, and begins its tenure.
func (h *Held) downgrade(ctx context.Context, zk *gazoo.Client) (*Held, error) {
	m := h.hold.mutex
	reader := &Mutex{zk: m.zk, path: m.path, cfg: m.cfg, role: contend.Shared, kind: rwSide}
	// Not a sequential znode: the name carries the number of the writer's (as in Curator 5.9).
	own, style, session := h.Path(), m.cfg.style, h.Session()
	var sid int64
	if session != nil {
		sid = session.ID()
	}
	id := owned.NewGUID()
	number := gazoo.BaseName(own)[len(style.Make(id, sid, contend.Exclusive)):]
	node := &owned.Node{Path: gazoo.JoinPath(m.path, style.Make(id, sid, contend.Shared)+number), GUID: id, Session: session}
	var opts []gazoo.CreateOption
	if session != nil {
		opts = append(opts, gazoo.Ephemeral())
	}
	if m.cfg.acl != nil {
		opts = append(opts, gazoo.WithACL(m.cfg.acl...))
	}
	results, maybe, err := once{
		zk: zk, own: own,
		build: func() *gazoo.Txn {
			// The set is for its result: it tells the zxid, as a create does not on every server (ZOOKEEPER-4026).
			return zk.Txn().Set(own, nil, gazoo.AnyVersion).Delete(own, gazoo.AnyVersion).Create(node.Path, m.cfg.data, opts...)
		},
		made: func(ctx context.Context) (bool, error) {
			stat, found, err := zk.Exists(ctx, node.Path)
			node.Czxid = stat.Czxid
			return found && stat.EphemeralOwner == sid, err
		},
	}.commit(ctx)
	if maybe {
		m.zk.Cleanup(session, func(ctx context.Context, zk *gazoo.Client) error {
			// Once its own znode has gone the transaction cannot be applied any more.
			if err := zk.DeleteIfExists(ctx, own, gazoo.AnyVersion); err != nil {
				return err
			}
			return zk.DeleteIfExists(ctx, node.Path, gazoo.AnyVersion)
		})
	}
	if errors.Is(err, errOwnGone) {
		err = tenure.ErrDeleted
	}
	if err != nil {
		return nil, err
	}
	if results != nil {
		node.Czxid = results[0].Stat.Mzxid
	}
	held, err := reader.begin(&joined{Context: ctx, values: context.WithoutCancel(h.ctx)}, node, node.Czxid)
	if err != nil {
		m.zk.Cleanup(session, func(ctx context.Context, zk *gazoo.Client) error {
			return zk.DeleteIfExists(ctx, node.Path, gazoo.AnyVersion)
		})
	}
	return held, err
}
