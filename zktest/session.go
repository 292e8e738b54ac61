package zktest

import (
	"fmt"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Session is a session as the test sees it, wherever its client is connected. Its faults follow
// the client: they hold for the connection that it has and for those on which it asks for the
// session again. Its methods are safe for concurrent use.
type Session struct {
	srv *Server
	id  int64
}

// Session returns the session with an id, as the client tells it. It need not exist.
func (s *Server) Session(id int64) *Session { return &Session{s, id} }

// ID returns its id.
func (x *Session) ID() int64 { return x.id }

// Conn returns the connection that it is on, or nil.
func (x *Session) Conn() *Conn {
	x.srv.sessions.mu.Lock()
	c := x.srv.sessions.of[x.id]
	x.srv.sessions.mu.Unlock()
	if c != nil && c.fp.Ended() {
		return nil
	}
	return c
}

// Endpoint returns the endpoint where its client is connected, or nil.
func (x *Session) Endpoint() *Endpoint {
	if c := x.Conn(); c != nil {
		return c.endpoint
	}
	return nil
}

// Expire ends the session, as if its client had been silent for too long: its ephemerals are
// deleted and its connection is closed without a word. When its client asks for it again, it is
// told. It reports whether there was such a session.
func (x *Session) Expire() bool {
	x.note("expire")
	defer x.srv.settle()
	return x.srv.server().ExpireSession(x.id)
}

// ExpireAfter is [Session.Expire] later on, on the server's clock.
func (x *Session) ExpireAfter(d time.Duration) {
	x.srv.timers.after(d, func() { x.Expire() })
}

// Move takes the session over on another connection, as its own client does that has given a
// connection up: at the endpoint to, or where it is when to is nil. Whatever still uses the old
// connection is closed: at once at the same endpoint, and with its next write or sync when it
// is another one. The connection that has moved it is closed then.
func (x *Session) Move(to *Endpoint) error {
	if to == nil {
		to = x.Endpoint()
	}
	if to == nil {
		to = x.srv.endpoints[0]
	}
	x.note("move to " + to.Name())
	old := x.Conn()
	to.mu.Lock()
	door := to.door
	to.mu.Unlock()
	if door == nil {
		return fmt.Errorf("zktest: move session %#x: %s is stopped", uint64(x.id), to.Name())
	}
	near, far := memnet.Pair()
	defer near.Close()
	select {
	case door.queue <- visitor{far, memnet.Addr("127.0.0.1:1")}:
	case <-door.done:
		return fmt.Errorf("zktest: move session %#x: %s is stopped", uint64(x.id), to.Name())
	}
	password := zkproto.SessionPassword(x.id)
	out, mark := zkproto.BeginFrame(nil)
	out = zkproto.ConnectRequest{TimeoutMS: x.timeoutMS(), SessionID: x.id, Password: password[:], HasReadOnly: true}.AppendTo(out)
	if _, err := near.Write(zkproto.EndFrame(out, mark)); err != nil {
		return fmt.Errorf("zktest: move session %#x: %w", uint64(x.id), err)
	}
	frame, err := zkproto.NewFrameReader(near, 0).Next()
	if err != nil && old != nil && old.fp.Ended() {
		return nil // its client was fast enough to move it again
	}
	if err != nil {
		return fmt.Errorf("zktest: move session %#x: %w", uint64(x.id), err)
	}
	r := zkproto.NewReader(frame)
	var m zkproto.ConnectResponse
	if m.Decode(&r); r.Err() != nil || m.Refused() {
		return fmt.Errorf("zktest: move session %#x: %w", uint64(x.id), zkproto.ErrSessionExpired)
	}
	return nil
}

// timeoutMS is the session's time-out in milliseconds, which a move is not to change.
func (x *Session) timeoutMS() int32 {
	for _, s := range x.srv.server().Sessions() {
		if s.ID == x.id {
			return int32(s.Timeout.Milliseconds())
		}
	}
	return 0
}

// Cut resets the connection that it is on.
func (x *Session) Cut() {
	if c := x.Conn(); c != nil {
		c.Cut()
	}
}

// Stall keeps the bytes of a direction, see [Endpoint.Stall], until [Session.Heal].
func (x *Session) Stall(dir Direction) {
	x.note("stall " + dir.String())
	x.change(func(f *sessionFaults) { f.stalled |= dir })
}

// Delay lets the bytes of a direction arrive later. 0 ends it.
func (x *Session) Delay(dir Direction, d time.Duration) {
	x.note("delay " + dir.String() + " " + d.String())
	x.change(func(f *sessionFaults) {
		if dir&ToServer != 0 {
			f.toServer = d
		}
		if dir&ToClient != 0 {
			f.toClient = d
		}
	})
}

// BlackHole swallows everything that its client sends or is sent, until [Session.Heal]: a client
// cut off from all endpoints, which neither side is told.
func (x *Session) BlackHole() {
	x.note("black hole")
	x.change(func(f *sessionFaults) { f.hole = true })
}

// Refuse cuts the connection that it is on, and each on which its client asks for it again,
// until [Session.Heal].
func (x *Session) Refuse() {
	x.note("refuse")
	x.change(func(f *sessionFaults) { f.refused = true })
	x.Cut()
}

// HalfOpen is [Conn.HalfOpen] for the connection that it is on.
func (x *Session) HalfOpen() {
	if c := x.Conn(); c != nil {
		c.HalfOpen()
	}
}

// Heal ends the session's faults. A connection that has lost something is reset.
func (x *Session) Heal() {
	x.note("heal")
	t := &x.srv.sessions
	t.mu.Lock()
	delete(t.faults, x.id)
	var conns []*Conn
	for _, c := range t.conns {
		if c.asked() == x.id {
			conns = append(conns, c)
		}
	}
	t.mu.Unlock()
	for _, c := range conns {
		c.fp.Clear()
	}
}

// change changes the faults that follow the session, and applies them to its connection.
func (x *Session) change(f func(*sessionFaults)) {
	t := &x.srv.sessions
	t.mu.Lock()
	faults := t.faults[x.id]
	if faults == nil {
		faults = &sessionFaults{}
		t.faults[x.id] = faults
	}
	f(faults)
	now, c := *faults, t.of[x.id]
	t.mu.Unlock()
	if c != nil {
		now.apply(c.fp)
	}
}

func (x *Session) note(what string) {
	x.srv.note(nil, "%s: session %#x", what, uint64(x.id))
}

// ExpireSession is [Session.Expire] for the session with an id.
func (s *Server) ExpireSession(id int64) bool { return s.Session(id).Expire() }

// ReadOnly switches read-only mode at all endpoints, as servers have it that see no quorum:
// writes are refused, only clients that accept it get in, and their sessions end with the mode.
// All connections are closed; sessions from before do not age, and go on afterwards. A restart
// ends it.
func (s *Server) ReadOnly(on bool) {
	if !on {
		s.server().ReadOnly(false)
	}
	s.each(func(ep *Endpoint) { ep.ReadOnly(on) })
	s.server().ReadOnly(on)
}

// sessions is where each session is, and the faults that follow it.
type sessions struct {
	mu     sync.Mutex // guards the fields below
	conns  map[*faultproxy.Conn]*Conn
	of     map[int64]*Conn
	faults map[int64]*sessionFaults
}

type sessionFaults struct {
	stalled            Direction
	toServer, toClient time.Duration
	hole, refused      bool
}

func (f *sessionFaults) apply(fp *faultproxy.Conn) {
	if f.stalled != 0 {
		fp.Stall(f.stalled.dir(), true)
	}
	fp.Delay(faultproxy.Upstream, f.toServer)
	fp.Delay(faultproxy.Downstream, f.toClient)
	if f.hole {
		fp.BlackHole()
	}
}

func (t *sessions) init() {
	t.conns = make(map[*faultproxy.Conn]*Conn)
	t.of = make(map[int64]*Conn)
	t.faults = make(map[int64]*sessionFaults)
}

// enter registers a connection.
func (t *sessions) enter(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[c.fp] = c
}

// arrive applies the faults of the session that a connection asks for; false refuses it.
func (t *sessions) arrive(c *Conn, id int64) bool {
	t.mu.Lock()
	faults := sessionFaults{}
	if f := t.faults[id]; f != nil {
		faults = *f
	}
	t.mu.Unlock()
	if faults.refused {
		return false
	}
	if faults != (sessionFaults{}) {
		faults.apply(c.fp)
	}
	return true
}

// attach notes which connection a session is on.
func (t *sessions) attach(c *Conn, id int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of[id] = c
}

// leave forgets a connection that has ended.
func (t *sessions) leave(c *Conn) {
	id := c.Session()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c.fp)
	if t.of[id] == c {
		delete(t.of, id)
	}
}

func (t *sessions) healAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.faults)
}
