package gazoo_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestPingsKeepAnIdleSessionAlive(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		pings := 0
		b := &peer.Basic{Answer: func(c *peer.Conn, req peer.Request) bool {
			if req.Header.Op == zkproto.OpPing {
				pings++
			}
			return false
		}}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(9*time.Second))
		id := zk.SessionID()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if zk.State() != gazoo.StateConnected || zk.SessionID() != id {
			t.Errorf("after a day of idling: state %v, session %x, want connected in session %x", zk.State(), zk.SessionID(), id)
		}
		if want := int(24 * time.Hour / (3 * time.Second)); pings < want-1 || pings > want+1 {
			t.Errorf("%d pings in a day, want one per third of the time-out: %d", pings, want)
		}
	})
}
