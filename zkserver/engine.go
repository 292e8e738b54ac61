package zkserver

import (
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// engine is the one goroutine that owns the tree, the sessions and the watches. Requests of all
// connections reach it through one queue, in the order in which they were received.
type engine struct {
	srv      *Server
	tree     *ztree.Tree
	sessions sessionTable
	watches  watchTable
	reaper   reaper
	saver    saver
	readOnly bool
	latency  latency
	metrics  metrics
	digests  digestLog
	fences   []fence
	tokens   tokens

	traceMask int64 // for the four-letter words about it

	dirty   []*conn // with output of the batch under way
	counted []*conn // whose requests the batch has taken, one for each
	ready   []*conn // with output that is released, whose writers are to be woken

	// Of the journal. All of it is unused without one.
	journal  journal
	durable  int64    // zxid up to which everything may be seen
	flushing bool     // a flush is under way
	failed   bool     // a flush failed: nothing is served any more
	holding  []*conn  // with output that is not durable
	flights  []flight // batches that are not durable, oldest first

	replica  *replica // nil unless it follows another server
	feeds    []*feed  // of the replicas that follow it
	replicas int      // how many ever did
}

func newEngine(s *Server) (*engine, error) {
	cfg := &s.cfg
	open := cfg.open
	if open == nil {
		open = cfg.openDisk
	}
	tree, j, err := open(ztree.Options{
		ExtendedTypes: cfg.extended, EnforceQuota: cfg.enforceQuota, SkipACL: cfg.skipACL,
		Modern: cfg.modern, Schemes: cfg.schemes(), Digest: true,
	})
	if err != nil {
		return nil, err
	}
	e := &engine{srv: s, tree: tree, journal: j, durable: tree.Zxid(), traceMask: 306, metrics: metrics{response: noSizes}}
	e.saver.init(s, j)
	e.sessions.init(s)
	e.watches.init(cfg.modern)
	if s.leader != nil {
		e.replica = &replica{leader: s.leader}
		e.replica.alarm.init(s, (*engine).catchUp)
		return e, nil
	}
	for id, timeout := range tree.Sessions() {
		e.track(&session{id: id, timeout: timeout})
	}
	return e, nil
}

func (e *engine) run() {
	defer e.end()
	e.reaper.alarm.init(e.srv, (*engine).reap)
	if e.replica == nil {
		e.reaper.alarm.set(e.srv.cfg.reapInterval)
	} else {
		defer e.replica.alarm.cancel()
	}
	defer e.reaper.alarm.cancel()
	defer e.sessions.alarm.cancel()
	for {
		select {
		case <-e.srv.in.wake:
			batch := e.srv.in.take()
			for i := range batch {
				e.handle(&batch[i])
			}
		case <-e.srv.stop:
			return
		}
		e.settle()
		e.send()
		e.save()
	}
}

// end refuses what is still to come, and leaves nothing of the journal behind.
func (e *engine) end() {
	defer close(e.srv.stopped)
	e.srv.last = e.tree
	if e.journal != nil {
		for e.flushing {
			<-e.srv.in.wake
			batch := e.srv.in.take()
			for i := range batch {
				if batch[i].kind == kindDo {
					batch[i].do(e)
				}
			}
		}
		e.saver.stop()
		if err := e.journal.Close(); err != nil {
			e.srv.cfg.logger.Error("journal close failed", "err", err)
			e.srv.failed(err)
		}
	}
	if e.replica != nil {
		e.replica.leader.in.post(request{kind: kindDo, do: func(m *engine) { m.unfollow(e.srv) }})
	}
	e.srv.in.close()
}

func (e *engine) handle(r *request) {
	c := r.conn
	switch r.kind {
	case kindDo:
		r.do(e)
		return
	case kindGone:
		e.drop(c)
		return
	}
	if e.park(c, r) {
		return
	}
	e.counted = append(e.counted, c)
	e.srv.large.done(r.large)
	if c.gone {
		return
	}
	switch r.kind {
	case kindConnect:
		e.connect(c, r.connect)
	case kindWord:
		e.word(c, r)
	case kindRequest:
		// Without a session, or behind its end, nothing is answered.
		s := c.session
		if s == nil || c.lastHeld || e.failed {
			return
		}
		e.touch(s)
		if e.tooLate(r) {
			e.srv.stats.throttled.Add(1)
			e.refuse(c, r, zkproto.ErrThrottledOp)
			return
		}
		e.answer(c, s, r)
		c.stats.note(r, e)
	}
}

// now is the time of transactions.
func (e *engine) now() int64 { return e.srv.cfg.clock.Now().UnixMilli() }

// wrote logs what a write did and tells the watches. Events come before the reply.
func (e *engine) wrote(out *ztree.Outcome) {
	e.log(out.Txn)
	if len(e.feeds) > 0 {
		e.publish(out.Txn)
	}
	e.tellWatches(out.Changes, out.Txn.Zxid)
}

// tellWatches tells the watches of the changes of a transaction.
func (e *engine) tellWatches(changes []ztree.Change, txn int64) {
	zxid := int64(-1)
	if e.srv.cfg.modern {
		zxid = txn
	}
	for i := range changes {
		e.trigger(&changes[i], zxid)
	}
}

// put appends a frame to what a connection is to be sent at the end of the batch.
func put[B interface{ AppendTo([]byte) []byte }](e *engine, c *conn, h zkproto.ReplyHeader, body B) {
	if !e.takes(c) {
		return
	}
	before := len(c.held)
	b, m := zkproto.BeginFrame(c.held)
	b = h.AppendTo(b)
	b = body.AppendTo(b)
	c.held = zkproto.EndFrame(b, m)
	e.noteSent(c, len(c.held)-before)
}

// putFrame is put for a frame that is encoded already.
func (e *engine) putFrame(c *conn, frame []byte) {
	if e.takes(c) {
		c.held = append(c.held, frame...)
		e.noteSent(c, len(frame))
	}
}

// takes reports whether a connection is to be sent anything more.
func (e *engine) takes(c *conn) bool {
	if c.gone || c.lastHeld {
		return false
	}
	return len(c.held) <= heldLimit || e.spill(c)
}

// noteSent counts a frame of so many bytes, its length included.
func (e *engine) noteSent(c *conn, size int) {
	c.stats.sent++
	e.metrics.response.note(size - 4)
	e.srv.stats.sent.Add(1)
	e.touched(c)
}

// heldLimit is how much a batch collects for one connection before it looks after it.
const heldLimit = 256 << 10

// spill lets a large output go before its batch ends, if it may be seen already. It drops a
// connection that has too much coming, and reports whether it goes on.
func (e *engine) spill(c *conn) bool {
	if e.srv.tooMuch(c.pending() + len(c.held)) {
		e.srv.cfg.logger.Warn("client does not read", "addr", c.nc.RemoteAddr())
		e.drop(c)
		return false
	}
	if len(c.marks) == 0 && (e.journal == nil || e.tree.Zxid() <= e.durable) {
		c.release(len(c.held), c.lastHeld)
		c.signal()
	}
	return true
}

// noBody is the body of a reply that has none.
type noBody struct{}

func (noBody) AppendTo(b []byte) []byte { return b }

// touched notes that a connection has output, so that settle sees to it.
func (e *engine) touched(c *conn) {
	if !c.dirty {
		c.dirty = true
		e.dirty = append(e.dirty, c)
	}
}

// hangUp closes a connection behind what it has been sent.
func (e *engine) hangUp(c *conn) {
	c.lastHeld = true
	e.touched(c)
}

// drop ends a connection at once; its session stays.
func (e *engine) drop(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	e.watches.forget(c)
	if s := c.session; s != nil && s.conn == c {
		s.conn = nil
	}
	if e.replica != nil {
		e.dropRemote(c)
	}
	c.session = nil
	c.held, c.marks = nil, nil
	c.closeSocket()
}

func (e *engine) dropAll() {
	for _, c := range e.conns() {
		e.drop(c)
	}
}

func (e *engine) setReadOnly(on bool) {
	if on == e.readOnly {
		return
	}
	e.readOnly = on
	e.dropAll()
	for _, s := range e.sessions.byID {
		if s.local {
			e.untrack(s)
			continue
		}
		e.touch(s)
	}
	if e.replica != nil {
		e.catchUp()
	}
}
