package gazoo

import (
	"context"
	"errors"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// watched makes a call that carries a one-shot watch.
func (zk *Client) watched(op zkproto.OpCode, name, path string, kind watchKind) (*call, *Watch, error) {
	cl, err := zk.newPathCall(op, name, path)
	if err != nil {
		return cl, nil, err
	}
	w := &Watch{core: zk.core, root: int32(len(zk.root)), kind: kind}
	cl.req.watch = zk.core.watches.begin(w, cl.req.path)
	cl.register = w
	return cl, w, nil
}

// runWatched is run for a call that carries a watch: on error the watch is not left behind,
// whether or not the server has it by now.
func (zk *Client) runWatched(ctx context.Context, cl *call, w *Watch, err error) error {
	if err == nil && ctx == nil {
		err = errNilContext
		cl.fail(OutcomeNotSent, err)
		cl.register.settle(cl)
	}
	if err := zk.run(ctx, cl, err); err != nil {
		if w != nil {
			w.Close()
		}
		return err
	}
	return nil
}

// GetW is [Client.Get] with a one-shot watch, which fires when the data is set or the znode
// deleted. The watch is set only when the read succeeds.
func (zk *Client) GetW(ctx context.Context, path string) ([]byte, Stat, *Watch, error) {
	cl, w, err := zk.watched(zkproto.OpGetData, "get", path, watchData)
	if err := zk.runWatched(ctx, cl, w, err); err != nil {
		return nil, Stat{}, nil, err
	}
	data, stat := cl.data, cl.stat
	cl.release()
	return data, stat, w, nil
}

// ExistsW is [Client.Exists] with a one-shot watch, which fires when the znode is created, its
// data is set, or it is deleted. It is set whether or not the znode exists.
func (zk *Client) ExistsW(ctx context.Context, path string) (Stat, bool, *Watch, error) {
	cl, w, err := zk.watched(zkproto.OpExists, "exists", path, watchExist)
	cl.missingFine = true
	if err := zk.runWatched(ctx, cl, w, err); err != nil {
		return Stat{}, false, nil, err
	}
	stat, found := cl.stat, !cl.missing
	cl.release()
	return stat, found, w, nil
}

// ChildrenW is [Client.ChildrenStat] with a one-shot watch, which fires when a child is created
// or deleted, or the znode itself is deleted. The watch is set only when the read succeeds.
func (zk *Client) ChildrenW(ctx context.Context, path string) ([]string, Stat, *Watch, error) {
	cl, w, err := zk.watched(zkproto.OpGetChildren2, "children", path, watchChild)
	if err := zk.runWatched(ctx, cl, w, err); err != nil {
		return nil, Stat{}, nil, err
	}
	names, stat := cl.strs, cl.stat
	cl.release()
	return names, stat, w, nil
}

// WatchedNode is what an asynchronous GetW returns.
type WatchedNode struct {
	Node
	Watch *Watch
}

// WatchedPresence is what an asynchronous ExistsW returns.
type WatchedPresence struct {
	Presence
	Watch *Watch
}

// WatchedDirectory is what an asynchronous ChildrenW returns.
type WatchedDirectory struct {
	Directory
	Watch *Watch
}

func beginWatched[T any](ctx context.Context, zk *Client, cl *call, w *Watch, err error, take func(*call) T) Future[T] {
	cl.value = w
	if err == nil && ctx == nil {
		w.Close() // begin will refuse, and settle the registration
	}
	return begin(ctx, zk, cl, err, take)
}

func takeWatch(cl *call) *Watch {
	w, _ := cl.value.(*Watch)
	return w
}

// GetW is [Client.GetW].
func (a Async) GetW(ctx context.Context, path string) Future[WatchedNode] {
	cl, w, err := a.zk.watched(zkproto.OpGetData, "get", path, watchData)
	return beginWatched(ctx, a.zk, cl, w, err, func(cl *call) WatchedNode { return WatchedNode{takeNode(cl), takeWatch(cl)} })
}

// ExistsW is [Client.ExistsW].
func (a Async) ExistsW(ctx context.Context, path string) Future[WatchedPresence] {
	cl, w, err := a.zk.watched(zkproto.OpExists, "exists", path, watchExist)
	cl.missingFine = true
	return beginWatched(ctx, a.zk, cl, w, err, func(cl *call) WatchedPresence { return WatchedPresence{takePresence(cl), takeWatch(cl)} })
}

// ChildrenW is [Client.ChildrenW].
func (a Async) ChildrenW(ctx context.Context, path string) Future[WatchedDirectory] {
	cl, w, err := a.zk.watched(zkproto.OpGetChildren2, "children", path, watchChild)
	return beginWatched(ctx, a.zk, cl, w, err, func(cl *call) WatchedDirectory { return WatchedDirectory{takeDirectory(cl), takeWatch(cl)} })
}

// Watch opens a persistent watch on a znode, which need not exist, or with [Recursive] on it
// and everything below (ZooKeeper 3.6). On servers that do not know persistent watches the
// stream is fed from one-shot ones: changes in quick succession are then seen as one.
//
// Order: a stream yields events in the order of the changes, and an event before any later
// reply that shows the change (but see [Stream.Emulated]).
func (zk *Client) Watch(ctx context.Context, path string, opts ...StreamOption) (*Stream, error) {
	if ctx == nil {
		return nil, refuse("watch", path, errNilContext)
	}
	if err := ValidatePath(path); err != nil {
		return nil, refuse("watch", path, err)
	}
	s := newStream(zk.core, absPath(zk.root, path), zk.root, opts)
	g, err := zk.core.watches.beginStream(ctx, s)
	if err != nil {
		return nil, refuse("watch", path, err)
	}
	if g == nil {
		return s, nil // served by a registration that the server has already
	}
	cl := zk.core.newCall(zkproto.OpAddWatch, "watch", path)
	cl.req.path, cl.req.num = s.path, int32(g.mode)
	cl.register = g
	err = zk.do(ctx, cl)
	if err == nil {
		cl.release()
		return s, nil
	}
	if errors.Is(err, ErrNotSupported) {
		if err = zk.core.emulateNew(ctx, s); err == nil {
			return s, nil
		}
		err = refuse("watch", path, err)
	}
	s.Close()
	return nil, err
}
