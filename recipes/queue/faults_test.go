package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/queue"
	"github.com/gazoo-zk/gazoo/zktest"
)

// The answer to a put is lost. It is repeated only when it was certainly not applied.
func TestLostReplyToAPut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault zktest.Action
		busy  bool // others put meanwhile
		doubt bool
	}{
		{"not applied", zktest.DropRequest(), false, false},
		{"applied", zktest.DropReply(), false, true},
		{"not applied, but others put", zktest.DropRequest(), true, true},
	} {
		for _, batch := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, batch %v", tt.name, batch), func(t *testing.T) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					zk := recipetest.Client(t, srv)
					q := newQueue(t, zk, path)
					mustPut(t, q, "first")
					op, items := zktest.OpCreate, []string{"x"}
					if batch {
						op, items = zktest.OpMulti, []string{"x", "x"}
					}
					if tt.busy {
						srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpConnect}, Times: 1, Do: zktest.Call(func(zktest.Request) {
							srv.Put(path+"/entry-100-0000000077", "other")
						})})
					}
					srv.Add(zktest.Rule{Match: zktest.Match{Op: op}, Times: 1, Do: tt.fault})
					err := q.PutAll(t.Context(), items)
					if !tt.doubt && err != nil || tt.doubt && !gazoo.MaybeApplied(err) {
						t.Errorf("Put = %v; in doubt: want %v", err, tt.doubt)
					}
					n := 0
					for _, item := range drain(t, q) {
						if item == "x" {
							n++
						}
					}
					if n > len(items) || err == nil && n != len(items) {
						t.Errorf("%d items arrived of %d", n, len(items))
					}
				})
			})
		}
	}
}

// The answer to the removal of an item is lost: when it was not applied the item is delivered, and otherwise the error
// carries it.
func TestLostReplyToATake(t *testing.T) {
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprint("applied ", applied), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				q := newQueue(t, recipetest.Client(t, srv), path)
				mustPut(t, q, "x")
				mustPut(t, q, "y")
				if applied {
					srv.DropReply(zktest.OpDelete, "")
				} else {
					srv.DropRequest(zktest.OpDelete, "")
				}
				item, err := q.Take(t.Context())
				if !applied {
					if item != "x" || err != nil {
						t.Errorf("Take = %q, %v, want x", item, err)
					}
				} else {
					doubt, ok := errors.AsType[*queue.DoubtError](err)
					if !ok || string(doubt.Data) != "x" || !errors.Is(err, queue.ErrInDoubt) || !gazoo.MaybeApplied(err) {
						t.Errorf("Take = %q, %v, want a DoubtError with x", item, err)
					}
				}
				requireItems(t, drain(t, q), "y")
			})
		})
	}
}

// A context that ends while the removal is under way does not lose the item.
func TestCancelWhileRemoving(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		q := newQueue(t, recipetest.Client(t, srv), path)
		mustPut(t, q, "x")
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpDelete}, Do: zktest.DelayReply(500 * time.Millisecond), Times: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if item, err := q.Take(ctx); item != "x" || err != nil {
			t.Errorf("Take = %q, %v, want x", item, err)
		}
		// It is not waited for longer than a second.
		mustPut(t, q, "y")
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpDelete}, Do: zktest.DelayReply(time.Minute), Times: 1})
		ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if item, err := q.Take(ctx); !errors.Is(err, queue.ErrInDoubt) {
			t.Errorf("Take = %q, %v, want a DoubtError", item, err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("Take came back after %v", d)
		}
	})
}

// Two consumers with the same list: entries that vanish between list and read are passed by.
func TestVanishedEntriesAreSkipped(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q, locking := newQueue(t, zk, "/q"), newLocking(t, zk, "/l")
		for i := range 10 {
			mustPut(t, q, fmt.Sprint(i))
			mustPut(t, locking, fmt.Sprint(i))
		}
		if item, err := q.Get(t.Context()); item != "0" || err != nil {
			t.Fatal(item, err)
		}
		mustConsume(t, mustTake(t, locking))
		for i := 1; i < 10; i++ {
			if i != 7 {
				srv.Remove(fmt.Sprintf("/q/entry-100-%010d", i))
				srv.Remove(fmt.Sprintf("/l/entries/entry-100-%010d", i))
			}
		}
		if item, err := q.Get(t.Context()); item != "7" || err != nil {
			t.Errorf("Get = %q, %v, want 7", item, err)
		}
		if item := mustTake(t, locking); item.Value != "7" {
			t.Errorf("Take = %q, want 7", item.Value)
		}
		if left := names(t, srv, "/l/taken"); len(left) != 1 {
			t.Errorf("locks %v, want the one on 7 alone", left)
		}
	})
}

// The answer to the lock on an item is lost: one lock is there, and it is held by whoever has the item.
func TestLostReplyToALock(t *testing.T) {
	for name, fault := range map[string]zktest.Action{"applied": zktest.DropReply(), "not applied": zktest.DropRequest()} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				q := newLocking(t, recipetest.Client(t, srv), path)
				mustPut(t, q, "x")
				mustConsume(t, mustTake(t, q)) // the path is there
				mustPut(t, q, "y")
				lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate, Under: path + "/taken"}, Do: fault, Times: 1})
				item := mustTake(t, q)
				if lost.Hits() != 1 || item.Value != "y" {
					t.Fatalf("%d answers lost, took %q", lost.Hits(), item.Value)
				}
				if held, err := item.Holds(t.Context()); !held || err != nil {
					t.Errorf("Holds = %v, %v", held, err)
				}
				mustConsume(t, item)
				time.Sleep(time.Minute)
				if left := names(t, srv, path+"/taken"); len(left) != 0 {
					t.Errorf("locks are left: %v", left)
				}
			})
		})
	}
}

// A take is given up while the answer to its lock is lost: nothing stays locked.
func TestCanceledLockIsTakenBack(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q := newLocking(t, zk, path)
		mustPut(t, q, "x")
		srv.Put(path+"/taken", "")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate, Under: path + "/taken"}, Do: zktest.DropReply(), Times: 1})
		away := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpConnect, Session: zk.SessionID()}, Do: zktest.HoldRequest(), Times: 1})
		done := make(chan error, 1)
		go func() {
			_, err := q.Take(ctx)
			done <- err
		}()
		lost.Wait(t.Context())
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Take = %v, want the context's error", err)
		}
		if left := names(t, srv, path+"/taken"); len(left) != 1 {
			t.Fatalf("locks %v, want the one whose answer was lost", left)
		}
		away.Release()
		if item := mustTake(t, newLocking(t, recipetest.Client(t, srv), path)); item.Value != "x" {
			t.Errorf("took %q", item.Value)
		}
	})
}

// The answer to Consume is lost: the outcome is found out.
func TestLostReplyToConsume(t *testing.T) {
	for name, fault := range map[string]zktest.Action{"applied": zktest.DropReply(), "not applied": zktest.DropRequest()} {
		for _, requeue := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", requeue ", requeue), func(t *testing.T) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					q := newLocking(t, recipetest.Client(t, srv), path)
					mustPut(t, q, "x")
					item := mustTake(t, q)
					lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Do: fault, Times: 1})
					want := 0
					if requeue {
						want = 1
						if err := item.Requeue(t.Context()); err != nil {
							t.Errorf("Requeue = %v", err)
						}
					} else if err := item.Consume(t.Context()); err != nil {
						t.Errorf("Consume = %v", err)
					}
					time.Sleep(time.Minute)
					if entries, locks := names(t, srv, path+"/entries"), names(t, srv, path+"/taken"); lost.Hits() != 1 || len(entries) != want || len(locks) != 0 {
						t.Errorf("%d answers lost, entries %v, locks %v", lost.Hits(), entries, locks)
					}
				})
			})
		}
	}
}

// The answer to a Release is lost and its repetition late: another consumer's lock on the item is left alone.
func TestLateReleaseLeavesTheNextLockAlone(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		one, two := newLocking(t, zk, path), newLocking(t, recipetest.Client(t, srv), path)
		mustPut(t, one, "x")
		item := mustTake(t, one)
		var second *queue.Item[string]
		// The delete is applied and its answer lost; before the client is back, another consumer has the item.
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpDelete, Session: zk.SessionID()}, Do: zktest.DropReply(), Times: 1})
		taken := make(chan struct{})
		go func() {
			second = mustTake(t, two)
			close(taken)
		}()
		synctest.Wait()
		refuse := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpConnect}, Do: zktest.HoldRequest(), Times: 1})
		released := make(chan error)
		go func() { released <- item.Release(t.Context()) }()
		<-taken
		refuse.Release()
		if err := <-released; err != nil {
			t.Errorf("Release = %v", err)
		}
		time.Sleep(time.Minute)
		if held, err := second.Holds(t.Context()); !held || err != nil {
			t.Errorf("the second holder lost the item: %v, %v, %v", held, err, second.Err())
		}
	})
}

// Cut and expired while everybody waits: nobody stalls, and what is put afterwards arrives.
func TestWaitersSurvive(t *testing.T) {
	for name, fault := range map[string]func(*zktest.Server, int64){
		"cut":        func(srv *zktest.Server, id int64) { srv.Session(id).Cut() },
		"expired":    func(srv *zktest.Server, id int64) { srv.ExpireSession(id) },
		"restarted":  func(srv *zktest.Server, _ int64) { srv.Restart(zktest.KeepData) },
		"wiped":      func(srv *zktest.Server, _ int64) { srv.Restart(zktest.LoseData) },
		"path gone":  func(srv *zktest.Server, _ int64) { srv.Remove("/q"); srv.Remove("/l") },
		"watch lost": func(srv *zktest.Server, id int64) { srv.Session(id).BlackHole(); time.Sleep(time.Hour); srv.Heal() },
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				q, locking := newQueue(t, zk, "/q"), newLocking(t, zk, "/l")
				one, two := make(chan string, 1), make(chan string, 1)
				go func() {
					item, err := q.Take(t.Context())
					one <- fmt.Sprint(item, err)
				}()
				go func() {
					item, err := locking.Take(t.Context())
					if err != nil {
						two <- err.Error()
						return
					}
					two <- item.Value
					item.Consume(t.Context())
				}()
				synctest.Wait()
				fault(srv, zk.SessionID())
				time.Sleep(time.Minute)
				producer := recipetest.Client(t, srv)
				mustPut(t, newQueue(t, producer, "/q"), "a")
				mustPut(t, newLocking(t, producer, "/l"), "b")
				requireItems(t, []string{<-one, <-two}, "a<nil>", "b")
			})
		})
	}
}

// The path is deleted between two puts, and between a list and a take.
func TestDeletedPathIsMadeAgain(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q, locking := newQueue(t, zk, "/q"), newLocking(t, zk, "/l")
		capped := newQueue(t, zk, "/q", queue.WithCapacity(5))
		for round := range 3 {
			mustPut(t, q, "a")
			mustPut(t, capped, "b")
			if err := q.PutAll(t.Context(), []string{"c", "d"}); err != nil {
				t.Fatal(err)
			}
			requireItems(t, drain(t, q), "a", "b", "c", "d")
			mustPut(t, locking, "x")
			item := mustTake(t, locking)
			if item.Value != "x" {
				t.Errorf("took %q", item.Value)
			}
			for _, p := range []string{"/q", "/l"} {
				if err := srv.Remove(p); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
			}
			if err := item.Consume(t.Context()); !errors.Is(err, queue.ErrLost) {
				t.Errorf("Consume of an item that has gone: %v, want ErrLost", err)
			}
		}
	})
}

// What cannot be decoded is told once, stays, and stalls nobody.
func TestUndecodableItems(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q, err := queue.New(zk, "/q", queue.JSON[int]())
		if err != nil {
			t.Fatal(err)
		}
		locking, err := queue.NewLocking(zk, "/c", queue.JSON[int](), queue.WithStyle(queue.Curator), queue.WithLockPath("/c-locks"))
		if err != nil {
			t.Fatal(err)
		}
		srv.Put("/q/entry-100-0000000000", "no number")
		srv.Put("/c/queue-0000000000", "no frame")
		if err := q.Put(t.Context(), 42); err != nil {
			t.Fatal(err)
		}
		if err := locking.Put(t.Context(), 43); err != nil {
			t.Fatal(err)
		}
		_, err = q.Take(t.Context())
		if bad, ok := errors.AsType[*queue.DecodeError](err); !ok || bad.Path != "/q/entry-100-0000000000" || string(bad.Data) != "no number" {
			t.Errorf("Take = %v, want a DecodeError", err)
		}
		if n, err := q.Take(t.Context()); n != 42 || err != nil {
			t.Errorf("Take = %d, %v, want 42", n, err)
		}
		if _, err := q.Get(t.Context()); !errors.Is(err, queue.ErrEmpty) {
			t.Errorf("Get = %v, want ErrEmpty", err)
		}
		_, err = locking.Take(t.Context())
		if bad, ok := errors.AsType[*queue.DecodeError](err); !ok || bad.Path != "/c/queue-0000000000" {
			t.Errorf("Take = %v, want a DecodeError", err)
		}
		item, err := locking.Take(t.Context())
		if err != nil || item.Value != 43 {
			t.Fatalf("Take = %v, %v, want 43", item, err)
		}
		if err := item.Consume(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		srv.RequireTree(t, `
			/c
			/c-locks
			/c/queue-0000000000 "no frame"
			/q
			/q/entry-100-0000000000 "no number"
		`)
	})
}

// An item's consumer ends it while no server answers, and its session is presumed expired over that. When the session
// comes back the lock must not come back with it: nobody else could ever have the item.
func TestConsumeInASessionThatComesBack(t *testing.T) {
	for name, end := range map[string]func(*queue.Item[string], context.Context) error{
		"consume": (*queue.Item[string]).Consume, "requeue": (*queue.Item[string]).Requeue,
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				q := newLocking(t, zk, path)
				mustPut(t, q, "x")
				item, session := mustTake(t, q), zk.SessionID()
				srv.Stop()
				synctest.Wait() // the client knows: what it is asked for is not sent
				if err := end(item, t.Context()); !errors.Is(err, queue.ErrLost) {
					t.Fatalf("%s = %v, want ErrLost when the session is presumed expired", name, err)
				}
				srv.Restart(zktest.KeepData)
				again := mustTake(t, q)
				if again.Value != "x" || zk.SessionID() != session {
					t.Errorf("took %q in session %x, want x in session %x, which came back", again.Value, zk.SessionID(), session)
				}
				mustConsume(t, again)
				recipetest.WaitChildren(t, zk, path+"/taken", 0)
			})
		})
	}
}

// The time of a poll is over when the session is presumed expired, to the moment: as in a process that was stopped for
// longer than both. It is the time that is told.
func TestPollEndsWithTheSession(t *testing.T) {
	for range 20 {
		recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
			zk := recipetest.Client(t, srv)
			locking, plain := newLocking(t, zk, path), newQueue(t, zk, "/plain")
			mustPut(t, locking, "x")
			mustConsume(t, mustTake(t, locking))
			srv.Stall(zktest.BothWays)
			d := zk.SessionTimeout() - zk.SessionTimeout()/10
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := locking.Poll(t.Context(), d); err != queue.ErrEmpty {
					t.Errorf("Poll of a locking queue: %v, want ErrEmpty", err)
				}
			})
			wg.Go(func() {
				if _, err := plain.Poll(t.Context(), d); err != queue.ErrEmpty {
					t.Errorf("Poll: %v, want ErrEmpty", err)
				}
			})
			wg.Wait()
			srv.Heal()
		})
	}
}
