package zktest

import (
	"cmp"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// Direction says which bytes of a connection are meant.
type Direction int

// The directions.
const (
	ToServer Direction = 1
	ToClient Direction = 2
	BothWays Direction = ToServer | ToClient
)

// String returns words for it.
func (d Direction) String() string {
	return [...]string{"nowhere", "to server", "to client", "both ways"}[d&BothWays]
}

func (d Direction) dir() faultproxy.Dir {
	var dir faultproxy.Dir
	if d&ToServer != 0 {
		dir |= faultproxy.Upstream
	}
	if d&ToClient != 0 {
		dir |= faultproxy.Downstream
	}
	return dir
}

// Cut resets the connections of this endpoint. New ones are accepted.
func (ep *Endpoint) Cut() {
	ep.srv.note(ep, "cut")
	ep.proxy.Cut()
}

// Stall keeps the bytes of a direction, on all connections of this endpoint, those to come
// included, until [Endpoint.Heal]. Nothing is lost, and neither side learns that the other has
// closed.
func (ep *Endpoint) Stall(dir Direction) {
	ep.srv.note(ep, "stall %v", dir)
	ep.proxy.Stall(dir.dir(), true)
}

// Delay lets the bytes of a direction arrive later, on all connections of this endpoint, those
// to come included. 0 ends it.
func (ep *Endpoint) Delay(dir Direction, d time.Duration) {
	ep.srv.note(ep, "delay %v %v", dir, d)
	ep.proxy.Delay(dir.dir(), d)
}

// BlackHole swallows everything on the connections of this endpoint, those to come included,
// which are accepted all the same: neither side learns of it. [Endpoint.Heal] resets those that
// have lost something.
func (ep *Endpoint) BlackHole() {
	ep.srv.note(ep, "black hole")
	ep.proxy.BlackHole(true)
}

// Refuse refuses new connections until [Endpoint.Heal]. Open ones go on.
func (ep *Endpoint) Refuse() {
	ep.srv.note(ep, "refuse")
	ep.setRefusing(true)
}

func (ep *Endpoint) setRefusing(on bool) {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	ep.refusing = on
	ep.proxy.Refuse(on || ep.door == nil)
}

// Hang accepts new connections and never answers them, until [Endpoint.Heal]. Open ones go on.
func (ep *Endpoint) Hang() {
	ep.srv.note(ep, "hang")
	ep.proxy.Hang(true)
}

// Heal ends all faults of the network at this endpoint, also those of single connections. What
// was stalled arrives. It does not start an endpoint that is stopped.
func (ep *Endpoint) Heal() {
	ep.srv.note(ep, "heal")
	ep.proxy.Clear()
	ep.setRefusing(false)
}

// Conns returns the connections of this endpoint, oldest first: those of clients, whether they
// have a session or not.
func (ep *Endpoint) Conns() []*Conn {
	var all []*Conn
	open := ep.proxy.Open()
	ep.srv.sessions.mu.Lock()
	defer ep.srv.sessions.mu.Unlock()
	for _, fp := range open {
		if c := ep.srv.sessions.conns[fp]; c != nil && !fp.Ended() {
			all = append(all, c)
		}
	}
	return all
}

// Cut is [Endpoint.Cut] for all endpoints.
func (s *Server) Cut() { s.each((*Endpoint).Cut) }

// Stall is [Endpoint.Stall] for all endpoints.
func (s *Server) Stall(dir Direction) { s.each(func(ep *Endpoint) { ep.Stall(dir) }) }

// Delay is [Endpoint.Delay] for all endpoints.
func (s *Server) Delay(dir Direction, d time.Duration) {
	s.each(func(ep *Endpoint) { ep.Delay(dir, d) })
}

// BlackHole is [Endpoint.BlackHole] for all endpoints.
func (s *Server) BlackHole() { s.each((*Endpoint).BlackHole) }

// Refuse is [Endpoint.Refuse] for all endpoints.
func (s *Server) Refuse() { s.each((*Endpoint).Refuse) }

// Hang is [Endpoint.Hang] for all endpoints.
func (s *Server) Hang() { s.each((*Endpoint).Hang) }

// Heal ends all faults of the network: those of endpoints, of connections and of sessions.
func (s *Server) Heal() {
	s.sessions.healAll()
	s.each((*Endpoint).Heal)
}

// Conns returns the connections of all endpoints, those of the first endpoint first.
func (s *Server) Conns() []*Conn {
	var all []*Conn
	for _, ep := range s.endpoints {
		all = append(all, ep.Conns()...)
	}
	return all
}

func (s *Server) each(f func(*Endpoint)) {
	for _, ep := range s.endpoints {
		f(ep)
	}
}

// Conn is a connection of a client. Its methods are safe for concurrent use; on one that has
// ended they do nothing.
type Conn struct {
	srv      *Server
	endpoint *Endpoint
	fp       *faultproxy.Conn
	tap      tap
}

// Endpoint returns where it was accepted.
func (c *Conn) Endpoint() *Endpoint { return c.endpoint }

// Session returns the id of its session; 0 before the handshake, and for a four-letter word.
func (c *Conn) Session() int64 { return c.tap.sessionID() }

// asked returns the session that it has, or else the one that it asks for.
func (c *Conn) asked() int64 {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	if c.tap.session != 0 {
		return c.tap.session
	}
	return c.tap.wanted
}

// RemoteAddr returns the client's address.
func (c *Conn) RemoteAddr() string { return c.fp.RemoteAddr().String() }

// Closed is closed when the connection has ended.
func (c *Conn) Closed() <-chan struct{} { return c.fp.Done() }

// Cut resets it.
func (c *Conn) Cut() {
	c.note("cut")
	c.fp.Cut()
}

// Stall keeps the bytes of a direction until [Conn.Heal], see [Endpoint.Stall].
func (c *Conn) Stall(dir Direction) {
	c.note("stall " + dir.String())
	c.fp.Stall(dir.dir(), true)
}

// Delay lets the bytes of a direction arrive later, on top of the endpoint's delay. 0 ends it.
func (c *Conn) Delay(dir Direction, d time.Duration) {
	c.note("delay " + dir.String() + " " + d.String())
	c.fp.Delay(dir.dir(), d)
}

// BlackHole swallows everything from here on, in both directions: both sides believe in the
// connection until they give it up.
func (c *Conn) BlackHole() {
	c.note("black hole")
	c.fp.BlackHole()
}

// HalfOpen resets the server's side alone: the client believes in a connection that nobody
// knows at the other end.
func (c *Conn) HalfOpen() {
	c.note("half-open")
	c.fp.HalfOpen()
}

// Heal ends the faults of this connection alone. One that has lost something is reset.
func (c *Conn) Heal() {
	c.note("heal")
	c.fp.Clear()
}

func (c *Conn) note(what string) {
	c.srv.note(c.endpoint, "%s: connection of session %#x", what, uint64(c.Session()))
}

// SessionInfo is a session that is alive, as [Server.Sessions] shows it.
type SessionInfo struct {
	ID         int64
	Timeout    time.Duration // as negotiated
	Endpoint   *Endpoint     // where its client is; nil while it is away
	Ephemerals []string      // paths, sorted
}

// Sessions returns the sessions that are alive, by id.
func (s *Server) Sessions() []SessionInfo {
	var all []SessionInfo
	for _, x := range s.server().Sessions() {
		info := SessionInfo{ID: x.ID, Timeout: x.Timeout, Ephemerals: x.Ephemerals}
		if x.Connected {
			info.Endpoint = s.Session(x.ID).Endpoint()
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b SessionInfo) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
