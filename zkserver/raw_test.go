package zkserver_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// This file has what tests that speak the protocol by hand share.

var open = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}

// event decodes the body of a watch event.
func event(t rawzk.TB, p rawzk.Reply) zkproto.WatcherEvent {
	t.Helper()
	ev, ok := p.Event()
	if !ok {
		t.Fatalf("frame %+v is no event", p.ReplyHeader)
	}
	return ev
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
func (v *world) dial() *rawzk.Conn {
	v.t.Helper()
	nc, err := v.net.Dial(context.Background(), "tcp", memAddr)
	if err != nil {
		v.t.Fatal(err)
	}
	r := rawzk.New(v.t, nc)
	nc.SetDeadline(time.Now().Add(time.Hour))
	return r
}
