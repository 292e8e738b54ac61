package gazoo

import "time"

// Hooks observe a client: metrics and tracing are hooks. Each interface has one method with
// one struct, so that structs can grow. A value given to [WithHook] may implement any of
// them. Hooks run on the client's callback goroutine, one after another, in the order in
// which things happened, outside all locks; a slow hook delays callbacks and other hooks but
// never the connection.

// RequestHook is told of every finished request.
type RequestHook interface{ OnRequest(RequestInfo) }

// ConnectHook is told of every attempt to reach a server and of every connection's end.
type ConnectHook interface{ OnConnect(ConnectInfo) }

// SessionHook is told of every change of state.
type SessionHook interface{ OnSession(StateChange) }

// WatchHook is told of every watch event that arrived, once each, whoever waits for it, and
// of every batch of watches registered again. It is the client's default watcher.
type WatchHook interface{ OnWatch(WatchInfo) }

// RequestInfo describes a finished request.
type RequestInfo struct {
	Op       string
	Path     string // as on the wire: with chroot
	Server   string
	Start    time.Time     // when it was submitted
	Duration time.Duration // until its answer was decoded, or it failed
	Zxid     int64         // of the answer
	Bytes    int           // size of the request on the wire, 0 when it was not sent
	Err      error         // nil, a Code, or why there was no answer
}

// ConnectInfo describes an attempt to connect, or a lost connection.
type ConnectInfo struct {
	Host      Host   // as configured
	Addr      string // as dialled, empty when the name did not resolve
	Session   int64  // id after a success
	Resumed   bool   // the session offered was continued
	Connected bool   // false: the attempt failed, or the connection was lost
	Lost      bool   // an established connection ended
	Duration  time.Duration
	Err       error
}

// WatchInfo describes a watch event, or a registration after a reconnect.
type WatchInfo struct {
	Event      Event // zero when Registered > 0
	Receivers  int   // local watches and streams that got the event
	Registered int   // watches registered again
}

type hooks struct {
	request []RequestHook
	connect []ConnectHook
	session []SessionHook
	watch   []WatchHook
}

// add asserts once which interfaces h implements.
func (hs *hooks) add(h any) bool {
	n := 0
	if x, ok := h.(RequestHook); ok {
		hs.request = append(hs.request, x)
		n++
	}
	if x, ok := h.(ConnectHook); ok {
		hs.connect = append(hs.connect, x)
		n++
	}
	if x, ok := h.(SessionHook); ok {
		hs.session = append(hs.session, x)
		n++
	}
	if x, ok := h.(WatchHook); ok {
		hs.watch = append(hs.watch, x)
		n++
	}
	return n > 0
}
