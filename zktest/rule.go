package zktest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Rule lets something happen to requests. It is a value: a table of rules makes a table of
// tests. See [Server.Add].
type Rule struct {
	Match Match  // which requests
	Do    Action // what happens to them
	Skip  int    // how many of those that match are left alone first
	Times int    // how many are acted on, after which the rule rests; 0 is no limit
}

// Match selects requests. All that is set must be so; the zero Match matches everything but
// pings and events, which must be named.
type Match struct {
	Op       Op                 // one of these operations; 0 is [OpRequest] and [OpConnect]
	Path     string             // this path; of a transaction, one of its paths
	Under    string             // this path or one below it
	Session  int64              // of this session
	Endpoint *Endpoint          // sent to this endpoint
	If       func(Request) bool // called last, from the connection's goroutine
}

func (m *Match) matches(r *Request) bool {
	ops := m.Op
	if ops == 0 {
		ops = OpRequest | OpConnect
	}
	is := func(p string) bool { return p == m.Path }
	under := func(p string) bool {
		return p == m.Under || strings.HasPrefix(p, strings.TrimSuffix(m.Under, "/")+"/")
	}
	return ops&r.Op != 0 &&
		(m.Path == "" || slices.ContainsFunc(r.paths(), is)) &&
		(m.Under == "" || slices.ContainsFunc(r.paths(), under)) &&
		(m.Session == 0 || m.Session == r.Session) &&
		(m.Endpoint == nil || m.Endpoint == r.Endpoint) &&
		(m.If == nil || m.If(*r))
}

func (m *Match) String() string {
	s := m.Op.String()
	if m.Path != "" {
		s += " " + m.Path
	}
	if m.Under != "" {
		s += " under " + m.Under
	}
	if m.Session != 0 {
		s += fmt.Sprintf(" of session %#x", uint64(m.Session))
	}
	if m.Endpoint != nil {
		s += " at " + m.Endpoint.Name()
	}
	return s
}

// Action is what a rule does to a request. The functions of this package that return one say
// what happens to the request, to its reply, and to the connection.
type Action struct {
	kind  actionKind
	code  zkproto.Code
	delay time.Duration
	call  func(Request)
}

type actionKind uint8

const (
	actFail actionKind = iota + 1
	actDropRequest
	actDropReply
	actIgnore
	actDelayRequest
	actDelayReply
	actHoldRequest
	actHoldReply
	actCutAfter
	actNewSession
	actCall
)

var actionNames = [...]string{
	"", "fail", "drop request", "drop reply", "ignore", "delay request", "delay reply", "hold request", "hold reply",
	"cut after", "new session", "call",
}

// String returns what the action does, as it is written into the log.
func (a Action) String() string {
	switch a.kind {
	case actFail:
		return "fail " + a.code.Name()
	case actDelayRequest, actDelayReply:
		return actionNames[a.kind] + " " + a.delay.String()
	}
	return actionNames[a.kind]
}

// Fail answers with a code instead of executing the request. Where a server closes the
// connection behind a code, so it is here: for an operation that it does not know
// ([zkproto.ErrUnimplemented]), and for a refused authentication ([zkproto.ErrAuthFailed]). A
// connect is answered that the session is over, whatever the code.
func Fail(code zkproto.Code) Action { return Action{kind: actFail, code: code} }

// DropRequest breaks the connection before the request reaches the server: it is not executed.
// For an event: the connection breaks in place of it.
func DropRequest() Action { return Action{kind: actDropRequest} }

// DropReply lets the server execute the request and breaks the connection in place of the
// reply: what every client has to live with, and few tests show. What the server sent before
// still arrives.
func DropReply() Action { return Action{kind: actDropReply} }

// Ignore lets the request vanish: neither it nor anything else on the connection is answered,
// and the connection stays, as with a server that hangs. For an event: it alone is lost.
func Ignore() Action { return Action{kind: actIgnore} }

// DelayRequest lets the request, and what is sent behind it, arrive later.
func DelayRequest(d time.Duration) Action { return Action{kind: actDelayRequest, delay: d} }

// DelayReply lets the reply (or the event), and what is sent behind it, arrive later.
func DelayReply(d time.Duration) Action { return Action{kind: actDelayReply, delay: d} }

// HoldRequest keeps the request, and what is sent behind it, until [Handle.Release].
func HoldRequest() Action { return Action{kind: actHoldRequest} }

// HoldReply keeps the reply (or the event), and what is sent behind it, until [Handle.Release].
func HoldReply() Action { return Action{kind: actHoldReply} }

// CutAfter breaks the connection right behind the reply (or the event).
func CutAfter() Action { return Action{kind: actCutAfter} }

// NewSession answers a connect with a new session although the client wants to go on with an
// old one, as servers that are not Apache's do instead of refusing.
func NewSession() Action { return Action{kind: actNewSession} }

// Call runs a function before the request reaches the server, or the event its client. Both wait
// for it, so it can change the tree, expire the session or stop an endpoint at an exact point.
func Call(f func(Request)) Action { return Action{kind: actCall, call: f} }

// Handle is a rule at work. Its methods are safe for concurrent use.
type Handle struct {
	srv  *Server
	rule Rule

	// Guarded by srv.rules.mu.
	seen, hits int
	removed    bool

	hit  chan struct{} // closed at the first hit
	free chan struct{} // closed by Release
}

// Hits returns how often the rule has acted.
func (h *Handle) Hits() int {
	h.srv.rules.mu.Lock()
	defer h.srv.rules.mu.Unlock()
	return h.hits
}

// Remove ends the rule. What it holds stays held; see [Handle.Release].
func (h *Handle) Remove() { h.srv.rules.remove(h) }

// Release lets go what the rule holds, and all that it would hold later.
func (h *Handle) Release() {
	h.srv.rules.mu.Lock()
	defer h.srv.rules.mu.Unlock()
	select {
	case <-h.free:
	default:
		close(h.free)
	}
}

// Wait waits until the rule has acted at least once. The error is the context's, with the rule
// in its text.
func (h *Handle) Wait(ctx context.Context) error {
	select {
	case <-h.hit:
		return nil
	default:
	}
	select {
	case <-h.hit:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("zktest: %v was never hit: %w", h, context.Cause(ctx))
	}
}

// String describes the rule.
func (h *Handle) String() string { return fmt.Sprintf("rule %v: %v", &h.rule.Match, h.rule.Do) }

// rules are the rules of a server, in the order in which they were added.
type rules struct {
	mu  sync.Mutex // guards the list, and what handles say that it guards
	all []*Handle
}

func (rs *rules) add(h *Handle) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.all = append(rs.all, h)
}

func (rs *rules) remove(h *Handle) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	h.removed = true
	rs.all = slices.DeleteFunc(rs.all, func(x *Handle) bool { return x == h })
}

// hit returns the first rule that acts on a request, or nil.
func (rs *rules) hit(r *Request) *Handle {
	rs.mu.Lock()
	all := slices.Clone(rs.all)
	rs.mu.Unlock()
	for _, h := range all {
		if h.rule.Match.matches(r) && rs.count(h) {
			return h
		}
	}
	return nil
}

// count reports whether a rule that matches acts this time.
func (rs *rules) count(h *Handle) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if h.removed {
		return false
	}
	h.seen++
	if h.seen <= h.rule.Skip || h.rule.Times > 0 && h.hits >= h.rule.Times {
		return false
	}
	if h.hits++; h.hits == 1 {
		close(h.hit)
	}
	return true
}

// Add lets a rule begin. Of several rules that match a request the one that was added first
// acts; one that rests lets the next have it.
func (s *Server) Add(r Rule) *Handle {
	h := &Handle{srv: s, rule: r, hit: make(chan struct{}), free: make(chan struct{})}
	s.rules.add(h)
	return h
}

// Fail lets the next request of these operations on a path fail with a code; it is not
// executed. A path of "" is any. Use [Server.Add] for more than one.
func (s *Server) Fail(op Op, path string, code zkproto.Code) *Handle {
	return s.Add(Rule{Match: Match{Op: op, Path: path}, Do: Fail(code), Times: 1})
}

// DropReply breaks the connection in place of the reply to the next request of these operations
// on a path ("" is any), which the server executes: its client cannot know whether it did.
func (s *Server) DropReply(op Op, path string) *Handle {
	return s.Add(Rule{Match: Match{Op: op, Path: path}, Do: DropReply(), Times: 1})
}

// DropRequest breaks the connection in place of the next request of these operations on a path
// ("" is any), which the server does not get: its client cannot know whether it did.
func (s *Server) DropRequest(op Op, path string) *Handle {
	return s.Add(Rule{Match: Match{Op: op, Path: path}, Do: DropRequest(), Times: 1})
}
