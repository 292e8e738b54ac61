package zktest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Entry is a line of the operation log: a request with what became of it, an event, or something
// that the test did to the server.
type Entry struct {
	Time     time.Time // when the request came
	Endpoint string
	Request  Request
	Answered bool          // a reply was sent, or it is an event
	Code     zkproto.Code  // of the reply
	Zxid     int64         // of the reply or the event; -1 of an event that has none
	Latency  time.Duration // from the request to its reply
	Note     string        // the rule that acted, the kind of an event, or what the test did
}

// String returns the entry in one line.
func (e Entry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Time.Format("15:04:05.000000"), e.Endpoint)
	if e.Request.Op == 0 {
		fmt.Fprintf(&b, " %s", e.Note)
		return b.String()
	}
	fmt.Fprintf(&b, " %#x", uint64(e.Request.Session))
	if e.Request.Code != 0 {
		fmt.Fprintf(&b, " %v", e.Request.Code)
	} else {
		fmt.Fprintf(&b, " %v", e.Request.Op)
	}
	for _, p := range e.Request.paths() {
		b.WriteString(" " + p)
	}
	switch {
	case !e.Answered:
		b.WriteString(" no reply")
	case e.Request.Op == OpConnect || e.Request.Op == OpEvent:
		if e.Code != zkproto.OK {
			fmt.Fprintf(&b, " %s", e.Code.Name())
		}
	default:
		fmt.Fprintf(&b, " %s zxid %#x %v", e.Code.Name(), uint64(e.Zxid), e.Latency)
	}
	if e.Note != "" {
		fmt.Fprintf(&b, " [%s]", e.Note)
	}
	return b.String()
}

// oplog is the newest entries, in a ring.
type oplog struct {
	mu   sync.Mutex // guards all below
	ring []Entry
	next int
	full bool
}

func (l *oplog) add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) == 0 {
		return
	}
	l.ring[l.next] = e
	if l.next++; l.next == len(l.ring) {
		l.next, l.full = 0, true
	}
}

// Log returns the newest operations, in the order in which they ended: [WithLogSize] says how
// many. Pings are left out, unless a rule acted on them.
func (s *Server) Log() []Entry {
	l := &s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full {
		return append([]Entry(nil), l.ring[:l.next]...)
	}
	return append(append([]Entry(nil), l.ring[l.next:]...), l.ring[:l.next]...)
}

// note writes down what the test did.
func (s *Server) note(ep *Endpoint, format string, args ...any) {
	e := Entry{Time: s.clock.Now(), Endpoint: "server", Note: fmt.Sprintf(format, args...)}
	if ep != nil {
		e.Endpoint = ep.Name()
	}
	s.log.add(e)
}
