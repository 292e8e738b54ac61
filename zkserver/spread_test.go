package zkserver_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// narrow accepts connections that take little at once.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(4 << 10)
	}
	return nc, err
}

// TestChangesFanOut has many clients watch two znodes that change while half of the clients do not read, so that their
// sockets fill up in the middle of events.
func TestChangesFanOut(t *testing.T) {
	const watching, changes = 80, 80
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := zkserver.New(zkserver.WithMaxClientConns(0), zkserver.WithDir(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	go srv.Serve(narrow{ln})
	paths := []string{"/" + strings.Repeat("a", 3000), "/" + strings.Repeat("b", 1000)}
	c := rawzk.Dial(t, ln.Addr().String()).Open(time.Minute)
	for _, path := range paths {
		c.Want(zkproto.OK, zkproto.OpCreate, create(path))
	}
	var all []*rawzk.Conn
	for range watching {
		w := rawzk.Dial(t, ln.Addr().String()).Open(time.Minute)
		w.Net.(*net.TCPConn).SetReadBuffer(4 << 10)
		for _, path := range paths {
			w.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: path, Mode: zkproto.WatchPersistent})
		}
		all = append(all, w)
	}
	read := func(w *rawzk.Conn) error {
		for i := range changes {
			ev := event(w.TB, w.Next())
			if want := paths[i%2]; ev.Type != zkproto.EventDataChanged || ev.Path != want {
				return fmt.Errorf("event %d is %d of a path of %d bytes, want a change of one of %d", i, ev.Type, len(ev.Path), len(want))
			}
		}
		if got := events(w); len(got) > 0 {
			return fmt.Errorf("%d events more than changes", len(got))
		}
		return nil
	}
	errs := make([]error, watching)
	var wg sync.WaitGroup
	for i := range watching / 2 {
		wg.Go(func() { errs[i] = read(all[i]) })
	}
	for i := range changes {
		c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: paths[i%2], Version: -1})
	}
	for i := watching / 2; i < watching; i++ {
		wg.Go(func() { errs[i] = read(all[i]) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
}
