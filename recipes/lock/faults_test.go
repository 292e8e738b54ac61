package lock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
	"github.com/gazoo-zk/gazoo/zktest"
)

// The create is applied and its answer lost: the contender is found again, and nobody waits behind an orphan.
func TestLostReplyOnEnqueueMakesOneContender(t *testing.T) {
	for name, op := range map[string]zktest.Action{"applied": zktest.DropReply(), "not applied": zktest.DropRequest()} {
		for _, style := range []lock.Style{lock.Kazoo, lock.Curator, lock.ZKRecipe} {
			t.Run(name+"/"+style.Name, func(t *testing.T) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					one := newLock(t, recipetest.Client(t, srv), path, lock.WithStyle(style))
					two := newLock(t, recipetest.Client(t, srv), path, lock.WithStyle(style))
					mustRelease(t, mustLock(t, one)) // makes the path
					lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate}, Do: op, Times: 2})
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					first, second := goLock(ctx, one), goLock(ctx, two)
					waitContenders(t, srv, path, 2)
					for range 2 {
						select {
						case r := <-first:
							mustRelease(t, r.held)
							first = nil
						case r := <-second:
							mustRelease(t, r.held)
							second = nil
						}
					}
					if lost.Hits() != 2 {
						t.Errorf("%d replies were lost, want 2", lost.Hits())
					}
					waitContenders(t, srv, path, 0)
				})
			})
		}
	}
}

// A second in line gives up; the third gets the lock although the second's context has ended.
func TestDeadlineWhileWaiting(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		held := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second := goLock(ctx, newLock(t, recipetest.Client(t, srv), path))
		waitContenders(t, srv, path, 2)
		third := goLock(t.Context(), newLock(t, recipetest.Client(t, srv), path))
		waitContenders(t, srv, path, 3)
		if r := <-second; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Fatalf("Lock: %v, want the deadline", r.err)
		}
		waitContenders(t, srv, path, 2)
		waiting(t, third)
		mustRelease(t, held)
		mustRelease(t, got(t, third))
		waitContenders(t, srv, path, 0)
		if _, found := srv.Get(path); !found {
			t.Error("the path has gone")
		}
	})
}

// The link is down while a waiter gives up: its contender goes as soon as the link is back, in the same session.
func TestDeadlineDuringADisconnect(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		held := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
		zk := recipetest.Client(t, srv)
		session := zk.SessionID()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second := goLock(ctx, newLock(t, zk, path))
		waitContenders(t, srv, path, 2)
		srv.Session(session).Refuse()
		if r := <-second; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Fatalf("Lock: %v, want the deadline", r.err)
		}
		third := goLock(t.Context(), newLock(t, recipetest.Client(t, srv), path))
		waitContenders(t, srv, path, 3)
		srv.Session(session).Heal()
		waitContenders(t, srv, path, 2)
		if zk.SessionID() != session {
			t.Error("the contender went with its session, which shows nothing")
		}
		mustRelease(t, held)
		mustRelease(t, got(t, third))
	})
}

// A wait that is canceled while the answer to its create is under way leaves nothing behind.
func TestCancelDuringEnqueue(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		mu := newLock(t, recipetest.Client(t, srv), path)
		mustRelease(t, mustLock(t, mu))
		hold := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate}, Do: zktest.HoldReply(), Times: 1})
		ctx, cancel := context.WithCancel(t.Context())
		ch := goLock(ctx, mu)
		waitContenders(t, srv, path, 1)
		cancel()
		if r := <-ch; !errors.Is(r.err, context.Canceled) {
			t.Fatalf("Lock: %v, want canceled", r.err)
		}
		hold.Release()
		waitContenders(t, srv, path, 0)
	})
}

// A release fails on the wire and the link returns: the znode goes later, and the same lock can be taken again.
func TestReleaseDuringADisconnect(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		session := zk.SessionID()
		mu := newLock(t, zk, path)
		held := mustLock(t, mu)
		srv.Session(session).Refuse()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := held.Release(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Release: %v, want the deadline", err)
		}
		if err := held.Err(); !errors.Is(err, lock.ErrReleased) {
			t.Errorf("Err: %v, want ErrReleased", err)
		}
		srv.Session(session).Heal()
		waitContenders(t, srv, path, 0)
		if zk.SessionID() != session {
			t.Error("the contender went with its session, which shows nothing")
		}
		mustRelease(t, mustLock(t, mu))
	})
}

// Nobody answers the release: it ends within the session time-out.
func TestReleaseIsBounded(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		held := mustLock(t, newLock(t, zk, path))
		srv.Session(zk.SessionID()).BlackHole()
		begin := time.Now()
		if err := held.Release(t.Context()); err == nil {
			t.Error("Release without an answer: no error")
		}
		if took := time.Since(begin); took > recipetest.SessionTimeout {
			t.Errorf("Release took %v, want at most the session time-out of %v", took, recipetest.SessionTimeout)
		}
		waitContenders(t, srv, path, 0)
	})
}

// The waiter's session ends: it queues again in the next one, at the end.
func TestExpiryWhileWaiting(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		held := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
		zk := recipetest.Client(t, srv)
		once := recipetest.Client(t, srv)
		second := goLock(t.Context(), newLock(t, zk, path))
		waitContenders(t, srv, path, 2)
		third := goLock(t.Context(), newLock(t, recipetest.Client(t, srv), path))
		waitContenders(t, srv, path, 3)
		fourth := goLock(t.Context(), newLock(t, once, path, lock.WithOneSession()))
		waitContenders(t, srv, path, 4)
		old := zk.SessionID()
		srv.ExpireSession(old)
		srv.ExpireSession(once.SessionID())
		if r := <-fourth; !gazoo.SessionLost(r.err) {
			t.Errorf("Lock with WithOneSession: %v, want the session's end", r.err)
		}
		waitContenders(t, srv, path, 3)
		synctest.Wait()
		mustRelease(t, held)
		mustRelease(t, got(t, third))
		h := got(t, second)
		if h.Session().ID() == old {
			t.Error("the lock is held by a session that has ended")
		}
		mustRelease(t, h)
		waitContenders(t, srv, path, 0)
	})
}

// A holder that is cut off for longer than its session lives knows before anybody else gets the lock.
func TestExpiryWhileHolding(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		held := mustLock(t, newLock(t, zk, path))
		next := goLock(t.Context(), newLock(t, recipetest.Client(t, srv), path))
		waitContenders(t, srv, path, 2)
		var lost time.Time
		ended := make(chan struct{})
		go func() {
			<-held.Context().Done()
			lost = time.Now()
			close(ended)
		}()
		srv.Session(zk.SessionID()).BlackHole()
		h := got(t, next)
		granted := time.Now()
		<-ended
		if margin := granted.Sub(lost); margin < recipetest.SessionTimeout/20 {
			t.Errorf("the holder knew %v before the lock was granted again, want at least a twentieth of the time-out", margin)
		}
		wantLost(t, held, gazoo.ErrSessionPresumed)
		if _, err := held.Txn().Create("/stale", nil).Commit(t.Context()); !held.Lost(err) {
			t.Errorf("a guarded write of the former holder: %v", err)
		}
		if err := held.Release(t.Context()); !errors.Is(err, lock.ErrLost) {
			t.Errorf("Release of a lost lock: %v, want ErrLost", err)
		}
		if h.Token() <= held.Token() {
			t.Errorf("token %d behind %d", h.Token(), held.Token())
		}
		mustRelease(t, h)
		if _, found := srv.Get("/stale"); found {
			t.Error("the write of the former holder was applied")
		}
	})
}

// A session that was presumed expired comes back: the handle stays ended, and its contender goes.
func TestResumedSessionGivesUpWhatWasLost(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		session := zk.SessionID()
		mu := newLock(t, zk, path)
		held := mustLock(t, mu)
		srv.Stop() // while nobody counts the session's time
		<-held.Context().Done()
		srv.Restart(zktest.KeepData)
		waitContenders(t, srv, path, 0)
		if zk.SessionID() != session {
			t.Error("the contender went with its session, which shows nothing")
		}
		wantLost(t, held, gazoo.ErrSessionPresumed)
		mustRelease(t, mustLock(t, mu))
	})
}

// Somebody deletes the holder's znode: it is told at once.
func TestDeletedHolderIsTold(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		held := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
		synctest.Wait()
		if err := srv.Remove(held.Path()); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		<-held.Context().Done()
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
		wantLost(t, held, tenure.ErrDeleted)
		if err := held.Verify(t.Context()); !errors.Is(err, lock.ErrLost) {
			t.Errorf("Verify: %v, want ErrLost", err)
		}
	})
}

// Tokens grow over expiries, a parent that is deleted, and the overflow of its counter.
func TestTokensGrow(t *testing.T) {
	const rounds = 1000
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		r := rand.New(rand.NewPCG(1, 2))
		zks := []*gazoo.Client{recipetest.Client(t, srv), recipetest.Client(t, srv), recipetest.Client(t, srv)}
		var mus []*lock.Mutex
		for _, zk := range zks {
			mus = append(mus, newLock(t, zk, "/l"))
		}
		var last int64
		expiries := 0
		for i := range rounds {
			k := r.IntN(len(mus))
			held := mustLock(t, mus[k])
			if held.Token() <= last {
				t.Fatalf("round %d: token %d behind %d", i, held.Token(), last)
			}
			last = held.Token()
			if i == rounds/2 {
				if err := srv.Remove("/l"); err != nil {
					t.Fatal(err)
				}
				<-held.Context().Done()
			}
			if r.IntN(10) == 0 {
				expiries++
				srv.ExpireSession(zks[k].SessionID())
				continue
			}
			held.Release(t.Context())
		}
		if expiries < rounds/20 {
			t.Errorf("only %d expiries", expiries)
		}
	}, recipetest.Numbering(t, "/l", 2147483647-rounds/4))
}

// The order is kept over the overflow of the counter, and nobody goes round for ever.
func TestOrderIsKeptOverTheOverflow(t *testing.T) {
	for _, style := range []lock.Style{lock.Kazoo, lock.Curator} {
		t.Run(style.Name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				held := mustLock(t, newLock(t, recipetest.Client(t, srv), "/l", lock.WithStyle(style)))
				if _, seq, _ := gazoo.SequenceOf(held.Path()); seq != 2147483646 {
					t.Fatalf("the first number is %d", seq)
				}
				var queue []<-chan result
				var order, want []int
				for i := range 5 {
					queue = append(queue, goLock(t.Context(), newLock(t, recipetest.Client(t, srv), "/l", lock.WithStyle(style))))
					waitContenders(t, srv, "/l", i+2)
					synctest.Wait()
					want = append(want, i)
				}
				for range queue {
					mustRelease(t, held)
					synctest.Wait()
					for i, ch := range queue {
						select {
						case r := <-ch:
							order, held = append(order, i), r.held
						default:
						}
					}
				}
				if !slices.Equal(order, want) {
					t.Errorf("order %v, want %v", order, want)
				}
				mustRelease(t, held)
			}, recipetest.Numbering(t, "/l", 2147483646))
		})
	}
}

// The parent goes between its making and the create, and while somebody waits.
func TestParentIsRemoved(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		mu := newLock(t, recipetest.Client(t, srv), path)
		remove := srv.Add(zktest.Rule{
			Match: zktest.Match{Op: zktest.OpCreate, If: func(r zktest.Request) bool { return r.Path != "/locks" && r.Path != path }},
			Do:    zktest.Call(func(zktest.Request) { srv.Remove("/locks") }), Times: 3,
		})
		held := mustLock(t, mu)
		if remove.Hits() != 3 {
			t.Errorf("the parent was removed %d times", remove.Hits())
		}
		second := goLock(t.Context(), newLock(t, recipetest.Client(t, srv), path))
		waitContenders(t, srv, path, 2)
		synctest.Wait()
		if err := srv.Remove("/locks"); err != nil {
			t.Fatal(err)
		}
		<-held.Context().Done()
		mustRelease(t, got(t, second))
	})
}

// In quorum mode a holder whose server is cut off from the others gives up in time, although that server goes on
// answering it. In the default mode it cannot know.
func TestQuorumModeEndsBehindAServerThatIsCutOff(t *testing.T) {
	for _, quorum := range []bool{true, false} {
		t.Run(fmt.Sprint(quorum), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				dial := gazoo.WithHostOrder()
				zk := recipetest.Client(t, srv, dial)
				var opts []lock.Option
				if quorum {
					opts = append(opts, lock.WithQuorum())
				}
				held := mustLock(t, newLock(t, zk, path, opts...))
				time.Sleep(time.Minute)
				if err := held.Err(); err != nil {
					t.Fatalf("Err while all is well: %v", err)
				}
				begin := time.Now()
				srv.Session(zk.SessionID()).Endpoint().Freeze() // pings and reads are answered, writes are not
				time.Sleep(recipetest.SessionTimeout / 2)
				synctest.Wait()
				if !quorum {
					if err := held.Err(); err != nil {
						t.Errorf("Err in the default mode: %v", err)
					}
					return
				}
				if err := held.Err(); err == nil {
					t.Errorf("still held %v after the last write could be committed", time.Since(begin))
				}
				wantLost(t, held, tenure.ErrUnverified)
			}, zktest.Endpoints(3))
		})
	}
}

// The context ends while the answer to the create is lost and cannot be asked for: that is what Lock says.
func TestDeadlineWhileAnEnqueueIsInDoubt(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		mu := newLock(t, zk, path)
		mustRelease(t, mustLock(t, mu))
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate}, Do: zktest.HoldReply(), Times: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ch := goLock(ctx, mu)
		waitContenders(t, srv, path, 1)
		srv.Session(zk.SessionID()).Refuse()
		if r := <-ch; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("Lock: %v, want the deadline", r.err)
		}
		srv.Session(zk.SessionID()).Heal()
		waitContenders(t, srv, path, 0)
	})
}

// A quorum-verified lock whose first write is not answered in time was not to be had by that contender. The next one
// gets it.
func TestQuorumModeTriesAgainWhenItCannotBegin(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		mu := newLock(t, recipetest.Client(t, srv), path, lock.WithQuorum())
		held := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Do: zktest.HoldReply(), Times: 1})
		mustRelease(t, mustLock(t, mu))
		if held.Hits() != 1 {
			t.Errorf("%d writes without an answer, want 1", held.Hits())
		}
		waitContenders(t, srv, path, 0)
	})
}
