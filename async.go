package gazoo

import (
	"context"
	"slices"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Async is the asynchronous face of a client: every method submits at once and returns a
// [Future]. Requests reach the server in the order in which one goroutine made the calls,
// synchronous ones among them. A pending request costs no goroutine.
//
// ctx bounds the submission only: it can wait when the window ([WithWindow]) is full. The
// result is waited for with a context of its own. Arguments, data included, are encoded
// before a method returns and may be changed afterwards.
//
// Operations made of several requests (creates with options that need them, EnsurePath,
// DeleteRecursive, AddAuth) run on a goroutine of their own and keep to ctx throughout.
type Async struct{ zk *Client }

// Async returns the asynchronous face of this view.
func (zk *Client) Async() Async { return Async{zk} }

// Node is what an asynchronous Get returns.
type Node struct {
	Data []byte // nil for null data
	Stat Stat
}

// Presence is what an asynchronous Exists returns.
type Presence struct {
	Exists bool
	Stat   Stat
}

// Directory is what an asynchronous Children returns.
type Directory struct {
	Children []string
	Stat     Stat // of ChildrenStat only
}

// Created is what an asynchronous Create returns.
type Created struct {
	Path string
	Stat Stat // of CreateStat only
}

// AccessList is what an asynchronous GetACL returns.
type AccessList struct {
	ACL  []ACL
	Stat Stat
}

func takeNode(cl *call) Node             { return Node{cl.data, cl.stat} }
func takeStat(cl *call) Stat             { return cl.stat }
func takeNothing(*call) struct{}         { return struct{}{} }
func takeDirectory(cl *call) Directory   { return Directory{cl.strs, cl.stat} }
func takeAccessList(cl *call) AccessList { return AccessList{cl.acl, cl.stat} }
func takeNumber(cl *call) int            { return int(cl.num) }
func takeClients(cl *call) []ClientInfo  { return cl.clients }
func takeCreatedStat(cl *call) Created   { return Created{takeCreated(cl), cl.stat} }

func takePresence(cl *call) Presence { return Presence{!cl.missing, cl.stat} }

// Get is [Client.Get].
func (a Async) Get(ctx context.Context, path string) Future[Node] { return a.GetInto(ctx, path, nil) }

// GetInto is [Client.GetInto]; buf must not be touched before the future is done.
func (a Async) GetInto(ctx context.Context, path string, buf []byte) Future[Node] {
	cl, err := a.zk.newPathCall(zkproto.OpGetData, "get", path)
	cl.buf = buf
	return begin(ctx, a.zk, cl, err, takeNode)
}

// Exists is [Client.Exists].
func (a Async) Exists(ctx context.Context, path string) Future[Presence] {
	cl, err := a.zk.newPathCall(zkproto.OpExists, "exists", path)
	cl.missingFine = true
	return begin(ctx, a.zk, cl, err, takePresence)
}

// Children is [Client.Children].
func (a Async) Children(ctx context.Context, path string) Future[Directory] {
	cl, err := a.zk.newPathCall(zkproto.OpGetChildren, "children", path)
	return begin(ctx, a.zk, cl, err, takeDirectory)
}

// ChildrenStat is [Client.ChildrenStat].
func (a Async) ChildrenStat(ctx context.Context, path string) Future[Directory] {
	cl, err := a.zk.newPathCall(zkproto.OpGetChildren2, "children", path)
	return begin(ctx, a.zk, cl, err, takeDirectory)
}

// Set is [Client.Set].
func (a Async) Set(ctx context.Context, path string, data []byte, version int32) Future[Stat] {
	cl, err := a.zk.newSet(path, data, version)
	return begin(ctx, a.zk, cl, err, takeStat)
}

// Create is [Client.Create]. With Parents, Protected or OrSet it takes a goroutine.
func (a Async) Create(ctx context.Context, path string, data []byte, opts ...CreateOption) Future[Created] {
	return a.create(ctx, path, data, false, opts)
}

// CreateStat is [Client.CreateStat].
func (a Async) CreateStat(ctx context.Context, path string, data []byte, opts ...CreateOption) Future[Created] {
	return a.create(ctx, path, data, true, opts)
}

func (a Async) create(ctx context.Context, path string, data []byte, wantStat bool, opts []CreateOption) Future[Created] {
	o := &createOptions{}
	for _, opt := range opts {
		opt(o)
	}
	if o.parents || o.protected || o.set {
		data = slices.Clone(data)
		return compose(ctx, a.zk, "create", path, nil, func(ctx context.Context) (Created, error) {
			var stat Stat
			created, err := a.zk.createAny(ctx, path, data, &stat, wantStat, opts)
			return Created{created, stat}, err
		})
	}
	cl, err := a.zk.newCreate(path, data, o, wantStat)
	if cl.op == zkproto.OpCreate2 {
		zk, data := a.zk, slices.Clone(data)
		cl.fallback = func(cl *call) error {
			created, err := zk.createThenLook(zk.core.ctx, path, data, o, &cl.stat)
			cl.str = absPath(zk.root, created)
			return err
		}
	}
	return begin(ctx, a.zk, cl, err, takeCreatedStat)
}

// EnsurePath is [Client.EnsurePath].
func (a Async) EnsurePath(ctx context.Context, path string, opts ...CreateOption) Future[bool] {
	return compose(ctx, a.zk, "ensure path", path, nil, func(ctx context.Context) (bool, error) {
		return a.zk.EnsurePath(ctx, path, opts...)
	})
}

// Delete is [Client.Delete].
func (a Async) Delete(ctx context.Context, path string, version int32) Future[struct{}] {
	cl, err := a.zk.newDelete(path, version)
	return begin(ctx, a.zk, cl, err, takeNothing)
}

// DeleteRecursive is [Client.DeleteRecursive].
func (a Async) DeleteRecursive(ctx context.Context, path string) Future[struct{}] {
	return compose(ctx, a.zk, "delete recursive", path, nil, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.zk.DeleteRecursive(ctx, path, nil)
	})
}

// GetACL is [Client.GetACL].
func (a Async) GetACL(ctx context.Context, path string) Future[AccessList] {
	cl, err := a.zk.newPathCall(zkproto.OpGetACL, "get ACL", path)
	return begin(ctx, a.zk, cl, err, takeAccessList)
}

// SetACL is [Client.SetACL].
func (a Async) SetACL(ctx context.Context, path string, acl []ACL, version int32) Future[Stat] {
	cl, err := a.zk.newSetACL(path, acl, version)
	return begin(ctx, a.zk, cl, err, takeStat)
}

// Sync is [Client.Sync].
func (a Async) Sync(ctx context.Context, path string) Future[struct{}] {
	cl, err := a.zk.newPathCall(zkproto.OpSync, "sync", path)
	return begin(ctx, a.zk, cl, err, takeNothing)
}

// AllChildrenNumber is [Client.AllChildrenNumber].
func (a Async) AllChildrenNumber(ctx context.Context, path string) Future[int] {
	cl, err := a.zk.newCount(path)
	return begin(ctx, a.zk, cl, err, takeNumber)
}

// Ephemerals is [Client.Ephemerals].
func (a Async) Ephemerals(ctx context.Context, prefix string) Future[[]string] {
	cl, err := a.zk.newEphemerals(prefix)
	return begin(ctx, a.zk, cl, err, takePaths)
}

// WhoAmI is [Client.WhoAmI].
func (a Async) WhoAmI(ctx context.Context) Future[[]ClientInfo] {
	cl := a.zk.core.newCall(zkproto.OpWhoAmI, "whoami", "")
	return begin(ctx, a.zk, cl, nil, takeClients)
}

// AddAuth is [Client.AddAuth].
func (a Async) AddAuth(ctx context.Context, scheme string, auth []byte) Future[struct{}] {
	cred := credential{scheme: scheme, auth: slices.Clone(auth)}
	return compose(ctx, a.zk, "add auth", "", checkAuth(ctx, scheme), func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.zk.addAuth(ctx, cred)
	})
}

// Reconfig is [Client.Reconfig].
func (a Async) Reconfig(ctx context.Context, change Reconfiguration) Future[Node] {
	cl, err := a.zk.newReconfig(change)
	return begin(ctx, a.zk, cl, err, takeNode)
}

// Commit is [Txn.Commit].
func (a Async) Commit(ctx context.Context, t *Txn) Future[[]TxnResult] {
	cl, err := t.newCommit()
	return begin(ctx, t.zk, cl, err, takeTxnResults)
}

// MultiRead is [Client.MultiRead].
func (a Async) MultiRead(ctx context.Context, reads ...Read) Future[[]ReadResult] {
	reads = slices.Clone(reads)
	cl, err := a.zk.newMultiRead(reads)
	zk := a.zk
	cl.fallback = func(cl *call) error {
		cl.value = zk.readSingly(zk.core.ctx, reads)
		return nil
	}
	return begin(ctx, a.zk, cl, err, takeReadResults)
}
