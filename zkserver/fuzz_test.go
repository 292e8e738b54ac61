package zkserver_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// FuzzConnection sends any bytes behind a handshake: the server must answer or hang up, and go
// on to serve others.
func FuzzConnection(f *testing.F) {
	seed := func(op zkproto.OpCode, b rawzk.Body) {
		f.Add(rawzk.Frame(rawzk.Bytes(b.AppendTo(zkproto.RequestHeader{Xid: 1, Op: op}.AppendTo(nil)))))
	}
	seed(zkproto.OpCreate, create("/a"))
	seed(zkproto.OpMulti, zkproto.MultiRequest{Ops: []zkproto.MultiOp{{Op: zkproto.OpCreate, Path: "/b", ACL: open}, {Op: zkproto.OpCheck, Path: "/b"}}})
	seed(zkproto.OpMultiRead, zkproto.MultiRequest{Ops: []zkproto.MultiOp{{Op: zkproto.OpGetChildren, Path: "/"}}})
	seed(zkproto.OpSetWatches2, zkproto.SetWatches2Request{Data: []string{"/a"}, PersistentRecursive: []string{"x"}})
	seed(zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "no path", Mode: 1})
	seed(zkproto.OpAuth, zkproto.AuthRequest{Scheme: "digest", Auth: []byte("a")})
	seed(zkproto.OpCloseSession, rawzk.Bytes{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("ruok"))

	srv, err := zkserver.New(zkserver.WithExtendedTypes(), zkserver.WithMaxClientConns(0))
	if err != nil {
		f.Fatal(err)
	}
	network := memnet.New()
	ln, err := network.Listen(memAddr)
	if err != nil {
		f.Fatal(err)
	}
	go srv.Serve(ln)
	f.Cleanup(func() { srv.Close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		dial := func() *rawzk.Conn {
			nc, err := network.Dial(context.Background(), "tcp", memAddr)
			if err != nil {
				t.Fatal(err)
			}
			return rawzk.New(t, nc).Open(10 * time.Second)
		}
		c := dial()
		go io.Copy(io.Discard, c.Net)
		c.Net.Write(b)
		c.Net.(*memnet.Conn).CloseWrite()
		dial().Want(zkproto.OK, zkproto.OpCloseSession, nil)
	})
}
