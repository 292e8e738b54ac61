package zkserver

import (
	"cmp"
	"slices"
	"time"
)

// session is a session that is alive.
type session struct {
	id      int64
	timeout int32 // milliseconds, as negotiated last
	conn    *conn // nil while its client is away
	bucket  int64 // when it ends, on the grid of ticks
	local   bool  // of read-only mode: not in the tree
	closing bool  // its client has asked for the end; of a replica
}

// sessionTable finds sessions by their ids, and by the tick at which they end. Apache keeps time
// like this: a session ends between its time-out and one tick later.
type sessionTable struct {
	byID    map[int64]*session
	buckets map[int64]map[*session]struct{} // by milliseconds since base
	tick    int64
	base    time.Time
	clock   Clock
	alarm   alarm
	next    int64 // bucket that the alarm waits for; 0 for none
	lastID  int64
}

func (t *sessionTable) init(s *Server) {
	t.byID = make(map[int64]*session)
	t.buckets = make(map[int64]map[*session]struct{})
	t.tick = s.cfg.tick.Milliseconds()
	t.clock = s.cfg.clock
	t.base = t.clock.Now()
	t.alarm.init(s, (*engine).expireDue)
	seed := s.cfg.seed
	if !s.cfg.seeded {
		seed = t.base.UnixMilli()
	}
	t.lastID = int64(uint64(seed)<<24>>8|s.number<<56) - 1
}

func (t *sessionTable) elapsed() int64 { return t.clock.Now().Sub(t.base).Milliseconds() }

// newID skips ids of sessions that were recovered: the clock may have been set back since.
func (t *sessionTable) newID() int64 {
	for t.lastID++; t.byID[t.lastID] != nil; {
		t.lastID++
	}
	return t.lastID
}

// openSession makes a session.
func (e *engine) openSession(timeout int32) *session {
	s := &session{id: e.sessions.newID(), timeout: timeout, local: e.readOnly}
	if !s.local {
		out := e.tree.CreateSession(s.id, timeout, e.now())
		e.wrote(&out)
	}
	e.track(s)
	return s
}

func (e *engine) track(s *session) {
	e.sessions.byID[s.id] = s
	e.touch(s)
}

func (e *engine) untrack(s *session) {
	e.sessions.leave(s)
	delete(e.sessions.byID, s.id)
}

// touch restarts a session's time.
func (e *engine) touch(s *session) {
	if r := e.replica; r != nil && !s.local {
		if r.seen == nil {
			r.seen = make(map[int64]struct{})
		}
		r.seen[s.id] = struct{}{}
		return
	}
	t := &e.sessions
	bucket := ((t.elapsed()+int64(s.timeout))/t.tick + 1) * t.tick
	if bucket == s.bucket {
		return
	}
	t.leave(s)
	s.bucket = bucket
	if t.buckets[bucket] == nil {
		t.buckets[bucket] = make(map[*session]struct{})
	}
	t.buckets[bucket][s] = struct{}{}
	if t.next == 0 || bucket < t.next {
		t.await(bucket)
	}
}

func (t *sessionTable) leave(s *session) {
	if b := t.buckets[s.bucket]; b != nil {
		delete(b, s)
		if len(b) == 0 {
			delete(t.buckets, s.bucket)
		}
	}
	s.bucket = 0
}

// await sets the alarm to a bucket.
func (t *sessionTable) await(bucket int64) {
	t.next = bucket
	t.alarm.set(t.base.Add(time.Duration(bucket) * time.Millisecond).Sub(t.clock.Now()))
}

// expireDue ends the sessions whose time is over.
func (e *engine) expireDue() {
	t := &e.sessions
	now := t.elapsed()
	t.next = 0
	var over []*session
	for bucket, members := range t.buckets {
		switch {
		case bucket > now:
			if t.next == 0 || bucket < t.next {
				t.next = bucket
			}
		default:
			for s := range members {
				over = append(over, s)
			}
		}
	}
	if t.next != 0 {
		t.await(t.next)
	}
	slices.SortFunc(over, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	for _, s := range over {
		if e.readOnly && !s.local {
			e.touch(s) // only a leader may end it
			continue
		}
		e.srv.stats.expired.Add(1)
		e.srv.cfg.logger.Info("session expired", "session", s.id)
		e.expire(s.id)
	}
}

// expire ends a session for its client: the connection is closed without a word.
func (e *engine) expire(id int64) bool {
	s := e.sessions.byID[id]
	if s == nil || e.failed {
		return false
	}
	e.closeSession(s, 0)
	if s.conn != nil && s.conn.srv == e.srv {
		e.drop(s.conn)
	}
	return true
}

// closeSession ends a session and its ephemerals, and returns the zxid of it.
func (e *engine) closeSession(s *session, cxid int32) int64 {
	e.untrack(s)
	if s.local {
		return e.tree.Zxid()
	}
	out := e.tree.CloseSession(s.id, cxid, e.now())
	e.wrote(&out)
	return out.Txn.Zxid
}

func (e *engine) sessionInfos() []SessionInfo {
	all := make([]SessionInfo, 0, len(e.sessions.byID))
	for _, s := range e.sessions.byID {
		all = append(all, SessionInfo{
			ID: s.id, Timeout: time.Duration(s.timeout) * time.Millisecond, Connected: s.conn != nil,
			Ephemerals: e.tree.SessionEphemerals(s.id),
		})
	}
	slices.SortFunc(all, func(a, b SessionInfo) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
