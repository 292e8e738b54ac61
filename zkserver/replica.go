package zkserver

import (
	"bytes"
	"errors"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// replica is what an engine has that follows another one, the leader: a tree and watches of its
// own, which hear of everything in the leader's order and, if the test wants it, late. Sessions
// and writes are the leader's business; connections, watches and reads are the replica's, which
// keeps, like a follower of Apache, a connection's requests behind its unanswered write.
type replica struct {
	leader *Server
	queue  []news // from the leader, and not applied yet
	lag    time.Duration
	frozen bool
	alarm  alarm
	seen   map[int64]struct{} // sessions heard of since the leader was told
}

// news is what a leader tells: a transaction, or what to do behind the ones before.
type news struct {
	at  time.Time
	txn *ztree.Txn
	do  func(*engine)
}

// feed is the news for one replica that a batch of the leader has made.
type feed struct {
	to   *Server
	news []news
}

// NewReplica makes a server that follows another one, which must run in memory, must not be a
// replica itself, and must be closed after it. It serves clients like a server of an ensemble:
// see [Server.Lag] and [Server.Freeze]. Its options are those of the leader.
func NewReplica(leader *Server) (*Server, error) {
	if leader.leader != nil {
		return nil, errors.New("zkserver: a replica of a replica")
	}
	cfg := leader.cfg
	s := newServer(cfg)
	s.leader = leader
	var tree *ztree.Tree
	err := ErrClosed
	leader.call(func(e *engine) {
		if e.journal != nil {
			err = errors.New("zkserver: a replica of a server with a data directory")
			return
		}
		err = nil
		e.replicas++
		s.number = 1 + uint64(e.replicas)
		tree = clone(e.tree)
		e.feeds = append(e.feeds, &feed{to: s})
	})
	if err != nil {
		return nil, err
	}
	s.cfg.open = func(ztree.Options) (*ztree.Tree, journal, error) { return tree, nil, nil }
	return s, s.run()
}

// clone copies a tree. Data is shared: nobody changes it in place.
func clone(tree *ztree.Tree) *ztree.Tree {
	snap := tree.Snapshot()
	l := ztree.Load(tree.Options())
	for id, timeout := range snap.Sessions {
		l.AddSession(id, timeout)
	}
	for key, acl := range snap.ACLs {
		l.AddACL(key, acl)
	}
	for r, more := snap.Next(); more; r, more = snap.Next() {
		if err := l.AddNode(r); err != nil {
			panic("zkserver: copy of the tree: " + err.Error())
		}
	}
	copied := l.Finish(snap.Zxid)
	copied.Settle()
	return copied
}

// Lag makes a replica hear of each transaction so much later than it happens (default 0): reads
// and watches see what was there before, a write through it is answered when its result has
// arrived here, a sync when everything before it has. Of a server that is no replica it does
// nothing.
func (s *Server) Lag(d time.Duration) {
	s.follow(func(e *engine) { e.replica.lag = d })
}

// Freeze keeps a replica where it is in the history, or lets it catch up again. Of a server
// that is no replica it does nothing.
func (s *Server) Freeze(on bool) {
	s.follow(func(e *engine) { e.replica.frozen = on })
}

func (s *Server) follow(change func(*engine)) {
	s.call(func(e *engine) {
		if e.replica != nil {
			change(e)
			e.catchUp()
		}
	})
}

// following reports whether writes and sessions are somebody else's business. A replica in
// read-only mode is on its own.
func (e *engine) following() bool { return e.replica != nil && !e.readOnly }

// publish tells the replicas of a transaction.
func (e *engine) publish(txn ztree.Txn) {
	for _, f := range e.feeds {
		f.news = append(f.news, news{at: e.srv.cfg.clock.Now(), txn: &txn})
	}
}

// reply tells one replica what to do behind the transactions so far.
func (e *engine) reply(to *Server, do func(*engine)) {
	for _, f := range e.feeds {
		if f.to == to {
			f.news = append(f.news, news{do: do})
		}
	}
}

// send lets go what the batch has for the replicas, or what a replica has for its leader.
func (e *engine) send() {
	for _, f := range e.feeds {
		if batch := f.news; len(batch) > 0 {
			f.news = nil
			f.to.in.post(request{kind: kindDo, do: func(r *engine) {
				r.replica.queue = append(r.replica.queue, batch...)
				r.catchUp()
			}})
		}
	}
	if r := e.replica; r != nil && len(r.seen) > 0 {
		seen := r.seen
		r.seen = nil
		r.leader.in.post(request{kind: kindDo, do: func(m *engine) {
			for id := range seen {
				if s := m.sessions.byID[id]; s != nil {
					m.touch(s)
				}
			}
		}})
	}
}

// catchUp applies what is due.
func (e *engine) catchUp() {
	r := e.replica
	for len(r.queue) > 0 && !r.frozen && !e.readOnly {
		n := r.queue[0]
		if n.txn == nil {
			r.queue = r.queue[1:]
			n.do(e)
			continue
		}
		if wait := n.at.Add(r.lag).Sub(e.srv.cfg.clock.Now()); wait > 0 {
			r.alarm.set(wait)
			return
		}
		r.queue = r.queue[1:]
		e.apply(n.txn)
	}
}

// apply does a transaction of the leader here.
func (e *engine) apply(txn *ztree.Txn) {
	changes, err := e.tree.Follow(*txn)
	if err != nil {
		e.fail(err)
		return
	}
	e.tellWatches(changes, txn.Zxid)
	if txn.Record.Type != zkproto.OpCloseSession {
		return
	}
	// Whoever has asked for it is answered; whose session has expired is not.
	if s := e.sessions.byID[txn.Session]; s != nil && !s.local && !s.closing && s.conn != nil {
		e.drop(s.conn)
	}
}

// ask lets the leader do something for a connection. Its later requests wait until the answer,
// which comes behind the transactions that the leader has made before, is executed here.
func (e *engine) ask(c *conn, work func(leader *engine) (answer func(*engine))) {
	c.waiting = true
	from := e.srv
	sent := e.replica.leader.in.post(request{kind: kindDo, do: func(m *engine) {
		answer := work(m)
		m.reply(from, func(r *engine) { r.answered(c, answer) })
	}})
	if !sent {
		e.drop(c)
	}
}

// answered executes the leader's answer, and then what has waited for it.
func (e *engine) answered(c *conn, answer func(*engine)) {
	answer(e) // also when the connection is gone: it may have been given a session
	c.waiting = false
	for len(c.backlog) > 0 && !c.waiting {
		next := c.backlog[0]
		c.backlog = c.backlog[1:]
		e.handle(&next)
	}
}

// park keeps a request of a connection that waits for the leader. It reports whether it does.
func (e *engine) park(c *conn, r *request) bool {
	if !c.waiting || c.gone {
		return false
	}
	if c.session != nil {
		e.touch(c.session)
	}
	c.backlog = append(c.backlog, *r)
	return true
}

// askWrite lets the leader execute a write, a sync or the end of a session, and answers it here.
// What it is passed on the leader must leave alone the replica's state, and so must work.
func (e *engine) askWrite(c *conn, q *request, work func(leader *engine, s *session) (answer func(*engine))) {
	id, copied := c.session.id, *q
	e.ask(c, func(m *engine) func(*engine) {
		switch s := m.sessions.byID[id]; {
		case m.readOnly:
			return func(r *engine) { r.refuse(c, &copied, zkproto.ErrNotReadOnly) }
		case s == nil:
			return func(r *engine) { r.refuse(c, &copied, zkproto.ErrSessionExpired) }
		case s.conn != c: // it was taken over through another connection
			return func(r *engine) { r.drop(c) }
		default:
			return work(m, s)
		}
	})
}

// askSession lets the leader answer a connect request.
func (e *engine) askSession(c *conn, req *zkproto.ConnectRequest) {
	from := e.srv
	if req.SessionID == 0 {
		e.ask(c, func(m *engine) func(*engine) {
			if m.readOnly {
				return func(r *engine) { r.drop(c) }
			}
			s := m.openSession(m.negotiate(req))
			s.conn = c
			return func(r *engine) { r.attachRemote(c, s.id, s.timeout, req) }
		})
		return
	}
	// An old session is not news: a replica that lags answers as fast as another one.
	sent := e.replica.leader.in.post(request{kind: kindDo, do: func(m *engine) {
		s := m.sessions.byID[req.SessionID]
		password := zkproto.SessionPassword(req.SessionID)
		if s == nil || !bytes.Equal(req.Password, password[:]) {
			from.in.post(request{kind: kindDo, do: func(r *engine) { r.denySession(c, req) }})
			return
		}
		old, timeout := s.conn, m.negotiate(req)
		s.conn, s.timeout = c, timeout
		m.touch(s)
		from.in.post(request{kind: kindDo, do: func(r *engine) {
			// Elsewhere the old connection stays, until it asks the leader for something.
			if old != nil && old.srv == from {
				r.drop(old)
			}
			r.attachRemote(c, req.SessionID, timeout, req)
		}})
	}})
	if !sent {
		e.drop(c)
	}
}

// attachRemote gives a session of the leader its connection here.
func (e *engine) attachRemote(c *conn, id int64, timeout int32, req *zkproto.ConnectRequest) {
	if c.gone {
		e.leaveSession(c, id)
		return
	}
	s := &session{id: id, timeout: timeout}
	e.sessions.byID[id] = s
	e.attach(c, s, req)
}

// leaveSession tells the leader that a session has lost its connection.
func (e *engine) leaveSession(c *conn, id int64) {
	e.replica.leader.in.post(request{kind: kindDo, do: func(m *engine) {
		if s := m.sessions.byID[id]; s != nil && s.conn == c {
			s.conn = nil
		}
	}})
}

// dropRemote is the part of drop that a replica has to add.
func (e *engine) dropRemote(c *conn) {
	for range c.backlog {
		e.counted = append(e.counted, c)
	}
	c.backlog = nil
	if s := c.session; s != nil && !s.local {
		if e.sessions.byID[s.id] == s {
			delete(e.sessions.byID, s.id)
		}
		e.leaveSession(c, s.id)
	}
}

// unfollow takes a replica that has ended out of the leader.
func (e *engine) unfollow(replica *Server) {
	for i, f := range e.feeds {
		if f.to == replica {
			e.feeds = append(e.feeds[:i:i], e.feeds[i+1:]...)
			break
		}
	}
	for _, s := range e.sessions.byID {
		if s.conn != nil && s.conn.srv == replica {
			s.conn = nil
		}
	}
}
