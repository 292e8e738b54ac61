package gazoo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

// A delete that is wanted while the connection is down happens in the same session, once it is back; also when the
// session had been presumed expired.
func TestCleanupHappensAfterTheReconnect(t *testing.T) {
	for name, away := range map[string]time.Duration{"suspended": time.Second, "presumed expired": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := zktest.Start(t)
				zk := connectTest(t, srv)
				s := zk.Session()
				path, err := zk.Create(t.Context(), "/mine", nil, gazoo.Ephemeral())
				must(t, err)
				srv.Stop()
				synctest.Wait()
				zk.Cleanup(s, func(ctx context.Context, zk *gazoo.Client) error {
					return zk.DeleteIfExists(ctx, path, gazoo.AnyVersion)
				})
				time.Sleep(away)
				if name == "presumed expired" && s.Err() == nil {
					t.Fatal("the tenancy has not ended")
				}
				srv.Restart(zktest.KeepData) // no server has counted the time
				if _, found := srv.Get(path); !found {
					t.Fatal("the znode has gone without a connection")
				}
				zktest.Eventually(t, "the znode has gone", func() bool { _, found := srv.Get(path); return !found })
				must(t, zk.WaitState(t.Context(), gazoo.StateConnected))
				if zk.SessionID() != s.ID() {
					t.Error("it went with its session, which shows nothing")
				}
			})
		})
	}
}

// What belongs to a session is never done in the next one.
func TestCleanupEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t)
		zk := connectTest(t, srv)
		s := zk.Session()
		ended := make(chan struct{})
		srv.Session(s.ID()).Refuse()
		synctest.Wait()
		zk.Cleanup(s, func(ctx context.Context, zk *gazoo.Client) error {
			defer close(ended)
			return zk.Delete(ctx, "/later", gazoo.AnyVersion)
		})
		srv.ExpireSession(s.ID())
		srv.Session(s.ID()).Heal()
		must(t, srv.Put("/later", ""))
		<-s.Context().Done()
		must(t, zk.WaitState(t.Context(), gazoo.StateConnected))
		time.Sleep(time.Minute)
		if _, found := srv.Get("/later"); !found {
			t.Error("the cleanup of one session deleted a znode in the next")
		}
		select {
		case <-ended:
			t.Error("fn ran in another session")
		default:
		}
	})
}

// A cleanup is repeated until it succeeds, and given up when the server refuses.
func TestDeleteLaterIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t, zktest.Seed(map[string]string{"/a": "", "/b/c": ""}))
		zk := connectTest(t, srv)
		lost := srv.DropRequest(zktest.OpDelete, "/a")
		throttled := srv.Fail(zktest.OpDelete, "/a", gazoo.ErrThrottledOp)
		must(t, zk.DeleteLater("/a"))
		zktest.Eventually(t, "/a has gone", func() bool { _, found := srv.Get("/a"); return !found })
		if lost.Hits() != 1 || throttled.Hits() != 1 {
			t.Errorf("requests lost %d, throttled %d, want each once", lost.Hits(), throttled.Hits())
		}
		refused := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpDelete, Path: "/b"}})
		must(t, zk.DeleteLater("/b")) // not empty
		time.Sleep(time.Minute)
		if refused.Hits() != 1 {
			t.Errorf("a refused delete was sent %d times, want once", refused.Hits())
		}
		if err := zk.DeleteLater("b"); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("DeleteLater of a bad path: %v", err)
		}
	})
}

// Close ends what is still to be cleaned up.
func TestCloseEndsCleanups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t)
		zk := connectTest(t, srv)
		srv.Stop()
		must(t, zk.DeleteLater("/x"))
		zk.Close()
		<-zk.Done()
	})
}

// connectTest opens a client on a test server and closes it with the test.
func connectTest(t *testing.T, srv *zktest.Server, opts ...gazoo.Option) *gazoo.Client {
	t.Helper()
	return connect(t, srv.Addr(), append([]gazoo.Option{gazoo.WithDialer(srv.Dial)}, opts...)...)
}
