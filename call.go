package gazoo

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// call is one request on its way: made by an operation, queued or put on the wire by the
// sender, completed once by whoever learns its fate. Calls are pooled.
//
// Ownership: the maker owns a call until submit; from then on the sender and the link do.
// After complete it belongs to the waiter again, unless the waiter has left (abandoned), in
// which case complete releases it.
type call struct {
	op          zkproto.OpCode
	name        string // operation, for errors
	path        string // as the caller gave it, for errors
	root        string // chroot to take off results
	write       bool   // changes the tree
	req         request
	bound       *Session // set on calls of a session-bound view
	missingFine bool     // an exists for which ErrNoNode is an answer, not an error
	need        feature  // what the server must know for this operation, 0 for the baseline

	// Set by submit, under sender.mu.
	tenancy  *Session  // the one it belongs to, nil for "the next one"
	began    time.Time // only when there are request hooks
	xid      int32
	startOff int64  // position of its first byte in the connection's stream of bytes
	weight   int    // bytes it takes of the window, 0 for internal calls
	size     int    // bytes of its frame, once it is on the wire
	frame    []byte // encoded, while it waits for a connection
	next     *call  // waiting queue
	prev     *call
	waiting  bool
	sent     bool // its bytes are in a connection's buffer, or beyond

	// fallback, set on the call behind a future, does the same by other means on a server that
	// does not know the operation. It runs on a goroutine of its own.
	fallback func(*call) error

	// watch, when set, sees to the caller's context, on which the caller does not wait.
	watch *ctxWatch

	// register is told the fate before anyone else, on the goroutine that completes the
	// call: watch registrations must take effect in wire order.
	register settler

	state atomic.Int32  // callPending and so on
	ready chan struct{} // one slot; a token comes only when callWaited became callTold
	pool  *sync.Pool    // where release puts it
	gen   atomic.Uint32 // counts releases, to catch futures used after theirs

	// Results, valid after complete.
	err     error
	outcome Outcome
	server  string
	zxid    int64
	buf     []byte // caller's buffer for data, may be nil
	data    []byte
	stat    Stat
	str     string
	strs    []string
	num     int32
	missing bool // with missingFine: there is no such znode
	acl     []ACL
	clients []ClientInfo
	results []zkproto.MultiResult
	value   any // result of a composite operation

	async *asyncPart // only on calls behind a Future that someone attached to
	mu    sync.Mutex // guards async
}

// settler is a registration that waits for its call's fate.
type settler interface{ settle(*call) }

// request is what is encoded; which fields count depends on the operation.
type request struct {
	path    string // with chroot
	data    []byte
	version int32
	mode    CreateMode
	acl     []ACL
	ttl     int64
	watch   bool
	num     int32 // watcher type, watch mode
	ops     []zkproto.MultiOp
	record  interface{ AppendTo([]byte) []byte } // rare requests, encoded by themselves
}

// asyncPart is what is attached to a call through its Future.
type asyncPart struct {
	then []func()      // queued on the dispatcher at completion
	done chan struct{} // closed at completion
}

const (
	callPending   = iota
	callWaited    // somebody waits, or wants to be told
	callRoused    // its caller is to look at the context; a token is in ready if it waits
	callDone      // complete, and nobody had asked
	callTold      // complete, and a token is in ready, or about to be
	callAbandoned // its waiter has left: who completes it releases it
)

// await blocks until the call is complete. It returns false when done was closed before. With a
// watch the context's end is told by rousing.
func (cl *call) await(done <-chan struct{}) bool {
	asked, roused := cl.ask()
	if !asked {
		return true
	}
	if done == nil || cl.watch != nil && !roused {
		<-cl.ready
		if !cl.state.CompareAndSwap(callRoused, callWaited) {
			return true
		}
	}
	select {
	case <-cl.ready:
		return true
	case <-done:
		return false
	}
}

// ask has complete leave a token. It returns false when the call is complete and there is none.
// roused says that the context needs a look.
func (cl *call) ask() (asked, roused bool) {
	if cl.state.CompareAndSwap(callPending, callWaited) {
		return true, false
	}
	if cl.state.CompareAndSwap(callRoused, callWaited) {
		return true, true
	}
	return cl.state.Load() != callDone, false
}

// rouse sends the waiting caller to its context. Under sender.mu.
func (cl *call) rouse() {
	if cl.state.CompareAndSwap(callWaited, callRoused) {
		cl.ready <- struct{}{}
	} else {
		cl.state.CompareAndSwap(callPending, callRoused)
	}
}

// desert leaves the call to the one who completes it. It returns false when it is complete.
func (cl *call) desert() bool {
	return cl.state.CompareAndSwap(callWaited, callAbandoned) || cl.state.CompareAndSwap(callPending, callAbandoned)
}

// finished reports whether the call is complete and belongs to its waiter.
func (cl *call) finished() bool {
	st := cl.state.Load()
	return st == callDone || st == callTold
}

// newCall takes a call from the client's pool. The pool is not shared between clients: a call's
// channel belongs to the testing/synctest bubble in which it was made, and so does the client.
func (c *core) newCall(op zkproto.OpCode, name, path string) *call {
	cl, _ := c.pool.Get().(*call)
	if cl == nil {
		cl = &call{pool: &c.pool, ready: make(chan struct{}, 1)}
	}
	cl.op, cl.name, cl.path, cl.need = op, name, path, featureOf(op)
	return cl
}

// release puts the call back into the pool. Results must have been taken out.
func (cl *call) release() {
	gen, ready := cl.gen.Load()+1, cl.ready
	select {
	case <-ready: // a future's token that nobody took
	default:
	}
	cl.reset()
	cl.gen.Store(gen)
	cl.pool.Put(cl)
}

func (cl *call) reset() {
	cl.op, cl.name, cl.path, cl.root, cl.write = 0, "", "", "", false
	cl.req = request{}
	cl.bound, cl.need, cl.tenancy, cl.watch = nil, 0, nil, nil
	cl.missingFine, cl.missing = false, false
	cl.began, cl.xid, cl.startOff, cl.weight, cl.size = time.Time{}, 0, 0, 0, 0
	cl.frame, cl.next, cl.prev, cl.waiting, cl.sent = nil, nil, nil, false, false
	cl.register, cl.fallback = nil, nil
	cl.state.Store(callPending)
	cl.err, cl.outcome, cl.server, cl.zxid = nil, 0, "", 0
	cl.buf, cl.data, cl.stat, cl.str, cl.strs, cl.num = nil, nil, Stat{}, "", nil, 0
	cl.acl, cl.clients, cl.results, cl.value = nil, nil, nil, nil
	cl.async = nil
}

// appendBody encodes the request record.
func (q *request) appendBody(b []byte, op zkproto.OpCode) []byte {
	if q.record != nil {
		return q.record.AppendTo(b)
	}
	switch op {
	case zkproto.OpExists, zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2:
		return zkproto.PathWatchRequest{Path: q.path, Watch: q.watch}.AppendTo(b)
	case zkproto.OpSetData:
		return zkproto.SetDataRequest{Path: q.path, Data: q.data, Version: q.version}.AppendTo(b)
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer:
		return zkproto.CreateRequest{Path: q.path, Data: q.data, ACL: q.acl, Mode: q.mode}.AppendTo(b)
	case zkproto.OpCreateTTL:
		return zkproto.CreateTTLRequest{Path: q.path, Data: q.data, ACL: q.acl, Mode: q.mode, TTL: q.ttl}.AppendTo(b)
	case zkproto.OpDelete:
		return zkproto.DeleteRequest{Path: q.path, Version: q.version}.AppendTo(b)
	case zkproto.OpGetACL, zkproto.OpSync, zkproto.OpGetEphemerals, zkproto.OpGetAllChildrenNumber:
		return zkproto.PathRequest{Path: q.path}.AppendTo(b)
	case zkproto.OpSetACL:
		return zkproto.SetACLRequest{Path: q.path, ACL: q.acl, Version: q.version}.AppendTo(b)
	case zkproto.OpMulti:
		return append(b, q.data...) // see Txn
	case zkproto.OpMultiRead:
		return zkproto.MultiRequest{Ops: q.ops}.AppendTo(b)
	case zkproto.OpAddWatch:
		return zkproto.AddWatchRequest{Path: q.path, Mode: zkproto.AddWatchMode(q.num)}.AppendTo(b)
	case zkproto.OpRemoveWatches:
		return zkproto.RemoveWatchesRequest{Path: q.path, Type: zkproto.WatcherType(q.num)}.AppendTo(b)
	}
	return b // ping, whoAmI, closeSession: no record
}

// size returns what the window reckons with before the request is encoded, and what the
// encoded request certainly exceeds.
func (q *request) size() (rough, least int) {
	least = len(q.path) + len(q.data)
	for i := range q.ops {
		least += len(q.ops[i].Path) + len(q.ops[i].Data)
	}
	return least + 64*(1+len(q.ops)) + 40*len(q.acl), least
}

// decode takes the results out of a reply without error.
func (cl *call) decode(r *zkproto.Reader) error {
	switch cl.op {
	case zkproto.OpExists, zkproto.OpSetData, zkproto.OpSetACL:
		cl.stat.Decode(r)
	case zkproto.OpGetData, zkproto.OpReconfig:
		cl.data = r.BufferTo(cl.buf)
		cl.stat.Decode(r)
	case zkproto.OpCreate:
		cl.str = r.String()
	case zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		cl.str = r.String()
		cl.stat.Decode(r)
	case zkproto.OpGetChildren, zkproto.OpGetEphemerals:
		var m zkproto.ChildrenResponse // of ephemerals it is the same
		m.Decode(r)
		cl.strs = m.Children
	case zkproto.OpGetChildren2:
		var m zkproto.Children2Response
		m.Decode(r)
		cl.strs, cl.stat = m.Children, m.Stat
	case zkproto.OpGetACL:
		var m zkproto.GetACLResponse
		m.Decode(r)
		cl.acl, cl.stat = m.ACL, m.Stat
	case zkproto.OpGetAllChildrenNumber:
		cl.num = r.Int32()
	case zkproto.OpWhoAmI:
		var m zkproto.WhoAmIResponse
		m.Decode(r)
		cl.clients = m.Clients
	case zkproto.OpMulti:
		if t, ok := cl.value.(*Txn); ok {
			return t.decode(cl, r)
		}
	case zkproto.OpMultiRead:
		var m zkproto.MultiResponse
		m.Decode(r)
		cl.results = m.Results
	}
	return r.Err()
}

// fail records why there is no result. err is the bare cause.
func (cl *call) fail(outcome Outcome, err error) {
	cl.err, cl.outcome = err, outcome
}

// complete publishes the call's fate. Nobody may touch the call after it, except its waiter.
func (cl *call) complete(c *core) {
	if cl.register != nil {
		cl.register.settle(cl)
	}
	if len(c.cfg.hooks.request) > 0 && !cl.began.IsZero() {
		info := RequestInfo{
			Op: cl.name, Path: cl.req.path, Server: cl.server, Start: cl.began,
			Duration: time.Since(cl.began), Zxid: cl.zxid, Bytes: cl.size, Err: cl.err,
		}
		for _, h := range c.cfg.hooks.request {
			c.calls.enqueue(func() { h.OnRequest(info) })
		}
	}
	if cl.missingFine && cl.outcome == OutcomeRefused && cl.err == error(ErrNoNode) {
		cl.missing, cl.err = true, nil
	}
	if fn := cl.fallback; fn != nil && errors.Is(cl.err, ErrNotSupported) {
		cl.fallback, cl.began = nil, time.Time{}
		c.users.start(func() {
			cl.fail(0, fn(cl))
			cl.complete(c)
		})
		return
	}
	// What the caller gave is not ours to keep.
	cl.req.data, cl.req.ops, cl.req.record, cl.frame, cl.buf = nil, nil, nil, nil, nil
	for {
		switch st := cl.state.Load(); st {
		case callPending, callRoused:
			// One who was roused looks at the state before he waits again.
			if cl.state.CompareAndSwap(st, callDone) {
				return // it may be somebody else's call already
			}
		case callWaited:
			if cl.state.CompareAndSwap(st, callTold) {
				cl.tell(c)
				return
			}
		default:
			cl.release()
			return
		}
	}
}

// tell serves those who have asked.
func (cl *call) tell(c *core) {
	cl.mu.Lock()
	part := cl.async
	cl.async = nil
	cl.mu.Unlock()
	if part != nil {
		if part.done != nil {
			close(part.done)
		}
		for _, fn := range part.then {
			c.calls.enqueue(fn)
		}
	}
	cl.ready <- struct{}{}
}

// opError wraps the recorded failure for the caller.
func (cl *call) opError() error {
	if cl.err == nil {
		return nil
	}
	if e, ok := cl.err.(*OpError); ok {
		return e // a composite operation: the step that failed has said it all
	}
	return &OpError{Op: cl.name, Path: cl.path, Server: cl.server, Outcome: cl.outcome, Write: cl.write, Err: cl.err}
}

// refuse is the error of a call that was not even submitted.
func refuse(op, path string, err error) error {
	return &OpError{Op: op, Path: path, Outcome: OutcomeNotSent, Err: err}
}

// do submits a call and waits for it. On success the caller owns the call and releases it; on
// error it is gone.
func (zk *Client) do(ctx context.Context, cl *call) error {
	c := zk.core
	cl.root, cl.bound, cl.watch = zk.root, zk.session, c.watch(ctx)
	if err := c.send.submit(ctx, cl, true); err != nil {
		return err
	}
	return zk.await(ctx, cl)
}

// await waits for a submitted call, by the context. See do for the ownership.
func (zk *Client) await(ctx context.Context, cl *call) error {
	if !cl.await(ctx.Done()) {
		if gone, err := zk.core.send.abandon(cl, ctxError(ctx)); gone {
			return err
		}
		<-cl.ready // the result came first
	}
	if cl.err != nil {
		err := cl.opError()
		cl.release()
		return err
	}
	return nil
}
