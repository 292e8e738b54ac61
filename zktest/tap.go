package zktest

import (
	"slices"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// tap sees the frames of one connection, between client and server, and lets the rules act on
// them. The two directions call it from a goroutine each.
type tap struct {
	conn *Conn

	mu       sync.Mutex // guards the fields below
	greeted  bool       // the connect request has passed
	welcomed bool       // the connect response has
	wanted   int64      // session that the connect request asks for; 0 for a new one
	session  int64      // 0 while there is none
	calls    []*call    // waiting for their replies, which come in order
	auths    []*call    // waiting for theirs, which may overtake
}

// call is a request that waits for its reply.
type call struct {
	req      Request
	at       time.Time
	act      Action
	handle   *Handle
	why      string // it is not answered
	replaced bool   // a ping stands in for it, so that its reply comes at the right place
}

func (c *call) note() string {
	if c.handle == nil {
		return c.why
	}
	return "rule: " + c.act.String()
}

func (t *tap) sessionID() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.session
}

func (t *tap) frame(dir faultproxy.Dir, frame []byte) (faultproxy.Verdict, []byte) {
	if dir == faultproxy.Upstream {
		t.mu.Lock()
		first := !t.greeted
		t.greeted = true
		t.mu.Unlock()
		if first {
			return t.greet(frame)
		}
		return t.request(frame)
	}
	t.mu.Lock()
	first := !t.welcomed
	t.welcomed = true
	t.mu.Unlock()
	if first {
		return t.welcome(frame)
	}
	return t.reply(frame)
}

// greet handles a connect request.
func (t *tap) greet(frame []byte) (faultproxy.Verdict, []byte) {
	r := zkproto.NewReader(frame)
	var m zkproto.ConnectRequest
	if m.Decode(&r); r.Err() != nil {
		return faultproxy.Forward, nil
	}
	t.mu.Lock()
	t.wanted = m.SessionID
	t.mu.Unlock()
	c := t.begin(Request{Op: OpConnect, Session: m.SessionID})
	if m.SessionID != 0 && !t.conn.srv.sessions.arrive(t.conn, m.SessionID) {
		c.why = "session refused"
		return faultproxy.Cut, nil
	}
	switch verdict := t.before(c); {
	case verdict != faultproxy.Forward:
		return verdict, nil
	case c.act.kind == actFail:
		m.SessionID, m.Password = -1, nil // as good as expired
		return faultproxy.Forward, m.AppendTo(nil)
	case c.act.kind == actNewSession:
		m.SessionID, m.Password = 0, make([]byte, 16)
		return faultproxy.Forward, m.AppendTo(nil)
	}
	return faultproxy.Forward, nil
}

// request handles what comes behind it.
func (t *tap) request(frame []byte) (faultproxy.Verdict, []byte) {
	req, ok := parse(frame)
	if !ok {
		return faultproxy.Forward, nil
	}
	req.Session = t.sessionID()
	c := t.begin(req)
	if verdict := t.before(c); verdict != faultproxy.Forward {
		return verdict, nil
	}
	if c.act.kind == actFail {
		return faultproxy.Forward, zkproto.RequestHeader{Xid: req.Xid, Op: zkproto.OpPing}.AppendTo(nil)
	}
	return faultproxy.Forward, nil
}

// begin enters a request, with the rule that acts on it.
func (t *tap) begin(req Request) *call {
	req.Endpoint = t.conn.endpoint
	c := &call{req: req, at: t.conn.srv.clock.Now()}
	if c.handle = t.conn.srv.rules.hit(&c.req); c.handle != nil {
		c.act = c.handle.rule.Do
	}
	c.replaced = c.act.kind == actFail
	t.mu.Lock()
	defer t.mu.Unlock()
	if (req.Op == OpAuth || req.Op == OpSASL) && !c.replaced {
		t.auths = append(t.auths, c)
	} else {
		t.calls = append(t.calls, c)
	}
	return c
}

// before does what a rule wants before the request goes on.
func (t *tap) before(c *call) faultproxy.Verdict {
	switch c.act.kind {
	case actDropRequest:
		return faultproxy.Cut
	case actIgnore:
		t.conn.fp.BlackHole()
		return faultproxy.Drop
	case actDelayRequest:
		t.sleep(c.act.delay)
	case actHoldRequest:
		t.hold(c.handle)
	case actCall:
		c.act.call(c.req)
	}
	return faultproxy.Forward
}

// after does what a rule wants before the reply goes on.
func (t *tap) after(c *call) faultproxy.Verdict {
	switch c.act.kind {
	case actDropReply:
		return faultproxy.Cut
	case actDelayReply:
		t.sleep(c.act.delay)
	case actHoldReply:
		t.hold(c.handle)
	case actCutAfter:
		return faultproxy.Last
	}
	return faultproxy.Forward
}

func (t *tap) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.conn.fp.Done():
	}
}

func (t *tap) hold(h *Handle) {
	select {
	case <-h.free:
	case <-t.conn.fp.Done():
	}
}

// welcome handles a connect response.
func (t *tap) welcome(frame []byte) (faultproxy.Verdict, []byte) {
	r := zkproto.NewReader(frame)
	var m zkproto.ConnectResponse
	m.Decode(&r)
	c := t.take(false)
	if r.Err() != nil || c == nil {
		return faultproxy.Forward, nil
	}
	e := Entry{Answered: true}
	if m.Refused() {
		e.Code = zkproto.ErrSessionExpired
	} else {
		t.mu.Lock()
		t.session = m.SessionID
		t.mu.Unlock()
		c.req.Session = m.SessionID
		if c.act.kind != actDropReply {
			t.conn.srv.sessions.attach(t.conn, m.SessionID)
		}
	}
	verdict := t.after(c)
	e.Answered = verdict != faultproxy.Cut
	t.end(c, e)
	return verdict, nil
}

// reply handles what comes behind it.
func (t *tap) reply(frame []byte) (faultproxy.Verdict, []byte) {
	r := zkproto.NewReader(frame)
	var h zkproto.ReplyHeader
	if h.Decode(&r); r.Err() != nil {
		return faultproxy.Forward, nil
	}
	if h.Xid == zkproto.XidNotification {
		return t.event(h, &r), nil
	}
	c := t.takeReply(h)
	if c == nil {
		return faultproxy.Forward, nil
	}
	verdict := t.after(c)
	var instead []byte
	if c.replaced {
		h = zkproto.ReplyHeader{Xid: c.req.Xid, Zxid: h.Zxid, Err: c.act.code}
		if c.req.Op == OpPing {
			h.Xid = zkproto.XidPing
		}
		if h.Err == zkproto.ErrUnimplemented {
			h.Zxid = -1 // by which clients tell it from a refusal of something that the server does know
		}
		if h.Err == zkproto.ErrUnimplemented || h.Err == zkproto.ErrAuthFailed && c.req.Op == OpAuth {
			verdict = faultproxy.Last
		}
		instead = h.AppendTo(nil)
	}
	t.end(c, Entry{Answered: verdict != faultproxy.Cut, Code: h.Err, Zxid: h.Zxid})
	return verdict, instead
}

// event handles a watch event.
func (t *tap) event(h zkproto.ReplyHeader, r *zkproto.Reader) faultproxy.Verdict {
	var m zkproto.WatcherEvent
	m.Decode(r)
	srv := t.conn.srv
	c := &call{
		req: Request{Op: OpEvent, Path: m.Path, Session: t.sessionID(), Endpoint: t.conn.endpoint, Xid: h.Xid},
		at:  srv.clock.Now(),
	}
	if c.handle = srv.rules.hit(&c.req); c.handle != nil {
		c.act = c.handle.rule.Do
	}
	verdict := faultproxy.Forward
	switch c.act.kind {
	case actDropRequest, actDropReply:
		verdict = faultproxy.Cut
	case actIgnore:
		verdict = faultproxy.Drop
	case actDelayRequest:
		t.sleep(c.act.delay)
	case actHoldRequest:
		t.hold(c.handle)
	case actCall:
		c.act.call(c.req)
	default:
		verdict = t.after(c)
	}
	note := m.Type.String()
	if c.handle != nil {
		note += ", " + c.note()
	}
	t.end(c, Entry{Answered: verdict == faultproxy.Forward || verdict == faultproxy.Last, Zxid: h.Zxid, Note: note})
	return verdict
}

// takeReply takes the call that a reply answers.
func (t *tap) takeReply(h zkproto.ReplyHeader) *call {
	t.mu.Lock()
	auth := slices.IndexFunc(t.auths, func(c *call) bool { return c.req.Xid == h.Xid })
	var head *call
	if len(t.calls) > 0 {
		head = t.calls[0]
	}
	t.mu.Unlock()
	// The id of an auth request can be that of another one too. A head that expects it comes first:
	// which of two equal ids is meant cannot be told apart.
	mine := head != nil && (head.replaced || head.req.Op == OpPing) && h.Xid == zkproto.XidPing ||
		head != nil && head.req.Xid == h.Xid
	return t.take(auth >= 0 && !mine)
}

// take takes the oldest call.
func (t *tap) take(auth bool) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := &t.calls
	if auth {
		list = &t.auths
	}
	if len(*list) == 0 {
		return nil
	}
	c := (*list)[0]
	*list = (*list)[1:]
	return c
}

// end writes a call into the log.
func (t *tap) end(c *call, e Entry) {
	if c.req.Op == OpPing && c.handle == nil {
		return
	}
	e.Time, e.Endpoint, e.Request = c.at, t.conn.endpoint.Name(), c.req
	if e.Note == "" {
		e.Note = c.note()
	}
	if e.Answered {
		e.Latency = t.conn.srv.clock.Now().Sub(c.at)
	}
	t.conn.srv.log.add(e)
}

// closed is called when the connection has ended.
func (t *tap) closed() {
	t.mu.Lock()
	left := append(t.calls, t.auths...)
	t.calls, t.auths = nil, nil
	t.mu.Unlock()
	for _, c := range left {
		t.end(c, Entry{})
	}
	t.conn.srv.sessions.leave(t.conn)
}
