package lease_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lease"
	"github.com/gazoo-zk/gazoo/zktest"
)

func newTimed(t testing.TB, zk *gazoo.Client, path, holder string, d time.Duration) *lease.Timed {
	t.Helper()
	l, err := lease.NewTimed(zk, path, d, lease.WithHolder(holder))
	if err != nil {
		t.Fatalf("NewTimed: %v", err)
	}
	return l
}

func TestTimed(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		zk := recipetest.Dial(t, c.Hosts())
		one, two := newTimed(t, zk, path, "one", time.Minute), newTimed(t, recipetest.Dial(t, c.Hosts()), path, "two", time.Minute)
		grant, err := one.Obtain(t.Context())
		if err != nil {
			t.Fatalf("Obtain: %v", err)
		}
		_, err = two.Obtain(t.Context())
		requireTaken(t, err, "one")
		if holder, found, err := two.Holder(t.Context()); holder != "one" || !found || err != nil {
			t.Errorf("Holder = %q, %v, %v", holder, found, err)
		}
		if err := grant.Renew(t.Context()); err != nil {
			t.Errorf("Renew: %v", err)
		}
		if _, err := grant.Txn().Create(path+"-done", nil).Commit(t.Context()); err != nil {
			t.Errorf("guarded write: %v", err)
		}
		if err := grant.Release(t.Context()); err != nil {
			t.Errorf("Release: %v", err)
		}
		if err := grant.Renew(t.Context()); !errors.Is(err, lease.ErrExpired) {
			t.Errorf("Renew behind Release: %v, want ErrExpired", err)
		}
		if _, err := grant.Txn().Create(path+"-late", nil).Commit(t.Context()); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("guarded write behind Release: %v, want it refused", err)
		}
		second, err := two.Obtain(t.Context())
		if err != nil || second.Token() <= grant.Token() {
			t.Fatalf("Obtain = %v, %v, want a token above %d", second, err, grant.Token())
		}
	})
}

// The holder's grant is over before the server lets anybody else have the lease, and lasts while it is kept.
func TestTimedEndsByTheServersClock(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		one, two := newTimed(t, zk, path, "one", time.Minute), newTimed(t, recipetest.Client(t, srv), path, "two", time.Minute)
		grant, err := one.Obtain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		kept := make(chan error, 1)
		go func() { kept <- grant.Keep(ctx) }()
		for range 60 {
			time.Sleep(10 * time.Second)
			if _, err := two.Obtain(t.Context()); !errors.Is(err, lease.ErrTaken) {
				t.Fatalf("Obtain = %v while it is kept", err)
			}
		}
		cancel()
		if err := <-kept; !errors.Is(err, context.Canceled) {
			t.Errorf("Keep = %v, want the context's error", err)
		}
		for {
			time.Sleep(time.Second)
			held := grant.Err() == nil
			second, err := two.Obtain(t.Context())
			if err == nil {
				if held {
					t.Error("another has it while the grant holds")
				}
				if second.Token() <= grant.Token() {
					t.Errorf("token %d behind %d", second.Token(), grant.Token())
				}
				break
			}
		}
		// The former holder cannot renew, and what it wrote guarded is refused.
		if err := grant.Renew(t.Context()); !errors.Is(err, lease.ErrExpired) {
			t.Errorf("Renew = %v, want ErrExpired", err)
		}
		if _, err := grant.Txn().Create("/late", nil).Commit(t.Context()); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("guarded write: %v, want it refused", err)
		}
	})
}

// A holder that is cut off is over in time, by its own clock; its session ends nothing.
func TestTimedHolderCutOff(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		grant, err := newTimed(t, zk, path, "one", time.Minute).Obtain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		srv.ExpireSession(zk.SessionID())
		time.Sleep(10 * time.Second)
		if err := grant.Renew(t.Context()); err != nil {
			t.Errorf("Renew in the next session: %v", err)
		}
		srv.Session(zk.SessionID()).BlackHole()
		if err := grant.Keep(t.Context()); !errors.Is(err, lease.ErrExpired) {
			t.Errorf("Keep = %v, want ErrExpired", err)
		}
		if d := time.Since(start); d < time.Minute || d > 70*time.Second {
			t.Errorf("the grant was over after %v, want nine tenths of a minute behind the renewal at 10s", d)
		}
	})
}

// Lost answers: one znode, one holder.
func TestTimedLostReplies(t *testing.T) {
	for name, fault := range map[string]zktest.Action{"applied": zktest.DropReply(), "not applied": zktest.DropRequest()} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				l := newTimed(t, recipetest.Client(t, srv), path, "one", time.Minute)
				for _, op := range []zktest.Op{zktest.OpCreate, zktest.OpSet, zktest.OpDelete} {
					srv.Add(zktest.Rule{Match: zktest.Match{Op: op, Under: path + "/"}, Do: fault, Times: 1})
				}
				first, err := l.Obtain(t.Context())
				if err != nil {
					t.Fatalf("Obtain: %v", err)
				}
				if err := first.Renew(t.Context()); err != nil {
					t.Errorf("Renew: %v", err)
				}
				if err := first.Release(t.Context()); err != nil {
					t.Errorf("Release: %v", err)
				}
				if _, err := l.Obtain(t.Context()); err != nil {
					t.Errorf("Obtain behind Release: %v", err)
				}
				synctest.Wait()
			})
		})
	}
}

func TestTimedBeyondTheOverflow(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		one, two := newTimed(t, recipetest.Client(t, srv), "/timed", "one", time.Minute), newTimed(t, recipetest.Client(t, srv), "/timed", "two", time.Minute)
		for range 6 {
			grant, err := one.Obtain(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = two.Obtain(t.Context())
			requireTaken(t, err, "one")
			if err := grant.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}, recipetest.Numbering(t, "/timed", 2147483643))
}
