package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/cas"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// ErrConflict says that the znode is not as it was when the value was read: it has another version, or is gone. Nothing
// was applied.
var ErrConflict = cas.ErrConflict

// Create makes the znode, and missing parents. opts come behind those of [WithKind]; with [gazoo.Sequential] or
// [gazoo.Protected] the path of the result is the actual one.
//
// A lost answer is resolved as far as possible, except for ephemeral and sequential znodes: those are created once, and
// [gazoo.Protected] is what resolves them.
//
// Errors: [gazoo.ErrNodeExists], [*DataError], [ErrSchema], those of [gazoo.Client.Create]. When [gazoo.MaybeApplied]
// holds for it, the znode may have been made.
func (n *Node[T]) Create(ctx context.Context, value T, opts ...gazoo.CreateOption) (Versioned[T], error) {
	v := Versioned[T]{Path: n.path, Value: value}
	opts = append(n.cfg.create[:len(n.cfg.create):len(n.cfg.create)], opts...)
	what := gazoo.DescribeCreate(opts...)
	if what.OrSet {
		return v, n.wrap("create", &gazoo.ArgumentError{Arg: "options", Reason: "OrSet is what Put does"})
	}
	data, err := n.encode(value)
	if err == nil {
		err = n.cfg.schemas.CheckCreate(n.path, data, opts...)
	}
	if err != nil {
		return v, err
	}
	if !what.Protected && !what.Mode.Ephemeral() && !what.Mode.Sequential() {
		v.Stat, err = n.write(ctx, absent, data, false, single(what)...)
		if errors.Is(err, cas.ErrConflict) {
			err = gazoo.ErrNodeExists
		}
		return v, n.wrap("create", err)
	}
	if !what.Parents {
		if _, err := n.zk.EnsurePath(ctx, gazoo.ParentPath(n.path), n.cfg.parents...); err != nil {
			return v, n.wrap("create", &unmade{err})
		}
	}
	v.Path, v.Stat, err = n.zk.CreateStat(ctx, n.path, data, opts...)
	return v, err
}

// unmade is why the parents of a znode could not be made. Whether they were made does not matter to the znode itself.
type unmade struct{ err error }

func (e *unmade) Error() string { return e.err.Error() }

// Is keeps the kind of the error, but not the doubt about the write.
func (e *unmade) Is(target error) bool { return errors.Is(e.err, target) }

// single returns the options of a znode that belongs to no session and has the name that it was given, less those about
// its parents.
func single(what gazoo.Creation) []gazoo.CreateOption {
	opts := []gazoo.CreateOption{}
	if what.Mode.Container() {
		opts = append(opts, gazoo.Container())
	}
	if what.Mode.TTL() {
		opts = append(opts, gazoo.TTL(what.TTL))
	}
	if what.ACL != nil {
		opts = append(opts, gazoo.WithACL(what.ACL...))
	}
	return opts
}

// Set writes v.Value on the condition that the znode still has the version that v was read or written with, and returns
// what is there then:
//
//	v, err := node.Get(ctx)
//	v.Value.Max++
//	v, err = node.Set(ctx, v)
//
// A znode that was deleted and made again begins at version 0, so that one with the same number of writes is not told
// apart.
//
// Errors: [ErrConflict], [*DataError], [ErrSchema], the server's and the context's. When [gazoo.MaybeApplied] holds for it,
// the value may have been written.
func (n *Node[T]) Set(ctx context.Context, v Versioned[T]) (Versioned[T], error) {
	v.Path = n.path
	if v.Stat.Version == gazoo.AnyVersion {
		return v, n.wrap("set", &gazoo.ArgumentError{Arg: "version", Reason: "is any"})
	}
	data, err := n.encode(v.Value)
	if err == nil {
		err = n.cfg.schemas.CheckSet(n.path, data)
	}
	if err != nil {
		return v, err
	}
	stat, err := n.write(ctx, condition{version: v.Stat.Version}, data, false)
	if err != nil {
		return v, n.wrap("set", err)
	}
	v.Stat = stat
	return v, nil
}

// Put makes the znode with its parents, or writes it, whatever it holds. A lost answer is no doubt when the znode holds
// that value then.
//
// Errors: [*DataError], [ErrSchema], the server's and the context's. When [gazoo.MaybeApplied] holds for it, the value may
// have been written.
func (n *Node[T]) Put(ctx context.Context, value T) (Versioned[T], error) {
	v := Versioned[T]{Path: n.path, Value: value}
	data, err := n.encode(value)
	if err != nil {
		return v, err
	}
	c := change{
		n: n.path, anyAuthor: true, write: n.write, check: n.check,
		read: func(ctx context.Context, fresh bool) (condition, error) {
			if fresh {
				if err := n.zk.Sync(ctx, n.path); err != nil {
					return absent, err
				}
			}
			stat, found, err := n.zk.Exists(ctx, n.path)
			return condition{missing: !found, version: stat.Version}, err
		},
		step: func() ([]byte, error) { return data, nil },
	}
	v.Stat, err = c.run(ctx)
	return v, n.wrap("put", err)
}

// Update changes the value to what fn makes of it, as often as it takes until nobody else was faster. fn may be called
// several times and must not have effects of its own; an error of fn is returned as it is, and nothing is written.
//
// Errors: [gazoo.ErrNoNode], [*DataError], [ErrSchema], those of fn, the server and the context. When
// [gazoo.MaybeApplied] holds for it, the change may have been made.
func (n *Node[T]) Update(ctx context.Context, fn func(T) (T, error)) (Versioned[T], error) {
	return n.change(ctx, "update", false, func(old T, _ bool) (T, error) { return fn(old) })
}

// Upsert is Update that also makes the znode: fn gets T's zero value and false when there is none.
//
// Errors: as [Node.Update].
func (n *Node[T]) Upsert(ctx context.Context, fn func(old T, exists bool) (T, error)) (Versioned[T], error) {
	return n.change(ctx, "upsert", true, fn)
}

func (n *Node[T]) change(ctx context.Context, op string, create bool, fn func(T, bool) (T, error)) (Versioned[T], error) {
	var now, next Versioned[T]
	var found bool
	c := change{
		n: n.path, write: n.write, check: n.check,
		read: func(ctx context.Context, fresh bool) (cond condition, err error) {
			get := n.Get
			if fresh {
				get = n.GetFresh
			}
			now, err = get(ctx)
			found = true
			if create && errors.Is(err, gazoo.ErrNoNode) {
				found = false
				return absent, nil
			}
			return condition{version: now.Stat.Version}, err
		},
		step: func() (data []byte, err error) {
			if next.Value, err = fn(now.Value, found); err != nil {
				return nil, &own{err}
			}
			return n.encode(next.Value)
		},
	}
	var err error
	next.Path = n.path
	if next.Stat, err = c.run(ctx); err == nil {
		return next, nil
	}
	if mine, ok := errors.AsType[*own](err); ok {
		return now, mine.err
	}
	return now, n.wrap(op, err)
}

// own marks an error of the caller's function.
type own struct{ err error }

func (e *own) Error() string { return e.err.Error() }

// change is a read and a write on the condition that nobody has written since, again and again.
type change struct {
	n         string
	anyAuthor bool
	read      func(ctx context.Context, fresh bool) (condition, error)
	step      func() ([]byte, error)
	check     func(cond condition, data []byte) error
	write     func(ctx context.Context, cond condition, data []byte, anyAuthor bool, opts ...gazoo.CreateOption) (gazoo.Stat, error)
}

func (c *change) run(ctx context.Context) (gazoo.Stat, error) {
	fresh := false // the last read has turned out old
	for lost, beaten := 0, 0; ; {
		stat, err := c.once(ctx, fresh)
		switch {
		case errors.Is(err, cas.ErrConflict):
			fresh = true
			// Losers of a race come back one after the other.
			if err := retry.Sleep(ctx, rand.N(time.Millisecond<<min(beaten, 6))); err != nil {
				return stat, err
			}
			beaten++
		case err == nil || gazoo.MaybeApplied(err) || !retry.Again(err) || ctx.Err() != nil:
			return stat, err
		default: // the read was lost
			if err := retry.Pause(ctx, lost); err != nil {
				return stat, err
			}
			lost++
		}
	}
}

func (c *change) once(ctx context.Context, fresh bool) (gazoo.Stat, error) {
	cond, err := c.read(ctx, fresh)
	if err != nil {
		return gazoo.Stat{}, err
	}
	data, err := c.step()
	if err == nil {
		err = c.check(cond, data)
	}
	if err != nil {
		return gazoo.Stat{}, err
	}
	return c.write(ctx, cond, data, c.anyAuthor)
}

// check holds a write to the schemas.
func (n *Node[T]) check(cond condition, data []byte) error {
	if cond.missing {
		return n.cfg.schemas.CheckCreate(n.path, data, n.cfg.create...)
	}
	return n.cfg.schemas.CheckSet(n.path, data)
}

// condition is what a write requires of the znode: that there is none, or its version.
type condition struct {
	missing bool
	version int32
}

var absent = condition{missing: true}

// write is one conditional write. opts are for a create, instead of those that were configured.
func (n *Node[T]) write(ctx context.Context, cond condition, data []byte, anyAuthor bool, opts ...gazoo.CreateOption) (gazoo.Stat, error) {
	if opts == nil {
		opts = n.cfg.create
	}
	w := &cas.Write{
		Path: n.path, Data: data, Missing: cond.missing, Version: cond.version, AnyAuthor: anyAuthor,
		Create: opts, Parents: n.cfg.parents, Receipts: n.cfg.receipts,
	}
	stat, err := w.Do(ctx, n.zk)
	if err != nil || stat.Mzxid != 0 {
		return stat, err
	}
	// The answer was lost, or had no stat.
	if now, found, err := n.zk.Exists(ctx, n.path); err == nil && found && now.Version == stat.Version {
		return now, nil
	}
	return stat, nil
}

// Delete deletes the znode if it has a version, [gazoo.AnyVersion] for any. A lost answer is resolved: see
// [gazoo.Client.DeleteIdempotent].
//
// Errors: [ErrConflict] for another version; [gazoo.ErrNoNode], [gazoo.ErrNotEmpty], [ErrSchema]; the context's. When
// [gazoo.MaybeApplied] holds for it, the znode may have been deleted.
func (n *Node[T]) Delete(ctx context.Context, version int32) error {
	if err := n.cfg.schemas.CheckDelete(n.path); err != nil {
		return err
	}
	err := n.zk.DeleteIdempotent(ctx, n.path, version)
	if errors.Is(err, gazoo.ErrBadVersion) {
		return n.wrap("delete", ErrConflict)
	}
	return err
}

func (n *Node[T]) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*gazoo.OpError](err); ok && e.Path == n.path {
		return err // it says all
	}
	switch err.(type) {
	case *DataError, *SchemaError:
		return err
	}
	return fmt.Errorf("%s %s: %w", op, n.path, err)
}
