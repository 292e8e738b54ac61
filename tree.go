package gazoo

import (
	"cmp"
	"context"
	"errors"
)

// EnsurePath makes path exist, with its parents, as persistent znodes without data. It
// reports whether path itself had to be created. Races with other creators are harmless.
// Options may name an ACL ([WithACL]) and containers ([Container]). "/" creates the view's
// chroot.
func (zk *Client) EnsurePath(ctx context.Context, path string, opts ...CreateOption) (created bool, err error) {
	o := &createOptions{}
	for _, opt := range opts {
		opt(o)
	}
	if err := checkEnsure(ctx, path, o); err != nil {
		return false, refuse("ensure path", path, err)
	}
	o.containerParents = o.container
	if _, found, err := zk.Exists(ctx, path); err != nil || found {
		return false, err
	}
	if err := zk.ensure(ctx, path, o); err != nil {
		return false, err
	}
	return true, nil
}

func checkEnsure(ctx context.Context, path string, o *createOptions) error {
	switch {
	case ctx == nil:
		return errNilContext
	case o.ephemeral || o.sequential || o.hasTTL || o.protected || o.set:
		return badArg("options", "only WithACL and Container go with EnsurePath")
	}
	if o.hasACL {
		if err := validateACL(o.acl); err != nil {
			return err
		}
	}
	return ValidatePath(path)
}

// ensure creates path and all its missing parents, the chroot's included, in one round trip:
// the creates are pipelined, and those that lose a race have what they wanted.
func (zk *Client) ensure(ctx context.Context, path string, o *createOptions) error {
	whole := &Client{core: zk.core, session: zk.session}
	full := absPath(zk.root, path)
	kind := &createOptions{container: o.containerParents, acl: o.acl, hasACL: o.hasACL}
	var steps []Future[string]
	for i := 1; i <= len(full); i++ {
		if i < len(full) && full[i] != '/' || full == "/" {
			continue
		}
		cl, err := whole.newCreate(full[:i], nil, kind, false)
		steps = append(steps, begin(ctx, whole, cl, err, takeCreated))
	}
	// Only the last step's fate matters: a parent may lack Create permission and exist.
	var first, last error
	for _, step := range steps {
		_, last = step.Wait(ctx)
		step.Release()
		if errors.Is(last, ErrNodeExists) {
			last = nil
		}
		if last != nil && first == nil {
			first = last
		}
		if last == nil {
			first = nil
		}
	}
	if last == nil {
		return nil
	}
	if kind.container && errors.Is(first, ErrNotSupported) {
		plain := *o
		plain.containerParents = false
		return zk.ensure(ctx, path, &plain)
	}
	return first
}

// DeleteRecursive removes a znode and everything below it, children first, ignoring
// versions. It is not atomic. Znodes that others delete meanwhile count as deleted, and
// children that others create meanwhile are deleted too, as long as they come slower than
// they go. A missing path is [ErrNoNode]. progress, when not nil, is called with the number of
// znodes deleted so far.
func (zk *Client) DeleteRecursive(ctx context.Context, path string, progress func(deleted int)) error {
	if ctx == nil {
		return refuse("delete recursive", path, errNilContext)
	}
	if err := ValidatePath(path); err != nil {
		return refuse("delete recursive", path, err)
	}
	if path == "/" {
		return refuse("delete recursive", path, badArg("path", "the root cannot be deleted"))
	}
	d := &deleter{zk: zk, progress: progress}
	if err := d.tree(ctx, path); err != nil {
		return err
	}
	if d.deleted == 0 && !d.found {
		return refuse("delete recursive", path, ErrNoNode)
	}
	return nil
}

type deleter struct {
	zk       *Client
	progress func(int)
	deleted  int
	found    bool
}

// deleteBatch bounds how many deletes of one directory are in flight at once.
const deleteBatch = 256

// tree deletes a subtree. Directories are emptied depth first; the children of one are
// deleted in pipelined batches, and only those that turn out not to be empty are descended into.
func (d *deleter) tree(ctx context.Context, path string) error {
	for {
		names, err := d.zk.Children(ctx, path)
		if errors.Is(err, ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
		d.found = true
		for len(names) > 0 {
			n := min(len(names), deleteBatch)
			if err := d.batch(ctx, path, names[:n]); err != nil {
				return err
			}
			names = names[n:]
		}
		done, err := d.one(d.zk.Async().Delete(ctx, path, AnyVersion), ctx)
		if done || err != nil {
			return err
		}
	}
}

func (d *deleter) batch(ctx context.Context, parent string, names []string) error {
	pending := make([]Future[struct{}], len(names))
	for i, name := range names {
		pending[i] = d.zk.Async().Delete(ctx, absPathName(parent, name), AnyVersion)
	}
	var failed error
	var full []string
	for i, f := range pending {
		done, err := d.one(f, ctx)
		switch {
		case err != nil:
			failed = cmp.Or(failed, err)
		case !done:
			full = append(full, names[i])
		}
	}
	for _, name := range full {
		if failed != nil {
			break
		}
		failed = d.tree(ctx, absPathName(parent, name))
	}
	return failed
}

// one waits for a delete and reports whether the znode is gone; false means it has children.
func (d *deleter) one(f Future[struct{}], ctx context.Context) (bool, error) {
	_, err := f.Wait(ctx)
	f.Release()
	switch {
	case err == nil:
		d.found = true
		d.deleted++
		if d.progress != nil {
			d.progress(d.deleted)
		}
		return true, nil
	case errors.Is(err, ErrNoNode):
		return true, nil
	case errors.Is(err, ErrNotEmpty):
		return false, nil
	}
	return false, err
}

// DeleteIfExists is [Client.Delete] for which a missing znode is no error.
func (zk *Client) DeleteIfExists(ctx context.Context, path string, version int32) error {
	err := zk.Delete(ctx, path, version)
	if errors.Is(err, ErrNoNode) {
		return nil
	}
	return err
}

// DeleteIdempotent deletes like [Client.Delete] and tries again after lost connections and
// sessions, until ctx ends. A missing znode is no error once a try may have been applied: then it was deleted,
// by this call or somebody else. With a version, a znode that was deleted and created again
// meanwhile has another version and is left alone ([ErrBadVersion]).
func (zk *Client) DeleteIdempotent(ctx context.Context, path string, version int32) error {
	var lost error // of a try that may have been applied
	for {
		err := zk.Delete(ctx, path, version)
		if MaybeApplied(err) {
			lost = err
		}
		switch {
		case errors.Is(err, ErrNoNode) && lost != nil:
			return nil
		case passing(err) && ctx.Err() == nil:
		case lost != nil && WasNotSent(err):
			return lost // this try was not sent, an earlier one was
		default:
			return err
		}
	}
}

// SetIdempotent sets like [Client.Set], with a version other than [AnyVersion], and resolves a
// lost answer as far as that can be done: when the znode still has that version, nothing was
// applied and it tries again, until ctx ends. Otherwise the error stays the connection loss,
// perhaps applied: equal bytes would prove nothing, since others write too.
func (zk *Client) SetIdempotent(ctx context.Context, path string, data []byte, version int32) (Stat, error) {
	if version == AnyVersion {
		return Stat{}, refuse("set", path, badArg("version", "an idempotent set needs a version"))
	}
	var lost error // of a try that may have been applied
	for {
		stat, err := zk.Set(ctx, path, data, version)
		switch {
		case err == nil:
			return stat, nil
		case lost != nil && (errors.Is(err, ErrBadVersion) || errors.Is(err, ErrNoNode)):
			// The read before this try saw less than the server has: a leader answers a sync before what is under way.
			return Stat{}, lost
		case !errors.Is(err, ErrConnectionLoss) || ctx.Err() != nil:
			if lost != nil {
				err = errors.Join(lost, err)
			}
			return stat, err
		}
		if MaybeApplied(err) {
			lost = err
			unchanged, cerr := zk.unchanged(ctx, path, version)
			if cerr != nil || !unchanged {
				return Stat{}, err
			}
		}
	}
}

// unchanged reports whether a znode still has a version, by a read behind a sync.
func (zk *Client) unchanged(ctx context.Context, path string, version int32) (bool, error) {
	for {
		err := zk.Sync(ctx, path)
		if err == nil {
			var stat Stat
			var found bool
			if stat, found, err = zk.Exists(ctx, path); err == nil {
				return found && stat.Version == version, nil
			}
		}
		if !passing(err) || ctx.Err() != nil {
			return false, err
		}
	}
}
