package lock_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zktest"
)

// A holder is asked for the lock: its context ends and its function runs, but nobody else gets in before it releases.
func TestRevocation(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		dir := recipetest.Path(t)
		asked := make(chan *lock.Held, 2)
		revocable := lock.WithRevocable(func(h *lock.Held) { asked <- h })
		me := lock.WithIdentity([]byte("me"))
		held := mustLock(t, newLock(t, recipetest.Dial(t, c.Hosts()), dir, revocable, me))
		zk := recipetest.Dial(t, c.Hosts())
		other := newLock(t, zk, dir)
		ch := goLock(t.Context(), other)
		recipetest.WaitChildren(t, zk, dir, 2)
		list, err := other.Contenders(t.Context())
		if err != nil || len(list) != 2 || list[0].Identity != "me" || list[0].Revoked {
			t.Fatalf("Contenders: %+v, %v", list, err)
		}
		for range 2 { // the second changes nothing
			if err := other.Revoke(t.Context(), list[0]); err != nil {
				t.Fatalf("Revoke: %v", err)
			}
		}
		if h := <-asked; h != held {
			t.Errorf("asked for %v, want %v", h, held)
		}
		wantLost(t, held, lock.ErrRevoked)
		if _, err := held.Txn().Create(dir+"-wound-up", nil).Commit(t.Context()); err != nil {
			t.Errorf("a guarded write while winding up: %v", err)
		}
		waiting(t, ch)
		if list, err := other.Contenders(t.Context()); err != nil || !list[0].Revoked || list[0].Identity != "" {
			t.Errorf("Contenders behind the revocation: %+v, %v; want it revoked, without its identity", list, err)
		}
		mustRelease(t, held)
		next := got(t, ch)
		select {
		case <-asked:
			t.Error("asked twice")
		default:
		}
		if err := other.Revoke(t.Context(), list[0]); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("Revoke of one that has gone: %v, want ErrNoNode", err)
		}
		mustRelease(t, next)
	})
}

// A waiter that was asked while it waited is told when it holds; one that is not revocable does not care.
func TestRevocationOfAWaiter(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		held := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
		mu := newLock(t, recipetest.Client(t, srv), path, lock.WithRevocable(nil))
		ch := goLock(t.Context(), mu)
		waitContenders(t, srv, path, 2)
		list, err := mu.Contenders(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if err := mu.Revoke(t.Context(), c); err != nil {
				t.Fatalf("Revoke: %v", err)
			}
		}
		synctest.Wait()
		if err := held.Err(); err != nil {
			t.Errorf("Err of one that is not revocable: %v", err)
		}
		mustRelease(t, held)
		next := got(t, ch)
		<-next.Context().Done()
		wantLost(t, next, lock.ErrRevoked)
		mustRelease(t, next)
		waitContenders(t, srv, path, 0)
	})
}

// The function may release; the request is heard behind a cut, and resent when its answer is lost.
func TestRevocationUnderFaults(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		freed := make(chan error, 1)
		mu := newLock(t, recipetest.Client(t, srv), path, lock.WithRevocable(func(h *lock.Held) { freed <- h.Release(t.Context()) }))
		mustLock(t, mu)
		list, err := mu.Contenders(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other := newLock(t, recipetest.Client(t, srv), path)
		lost := srv.DropReply(zktest.OpSet, "")
		event := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpEvent}, Do: zktest.DropRequest(), Times: 1})
		if err := other.Revoke(t.Context(), list[0]); err != nil && !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("Revoke: %v", err)
		}
		if err := <-freed; err != nil || lost.Hits() != 1 || event.Hits() != 1 {
			t.Errorf("Release: %v; %d answers and %d events were lost", err, lost.Hits(), event.Hits())
		}
		waitContenders(t, srv, path, 0)
		for _, c := range []lock.Contender{{}, {Path: "/"}, {Path: path}, {Path: "/elsewhere/x"}, {Path: path + "/"}} {
			if err := other.Revoke(t.Context(), c); !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("Revoke(%q): %v, want ErrBadArguments", c.Path, err)
			}
		}
	})
}

// Permits and read locks are revocable too.
func TestRevocationOfPermitsAndReaders(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		s := newSemaphore(t, zk, pool, 2, lock.WithRevocable(nil))
		permits, err := s.AcquireN(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		holders, err := s.Holders(t.Context())
		if err != nil || len(holders) != 2 {
			t.Fatalf("Holders: %v, %v", holders, err)
		}
		if err := s.Revoke(t.Context(), holders[1]); err != nil {
			t.Errorf("Revoke: %v", err)
		}
		<-permits.Context().Done()
		if err := permits.Err(); !errors.Is(err, lock.ErrRevoked) {
			t.Errorf("Err of the permits: %v, want ErrRevoked", err)
		}
		if err := permits.Release(t.Context()); err != nil {
			t.Errorf("Release: %v", err)
		}
		rw := newRW(t, zk, path, lock.WithRevocable(nil))
		reader := mustLock(t, rw.Reader())
		list, err := rw.Contenders(t.Context())
		if err != nil || !list[0].Shared {
			t.Fatalf("Contenders: %+v, %v", list, err)
		}
		if err := rw.Revoke(t.Context(), list[0]); err != nil {
			t.Errorf("Revoke: %v", err)
		}
		<-reader.Context().Done()
		wantLost(t, reader, lock.ErrRevoked)
		mustRelease(t, reader)
	})
}

// The list is in the order of the queue, whoever is in it, and reads are in flight together.
func TestContenders(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		mu := newLock(t, zk, path, lock.WithIdentity([]byte("first")))
		if list, err := mu.Contenders(t.Context()); len(list) != 0 || err != nil {
			t.Errorf("Contenders of a missing path: %+v, %v", list, err)
		}
		start := time.Now()
		held := mustLock(t, mu)
		for _, name := range []string{"foreign", "_c_x-lock-0000000002", "0123456789abcdef0123456789abcdef__rlock__0000000001"} {
			if err := srv.Put(path+"/"+name, name); err != nil {
				t.Fatal(err)
			}
		}
		list, err := mu.Contenders(t.Context())
		if err != nil || len(list) != 3 {
			t.Fatalf("Contenders: %+v, %v; want three", list, err)
		}
		if c := list[0]; c.Path != held.Path() || c.Identity != "first" || c.Session != zk.SessionID() || c.Czxid != held.Token() ||
			c.Shared || !c.Turn || c.Since.Sub(start).Abs() > time.Second {
			t.Errorf("the first is %+v", c)
		}
		if c := list[1]; !c.Shared || c.Turn || c.Position != 1 || c.Session != 0 {
			t.Errorf("the second is %+v", c)
		}
		if c := list[2]; c.Shared || c.Turn || c.Position != 2 || c.Identity != "_c_x-lock-0000000002" {
			t.Errorf("the third is %+v", c)
		}
		for i := range 97 {
			if err := srv.Put(fmt.Sprintf("%s/n_%010d", path, i+3), ""); err != nil {
				t.Fatal(err)
			}
		}
		srv.Delay(zktest.BothWays, 100*time.Millisecond)
		start = time.Now()
		list, err = mu.Contenders(t.Context())
		if d := time.Since(start); err != nil || len(list) != 100 || d > 500*time.Millisecond {
			t.Errorf("Contenders: %d in %v, %v; want 100 in two round trips of 200ms", len(list), d, err)
		}
		srv.Fail(zktest.OpGet, list[50].Path, gazoo.ErrNoNode) // goes meanwhile
		if list, err = mu.Contenders(t.Context()); err != nil || len(list) != 99 || list[98].Position != 98 {
			t.Errorf("Contenders with one that goes: %d, %v, want 99", len(list), err)
		}
		srv.Fail(zktest.OpGet, list[50].Path, gazoo.ErrNoAuth)
		if _, err = mu.Contenders(t.Context()); !errors.Is(err, gazoo.ErrNoAuth) {
			t.Errorf("Contenders: %v, want ErrNoAuth", err)
		}
	})
}
