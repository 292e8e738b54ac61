package peer

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// FirstSessionID is the id of the first session of a [Basic]; each further one
// is higher by 1.
const FirstSessionID int64 = 0x0100_0000_0000_0001

// A Basic is a handler for the common case: it keeps a table of sessions and
// answers requests in the dullest way, except those that Answer takes. Its zero
// value is ready:
//
//	b := &peer.Basic{Answer: func(c *peer.Conn, req peer.Request) bool { … }}
//	srv := peer.Serve(ln, b.Handle)
//
// Sessions end with closeSession or [Basic.Expire], never by themselves. One
// Basic behind several listeners is an ensemble that shares its sessions.
//
// Without Answer: ping, auth, setWatches and setWatches2 succeed; sync echoes;
// exists and getData succeed with Data and Stat whatever the path;
// closeSession ends the session and closes; every other request is
// Unimplemented with zxid -1 and a close, as servers answer what they do not
// know. Four-letter words: ruok, isro, and nothing else.
//
// The exported fields must not change while it serves.
type Basic struct {
	// Timeout is granted to every session; 0 grants what the client asks for.
	Timeout time.Duration

	// Connect, if set, sees every connect request first. If it returns true it
	// has dealt with the connection, which is closed then: it may have refused
	// it, or waited on Conn.Done to leave the client without an answer.
	Connect func(c *Conn, req zkproto.ConnectRequest) (handled bool)

	// Answer, if set, sees every request first. If it returns true nothing
	// else is done about the request, not even a reply. It runs on the
	// connection's goroutine, so requests behind this one wait.
	Answer func(c *Conn, req Request) (handled bool)

	// Data and Stat answer getData and exists.
	Data []byte
	Stat zkproto.Stat

	zxid     atomic.Int64 // newest one used; anybody
	mu       sync.Mutex   // guards the fields below; never held while waiting
	sessions map[int64]*Conn
	created  int64
}

// Handle is the [Handler].
func (b *Basic) Handle(c *Conn) {
	if word := c.FourLetter(); word != "" {
		c.WriteText(answerWord(word))
		return
	}
	req, err := c.ReadConnect()
	if err != nil {
		return
	}
	if b.Connect != nil && b.Connect(c, req) {
		return
	}
	id, ok := b.attach(c, req)
	if !ok {
		c.Refuse()
		return
	}
	defer b.detach(id, c)
	timeout := b.Timeout
	if timeout == 0 {
		timeout = time.Duration(req.TimeoutMS) * time.Millisecond
	}
	if err := c.Accept(id, timeout); err != nil {
		return
	}
	for {
		req, err := c.ReadRequest()
		if err != nil {
			return
		}
		if b.Answer != nil && b.Answer(c, req) {
			continue
		}
		if !b.answer(c, req) {
			return
		}
	}
}

// answer gives the dull answer and reports whether the connection goes on.
func (b *Basic) answer(c *Conn, req Request) bool {
	var body Body
	xid, zxid, code := req.Header.Xid, b.Zxid(), zkproto.OK
	switch req.Header.Op {
	case zkproto.OpPing:
		xid = zkproto.XidPing
	case zkproto.OpAuth:
		zxid = 0
	case zkproto.OpSetWatches, zkproto.OpSetWatches2:
	case zkproto.OpSync:
		var sync zkproto.PathRequest
		if req.Decode(&sync) != nil {
			code = zkproto.ErrMarshallingError
			break
		}
		body = zkproto.SyncResponse(sync)
	case zkproto.OpExists:
		body = zkproto.StatResponse{Stat: b.Stat}
	case zkproto.OpGetData:
		body = zkproto.GetDataResponse{Data: b.Data, Stat: b.Stat}
	case zkproto.OpCloseSession:
		b.end(c.SessionID())
		c.Reply(xid, b.NextZxid(), zkproto.OK, nil)
		return false
	default:
		c.Reply(xid, -1, zkproto.ErrUnimplemented, nil)
		return false
	}
	return c.Reply(xid, zxid, code, body) == nil
}

// Zxid returns the newest zxid: that of the last session opened or closed, or
// what the test made it.
func (b *Basic) Zxid() int64 { return b.zxid.Load() }

// NextZxid returns a new zxid, for the reply to a write.
func (b *Basic) NextZxid() int64 { return b.zxid.Add(1) }

// SetZxid makes zxid the newest one; a lower one is history going backwards.
func (b *Basic) SetZxid(zxid int64) { b.zxid.Store(zxid) }

// Expire ends a session, as a server does that did not hear from the client:
// the connection it has, if any, is closed without a word. It reports whether
// there was such a session.
func (b *Basic) Expire(id int64) bool {
	c, ok := b.end(id)
	if !ok {
		return false
	}
	b.NextZxid()
	if c != nil {
		c.Close()
	}
	return true
}

// Alive reports whether the session can be used and resumed.
func (b *Basic) Alive(id int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.sessions[id]
	return ok
}

// Sessions returns the ids of the sessions that are alive, oldest first.
func (b *Basic) Sessions() []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []int64
	for id := range b.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Conn returns the connection that a session has; nil if it has none.
func (b *Basic) Conn(id int64) *Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions[id]
}

// attach finds or makes the session that req asks for and gives it c. Like a
// server it closes the connection that the session had, whatever the password.
func (b *Basic) attach(c *Conn, req zkproto.ConnectRequest) (id int64, ok bool) {
	var old *Conn
	b.mu.Lock()
	if id = req.SessionID; id == 0 {
		if b.sessions == nil {
			b.sessions = make(map[int64]*Conn)
		}
		id, ok = FirstSessionID+b.created, true
		b.created++
		b.sessions[id] = c
		b.zxid.Add(1)
	} else if old, ok = b.sessions[id]; ok {
		password := zkproto.SessionPassword(id)
		ok = bytes.Equal(req.Password, password[:])
		b.sessions[id] = nil
		if ok {
			b.sessions[id] = c
		}
	}
	b.mu.Unlock()
	if old != nil {
		old.Close()
	}
	return id, ok
}

// detach takes c from its session, unless another connection has it already.
func (b *Basic) detach(id int64, c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[id] == c {
		b.sessions[id] = nil
	}
}

// end removes a session and returns the connection it had.
func (b *Basic) end(id int64) (c *Conn, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok = b.sessions[id]
	delete(b.sessions, id)
	return c, ok
}

func answerWord(word string) string {
	switch word {
	case "ruok":
		return "imok"
	case "isro":
		return "rw"
	}
	return word + " is not executed because it is not in the whitelist.\n"
}
