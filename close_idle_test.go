package gazoo_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

// A client that closes sends no pings. One that would be due must not keep the manager busy for as long as the server is
// silent, which in a bubble is for ever: the time stands still.
func TestCloseOnASilentServerIsIdle(t *testing.T) {
	stuck := time.AfterFunc(20*time.Second, func() { panic("Close of a client with a silent server keeps a processor busy") })
	defer stuck.Stop()
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t)
		zk, err := gazoo.Connect(t.Context(), srv.Addr(), gazoo.WithDialer(srv.Dial), gazoo.WithSessionTimeout(6*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		srv.Stall(zktest.ToClient)
		set := zk.Async().Set(t.Context(), "/", nil, gazoo.AnyVersion)
		begin := time.Now()
		zk.Close()
		if took := time.Since(begin); took > 11*time.Second {
			t.Errorf("Close took %v, want 10s at most", took)
		}
		if _, err := set.Wait(t.Context()); !gazoo.MaybeApplied(err) {
			t.Errorf("Set in flight = %v, want perhaps applied", err)
		}
	})
}
