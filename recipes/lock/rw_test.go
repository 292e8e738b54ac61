package lock_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
	"github.com/gazoo-zk/gazoo/zktest"
)

func newRW(t *testing.T, zk *gazoo.Client, path string, opts ...lock.Option) *lock.RW {
	t.Helper()
	rw, err := lock.NewRW(zk, path, opts...)
	if err != nil {
		t.Fatalf("NewRW: %v", err)
	}
	return rw
}

// sides of a read/write lock with a client of its own.
func sides(t *testing.T, srv *zktest.Server, opts ...lock.Option) (read, write *lock.Mutex) {
	t.Helper()
	rw := newRW(t, recipetest.Client(t, srv), path, opts...)
	return rw.Reader(), rw.Writer()
}

var rwStyles = []lock.Style{lock.Kazoo, lock.CuratorRW, lock.Custom("w-", "r-")}

// W1 holds, R queues, W2 queues; W1 leaves: R, and then W2.
func TestReadWriteChain(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		for _, style := range rwStyles {
			dir := recipetest.Path(t)
			zk := recipetest.Dial(t, c.Hosts())
			rw := newRW(t, zk, dir, lock.WithStyle(style))
			other := newRW(t, recipetest.Dial(t, c.Hosts()), dir, lock.WithStyle(style))
			w1 := mustLock(t, rw.Writer())
			r := goLock(t.Context(), other.Reader())
			recipetest.WaitChildren(t, zk, dir, 2)
			w2 := goLock(t.Context(), rw.Writer())
			recipetest.WaitChildren(t, zk, dir, 3)
			waiting(t, r)
			mustRelease(t, w1)
			reader := got(t, r)
			if err := reader.Verify(t.Context()); err != nil { // a write, behind which W2 would have been told
				t.Errorf("style %s: Verify: %v", style.Name, err)
			}
			waiting(t, w2)
			mustRelease(t, reader)
			writer := got(t, w2)
			if w1.Token() >= reader.Token() || reader.Token() >= writer.Token() {
				t.Errorf("style %s: tokens %d, %d, %d", style.Name, w1.Token(), reader.Token(), writer.Token())
			}
			mustRelease(t, writer)
			recipetest.WaitChildren(t, zk, dir, 0)
		}
	})
}

// Readers hold together; one that comes behind a waiting writer waits with it, so that no writer starves.
func TestReadersShareAndWritersDoNotStarve(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		read, _ := sides(t, srv)
		r1, r2 := mustLock(t, read), mustLock(t, read)
		_, write := sides(t, srv)
		w := goLock(t.Context(), write)
		waitContenders(t, srv, path, 3)
		late := goLock(t.Context(), read)
		waitContenders(t, srv, path, 4)
		if _, err := read.TryLock(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryRLock behind a waiting writer: %v, want ErrBusy", err)
		}
		mustRelease(t, r2)
		synctest.Wait()
		waiting(t, w)
		mustRelease(t, r1)
		writer := got(t, w)
		synctest.Wait()
		waiting(t, late)
		mustRelease(t, writer)
		mustRelease(t, got(t, late))
		waitContenders(t, srv, path, 0)
	})
}

// A plain lock waits for readers, and they for it: Kazoo's walks past its own ReadLock.
func TestPlainLockWaitsForReaders(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		read, _ := sides(t, srv)
		plain := newLock(t, recipetest.Client(t, srv), path)
		reader := mustLock(t, read)
		ch := goLock(t.Context(), plain)
		waitContenders(t, srv, path, 2)
		synctest.Wait()
		waiting(t, ch)
		mustRelease(t, reader)
		held := got(t, ch)
		if _, err := read.TryLock(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryRLock beside a plain lock: %v, want ErrBusy", err)
		}
		mustRelease(t, held)
	})
}

// A writer becomes a reader: readers that wait come in, writers do not, and one of the two contexts is alive throughout.
func TestDowngradeLetsNoWriterIn(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		for _, style := range rwStyles {
			dir := recipetest.Path(t)
			zk := recipetest.Dial(t, c.Hosts())
			rw := newRW(t, zk, dir, lock.WithStyle(style), lock.WithIdentity([]byte("me")))
			other := newRW(t, recipetest.Dial(t, c.Hosts()), dir, lock.WithStyle(style))
			w := mustLock(t, rw.Writer())
			r := goLock(t.Context(), other.Reader())
			recipetest.WaitChildren(t, zk, dir, 2)
			w2 := goLock(t.Context(), other.Writer())
			recipetest.WaitChildren(t, zk, dir, 3)

			down, err := w.Downgrade(t.Context())
			if err != nil {
				t.Fatalf("style %s: Downgrade: %v", style.Name, err)
			}
			if err := w.Err(); !errors.Is(err, lock.ErrReleased) {
				t.Errorf("style %s: Err of the writer: %v, want ErrReleased", style.Name, err)
			}
			reader := got(t, r)
			for _, h := range []*lock.Held{down, reader} {
				if err := h.Verify(t.Context()); err != nil {
					t.Errorf("style %s: Verify: %v", style.Name, err)
				}
			}
			waiting(t, w2)
			list, err := rw.Contenders(t.Context())
			if err != nil || len(list) != 3 || list[0].Path != down.Path() || !list[0].Shared || list[0].Identity != "me" || !list[1].Turn || list[2].Turn {
				t.Errorf("style %s: contenders %+v, %v; want the former writer, the reader, the writer that waits", style.Name, list, err)
			}
			mustRelease(t, w) // a deferred one does no harm
			mustRelease(t, reader)
			mustRelease(t, down)
			writer := got(t, w2)
			if down.Token() <= w.Token() || writer.Token() <= down.Token() {
				t.Errorf("style %s: tokens: writer %d, then as a reader %d, next writer %d", style.Name, w.Token(), down.Token(), writer.Token())
			}
			mustRelease(t, writer)
			recipetest.WaitChildren(t, zk, dir, 0)
		}
	})
}

// Whatever becomes of the answer, a downgrade leaves one znode, and no gap.
func TestDowngradeResolvesALostAnswer(t *testing.T) {
	for name, op := range map[string]zktest.Action{"applied": zktest.DropReply(), "not applied": zktest.DropRequest()} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				_, write := sides(t, srv)
				w := mustLock(t, write)
				_, other := sides(t, srv)
				w2 := goLock(t.Context(), other)
				waitContenders(t, srv, path, 2)
				lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Do: op, Times: 1})
				var alive error
				context.AfterFunc(w.Context(), func() { alive = context.Cause(w.Context()) })
				down, err := w.Downgrade(t.Context())
				if err != nil || lost.Hits() != 1 {
					t.Fatalf("Downgrade: %v, with %d answers lost", err, lost.Hits())
				}
				synctest.Wait()
				if !errors.Is(alive, lock.ErrReleased) || down.Err() != nil {
					t.Errorf("the writer's context ended with %v, the reader's Err is %v", alive, down.Err())
				}
				waiting(t, w2)
				waitContenders(t, srv, path, 2)
				mustRelease(t, down)
				writer := got(t, w2)
				if w.Token() >= down.Token() || down.Token() >= writer.Token() {
					t.Errorf("tokens %d, %d, %d do not grow", w.Token(), down.Token(), writer.Token())
				}
				mustRelease(t, writer)
				waitContenders(t, srv, path, 0)
			})
		})
	}
}

// A downgrade that cannot be finished ends the tenure, and leaves nothing behind.
func TestDowngradeThatFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(srv *zktest.Server, session int64)
		want error
	}{
		{"deleted by others", func(srv *zktest.Server, _ int64) {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Times: 1, Do: zktest.Call(func(r zktest.Request) { srv.Remove(r.Paths[0]) })})
		}, tenure.ErrDeleted},
		{"expired", func(srv *zktest.Server, session int64) {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Times: 1, Do: zktest.Call(func(zktest.Request) { srv.ExpireSession(session) })})
		}, gazoo.ErrConnectionLoss},
		{"deadline, applied", func(srv *zktest.Server, session int64) {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Times: 1, Do: zktest.DelayReply(3 * time.Second)})
		}, context.DeadlineExceeded},
		{"deadline, not applied", func(srv *zktest.Server, session int64) {
			srv.Session(session).Stall(zktest.ToServer)
			time.AfterFunc(3*time.Second, srv.Heal)
		}, context.DeadlineExceeded},
		{"black hole", func(srv *zktest.Server, session int64) {
			srv.Session(session).BlackHole()
			time.AfterFunc(time.Minute, srv.Heal)
		}, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				w := mustLock(t, newRW(t, zk, path).Writer())
				_, other := sides(t, srv)
				next := goLock(t.Context(), other)
				waitContenders(t, srv, path, 2)
				tt.do(srv, zk.SessionID())
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				down, err := w.Downgrade(ctx)
				if down != nil || err == nil || !errors.Is(err, tt.want) && !gazoo.SessionLost(err) {
					t.Errorf("Downgrade: %v, %v, want %v", down, err, tt.want)
				}
				if err := w.Err(); !errors.Is(err, lock.ErrLost) {
					t.Errorf("Err: %v, want ErrLost", err)
				}
				if err := w.Release(t.Context()); !errors.Is(err, lock.ErrLost) {
					t.Errorf("Release: %v, want ErrLost", err)
				}
				mustRelease(t, got(t, next))
				waitContenders(t, srv, path, 0)
			})
		})
	}
}

// The new znode is watched like the old one: a downgraded lock is lost like any other.
func TestDowngradedLockIsLost(t *testing.T) {
	for _, opts := range [][]lock.Option{nil, {lock.WithQuorum()}} {
		recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
			zk := recipetest.Client(t, srv)
			rw := newRW(t, zk, path, opts...)
			down, err := mustLock(t, rw.Writer()).Downgrade(t.Context())
			if err != nil {
				t.Fatalf("Downgrade: %v", err)
			}
			time.Sleep(time.Minute)
			if err := down.Err(); err != nil {
				t.Fatalf("Err after a minute: %v", err)
			}
			if err := srv.Remove(down.Path()); err != nil {
				t.Fatal(err)
			}
			<-down.Context().Done()
			wantLost(t, down, tenure.ErrDeleted)

			down, err = mustLock(t, rw.Writer()).Downgrade(t.Context())
			if err != nil {
				t.Fatalf("Downgrade: %v", err)
			}
			srv.ExpireSession(zk.SessionID())
			<-down.Context().Done()
			waitContenders(t, srv, path, 0)
		})
	}
}

// The writer's number is kept over the counter's overflow, where names have a minus sign.
func TestDowngradeBehindTheOverflow(t *testing.T) {
	for _, style := range rwStyles {
		recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
			rw := newRW(t, recipetest.Client(t, srv), "/l", lock.WithStyle(style))
			for range 4 {
				down, err := mustLock(t, rw.Writer()).Downgrade(t.Context())
				if err != nil {
					t.Fatalf("Downgrade: %v", err)
				}
				w := goLock(t.Context(), rw.Writer())
				waitContenders(t, srv, "/l", 2)
				synctest.Wait()
				waiting(t, w)
				mustRelease(t, down)
				mustRelease(t, got(t, w))
			}
		}, recipetest.Numbering(t, "/l", 2147483646))
	}
}

// What cannot be downgraded stays as it is.
func TestDowngradeIsForWritersOnly(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		for _, mu := range []*lock.Mutex{newLock(t, zk, "/plain"), newRW(t, zk, path).Reader()} {
			held := mustLock(t, mu)
			if down, err := held.Downgrade(t.Context()); down != nil || !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("Downgrade: %v, %v, want ErrBadArguments", down, err)
			}
			if err := held.Verify(t.Context()); err != nil {
				t.Errorf("Verify: %v", err)
			}
			mustRelease(t, held)
		}
		held := mustLock(t, newRW(t, zk, path).Writer())
		mustRelease(t, held)
		if down, err := held.Downgrade(t.Context()); down != nil || !errors.Is(err, lock.ErrReleased) {
			t.Errorf("Downgrade behind the release: %v, %v, want ErrReleased", down, err)
		}
		for _, style := range []lock.Style{lock.Curator, lock.ZKRecipe, lock.Custom("w-", "")} {
			if rw, err := lock.NewRW(zk, path, lock.WithStyle(style)); rw != nil || !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("NewRW in style %s: %v, %v, want ErrBadArguments", style.Name, rw, err)
			}
		}
	})
}

// A reader that expires frees the writer; one that was cut off for less holds on.
func TestReadersUnderFaults(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		reader := mustLock(t, newRW(t, zk, path).Reader())
		_, write := sides(t, srv)
		w := goLock(t.Context(), write)
		waitContenders(t, srv, path, 2)
		srv.Cut()
		time.Sleep(time.Second)
		if err := reader.Verify(t.Context()); err != nil {
			t.Errorf("Verify behind a cut: %v", err)
		}
		waiting(t, w)
		srv.Session(zk.SessionID()).BlackHole()
		start := time.Now()
		<-reader.Context().Done()
		ended := time.Since(start)
		mustRelease(t, got(t, w))
		if free := time.Since(start); ended >= free {
			t.Errorf("the reader's context ended after %v, and the writer came in after %v", ended, free)
		}
		srv.Heal()
		waitContenders(t, srv, path, 0)
	})
}

// The names are those that Kazoo and Curator look for.
func TestNamesOfReaders(t *testing.T) {
	hex, uuid := `[0-9a-f]{32}`, `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	want := []string{`^` + hex + `__rlock__\d{10}$`, `^_c_` + uuid + `-__READ__\d{10}$`, `^_c_` + uuid + `-r-\d{10}$`}
	for i, style := range rwStyles {
		recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
			read, write := sides(t, srv, lock.WithStyle(style))
			reader := mustLock(t, read)
			if name := gazoo.BaseName(reader.Path()); !matches(want[i], name) {
				t.Errorf("style %s: reader %s, want it like %s", style.Name, name, want[i])
			}
			mustRelease(t, reader)
			w := mustLock(t, write)
			number := w.Path()[len(w.Path())-10:]
			down, err := w.Downgrade(t.Context())
			if err != nil {
				t.Fatalf("Downgrade: %v", err)
			}
			if name := gazoo.BaseName(down.Path()); !matches(want[i], name) || !slices.Contains([]string{number}, name[len(name)-10:]) {
				t.Errorf("style %s: downgraded to %s, want it like %s with the number %s", style.Name, name, want[i], number)
			}
		})
	}
}

// Whatever happens to a waiter, a reader or a writer, it gets in behind the holder, and nothing is left in the end.
func TestReadWriteWaitersUnderFaults(t *testing.T) {
	for name, do := range map[string]func(srv *zktest.Server, session int64){
		"cut":    func(srv *zktest.Server, _ int64) { srv.Cut() },
		"expiry": func(srv *zktest.Server, session int64) { srv.ExpireSession(session) },
		"black hole": func(srv *zktest.Server, session int64) {
			srv.Session(session).BlackHole()
			time.AfterFunc(20*time.Second, srv.Heal)
		},
		"parent removed": func(srv *zktest.Server, _ int64) { srv.Remove(path) },
		"lost events": func(srv *zktest.Server, _ int64) {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpEvent}, Do: zktest.DropRequest(), Times: 2})
		},
		"lost lists": func(srv *zktest.Server, _ int64) {
			srv.DropReply(zktest.OpChildren, "")
			srv.DropReply(zktest.OpDelete, "")
		},
		"delete not heard": func(srv *zktest.Server, _ int64) { srv.DropRequest(zktest.OpDelete, "") },
	} {
		for _, style := range rwStyles[:2] {
			for _, holder := range []string{"reader", "writer"} {
				t.Run(name+"/"+style.Name+"/"+holder, func(t *testing.T) {
					recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
						read, write := sides(t, srv, lock.WithStyle(style))
						zk := recipetest.Client(t, srv)
						waiter := newRW(t, zk, path, lock.WithStyle(style))
						m, w := write, waiter.Reader()
						if holder == "reader" {
							m, w = read, waiter.Writer()
						}
						create := srv.DropReply(zktest.OpCreate, "")
						held := mustLock(t, m)
						ch := goLock(t.Context(), w)
						waitContenders(t, srv, path, 2)
						synctest.Wait()
						do(srv, zk.SessionID())
						time.Sleep(time.Second)
						if err := held.Release(t.Context()); err != nil && name != "parent removed" {
							t.Errorf("Release: %v", err)
						}
						next := got(t, ch)
						if err := next.Verify(t.Context()); err != nil {
							t.Errorf("Verify: %v", err)
						}
						mustRelease(t, next)
						time.Sleep(time.Minute)
						if n := countChildren(srv, path); n != 0 {
							t.Errorf("%d contenders are left", n)
						}
						if create.Hits() != 1 {
							t.Error("no answer to a create was lost")
						}
					})
				})
			}
		}
	}
}
