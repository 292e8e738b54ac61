package gazoo

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// stamp is one instant on both clocks: the monotonic one stops while a machine sleeps, the
// wall clock can be set. Ages take whichever advanced more.
type stamp struct{ mono, wall int64 }

// clock makes stamps; base carries the monotonic reading they count from.
type clock struct{ base time.Time }

func (c clock) now() stamp {
	t := time.Now()
	return stamp{int64(t.Sub(c.base)), t.UnixNano()}
}

func (s stamp) since(earlier stamp) time.Duration {
	return time.Duration(max(s.mono-earlier.mono, s.wall-earlier.wall))
}

// proofOfLife is the send time of the newest request that a server answered. Written by the
// reader, read by anyone; the two halves are read apart, which can only be off by the time
// between two replies.
type proofOfLife struct{ mono, wall atomic.Int64 }

func (p *proofOfLife) store(s stamp) {
	p.mono.Store(s.mono)
	p.wall.Store(s.wall)
}

func (p *proofOfLife) load() stamp { return stamp{p.mono.Load(), p.wall.Load()} }

// sessionLife is a session as the servers know it. It outlives a presumed expiry, so several
// Session handles, one per tenancy, may share it.
type sessionLife struct {
	id       int64
	password []byte
	granted  atomic.Int64 // negotiated time-out, again at each resume
	readOnly bool
	ctx      context.Context
	end      context.CancelCauseFunc
}

func (l *sessionLife) timeout() time.Duration { return time.Duration(l.granted.Load()) }

// Session is a handle on one tenancy of one session: from a connect to the moment when the
// session is over or must be presumed so. Safe for concurrent use; it needs no close.
type Session struct {
	core    *core
	life    *sessionLife
	tenancy context.Context
	end     context.CancelCauseFunc
}

func newSession(c *core, life *sessionLife) *Session {
	s := &Session{core: c, life: life}
	s.tenancy, s.end = context.WithCancelCause(life.ctx)
	if life.readOnly {
		// Provisional: nothing may be held in it.
		s.end(ErrNotReadOnly)
	}
	return s
}

// ID returns the session id; znodes made by the session carry it as ephemeral owner.
func (s *Session) ID() int64 { return s.life.id }

// Timeout returns the time-out that the server granted.
func (s *Session) Timeout() time.Duration { return s.life.timeout() }

// ReadOnly reports whether this is the provisional session of a read-only server.
func (s *Session) ReadOnly() bool { return s.life.readOnly }

// Context ends when the session is over for certain: a server said so, answered with another
// session, or the client was closed. context.Cause tells which.
func (s *Session) Context() context.Context { return s.life.ctx }

// Tenancy ends when nothing held through the session may be relied on any more: at the latest
// when it is presumed expired, before any server can have expired it (bounded clock drift, one
// server; see the package documentation). Locks and leaderships end with it.
func (s *Session) Tenancy() context.Context { return s.tenancy }

// Err returns nil while the tenancy holds. It reads the clock itself, so a process that was
// paused sees the truth at once, before the client's own timer has run.
func (s *Session) Err() error {
	// The session's own end reaches its tenancy a moment later.
	for _, ctx := range [...]context.Context{s.tenancy, s.life.ctx} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if s.core.clock.now().since(s.core.proof.load()) >= presumeAfter(s.life.timeout()) {
		return ErrSessionPresumed
	}
	return nil
}

// overErr is Err for a handle that may be nil, when there is no session.
func (s *Session) overErr() error {
	if s == nil {
		return ErrSessionExpired
	}
	return s.Err()
}

// Saved returns what another process needs to take the session over ([WithSession]).
func (s *Session) Saved() SavedSession {
	return SavedSession{
		ID:       s.life.id,
		Password: append([]byte(nil), s.life.password...),
		Timeout:  s.life.timeout(),
		LastZxid: s.core.lastZxid.Load(),
	}
}

// String returns the id in the servers' notation; the password is never shown.
func (s *Session) String() string { return fmt.Sprintf("session 0x%x", uint64(s.life.id)) }

// SavedSession is a session's identity, good for [WithSession]. Its password is a
// credential: String hides it; store it accordingly.
type SavedSession struct {
	ID       int64
	Password []byte
	Timeout  time.Duration // as negotiated
	LastZxid int64         // newest zxid seen; a reattach never goes behind it
}

// String shows all but the password.
func (s SavedSession) String() string {
	return fmt.Sprintf("session 0x%x, timeout %v, last zxid 0x%x", uint64(s.ID), s.Timeout, uint64(s.LastZxid))
}

// GoString keeps the password out of %#v too.
func (s SavedSession) GoString() string { return "gazoo.SavedSession{" + s.String() + "}" }

// LogValue keeps the password out of structured logs, which would use MarshalText.
func (s SavedSession) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText encodes the session, password included, for a file or an environment variable.
func (s SavedSession) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "v1 %x %s %d %x", uint64(s.ID), hex.EncodeToString(s.Password), s.Timeout.Milliseconds(), uint64(s.LastZxid)), nil
}

// UnmarshalText decodes what MarshalText made.
func (s *SavedSession) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	if len(fields) != 5 || fields[0] != "v1" {
		return badArg("saved session", "not in the form of MarshalText")
	}
	id, err1 := strconv.ParseUint(fields[1], 16, 64)
	password, err2 := hex.DecodeString(fields[2])
	ms, err3 := strconv.ParseInt(fields[3], 10, 32)
	zxid, err4 := strconv.ParseUint(fields[4], 16, 64)
	if err := cmp.Or(err1, err2, err3, err4); err != nil || ms < 0 {
		return badArg("saved session", "not in the form of MarshalText") // err would show the field
	}
	*s = SavedSession{ID: int64(id), Password: password, Timeout: time.Duration(ms) * time.Millisecond, LastZxid: int64(zxid)}
	return nil
}

// presumeAfter is the age of the newest proof of life at which a session with time-out t is
// presumed expired: a tenth early, for clocks that drift and for the time it takes to notice.
func presumeAfter(t time.Duration) time.Duration { return t - t/10 }

// Session returns the current session, or nil when there is none: before the first
// connection, after expiry until the next one is up, and after Close.
func (zk *Client) Session() *Session { return zk.core.session.Load() }

// SessionID returns the id of the current session, 0 when there is none.
func (zk *Client) SessionID() int64 {
	if s := zk.Session(); s != nil {
		return s.ID()
	}
	return 0
}

// SessionTimeout returns the negotiated time-out of the current session, 0 when there is none.
func (zk *Client) SessionTimeout() time.Duration {
	if s := zk.Session(); s != nil {
		return s.Timeout()
	}
	return 0
}

// LastZxid returns the newest zxid seen in a reply. The client never attaches to a server
// that is behind it.
func (zk *Client) LastZxid() int64 { return zk.core.lastZxid.Load() }
