package lock_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zkserver"
	"github.com/gazoo-zk/gazoo/zktest"
)

// Many contenders of several clients: one at a time, in the order of the queue, each with a higher token.
func TestOneHolderAtATime(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		var mu sync.Mutex
		var inside int
		var tokens []int64
		var wg sync.WaitGroup
		for range 4 {
			m := newLock(t, recipetest.Dial(t, c.Hosts()), path)
			for range 3 {
				wg.Go(func() {
					for range 3 {
						held, err := m.Lock(t.Context())
						if err != nil {
							t.Errorf("Lock: %v", err)
							return
						}
						mu.Lock()
						inside++
						if inside != 1 {
							t.Errorf("%d holders at once", inside)
						}
						tokens = append(tokens, held.Token())
						mu.Unlock()
						if err := held.Verify(t.Context()); err != nil {
							t.Errorf("Verify: %v", err)
						}
						mu.Lock()
						inside--
						mu.Unlock()
						if err := held.Release(t.Context()); err != nil {
							t.Errorf("Release: %v", err)
						}
					}
				})
			}
		}
		wg.Wait()
		if len(tokens) != 36 || !slices.IsSorted(tokens) || len(slices.Compact(slices.Clone(tokens))) != 36 {
			t.Errorf("tokens %v: want 36, each above the one before", tokens)
		}
		if left := recipetest.Children(t, recipetest.Dial(t, c.Hosts()), path); len(left) != 0 {
			t.Errorf("contenders left behind: %v", left)
		}
	})
}

// Nobody in the way: create, list, look at the own znode with a watch, delete.
func TestUncontendedLockTakesFourRequests(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		mu := newLock(t, recipetest.Client(t, srv), path)
		mustRelease(t, mustLock(t, mu)) // makes the path
		synctest.Wait()
		before := len(srv.Log())
		held := mustLock(t, mu)
		synctest.Wait()
		mustRelease(t, held)
		var ops []string
		for _, e := range srv.Log()[before:] {
			if e.Request.Op != zktest.OpEvent {
				ops = append(ops, e.Request.Op.String())
			}
		}
		if len(ops) != 4 {
			t.Errorf("requests: %v, want 4", ops)
		}
	})
}

// A release wakes one waiter, which needs as many requests as if it were alone.
func TestReleaseWakesOneOfAThousand(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		const waiters = 1000
		first := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
		clients := make([]*lock.Mutex, 10)
		for i := range clients {
			clients[i] = newLock(t, recipetest.Client(t, srv), path)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waits := make([]<-chan result, waiters)
		for i := range waits {
			waits[i] = goLock(ctx, clients[i%len(clients)])
		}
		waitContenders(t, srv, path, waiters+1)
		synctest.Wait()
		const rounds = 20
		requests := srv.Add(zktest.Rule{Match: zktest.Match{If: func(zktest.Request) bool { return true }}, Do: zktest.DelayRequest(0)})
		events := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpEvent}, Do: zktest.DelayReply(0)})
		held := first
		for range rounds {
			mustRelease(t, held)
			synctest.Wait()
			var next []*lock.Held
			for _, ch := range waits {
				select {
				case r := <-ch:
					next = append(next, r.held)
				default:
				}
			}
			if len(next) != 1 {
				t.Fatalf("%d waiters got the lock, want 1", len(next))
			}
			held = next[0]
		}
		// Of each: delete, the waiter's list, a look at its own znode; the watch of the old holder and the waiter's. A
		// waiter that looks twice is no matter, a herd would be a thousand.
		fmt.Printf("cost: waiters=%d releases=%d requests=%d events=%d\n", waiters, rounds, requests.Hits(), events.Hits())
		if r, e := requests.Hits(), events.Hits(); r > 10*rounds || e > 2*rounds {
			t.Errorf("%d releases took %d requests and %d events, want at most 10 and 2 each", rounds, r, e)
		}
		cancel()
		mustRelease(t, held)
		waitContenders(t, srv, path, 0)
	})
}

func TestTryLock(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		mu := newLock(t, recipetest.Dial(t, c.Hosts()), path)
		other := newLock(t, recipetest.Dial(t, c.Hosts()), path)
		held, err := mu.TryLock(t.Context())
		if err != nil {
			t.Fatalf("TryLock: %v", err)
		}
		if _, err := other.TryLock(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryLock of a held lock: %v, want ErrBusy", err)
		}
		if names := recipetest.Children(t, recipetest.Dial(t, c.Hosts()), path); len(names) != 1 {
			t.Errorf("contenders behind a TryLock of a held lock: %q, want the holder alone", names)
		}
		mustRelease(t, held)
		held, err = other.TryLock(t.Context())
		if err != nil {
			t.Fatalf("TryLock of a free lock: %v", err)
		}
		mustRelease(t, held)
	})
}

// A try that fails has gone from the queue when it returns: it would be in the way of the next one.
func TestTryLockLeavesNothing(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		held := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
		other := newLock(t, recipetest.Client(t, srv), path)
		before := srv.Dump(zktest.Below(path))
		if _, err := other.TryLock(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Fatalf("TryLock of a held lock: %v, want ErrBusy", err)
		}
		if after := srv.Dump(zktest.Below(path)); after != before {
			t.Errorf("behind a TryLock of a held lock there is\n%s\nwant\n%s", after, before)
		}
		mustRelease(t, held)
	})
}

// The children of others in the directory do not matter, whatever they are called.
func TestForeignChildrenAreIgnored(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		for _, name := range []string{"config", "0000000000", "item-0000000000", "lock", "-0000000000", "lock-12", "x-0000000000"} {
			if err := srv.Put(path+"/"+name, ""); err != nil {
				t.Fatal(err)
			}
		}
		mustRelease(t, mustLock(t, newLock(t, recipetest.Client(t, srv), path)))
	})
}

// Contenders of all libraries are waited for, in all styles.
func TestContendersOfOtherLibrariesAreUnderstood(t *testing.T) {
	hex := strings.Repeat("0123abcd", 4)
	uuid := "8f9a1b2c-0d1e-4f20-a1b2-c3d4e5f60718"
	names := []string{
		hex + "__lock__0000000000", hex + "__rlock__0000000000",
		"_c_" + uuid + "-lock-0000000000", "_c_" + uuid + "-latch-0000000000",
		"_c_" + uuid + "-__READ__0000000000", "_c_" + uuid + "-__WRIT__0000000000",
		"_c_" + hex + "-lock-0000000000", "lock-0000000000",
		"x-72057594037927936-0000000000", "x-0100000000000000-0000000000",
		"n_0000000000", "ex0000000000", "sh0000000000", "latch-host1-0000000000",
		hex + "-mine-0000000000",
	}
	styles := map[string]lock.Style{
		"kazoo": lock.Kazoo, "curator": lock.Curator, "curatorRW": lock.CuratorRW, "zkRecipe": lock.ZKRecipe,
		"custom": lock.Custom("mutex-", ""),
	}
	for style, s := range styles {
		for _, name := range names {
			t.Run(style+"/"+name, func(t *testing.T) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					if err := srv.Put("/l/"+name, ""); err != nil {
						t.Fatal(err)
					}
					mu := newLock(t, recipetest.Client(t, srv), "/l", lock.WithStyle(s), lock.WithMarkers("-mine-"))
					ch := goLock(t.Context(), mu)
					waitContenders(t, srv, "/l", 2)
					synctest.Wait()
					waiting(t, ch)
					if err := srv.Remove("/l/" + name); err != nil {
						t.Fatal(err)
					}
					mustRelease(t, got(t, ch))
				})
			})
		}
	}
}

// The names are those that the other libraries look for.
func TestNamesOfTheStyles(t *testing.T) {
	hex := `[0-9a-f]{32}`
	uuid := `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	for _, tt := range []struct {
		style lock.Style
		want  string
	}{
		{lock.Kazoo, `^` + hex + `__lock__\d{10}$`},
		{lock.Curator, `^_c_` + uuid + `-lock-\d{10}$`},
		{lock.CuratorRW, `^_c_` + uuid + `-__WRIT__\d{10}$`},
		{lock.ZKRecipe, `^x-` + hex + `-\d+-\d{10}$`},
		{lock.Custom("mine-", ""), `^_c_` + uuid + `-mine-\d{10}$`},
	} {
		recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
			held := mustLock(t, newLock(t, recipetest.Client(t, srv), path, lock.WithStyle(tt.style)))
			if name := gazoo.BaseName(held.Path()); !matches(tt.want, name) {
				t.Errorf("style %s: contender %s, want it like %s", tt.style.Name, name, tt.want)
			}
		})
	}
}

func TestDoRunsWhileHeld(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		mu := newLock(t, zk, path)
		ran := false
		err := mu.Do(t.Context(), func(ctx context.Context, held *lock.Held) error {
			ran = true
			if _, err := mu.TryLock(ctx); !errors.Is(err, lock.ErrBusy) {
				t.Errorf("TryLock inside of Do: %v, want ErrBusy", err)
			}
			return held.Err()
		})
		if err != nil || !ran {
			t.Errorf("Do: %v, ran %v", err, ran)
		}
		waitContenders(t, srv, path, 0)

		// fn learns of the loss, and so does the caller of Do though fn does not mind.
		err = mu.Do(t.Context(), func(ctx context.Context, held *lock.Held) error {
			srv.ExpireSession(zk.SessionID())
			<-ctx.Done()
			return nil
		})
		if !errors.Is(err, lock.ErrLost) {
			t.Errorf("Do with a lock that was lost: %v, want ErrLost", err)
		}
		broken := errors.New("broken")
		if err := mu.Do(t.Context(), func(context.Context, *lock.Held) error { return broken }); err != broken {
			t.Errorf("Do: %v, want fn's error", err)
		}
		waitContenders(t, srv, path, 0)
	})
}

func TestBadArgumentsOfALock(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		before := len(srv.Log())
		for name, make := range map[string]func() (*lock.Mutex, error){
			"client": func() (*lock.Mutex, error) { return lock.New(nil, "/l") },
			"path":   func() (*lock.Mutex, error) { return lock.New(zk, "l/") },
			"style":  func() (*lock.Mutex, error) { return lock.New(zk, "/l", lock.WithStyle(lock.Style{})) },
			"empty":  func() (*lock.Mutex, error) { return lock.New(zk, "/l", lock.WithStyle(lock.Custom("", ""))) },
			"marker": func() (*lock.Mutex, error) { return lock.New(zk, "/l", lock.WithMarkers("")) },
		} {
			if mu, err := make(); mu != nil || !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, %v, want ErrBadArguments", name, mu, err)
			}
		}
		if n := len(srv.Log()); n != before {
			t.Errorf("%d requests were sent", n-before)
		}
	})
}

// A lock that is not ephemeral outlives its session, and is released by its handle all the same.
func TestLastingLockOutlivesTheSession(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		held := mustLock(t, newLock(t, zk, path, lock.WithLasting()))
		srv.ExpireSession(zk.SessionID())
		time.Sleep(time.Minute)
		if err := held.Err(); err != nil {
			t.Errorf("Err behind an expiry: %v", err)
		}
		if err := held.Verify(t.Context()); err != nil {
			t.Errorf("Verify behind an expiry: %v", err)
		}
		if _, err := newLock(t, recipetest.Client(t, srv), path).TryLock(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryLock: %v, want ErrBusy", err)
		}
		mustRelease(t, held)
		waitContenders(t, srv, path, 0)
	})
}

// The values of the context that took the lock are there, its end is not.
func TestContextOfTheHolder(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
		held, err := newLock(t, recipetest.Client(t, srv), path).Lock(ctx)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := held.Err(); err != nil {
			t.Errorf("Err: %v", err)
		}
		if v := held.Context().Value(key{}); v != "v" {
			t.Errorf("value %v", v)
		}
		// Its own context has ended: it is released all the same.
		if err := held.Release(ctx); err != nil {
			t.Errorf("Release: %v", err)
		}
		if err := held.Err(); !errors.Is(err, lock.ErrReleased) {
			t.Errorf("Err behind the release: %v, want ErrReleased", err)
		}
		waitContenders(t, srv, path, 0)
		if err := held.Release(t.Context()); err != nil {
			t.Errorf("the second Release: %v, want what the first returned", err)
		}
	})
}

func ExampleMutex_Lock() {
	srv, zk := demo()
	defer srv.Close()
	defer zk.Close()
	ctx := context.Background()

	mu, err := lock.New(zk, "/locks/report")
	if err != nil {
		panic(err)
	}
	held, err := mu.Lock(ctx)
	if err != nil {
		panic(err)
	}
	defer held.Release(ctx)

	// Whoever writes the report checks that nobody else may do so.
	_, err = held.Txn().Create("/report", []byte("done")).Commit(ctx)
	fmt.Println(err, held.Err())
	// Output: <nil> <nil>
}

// demo starts a server in memory and a client.
func demo() (*zktest.Server, *gazoo.Client) {
	srv, err := zktest.New()
	if err != nil {
		panic(err)
	}
	zk, err := gazoo.Connect(context.Background(), srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		panic(err)
	}
	return srv, zk
}

// The path is a container: the server removes it when nobody has used it for a while.
func TestUnusedPathIsRemoved(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		mu := newLock(t, recipetest.Client(t, srv), path)
		held := mustLock(t, mu)
		time.Sleep(time.Hour)
		if _, found := srv.Get(path); !found {
			t.Error("the path of a held lock has gone")
		}
		mustRelease(t, held)
		zktest.Eventually(t, "the path has gone", func() bool {
			time.Sleep(time.Second)
			_, found := srv.Get(path)
			return !found
		})
		mustRelease(t, mustLock(t, mu))
	}, zktest.WithServer(zkserver.WithReapInterval(time.Second)))
}
