package peer

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// ErrFourLetterWord is what [Conn.ReadConnect] returns when the connection
// begins with a four-letter word; [Conn.FourLetter] tells which.
var ErrFourLetterWord = errors.New("peer: connection begins with a four-letter word")

// A Request is a frame of a client.
type Request struct {
	Header zkproto.RequestHeader
	Body   []byte // behind the header; the request's own memory
}

// Decode fills rec from the body, and tells when it does not fit exactly.
func (r Request) Decode(rec interface{ Decode(*zkproto.Reader) }) error {
	rd := zkproto.NewReader(r.Body)
	rec.Decode(&rd)
	return rd.Done()
}

// A Body is a record to send; those of zkproto are.
type Body interface {
	AppendTo(b []byte) []byte
}

// A Conn is the server's end of a connection. Reading is for one goroutine;
// every other method is safe for concurrent use, and a frame never mixes with
// another one.
type Conn struct {
	nc     net.Conn
	done   chan struct{} // closed by Close
	once   sync.Once
	id     atomic.Int64            // of the accepted session
	pinned atomic.Pointer[connect] // the connect request that was read

	// Owned by the goroutine that reads.
	word   string // the four-letter word that was found
	begun  bool   // the first four bytes were looked at
	frames *zkproto.FrameReader
}

// connect is the part of a connect request that the answer depends on.
type connect struct{ hasReadOnly bool }

func newConn(nc net.Conn) *Conn {
	return &Conn{nc: nc, done: make(chan struct{})}
}

// NetConn returns the connection below, to cut it, to stall it or to set
// deadlines.
func (c *Conn) NetConn() net.Conn { return c.nc }

// SessionID returns the session of the last [Conn.Accept]; 0 before.
func (c *Conn) SessionID() int64 { return c.id.Load() }

// Done is closed when the connection is closed at this end.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Close closes the connection at this end. It may be called again.
func (c *Conn) Close() {
	c.once.Do(func() {
		close(c.done)
		c.nc.Close()
	})
}

// begin looks at the first four bytes: four small letters are a word, since as
// a length they would be far above any limit.
func (c *Conn) begin() error {
	if c.begun {
		return nil
	}
	var head [4]byte
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		return err
	}
	c.begun = true
	c.frames = zkproto.NewFrameReader(io.MultiReader(bytes.NewReader(head[:]), c.nc), math.MaxInt32)
	for _, b := range head {
		if b < 'a' || b > 'z' {
			return nil
		}
	}
	c.word = string(head[:])
	return nil
}

// FourLetter waits for the first bytes of the connection and returns the
// four-letter word they are; "" if they are something else or do not come.
// Only [Conn.WriteText] and Close make sense after a word.
func (c *Conn) FourLetter() string {
	if err := c.begin(); err != nil {
		return ""
	}
	return c.word
}

// WriteText sends s as it is, without a length. It also serves to send bytes
// that are no frame at all.
func (c *Conn) WriteText(s string) error {
	_, err := c.nc.Write([]byte(s))
	return err
}

// ReadConnect reads the connect request.
func (c *Conn) ReadConnect() (zkproto.ConnectRequest, error) {
	var req zkproto.ConnectRequest
	if err := c.begin(); err != nil {
		return req, err
	}
	if c.word != "" {
		return req, ErrFourLetterWord
	}
	frame, err := c.frames.Next()
	if err != nil {
		return req, err
	}
	r := zkproto.NewReader(frame)
	req.Decode(&r)
	c.pinned.Store(&connect{hasReadOnly: req.HasReadOnly})
	return req, r.Done()
}

// Accept answers the connect request with a session: its id, the password that
// Apache derives from it, and the granted timeout, a whole number of
// milliseconds. The read-only byte is there if the request had one. Each
// change may alter the answer before it is sent, for servers that are
// different.
func (c *Conn) Accept(sessionID int64, timeout time.Duration, changes ...func(*zkproto.ConnectResponse)) error {
	password := zkproto.SessionPassword(sessionID)
	resp := c.connectResponse()
	resp.TimeoutMS = int32(timeout.Milliseconds())
	resp.SessionID = sessionID
	resp.Password = password[:]
	for _, change := range changes {
		change(&resp)
	}
	c.id.Store(resp.SessionID)
	return c.ReplyRaw(resp.AppendTo(nil))
}

// ReadOnly is a change for [Conn.Accept]: the server is a read-only one.
func ReadOnly(resp *zkproto.ConnectResponse) { resp.ReadOnly = true }

// Refuse answers the connect request as for an expired session, and closes.
func (c *Conn) Refuse() error {
	defer c.Close()
	resp := c.connectResponse()
	resp.Password = make([]byte, 16)
	return c.ReplyRaw(resp.AppendTo(nil))
}

func (c *Conn) connectResponse() zkproto.ConnectResponse {
	req := c.pinned.Load()
	return zkproto.ConnectResponse{HasReadOnly: req != nil && req.hasReadOnly}
}

// ReadRequest reads the next request. It is io.EOF when the client closed.
func (c *Conn) ReadRequest() (Request, error) {
	if err := c.begin(); err != nil {
		return Request{}, err
	}
	frame, err := c.frames.Next()
	if err != nil {
		return Request{}, err
	}
	r := zkproto.NewReader(frame)
	var req Request
	req.Header.Decode(&r)
	if err := r.Err(); err != nil {
		return Request{}, err
	}
	req.Body = append([]byte{}, frame[zkproto.RequestHeaderSize:]...)
	return req, nil
}

// Reply sends a reply header, and body behind it unless it is nil. Servers send
// none with a code other than zkproto.OK; this one sends what it is given.
func (c *Conn) Reply(xid int32, zxid int64, code zkproto.Code, body Body) error {
	b := zkproto.ReplyHeader{Xid: xid, Zxid: zxid, Err: code}.AppendTo(nil)
	if body != nil {
		b = body.AppendTo(b)
	}
	return c.ReplyRaw(b)
}

// ReplyRaw sends frame with its length in front.
func (c *Conn) ReplyRaw(frame []byte) error {
	b, mark := zkproto.BeginFrame(make([]byte, 0, len(frame)+4))
	b = append(b, frame...)
	_, err := c.nc.Write(zkproto.EndFrame(b, mark)) // one write, so frames do not mix
	return err
}

// Event sends a watch event. Servers before 3.9 always send zxid -1.
func (c *Conn) Event(typ zkproto.EventType, path string, zxid int64) error {
	ev := zkproto.WatcherEvent{Type: typ, State: zkproto.StateSyncConnected, Path: path}
	return c.Reply(zkproto.XidNotification, zxid, zkproto.OK, ev)
}
