package gazoo_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// A server that is starting may take a connect record and never answer it. With no other
// server to turn to, the next try must still come early in the session's time.
func TestLostConnectRecordCostsAThirdOfTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var connects atomic.Int32
		b := &peer.Basic{Connect: func(c *peer.Conn, _ zkproto.ConnectRequest) bool {
			if connects.Add(1) == 2 {
				<-c.Done()
				return true
			}
			return false
		}}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(9*time.Second))
		id := zk.SessionID()
		sub := zk.SubscribeState()
		begin := time.Now()
		b.Conn(id).Close()
		ch := awaitState(t, sub, gazoo.StateConnected)
		if took := time.Since(begin); took > 3*time.Second || !ch.Resumed || connects.Load() != 3 {
			t.Errorf("back after %v and %d connects with %+v, want the session resumed within a third of its 9 s", took, connects.Load(), ch)
		}
	})
}
