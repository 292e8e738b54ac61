package gazoo_test

import (
	"bytes"
	"context"
	"net"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

// A socket that takes only a part of a request at once gets the rest by and by, and what is asked
// meanwhile behind it.
func TestRequestsThatDoNotFitTheSocket(t *testing.T) {
	srv := zktest.Start(t, zktest.OnLoopback())
	ctx := t.Context()
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok {
			err = tcp.SetWriteBuffer(4 << 10)
		}
		return conn, err
	}
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(dial))
	if err != nil {
		t.Fatal(err)
	}
	defer zk.Close()

	data := bytes.Repeat([]byte("0123456789"), 12_000)
	if _, err := zk.Create(ctx, "/large", data); err != nil {
		t.Fatal(err)
	}
	async := zk.Async()
	var writes []gazoo.Future[gazoo.Stat]
	for i := range 6 {
		writes = append(writes, async.Set(ctx, "/large", data[i:], int32(i)))
	}
	for i, w := range writes {
		if _, err := w.Wait(ctx); err != nil {
			t.Errorf("set %d: %v", i, err)
		}
	}
	if got, _, err := zk.Get(ctx, "/large"); err != nil || !bytes.Equal(got, data[5:]) {
		t.Errorf("get = %d bytes, %v; want the %d of the last set", len(got), err, len(data)-5)
	}
}
