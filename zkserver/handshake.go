package zkserver

import (
	"bytes"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// connect answers a connect request, in the order of checks of processConnectRequest.
func (e *engine) connect(c *conn, req *zkproto.ConnectRequest) {
	st := &e.srv.stats
	st.connects.Add(1)
	if req.SessionID != 0 {
		st.resumes.Add(1)
	}
	if !e.tokens.take(e.srv.cfg.limits.connect, time.Now()) {
		st.dropped.Add(1)
		e.drop(c)
		return
	}
	switch {
	case e.failed,
		e.readOnly && !req.ReadOnly,
		req.LastZxidSeen > e.tree.Zxid(): // the client has to look for a server that knows as much
		e.drop(c)
		return
	}
	if e.following() {
		e.askSession(c, req)
		return
	}
	timeout := e.negotiate(req)
	if req.SessionID == 0 {
		s := e.openSession(timeout)
		e.attach(c, s, req)
		return
	}
	s := e.sessions.byID[req.SessionID]
	if e.readOnly && (s == nil || !s.local) {
		e.drop(c) // it cannot be known here, so it must not be refused
		return
	}
	password := zkproto.SessionPassword(req.SessionID)
	if s == nil || !bytes.Equal(req.Password, password[:]) {
		e.denySession(c, req)
		return
	}
	if s.conn != nil && s.conn.srv == e.srv {
		e.drop(s.conn)
	}
	s.timeout = timeout
	e.touch(s)
	e.attach(c, s, req)
}

// negotiate returns the time-out that a session gets, in milliseconds.
func (e *engine) negotiate(req *zkproto.ConnectRequest) int32 {
	least, most := e.srv.cfg.minTimeout.Milliseconds(), e.srv.cfg.maxTimeout.Milliseconds()
	return min(max(req.TimeoutMS, int32(least)), int32(most))
}

// denySession says that a session is over.
func (e *engine) denySession(c *conn, req *zkproto.ConnectRequest) {
	if c.gone {
		return
	}
	e.welcome(c, zkproto.ConnectResponse{Password: make([]byte, 16), HasReadOnly: req.HasReadOnly, ReadOnly: e.readOnly})
	e.hangUp(c)
}

// attach gives a session its connection.
func (e *engine) attach(c *conn, s *session, req *zkproto.ConnectRequest) {
	c.session, s.conn = s, c
	password := zkproto.SessionPassword(s.id)
	e.welcome(c, zkproto.ConnectResponse{
		TimeoutMS: s.timeout, SessionID: s.id, Password: password[:],
		HasReadOnly: req.HasReadOnly, ReadOnly: e.readOnly,
	})
	c.stats.op = "SESS"
}

func (e *engine) welcome(c *conn, resp zkproto.ConnectResponse) {
	b, m := zkproto.BeginFrame(c.held)
	c.held = zkproto.EndFrame(resp.AppendTo(b), m)
	c.announced = true
	c.stats.sent++
	e.srv.stats.sent.Add(1)
	e.touched(c)
}
