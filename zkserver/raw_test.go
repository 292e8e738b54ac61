package zkserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// This file has what tests that speak the protocol by hand share.

var open = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}

// body is a record to be sent.
type body interface{ AppendTo([]byte) []byte }

// bytesBody is a record that the test made itself.
type bytesBody []byte

func (b bytesBody) AppendTo(out []byte) []byte { return append(out, b...) }

// raw is a connection that speaks frames. Its id counts up with each request.
type raw struct {
	t       testing.TB
	nc      net.Conn
	frames  *zkproto.FrameReader
	xid     int32
	session zkproto.ConnectResponse
}

func newRaw(t testing.TB, nc net.Conn) *raw {
	t.Helper()
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(time.Minute))
	return &raw{t: t, nc: nc, frames: zkproto.NewFrameReader(nc, 0)}
}

// dialRaw connects to a TCP address.
func dialRaw(t testing.TB, addr string) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newRaw(t, nc)
}

// write sends bytes.
func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.nc.Write(b); err != nil {
		r.t.Fatalf("write: %v", err)
	}
}

func frame(b body) []byte {
	out, m := zkproto.BeginFrame(nil)
	return zkproto.EndFrame(b.AppendTo(out), m)
}

// handshake sends a connect request and returns the response.
func (r *raw) handshake(req zkproto.ConnectRequest) zkproto.ConnectResponse {
	r.t.Helper()
	r.write(frame(req))
	b, err := r.frames.Next()
	if err != nil {
		r.t.Fatalf("connect response: %v", err)
	}
	rd := zkproto.NewReader(b)
	r.session = zkproto.ConnectResponse{}
	r.session.Decode(&rd)
	if err := rd.Done(); err != nil {
		r.t.Fatalf("connect response: %v", err)
	}
	return r.session
}

// open begins a new session.
func (r *raw) open(timeout time.Duration) *raw {
	r.t.Helper()
	if resp := r.handshake(zkproto.ConnectRequest{TimeoutMS: int32(timeout.Milliseconds()), HasReadOnly: true}); resp.Refused() {
		r.t.Fatal("session refused")
	}
	return r
}

// resume is the request that takes a session over.
func resume(s zkproto.ConnectResponse) zkproto.ConnectRequest {
	return zkproto.ConnectRequest{TimeoutMS: s.TimeoutMS, SessionID: s.SessionID, Password: s.Password, HasReadOnly: true}
}

// send sends a request and returns its id. A nil body is none.
func (r *raw) send(op zkproto.OpCode, b body) int32 {
	r.t.Helper()
	r.xid++
	r.sendXid(r.xid, op, b)
	return r.xid
}

func (r *raw) sendXid(xid int32, op zkproto.OpCode, b body) {
	r.t.Helper()
	out, m := zkproto.BeginFrame(nil)
	out = zkproto.RequestHeader{Xid: xid, Op: op}.AppendTo(out)
	if b != nil {
		out = b.AppendTo(out)
	}
	r.write(zkproto.EndFrame(out, m))
}

// reply is a frame of a server.
type reply struct {
	zkproto.ReplyHeader
	body []byte
}

// event decodes the body of a watch event.
func (p reply) event(t testing.TB) zkproto.WatcherEvent {
	t.Helper()
	var ev zkproto.WatcherEvent
	r := zkproto.NewReader(p.body)
	ev.Decode(&r)
	if err := r.Done(); err != nil || p.Xid != zkproto.XidNotification {
		t.Fatalf("frame %+v is no event: %v", p.ReplyHeader, err)
	}
	return ev
}

// next reads a frame.
func (r *raw) next() reply {
	r.t.Helper()
	p, err := r.tryNext()
	if err != nil {
		r.t.Fatalf("reply: %v", err)
	}
	return p
}

func (r *raw) tryNext() (reply, error) {
	b, err := r.frames.Next()
	if err != nil {
		return reply{}, err
	}
	rd := zkproto.NewReader(b)
	var p reply
	p.ReplyHeader.Decode(&rd)
	if rd.Err() != nil {
		return reply{}, rd.Err()
	}
	p.body = append([]byte(nil), b[zkproto.ReplyHeaderSize:]...)
	return p, nil
}

// call sends a request and reads the next frame, which must be its reply.
func (r *raw) call(op zkproto.OpCode, b body) reply {
	r.t.Helper()
	xid := r.send(op, b)
	p := r.next()
	if op == zkproto.OpPing {
		xid = zkproto.XidPing
	}
	if p.Xid != xid {
		r.t.Fatalf("%v: reply to %d, want %d", op, p.Xid, xid)
	}
	if p.Err != zkproto.OK && len(p.body) > 0 {
		r.t.Fatalf("%v: %d bytes behind error %v", op, len(p.body), p.Err)
	}
	return p
}

// want is call with an expected outcome.
func (r *raw) want(code zkproto.Code, op zkproto.OpCode, b body) reply {
	r.t.Helper()
	p := r.call(op, b)
	if p.Err != code {
		r.t.Errorf("%v %+v = %v, want %v", op, b, p.Err, code)
	}
	return p
}

// closed fails the test unless the server closes the connection without a further byte.
func (r *raw) closed() {
	r.t.Helper()
	p, err := r.tryNext()
	if err == nil {
		r.t.Fatalf("got frame %+v, want the connection closed", p.ReplyHeader)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatal("connection still open, want it closed")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		r.t.Fatalf("half a frame before the end: %v", err)
	}
}

func create(path string) zkproto.CreateRequest {
	return zkproto.CreateRequest{Path: path, Data: []byte("v"), ACL: open}
}

// start starts a server on TCP and closes it with the test.
func start(t testing.TB, opts ...zkserver.Option) *zkserver.Server {
	t.Helper()
	srv, err := zkserver.Start(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv
}

// virtual runs f in a bubble with a server on a network in memory.
func virtual(t *testing.T, f func(t *testing.T, v *world), opts ...zkserver.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &world{t: t, net: memnet.New()}
		ln, err := v.net.Listen(memAddr)
		if err != nil {
			t.Fatal(err)
		}
		if v.srv, err = zkserver.New(opts...); err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- v.srv.Serve(ln) }()
		t.Cleanup(func() {
			v.srv.Close()
			if err := <-served; !errors.Is(err, zkserver.ErrClosed) {
				t.Errorf("Serve = %v, want ErrClosed", err)
			}
		})
		f(t, v)
	})
}

const memAddr = "127.0.0.1:2181"

type world struct {
	t   *testing.T
	net *memnet.Network
	srv *zkserver.Server
}

// dial opens a connection without a handshake.
func (v *world) dial() *raw {
	v.t.Helper()
	nc, err := v.net.Dial(context.Background(), "tcp", memAddr)
	if err != nil {
		v.t.Fatal(err)
	}
	r := newRaw(v.t, nc)
	nc.SetDeadline(time.Now().Add(time.Hour))
	return r
}
