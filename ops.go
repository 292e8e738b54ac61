package gazoo

import (
	"context"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// AnyVersion as the version of a Set, Delete or Check matches every version. Versions wrap after 2^31 writes, so other
// negative numbers are versions like any.
const AnyVersion int32 = -1

// Stat is a znode's metadata.
type Stat = zkproto.Stat

// ClientInfo is one identity of the connection, as [Client.WhoAmI] returns it.
type ClientInfo = zkproto.ClientInfo

// newPathCall makes a call for one path, checked.
func (zk *Client) newPathCall(op zkproto.OpCode, name, path string) (*call, error) {
	cl := zk.core.newCall(op, name, path)
	if err := ValidatePath(path); err != nil {
		return cl, err
	}
	cl.req.path = absPath(zk.root, path)
	return cl, nil
}

// run is what every synchronous operation of one request does.
func (zk *Client) run(ctx context.Context, cl *call, err error) error {
	if err == nil && ctx == nil {
		err = errNilContext
	}
	if err != nil {
		e := refuse(cl.name, cl.path, err)
		cl.release()
		return e
	}
	return zk.do(ctx, cl)
}

// Exists returns the stat of a znode and whether it exists; a missing znode is no error.
func (zk *Client) Exists(ctx context.Context, path string) (Stat, bool, error) {
	cl, err := zk.newPathCall(zkproto.OpExists, "exists", path)
	cl.missingFine = true
	if err := zk.run(ctx, cl, err); err != nil {
		return Stat{}, false, err
	}
	stat, found := cl.stat, !cl.missing
	cl.release()
	return stat, found, nil
}

// Get returns a znode's data and stat. Data is nil when it was written as null, and empty but
// not nil when it was written empty.
//
// Errors: [ErrNoNode], [ErrNoAuth] (needs Read).
func (zk *Client) Get(ctx context.Context, path string) ([]byte, Stat, error) {
	return zk.GetInto(ctx, path, nil)
}

// GetInto is Get into the caller's buffer: the data returned lies in buf when its capacity
// suffices, in a new slice otherwise. buf must not be touched until the call returns, and,
// when it returns because ctx ended, not before the client is closed: the answer may still
// arrive.
func (zk *Client) GetInto(ctx context.Context, path string, buf []byte) ([]byte, Stat, error) {
	cl, err := zk.newPathCall(zkproto.OpGetData, "get", path)
	cl.buf = buf
	if err := zk.run(ctx, cl, err); err != nil {
		return nil, Stat{}, err
	}
	data, stat := cl.data, cl.stat
	cl.release()
	return data, stat, nil
}

// Children returns the names of a znode's children, in no order.
//
// Errors: [ErrNoNode], [ErrNoAuth] (needs Read).
func (zk *Client) Children(ctx context.Context, path string) ([]string, error) {
	cl, err := zk.newPathCall(zkproto.OpGetChildren, "children", path)
	if err := zk.run(ctx, cl, err); err != nil {
		return nil, err
	}
	names := cl.strs
	cl.release()
	return names, nil
}

// ChildrenStat returns the names of a znode's children, in no order, and its stat.
//
// Errors: [ErrNoNode], [ErrNoAuth] (needs Read).
func (zk *Client) ChildrenStat(ctx context.Context, path string) ([]string, Stat, error) {
	cl, err := zk.newPathCall(zkproto.OpGetChildren2, "children", path)
	if err := zk.run(ctx, cl, err); err != nil {
		return nil, Stat{}, err
	}
	names, stat := cl.strs, cl.stat
	cl.release()
	return names, stat, nil
}

func (zk *Client) newSet(path string, data []byte, version int32) (*call, error) {
	cl, err := zk.newPathCall(zkproto.OpSetData, "set", path)
	cl.write = true
	cl.req.data, cl.req.version = data, version
	return cl, err
}

// Set writes a znode's data (nil is stored as null) if its version is the given one, or
// whatever it is with [AnyVersion], and returns the new stat. It is never retried: see
// [SetIdempotent] for a set that resolves a lost answer.
//
// Errors: [ErrNoNode], [ErrBadVersion], [ErrNoAuth] (needs Write), [ErrQuotaExceeded],
// [ErrRequestTooLarge]. After [ErrConnectionLoss] it may have been applied: [MaybeApplied].
func (zk *Client) Set(ctx context.Context, path string, data []byte, version int32) (Stat, error) {
	cl, err := zk.newSet(path, data, version)
	if err := zk.run(ctx, cl, err); err != nil {
		return Stat{}, err
	}
	stat := cl.stat
	cl.release()
	return stat, nil
}

func (zk *Client) newDelete(path string, version int32) (*call, error) {
	cl, err := zk.newPathCall(zkproto.OpDelete, "delete", path)
	cl.write = true
	cl.req.version = version
	if err == nil && path == "/" {
		// Below a chroot this would be the chroot's own znode: never what was meant.
		err = badArg("path", "the root cannot be deleted")
	}
	return cl, err
}

// Delete removes a znode without children if its version is the given one, or whatever it is
// with [AnyVersion].
//
// Errors: [ErrNoNode], [ErrBadVersion], [ErrNotEmpty], [ErrNoAuth] (needs Delete on the parent).
// After [ErrConnectionLoss] it may have been applied: [MaybeApplied].
func (zk *Client) Delete(ctx context.Context, path string, version int32) error {
	cl, err := zk.newDelete(path, version)
	if err := zk.run(ctx, cl, err); err != nil {
		return err
	}
	cl.release()
	return nil
}

// Sync makes the server connected to catch up with the leader: a read made after it sees
// every write that was acknowledged to anyone before it. That holds on followers while the
// leader stays. While the ensemble elects another it does not (ZOOKEEPER-1675), and a leader
// itself answers a sync like a read, which may overtake a commit that a follower has told of
// already: a write ([Client.Set], [Txn.Commit]) before the read is the sure way.
func (zk *Client) Sync(ctx context.Context, path string) error {
	cl, err := zk.newPathCall(zkproto.OpSync, "sync", path)
	if err := zk.run(ctx, cl, err); err != nil {
		return err
	}
	cl.release()
	return nil
}

// GetACL returns a znode's ACL and stat. Without Admin the server masks digest passwords.
//
// Errors: [ErrNoNode], [ErrNoAuth] (needs Read or Admin).
func (zk *Client) GetACL(ctx context.Context, path string) ([]ACL, Stat, error) {
	cl, err := zk.newPathCall(zkproto.OpGetACL, "get ACL", path)
	if err := zk.run(ctx, cl, err); err != nil {
		return nil, Stat{}, err
	}
	acl, stat := cl.acl, cl.stat
	cl.release()
	return acl, stat, nil
}

func (zk *Client) newSetACL(path string, acl []ACL, version int32) (*call, error) {
	cl, err := zk.newPathCall(zkproto.OpSetACL, "set ACL", path)
	cl.write = true
	cl.req.acl, cl.req.version = acl, version
	if err == nil {
		err = validateACL(acl)
	}
	return cl, err
}

// SetACL replaces a znode's ACL if its ACL version ([Stat].Aversion) is the given one, or
// whatever it is with [AnyVersion], and returns the new stat.
//
// Errors: [ErrNoNode], [ErrBadVersion], [ErrInvalidACL], [ErrNoAuth] (needs Admin).
// After [ErrConnectionLoss] it may have been applied: [MaybeApplied].
func (zk *Client) SetACL(ctx context.Context, path string, acl []ACL, version int32) (Stat, error) {
	cl, err := zk.newSetACL(path, acl, version)
	if err := zk.run(ctx, cl, err); err != nil {
		return Stat{}, err
	}
	stat := cl.stat
	cl.release()
	return stat, nil
}

func (zk *Client) newCount(path string) (*call, error) {
	cl, err := zk.newPathCall(zkproto.OpGetAllChildrenNumber, "count descendants", path)
	return cl, err
}

// AllChildrenNumber returns how many znodes are below path, at any depth, in one request
// (ZooKeeper 3.6).
//
// Errors: [ErrNoNode], [ErrNoAuth] (needs Read), [ErrUnimplemented] on older servers.
func (zk *Client) AllChildrenNumber(ctx context.Context, path string) (int, error) {
	cl, err := zk.newCount(path)
	if err := zk.run(ctx, cl, err); err != nil {
		return 0, err
	}
	n := int(cl.num)
	cl.release()
	return n, nil
}

func (zk *Client) newEphemerals(prefix string) (*call, error) {
	cl := zk.core.newCall(zkproto.OpGetEphemerals, "ephemerals", prefix)
	cl.req.path = zk.root + prefix
	if prefix != "" && prefix[0] != '/' {
		return cl, badArg("prefix", "%q does not begin with '/'", prefix)
	}
	return cl, nil
}

// Ephemerals returns the paths of this session's ephemeral znodes that begin with prefix, a
// plain text comparison: "/a" also matches "/ab". An empty prefix means all below the view's
// root (ZooKeeper 3.6).
//
// Errors: [ErrUnimplemented] on older servers.
func (zk *Client) Ephemerals(ctx context.Context, prefix string) ([]string, error) {
	cl, err := zk.newEphemerals(prefix)
	if err := zk.run(ctx, cl, err); err != nil {
		return nil, err
	}
	paths := takePaths(cl)
	cl.release()
	return paths, nil
}

// takePaths strips the chroot from paths; those outside, which a plain prefix can match, go.
func takePaths(cl *call) []string {
	paths := make([]string, 0, len(cl.strs))
	for _, p := range cl.strs {
		if rel, inside := relPath(cl.root, p); inside {
			paths = append(paths, rel)
		}
	}
	return paths
}

// WhoAmI returns the identities of the present connection; there is always one of scheme ip
// (ZooKeeper 3.7).
//
// Errors: [ErrUnimplemented] on older servers.
func (zk *Client) WhoAmI(ctx context.Context) ([]ClientInfo, error) {
	cl := zk.core.newCall(zkproto.OpWhoAmI, "whoami", "")
	if err := zk.run(ctx, cl, nil); err != nil {
		return nil, err
	}
	who := cl.clients
	cl.release()
	return who, nil
}
