package tenure_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

// begin makes an ephemeral and holds it.
func begin(t *testing.T, zk *gazoo.Client, opts ...tenure.Option) *tenure.Tenure {
	t.Helper()
	path, stat, err := zk.CreateStat(t.Context(), "/held", nil, gazoo.Ephemeral())
	if err != nil {
		t.Fatal(err)
	}
	held, err := tenure.Begin(t.Context(), zk, zk.Session(), path, stat.Czxid, opts...)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	return held
}

// What ends a tenure is the cause of its context and the result of Err, and decides what becomes of the znode.
func TestEnds(t *testing.T) {
	reason := errors.New("reason")
	for _, tt := range []struct {
		name  string
		end   func(srv *zktest.Server, held *tenure.Tenure)
		cause []error
		stays bool // the znode, until the release
		freed error
	}{
		{"release", func(_ *zktest.Server, held *tenure.Tenure) { held.Release(context.Background()) }, []error{tenure.ErrReleased}, false, nil},
		{"settle", func(_ *zktest.Server, held *tenure.Tenure) { held.Settle() }, []error{tenure.ErrReleased}, true, nil},
		{"withdraw", func(_ *zktest.Server, held *tenure.Tenure) { held.Withdraw(reason) }, []error{tenure.ErrLost, reason}, true, nil},
		{"delete", func(srv *zktest.Server, _ *tenure.Tenure) { srv.Remove("/held") }, []error{tenure.ErrLost, tenure.ErrDeleted}, false, tenure.ErrLost},
		{"expiry", func(srv *zktest.Server, held *tenure.Tenure) { srv.ExpireSession(held.Session().ID()) }, []error{tenure.ErrLost, gazoo.ErrSessionExpired}, false, tenure.ErrLost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				held := begin(t, recipetest.Client(t, srv))
				synctest.Wait()
				if err := held.Err(); err != nil {
					t.Fatalf("Err in the beginning: %v", err)
				}
				tt.end(srv, held)
				<-held.Context().Done()
				for _, want := range tt.cause {
					if err := held.Err(); !errors.Is(err, want) {
						t.Errorf("Err: %v, want %v", err, want)
					}
					if err := context.Cause(held.Context()); !errors.Is(err, want) {
						t.Errorf("cause: %v, want %v", err, want)
					}
				}
				if err := held.Verify(t.Context()); !errors.Is(err, tt.cause[0]) {
					t.Errorf("Verify: %v, want %v", err, tt.cause[0])
				}
				time.Sleep(time.Second)
				if _, found := srv.Get("/held"); found != tt.stays {
					t.Errorf("the znode is there: %v, want %v", found, tt.stays)
				}
				if err := held.Release(t.Context()); !errors.Is(err, tt.freed) {
					t.Errorf("Release: %v, want %v", err, tt.freed)
				}
				if _, found := srv.Get("/held"); found && tt.name != "settle" {
					t.Error("the znode is there behind the release")
				}
			})
		})
	}
}

// A session that was presumed expired while its holder was winding up takes the znode along when it comes back.
func TestWithdrawnThenLost(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		held := begin(t, zk)
		synctest.Wait()
		held.Withdraw(errors.New("stop"))
		srv.Stop()
		time.Sleep(time.Minute)
		srv.Restart(zktest.KeepData)
		zktest.Eventually(t, "the znode has gone", func() bool { _, found := srv.Get("/held"); return !found })
		if zk.SessionID() != held.Session().ID() {
			t.Error("it went with its session, which shows nothing")
		}
	})
}

// A guarded transaction is applied while it is held, and refused afterwards; Lost tells that from its other failures.
func TestGuardedTransactions(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		held := begin(t, zk)
		results, err := held.Txn().Create("/a", nil).Commit(t.Context())
		if err != nil || len(results) != 2 || results[1].Path != "/a" {
			t.Errorf("Commit: %v, %v", results, err)
		}
		_, err = held.Txn().Create("/a", nil).Commit(t.Context())
		if !errors.Is(err, gazoo.ErrNodeExists) || held.Lost(err) {
			t.Errorf("a write that fails for itself: %v, lost %v", err, held.Lost(err))
		}
		_, err = held.Txn().Set("/none", nil, gazoo.AnyVersion).Commit(t.Context())
		if !errors.Is(err, gazoo.ErrNoNode) || held.Lost(err) {
			t.Errorf("a write to a missing znode: %v, lost %v", err, held.Lost(err))
		}
		late := held.Txn().Create("/b", nil)
		srv.Remove("/held")
		if _, err = late.Commit(t.Context()); !held.Lost(err) {
			t.Errorf("behind the loss: %v, want one that says so", err)
		}
		later := held.Txn().Create("/b", nil)
		srv.ExpireSession(zk.SessionID())
		<-held.Session().Context().Done()
		if _, err = later.Commit(t.Context()); !held.Lost(err) {
			t.Errorf("behind the session: %v, want one that says so", err)
		}
		if _, found := srv.Get("/b"); found {
			t.Error("the write was applied")
		}
	})
}

// OnChange sees the data in the beginning and after each change, also one that happened while the client was away.
func TestOnChange(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		seen := make(chan string, 10)
		held := begin(t, zk, tenure.OnChange(func(data []byte, _ gazoo.Stat) { seen <- string(data) }))
		for i, data := range []string{"", "one", "two"} {
			if i > 0 {
				srv.Cut()
				if err := srv.Put("/held", data); err != nil {
					t.Fatal(err)
				}
			}
			if got := <-seen; got != data {
				t.Errorf("OnChange: %q, want %q", got, data)
			}
		}
		if err := held.Err(); err != nil {
			t.Errorf("Err: %v", err)
		}
	})
}

// In quorum mode a write is committed every eighth of the session time-out, and nothing of it is seen in the tree.
func TestQuorumRenewsQuietly(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		writes := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Do: zktest.DelayReply(0)})
		held := begin(t, zk, tenure.Quorum())
		if n := writes.Hits(); n != 1 {
			t.Errorf("%d writes to begin, want 1", n)
		}
		before := srv.Dump(zktest.Versions())
		time.Sleep(10 * recipetest.SessionTimeout)
		if n := writes.Hits(); n < 79 || n > 82 {
			t.Errorf("%d writes in ten session time-outs, want 80", n)
		}
		if err := held.Err(); err != nil {
			t.Errorf("Err: %v", err)
		}
		if after := srv.Dump(zktest.Versions()); after != before {
			t.Errorf("the tree has changed from %s to %s", before, after)
		}
	})
}

// No write can be committed when it begins: it does not.
func TestQuorumThatCannotBegin(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		path, stat, err := zk.CreateStat(t.Context(), "/held", nil, gazoo.Ephemeral())
		if err != nil {
			t.Fatal(err)
		}
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Do: zktest.Ignore()})
		begin := time.Now()
		if _, err := tenure.Begin(t.Context(), zk, zk.Session(), path, stat.Czxid, tenure.Quorum()); !errors.Is(err, tenure.ErrUnverified) {
			t.Errorf("Begin: %v, want ErrUnverified", err)
		}
		if took := time.Since(begin); took > recipetest.SessionTimeout/2 {
			t.Errorf("it took %v, want at most half a session time-out", took)
		}
	})
}

func Example() {
	srv, err := zktest.New()
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		panic(err)
	}
	defer zk.Close()

	// A recipe of one's own: whoever creates the znode holds it.
	path, stat, err := zk.CreateStat(ctx, "/mine", nil, gazoo.Ephemeral())
	if err != nil {
		panic(err)
	}
	held, err := tenure.Begin(ctx, zk, zk.Session(), path, stat.Czxid)
	if err != nil {
		panic(err)
	}
	fmt.Println(held)
	fmt.Println(held.Verify(ctx))
	held.Release(ctx)
	fmt.Println(held)
	// Output:
	// /mine: held
	// <nil>
	// /mine: released
}

// A server that refuses for overload has said nothing about what is held: the tenure goes on, and its watch with it.
func TestThrottledLookIsNoLoss(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		throttled := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpGet, Path: "/held"}, Do: zktest.Fail(gazoo.ErrThrottledOp), Times: 3})
		held := begin(t, recipetest.Client(t, srv))
		time.Sleep(time.Second)
		if err := held.Err(); err != nil || throttled.Hits() != 3 {
			t.Errorf("Err: %v behind %d refusals, want it held behind 3", err, throttled.Hits())
		}
		if err := srv.Remove("/held"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := held.Err(); !errors.Is(err, tenure.ErrDeleted) {
			t.Errorf("Err behind the delete: %v, want ErrDeleted", err)
		}
	})
}

// Another znode takes the place of the one that holds: the old context ends as released when the swap has returned, not
// when the znode vanishes; a swap that fails is a loss.
func TestReplace(t *testing.T) {
	broken := errors.New("broken")
	for name, opts := range map[string][]tenure.Option{"plain": nil, "quorum": {tenure.Quorum()}} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				held := begin(t, zk, opts...)
				err := held.Replace(t.Context(), func(ctx context.Context, zk *gazoo.Client) error {
					_, err := zk.Txn().Delete("/held", gazoo.AnyVersion).Create("/next", nil, gazoo.Ephemeral()).Commit(ctx)
					time.Sleep(2 * time.Second) // in which the watch fires, and a proof fails
					if alive := held.Err(); alive != nil {
						t.Errorf("Err before the swap returns: %v", alive)
					}
					return err
				})
				if err != nil || !errors.Is(held.Err(), tenure.ErrReleased) || errors.Is(held.Err(), tenure.ErrLost) {
					t.Errorf("Replace: %v, Err: %v, want ErrReleased", err, held.Err())
				}
				if err := held.Release(t.Context()); err != nil {
					t.Errorf("Release: %v", err)
				}
				if _, found := srv.Get("/next"); !found {
					t.Error("the other znode is not there")
				}
				ran := false
				err = held.Replace(t.Context(), func(context.Context, *gazoo.Client) error { ran = true; return nil })
				if err == nil || ran {
					t.Errorf("Replace again: %v, ran %v", err, ran)
				}

				held = begin(t, zk, opts...)
				err = held.Replace(t.Context(), func(context.Context, *gazoo.Client) error { return broken })
				if !errors.Is(err, broken) || !errors.Is(held.Err(), tenure.ErrLost) || !errors.Is(held.Err(), broken) {
					t.Errorf("Replace: %v, Err: %v, want it lost", err, held.Err())
				}
				if err := held.Release(t.Context()); !errors.Is(err, tenure.ErrLost) {
					t.Errorf("Release: %v, want ErrLost", err)
				}
				time.Sleep(time.Second)
				if _, found := srv.Get("/held"); found {
					t.Error("the znode is there behind a loss")
				}
			})
		})
	}
}
