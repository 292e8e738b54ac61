// Package rawzk is a ZooKeeper connection for tests that want to say exactly what goes over the wire: any
// request id, any record, frames that no client would send, and every frame of the server as it came.
//
//	c := rawzk.Dial(t, addr).Open(10 * time.Second)
//	c.Want(zkproto.ErrNoNode, zkproto.OpDelete, zkproto.DeleteRequest{Path: "/a", Version: -1})
//
// Everything that goes wrong with the connection ends the test. A connection is closed with its test and is one
// goroutine's business.
package rawzk

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// TB is what a connection needs of the test, be it a testing.TB or that of a library for property tests.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Body is a record to be sent; nil is none.
type Body interface{ AppendTo([]byte) []byte }

// Bytes is a record that the test made by hand.
type Bytes []byte

// AppendTo appends the bytes.
func (b Bytes) AppendTo(out []byte) []byte { return append(out, b...) }

// Patience is how long a connection may last, so that a server which does not answer fails the test.
const Patience = time.Minute

// Conn is a connection.
type Conn struct {
	TB      TB
	Net     net.Conn
	Session zkproto.ConnectResponse // what the last handshake brought

	frames *zkproto.FrameReader
	xid    int32
}

// New takes over a connection. Its deadline is set to [Patience].
func New(tb TB, nc net.Conn) *Conn {
	tb.Helper()
	tb.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(Patience))
	return &Conn{TB: tb, Net: nc, frames: zkproto.NewFrameReader(nc, 0)}
}

// Dial connects to a TCP address. There is no handshake yet.
func Dial(tb TB, addr string) *Conn {
	tb.Helper()
	nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		tb.Fatalf("dial: %v", err)
	}
	return New(tb, nc)
}

// Write sends bytes.
func (c *Conn) Write(b []byte) {
	c.TB.Helper()
	if _, err := c.Net.Write(b); err != nil {
		c.TB.Fatalf("write: %v", err)
	}
}

// Frame returns a record with its length in front.
func Frame(b Body) []byte {
	out, m := zkproto.BeginFrame(nil)
	return zkproto.EndFrame(b.AppendTo(out), m)
}

// Request returns a whole request: length, header and record.
func Request(xid int32, op zkproto.OpCode, b Body) []byte {
	out, m := zkproto.BeginFrame(nil)
	out = zkproto.RequestHeader{Xid: xid, Op: op}.AppendTo(out)
	if b != nil {
		out = b.AppendTo(out)
	}
	return zkproto.EndFrame(out, m)
}

// NextBytes returns the next frame, which is valid until the one after it is read.
func (c *Conn) NextBytes() ([]byte, error) { return c.frames.Next() }

// Handshake sends a connect request and returns the response.
func (c *Conn) Handshake(req zkproto.ConnectRequest) zkproto.ConnectResponse {
	c.TB.Helper()
	c.Write(Frame(req))
	return c.Greeting()
}

// Greeting reads a connect response.
func (c *Conn) Greeting() zkproto.ConnectResponse {
	c.TB.Helper()
	b, err := c.frames.Next()
	if err != nil {
		c.TB.Fatalf("connect response: %v", err)
	}
	r := zkproto.NewReader(b)
	c.Session = zkproto.ConnectResponse{}
	c.Session.Decode(&r)
	if err := r.Done(); err != nil {
		c.TB.Fatalf("connect response: %v", err)
	}
	return c.Session
}

// Open begins a new session.
func (c *Conn) Open(timeout time.Duration) *Conn {
	c.TB.Helper()
	if resp := c.Handshake(zkproto.ConnectRequest{TimeoutMS: int32(timeout.Milliseconds()), HasReadOnly: true}); resp.Refused() {
		c.TB.Fatalf("session refused")
	}
	return c
}

// Resume is the request that takes a session over.
func Resume(s zkproto.ConnectResponse) zkproto.ConnectRequest {
	return zkproto.ConnectRequest{TimeoutMS: s.TimeoutMS, SessionID: s.SessionID, Password: s.Password, HasReadOnly: true}
}

// Send sends a request under the next id and returns that.
func (c *Conn) Send(op zkproto.OpCode, b Body) int32 {
	c.TB.Helper()
	c.xid++
	c.Write(Request(c.xid, op, b))
	return c.xid
}

// Reply is a frame of the server: a reply or an event.
type Reply struct {
	zkproto.ReplyHeader
	Body []byte
}

// Event decodes a watch event; ok is false for every other frame.
func (p Reply) Event() (ev zkproto.WatcherEvent, ok bool) {
	r := zkproto.NewReader(p.Body)
	ev.Decode(&r)
	return ev, p.Xid == zkproto.XidNotification && r.Done() == nil
}

// TryNext reads a frame.
func (c *Conn) TryNext() (Reply, error) {
	b, err := c.frames.Next()
	if err != nil {
		return Reply{}, err
	}
	r := zkproto.NewReader(b)
	var p Reply
	p.ReplyHeader.Decode(&r)
	if r.Err() != nil {
		return Reply{}, r.Err()
	}
	p.Body = append([]byte(nil), b[zkproto.ReplyHeaderSize:]...)
	return p, nil
}

// Next reads a frame that must come.
func (c *Conn) Next() Reply {
	c.TB.Helper()
	p, err := c.TryNext()
	if err != nil {
		c.TB.Fatalf("next frame: %v", err)
	}
	return p
}

// Call sends a request and reads the next frame, which must be its reply.
func (c *Conn) Call(op zkproto.OpCode, b Body) Reply {
	c.TB.Helper()
	frames := c.Exchange(op, b)
	if len(frames) > 1 {
		c.TB.Fatalf("%v: %d frames before the reply, the first is %+v", op, len(frames)-1, frames[0])
	}
	return frames[0]
}

// Exchange sends a request and returns the events that come before its reply, and the reply.
func (c *Conn) Exchange(op zkproto.OpCode, b Body) []Reply {
	c.TB.Helper()
	xid := c.Send(op, b)
	if op == zkproto.OpPing {
		xid = zkproto.XidPing
	}
	var frames []Reply
	for {
		p := c.Next()
		frames = append(frames, p)
		if p.Xid == xid {
			return frames
		}
		if _, ok := p.Event(); !ok {
			c.TB.Fatalf("%v: got frame %+v, want the reply to %d or an event", op, p.ReplyHeader, xid)
		}
	}
}

// Want is [Conn.Call] with the code that the reply must have. A reply with an error must have no body.
func (c *Conn) Want(code zkproto.Code, op zkproto.OpCode, b Body) Reply {
	c.TB.Helper()
	p := c.Call(op, b)
	if p.Err != code {
		c.TB.Errorf("%v %+v: %v, want %v", op, b, p.Err.Name(), code.Name())
	}
	if p.Err != zkproto.OK && len(p.Body) > 0 {
		c.TB.Errorf("%v: %d bytes behind error %v", op, len(p.Body), p.Err.Name())
	}
	return p
}

// Closed fails the test unless the server closes the connection without a further byte.
func (c *Conn) Closed() {
	c.TB.Helper()
	p, err := c.TryNext()
	switch {
	case err == nil:
		c.TB.Fatalf("got frame %+v, want the connection closed", p.ReplyHeader)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.TB.Fatalf("connection still open, want it closed")
	case errors.Is(err, io.ErrUnexpectedEOF):
		c.TB.Fatalf("half a frame before the end")
	}
}
