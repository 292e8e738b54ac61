package zkserver

import (
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// limitConfig is what limits requests beside their number.
type limitConfig struct {
	connect        ConnectThrottle
	opWait         time.Duration // 0: none
	largeThreshold int           // bytes; -1: none
	largeTotal     int64         // bytes
	reconfig       bool
	waiting        int64 // bytes of requests
	buffered       int64 // bytes of replies and events
}

func defaultLimits() limitConfig {
	return limitConfig{largeThreshold: -1, largeTotal: 100 << 20, waiting: 64 << 20, buffered: 256 << 20}
}

func (c *limitConfig) check(check func(ok bool, format string, args ...any)) {
	t := c.connect
	check(t.Burst >= 0 && (t.Burst == 0 || t.Fill > 0 && t.Every > 0), "connect throttle of %d, %d each %v", t.Burst, t.Fill, t.Every)
	check(c.opWait >= 0, "requests that are throttled after %v", c.opWait)
	check(c.largeThreshold >= -1 && c.largeTotal > 0, "large requests from %d bytes, %d bytes together", c.largeThreshold, c.largeTotal)
	check(c.waiting > 0 && c.buffered > 0, "%d bytes of requests and %d of replies that wait", c.waiting, c.buffered)
}

// ConnectThrottle limits how fast clients connect: each connect request takes a token.
type ConnectThrottle struct {
	Burst int           // tokens that there are at most; 0 is no limit
	Fill  int           // tokens that are added
	Every time.Duration // how often
}

// WithConnectThrottle limits how fast clients connect (default no limit; connection_throttle_tokens,
// connection_throttle_fill_count and connection_throttle_fill_time). A connection whose connect
// request finds no token is closed without an answer, and its client tries again.
func WithConnectThrottle(t ConnectThrottle) Option {
	return func(c *config) { c.limits.connect = t }
}

// WithThrottledOpWait answers requests that have waited longer than this with ErrThrottledOp, instead
// of executing them (default 0, never; zookeeper.throttled_op_wait_time). Pings and the ends of
// sessions are always executed.
func WithThrottledOpWait(d time.Duration) Option { return func(c *config) { c.limits.opWait = d } }

// WithLargeRequests bounds what requests of more than threshold bytes may have together while they
// wait, in bytes (default -1, no request is large, and 100 MiB; largeRequestThreshold and
// largeRequestMaxBytes). A connection that exceeds it is closed.
func WithLargeRequests(threshold int, total int64) Option {
	return func(c *config) { c.limits.largeThreshold, c.limits.largeTotal = threshold, total }
}

// WithOutstandingPerConn sets how many requests of one connection may wait inside the server
// (default 64). Above it, the connection is not read.
func WithOutstandingPerConn(n int) Option { return func(c *config) { c.outstandingEach = n } }

// WithOutstandingBytes bounds the bytes of all requests that wait inside the server (default 64 MiB).
// Above it, connections that have a request waiting are not read.
func WithOutstandingBytes(n int64) Option { return func(c *config) { c.limits.waiting = n } }

// WithMaxBufferedTotal limits, in bytes, what waits to be sent on all connections together (default
// 256 MiB). Above it, a connection that has more than its share of that coming is disconnected; its
// session lives on.
func WithMaxBufferedTotal(bytes int64) Option { return func(c *config) { c.limits.buffered = bytes } }

// WithReconfigEnabled answers reconfig requests with Unimplemented, as a standalone server with
// reconfigEnabled does. The default is ReconfigDisabled.
func WithReconfigEnabled() Option { return func(c *config) { c.limits.reconfig = true } }

// tokens is the bucket of a ConnectThrottle. It is owned by the engine.
type tokens struct {
	have   int
	filled time.Time // when tokens were added last
}

// take takes a token, if there is one.
func (b *tokens) take(t ConnectThrottle, now time.Time) bool {
	switch {
	case t.Burst == 0:
		return true
	case b.filled.IsZero():
		b.have, b.filled = t.Burst, now
	default:
		if n := now.Sub(b.filled) / t.Every; n > 0 {
			b.filled = b.filled.Add(n * t.Every)
			if n >= time.Duration(t.Burst) { // each adds one at least
				b.have = t.Burst
			} else {
				b.have = min(t.Burst, b.have+int(n)*t.Fill)
			}
		}
	}
	if b.have == 0 {
		return false
	}
	b.have--
	return true
}

// tooLate reports whether a request has waited too long to be executed.
func (e *engine) tooLate(r *request) bool {
	limit := e.srv.cfg.limits.opWait
	return limit > 0 && time.Since(r.at) > limit && r.op != zkproto.OpPing && r.op != zkproto.OpCloseSession
}

// tooMuch reports whether so many bytes for one connection are more than it may have waiting.
func (s *Server) tooMuch(pending int) bool {
	if pending > s.cfg.maxBuffered {
		return true
	}
	total := s.cfg.limits.buffered
	return s.unsent.Load() > total && int64(pending) > total/int64(max(1, s.ConnCount()))
}

// large counts the bytes of large requests that wait.
type large struct{ bytes atomic.Int64 }

// admit counts a request; it returns what done has to be called with, and false when that would be
// too much.
func (l *large) admit(cfg *limitConfig, size int) (int, bool) {
	if cfg.largeThreshold < 0 || size <= cfg.largeThreshold {
		return 0, true
	}
	if l.bytes.Add(int64(size)) > cfg.largeTotal {
		l.bytes.Add(int64(-size))
		return 0, false
	}
	return size, true
}

// done is called when a request waits no more.
func (l *large) done(size int) {
	if size > 0 {
		l.bytes.Add(int64(-size))
	}
}
