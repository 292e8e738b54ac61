package zkserver

import (
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// request is something for the engine to do: what a connection sent, or a function.
type request struct {
	conn *conn
	kind requestKind
	xid  int32
	op   zkproto.OpCode
	bad  bool       // its record could not be decoded
	null bool       // its path is the null string
	flag bool       // the watch flag
	num  int32      // the watcher type, or the mode of a persistent watch
	ids  []ztree.ID // of the connection when it was received
	at   time.Time  // when it was received

	write   zkproto.MultiOp // of writes; all others use its path only
	ops     []zkproto.MultiOp
	watches *zkproto.SetWatches2Request
	connect *zkproto.ConnectRequest
	word    string
	size    int   // bytes of its frame
	large   int   // bytes that count as those of a large request
	mask    int64 // of the word that sets the trace mask
	do      func(*engine)
}

type requestKind uint8

const (
	kindRequest requestKind = iota // of a session
	kindConnect                    // the first frame of a connection
	kindWord                       // a four-letter word instead of it
	kindGone                       // the connection is no more
	kindDo                         // a function of the server itself
)

// inbox is the one queue of the engine. Everybody puts requests in; the engine takes all that
// there are. A connection that has too much in it has to wait, and so is not read.
type inbox struct {
	wake  chan struct{} // has an element when there is something to take
	total int           // limit of requests of all connections
	each  int           // limit of requests of one connection
	most  int64         // limit of bytes of requests of all connections

	mu      sync.Mutex // guards the fields below and conn.outstanding
	room    sync.Cond  // waits for fewer requests, or for the end of a connection
	waiting int        // connections that wait for room
	queue   []request
	spare   []request
	inside  int   // requests of connections that are not done yet
	bytes   int64 // of requests that the engine has not taken up yet
	closed  bool
}

func newInbox(total, each int, most int64) *inbox {
	in := &inbox{wake: make(chan struct{}, 1), total: total, each: each, most: most}
	in.room.L = &in.mu
	return in
}

// submit queues requests of a connection in their order, as soon as there is room. It reports
// false when the connection or the server has ended instead.
func (in *inbox) submit(c *conn, reqs []request) bool {
	bytes := int64(0)
	for i := range reqs {
		bytes += int64(reqs[i].size)
	}
	in.mu.Lock()
	// A connection with nothing inside may always go on, however busy the others are.
	for c.outstanding > 0 && (in.inside >= in.total || c.outstanding >= in.each || in.bytes+bytes > in.most) && !c.ended && !in.closed {
		in.waiting++
		in.room.Wait()
		in.waiting--
	}
	ok := !c.ended && !in.closed
	if ok {
		c.outstanding += len(reqs)
		in.inside += len(reqs)
		in.bytes += bytes
		in.queue = append(in.queue, reqs...)
	}
	in.mu.Unlock()
	in.signal()
	return ok
}

// post queues something that does not count, and never waits. It reports false when the
// engine has ended.
func (in *inbox) post(r request) bool {
	in.mu.Lock()
	ok := !in.closed
	if ok {
		in.queue = append(in.queue, r)
	}
	in.mu.Unlock()
	in.signal()
	return ok
}

func (in *inbox) signal() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// take returns all that is queued, which is valid until the next call.
func (in *inbox) take() []request {
	in.mu.Lock()
	defer in.mu.Unlock()
	clear(in.spare)
	batch := in.queue
	in.queue, in.spare = in.spare[:0], batch
	in.bytes = 0
	const keep = 4096
	if cap(in.queue) > keep {
		in.queue = nil
	}
	return batch
}

// done makes room: one request of each of the connections is over.
func (in *inbox) done(conns []*conn) {
	if len(conns) == 0 {
		return
	}
	in.mu.Lock()
	for _, c := range conns {
		c.outstanding--
	}
	in.inside -= len(conns)
	wake := in.waiting > 0
	in.mu.Unlock()
	if wake {
		in.room.Broadcast()
	}
}

// outstandingOf returns how many requests of a connection are inside.
func (in *inbox) outstandingOf(c *conn) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return c.outstanding
}

// waitingRequests returns how many requests are inside.
func (in *inbox) waitingRequests() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.inside
}

// end lets a connection that waits for room go.
func (in *inbox) end(c *conn) {
	in.mu.Lock()
	c.ended = true
	in.mu.Unlock()
	in.room.Broadcast()
}

// close refuses everything from here on.
func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	in.room.Broadcast()
}
