package gazoo_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

// Whoever closes a client gives up what it holds before the server can give it to others: the tenancy has ended when
// the server is asked to end the session. A drain still happens within the tenancy.
func TestTenancyEndsBeforeCloseReachesTheServer(t *testing.T) {
	for name, end := range map[string]func(*gazoo.Client) error{"Close": (*gazoo.Client).Close, "CloseNow": (*gazoo.Client).CloseNow} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := zktest.Start(t)
				zk := connectTest(t, srv)
				s := zk.Session()
				var held, drained bool
				srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCloseSession}, Do: zktest.Call(func(zktest.Request) {
					held = s.Tenancy().Err() == nil || s.Err() == nil
				})})
				hold := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate}, Do: zktest.HoldRequest(), Times: 1})
				create := zk.Async().Create(t.Context(), "/x", nil)
				done := make(chan error, 1)
				go func() { done <- end(zk) }()
				synctest.Wait()
				drained = s.Tenancy().Err() == nil
				hold.Release()
				must(t, <-done)
				_, err := create.Wait(t.Context())
				if held {
					t.Error("the tenancy holds while the server ends the session")
				}
				if name == "Close" && (!drained || err != nil) {
					t.Errorf("the tenancy held during the drain: %v, create: %v, want true and nil", drained, err)
				}
				if !errors.Is(s.Err(), gazoo.ErrClosed) {
					t.Errorf("Err() = %v, want ErrClosed", s.Err())
				}
			})
		})
	}
}
