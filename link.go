package gazoo

import (
	"net"
	"sync"
	"syscall"

	"github.com/gazoo-zk/gazoo/internal/nonblock"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// link is one connection to one server, from dial to close. The goroutine that dialled reads
// it; a second one writes. A link never reconnects: the manager makes another.
type link struct {
	core     *core
	conn     net.Conn
	host     Host
	addr     string // as dialled
	features *featureSet
	frames   *zkproto.FrameReader

	// Guarded by sender.mu.
	out       []byte  // encoded, not yet handed to Write
	spare     []byte  // the buffer that was written last, empty
	pending   ring    // on the wire, unanswered, in order
	auths     []*call // add-auth requests, answered in their own order
	withheld  []*call // their answers ended the link; completed at the drop
	appended  int64   // bytes ever appended to out
	handed    int64   // bytes ever handed to Write: what lies behind was never sent
	sent      sentLog // when what is unanswered was handed over, in order
	writing   bool    // somebody writes, or the writer has been told to
	gathering bool    // the reader has answered calls, and writes what their callers ask next

	heard proofOfLife // when bytes came in last

	raw   syscall.RawConn  // for writes that do not block, nil where they cannot be had
	now   *nonblock.Writer // makes them; the one who sets writing owns it
	rest  []byte           // what such a write left over; the one who sets writing owns it
	batch []arrival        // the reader's

	wake      chan struct{} // one slot
	first     sync.Once     // starts the writer, or rules that out
	start     chan struct{} // closed by the manager: read on
	closeOnce sync.Once
	closed    chan struct{}
	cause     error // set before closed is closed
	writer    sync.WaitGroup
}

func newLink(c *core, conn net.Conn, host Host, addr string) *link {
	l := &link{
		core: c, conn: conn, host: host, addr: addr,
		features: c.features.of(addr),
		frames:   zkproto.NewFrameReader(conn, c.cfg.maxReply),
		raw:      nonblock.Conn(conn),
		now:      nonblock.NewWriter(),
		wake:     make(chan struct{}, 1),
		start:    make(chan struct{}),
		closed:   make(chan struct{}),
	}
	l.heard.store(c.clock.now())
	return l
}

// fail ends the link with its first cause. It does not wait; close does.
func (l *link) fail(cause error) {
	l.closeOnce.Do(func() {
		l.cause = cause
		close(l.closed)
		l.conn.Close()
	})
}

// close ends the link and waits for its writer.
func (l *link) close(cause error) {
	l.fail(cause)
	l.first.Do(func() {}) // a link that never needed its writer has none
	l.writer.Wait()
}
