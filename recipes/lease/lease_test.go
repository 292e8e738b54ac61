package lease_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lease"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

const path = "/leases/cleanup"

// clock is one that the test sets.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func at(text string) *clock {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return &clock{t}
}

func newLease(t testing.TB, zk *gazoo.Client, path string, d time.Duration, opts ...lease.Option) *lease.Lease {
	t.Helper()
	l, err := lease.New(zk, path, d, opts...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return l
}

func mustObtain(t testing.TB, l interface {
	Obtain(context.Context) (*lease.Grant, error)
},
) *lease.Grant {
	t.Helper()
	grant, err := l.Obtain(t.Context())
	if err != nil {
		t.Fatalf("Obtain: %v", err)
	}
	return grant
}

func requireTaken(t testing.TB, err error, holder string) {
	t.Helper()
	taken, ok := errors.AsType[*lease.TakenError](err)
	if !ok || taken.Holder != holder || !errors.Is(err, lease.ErrTaken) {
		t.Fatalf("Obtain = %v, want it taken by %q", err, holder)
	}
}

// Taken by others until its end, renewed by its holder, taken over when it has ended: by the clocks of those who ask.
func TestLease(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t) + "/lease"
		clock := at("2026-03-01T12:00:00.7+02:00")
		one := newLease(t, recipetest.Dial(t, c.Hosts()), path, time.Hour, lease.WithHolder("one"), lease.WithClock(clock.now))
		two := newLease(t, recipetest.Dial(t, c.Hosts()), path, time.Minute, lease.WithHolder("two"), lease.WithClock(clock.now))
		if _, found, err := one.Current(t.Context()); found || err != nil {
			t.Errorf("Current = %v, %v before there is one", found, err)
		}
		first := mustObtain(t, one)
		if want := at("2026-03-01T11:00:00Z").Time; !first.End.Equal(want) || first.Holder != "one" {
			t.Errorf("granted to %q until %v, want one until %v", first.Holder, first.End, want)
		}
		_, err := two.Obtain(t.Context())
		requireTaken(t, err, "one")
		clock.Time = clock.Add(30 * time.Minute)
		second := mustObtain(t, one)
		if !second.End.Equal(first.End.Add(30*time.Minute)) || second.Token() <= first.Token() {
			t.Errorf("renewed until %v with token %d, was %v and %d", second.End, second.Token(), first.End, first.Token())
		}
		clock.Time = second.End.Add(-time.Second)
		_, err = two.Obtain(t.Context())
		requireTaken(t, err, "one")
		if err := second.Err(); err != nil {
			t.Errorf("Err = %v before the end", err)
		}
		clock.Time = second.End
		if err := second.Err(); !errors.Is(err, lease.ErrExpired) {
			t.Errorf("Err = %v at the end, want ErrExpired", err)
		}
		third := mustObtain(t, two)
		if third.Token() <= second.Token() {
			t.Errorf("token %d behind %d", third.Token(), second.Token())
		}
		_, err = one.Obtain(t.Context())
		requireTaken(t, err, "two")
		requireTaken(t, one.Release(t.Context()), "two")
		if err := two.Release(t.Context()); err != nil {
			t.Errorf("Release: %v", err)
		}
		mustObtain(t, one)
		if record, found, err := two.Current(t.Context()); !found || record.Holder != "one" || err != nil {
			t.Errorf("Current = %v, %v, %v", record, found, err)
		}
	})
}

// The record is Kazoo's, byte for byte what its parser wants, and outlives the session.
func TestRecordIsKazoos(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		l := newLease(t, zk, path, 90*time.Second, lease.WithHolder(`a "b"`), lease.WithClock(at("2026-03-01T12:00:00.999+02:00").now))
		mustObtain(t, l)
		const want = `{"version":1,"holder":"a \"b\"","end":"2026-03-01T10:01:30"}`
		if data, _ := srv.Get(path + "/lease_holder"); data != want {
			t.Errorf("record %s, want %s", data, want)
		}
		zk.Close()
		time.Sleep(time.Hour)
		srv.RequireTree(t, fmt.Sprintf(`
			/leases
			/leases/cleanup
			/leases/cleanup/lease_holder %q
		`, want))
	})
}

func TestRecordsOfKazooAreRead(t *testing.T) {
	for _, tt := range []struct{ name, record, holder string }{
		{"taken", `{"version": 1, "holder": "other", "end": "2026-03-01T12:00:01"}`, "other"},
		{"ended", `{"version": 1, "holder": "other", "end": "2026-03-01T12:00:00"}`, ""},
		{"own", `{"version": 1, "holder": "me", "end": "2026-03-01T13:00:00"}`, ""},
		{"of another version", `{"version": 2, "until": 17}`, "?"},
		{"of another version of the same fields", `{"version": 2, "holder": "me", "end": "2020-01-01T00:00:00"}`, "?"},
		{"no JSON", `me`, "?"},
		{"without a version", `{"holder": "me", "end": "2020-01-01T00:00:00"}`, "?"},
		{"without an end", `{"version": 1, "holder": "me"}`, "?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				srv.Put(path+"/lease_holder", tt.record)
				l := newLease(t, recipetest.Client(t, srv), path, time.Hour, lease.WithHolder("me"), lease.WithClock(at("2026-03-01T12:00:00Z").now))
				_, err := l.Obtain(t.Context())
				switch tt.holder {
				case "":
					if err != nil {
						t.Errorf("Obtain: %v", err)
					}
				case "?":
					taken, ok := errors.AsType[*lease.TakenError](err)
					if !ok || taken.Reason == "" {
						t.Errorf("Obtain = %v, want it refused with a reason", err)
					}
				default:
					requireTaken(t, err, tt.holder)
				}
				if data, _ := srv.Get(path + "/lease_holder"); (data == tt.record) != (err != nil) {
					t.Errorf("the record is %s", data)
				}
			})
		})
	}
}

// Answers are lost, sessions expire, connections are cut: Obtain gets the lease all the same, and leaves no lock behind.
func TestObtainSurvives(t *testing.T) {
	for name, fault := range map[string]func(*zktest.Server, int64){
		"reply lost":   func(srv *zktest.Server, _ int64) { srv.DropReply(zktest.OpMulti, "") },
		"request lost": func(srv *zktest.Server, _ int64) { srv.DropRequest(zktest.OpMulti, "") },
		"lock's reply lost": func(srv *zktest.Server, _ int64) {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate, Under: path}, Do: zktest.DropReply(), Times: 2})
		},
		"read lost": func(srv *zktest.Server, _ int64) { srv.DropReply(zktest.OpGet, path+"/lease_holder") },
		"expired in the middle": func(srv *zktest.Server, id int64) {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Times: 1, Do: zktest.Call(func(zktest.Request) { srv.ExpireSession(id) })})
		},
		"lock deleted": func(srv *zktest.Server, id int64) {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Times: 1, Do: zktest.Call(func(zktest.Request) {
				for _, s := range srv.Sessions() {
					for _, e := range s.Ephemerals {
						srv.Remove(e)
					}
				}
			})})
		},
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				l := newLease(t, zk, path, time.Hour, lease.WithHolder("me"))
				fault(srv, zk.SessionID())
				grant := mustObtain(t, l)
				if record, found, err := l.Current(t.Context()); !found || record != grant.Record || err != nil {
					t.Errorf("Current = %v, %v, %v, want %v", record, found, err, grant.Record)
				}
				other := newLease(t, recipetest.Client(t, srv), path, time.Hour, lease.WithHolder("other"))
				_, err := other.Obtain(t.Context())
				requireTaken(t, err, "me")
				time.Sleep(time.Minute)
				if dump := srv.Dump(); strings.Contains(dump, "ephemeral") {
					t.Errorf("a lock is left:\n%s", dump)
				}
			})
		})
	}
}

// Whoever lost the guard lock before it writes does not write: the record of the next one stays.
func TestStaleWriteIsRefused(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		one := newLease(t, zk, path, time.Hour, lease.WithHolder("one"))
		two := newLease(t, recipetest.Client(t, srv), path, time.Hour, lease.WithHolder("two"))
		hold := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: zk.SessionID()}, Do: zktest.HoldRequest(), Times: 1})
		done := make(chan error, 1)
		go func() {
			_, err := one.Obtain(t.Context())
			done <- err
		}()
		hold.Wait(t.Context())
		// The session lives, so only the guard can refuse the write that is on its way.
		for _, s := range srv.Sessions() {
			for _, guard := range s.Ephemerals {
				srv.Remove(guard)
			}
		}
		mustObtain(t, two)
		hold.Release()
		requireTaken(t, <-done, "two")
		if record, _, err := two.Current(t.Context()); record.Holder != "two" || err != nil {
			t.Errorf("the lease is %v's, %v", record, err)
		}
	})
}

func TestObtainHeedsItsContext(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		l := newLease(t, zk, path, time.Hour)
		srv.Session(zk.SessionID()).BlackHole()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Obtain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Obtain = %v, want the deadline", err)
		}
	})
}

func TestGrantsContextEndsWithIt(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		grant := mustObtain(t, newLease(t, recipetest.Client(t, srv), path, time.Minute))
		if host, _ := os.Hostname(); grant.Holder != host {
			t.Errorf("holder %q, want the host's name %q", grant.Holder, host)
		}
		start := time.Now()
		ctx, cancel := grant.Context(t.Context())
		defer cancel()
		<-ctx.Done()
		if d := time.Since(start); d != time.Minute || !errors.Is(context.Cause(ctx), lease.ErrExpired) {
			t.Errorf("the context ended after %v with %v", d, context.Cause(ctx))
		}
		if err := grant.Err(); !errors.Is(err, lease.ErrExpired) {
			t.Errorf("Err = %v", err)
		}
	})
}

func TestMulti(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		clock := at("2026-03-01T12:00:00Z")
		of := func(holder string) *lease.Multi {
			m, err := lease.NewMulti(recipetest.Dial(t, c.Hosts()), path, 2, time.Hour, lease.WithHolder(holder), lease.WithClock(clock.now))
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		a, b, d := of("a"), of("b"), of("d")
		if grant := mustObtain(t, a); grant.Path != path+"/0" {
			t.Errorf("the first is %s, want %s/0", grant.Path, path)
		}
		if grant := mustObtain(t, b); grant.Path != path+"/1" {
			t.Errorf("the second is %s, want %s/1", grant.Path, path)
		}
		_, err := d.Obtain(t.Context())
		requireTaken(t, err, "b")
		if records, err := d.Current(t.Context()); len(records) != 2 || err != nil {
			t.Errorf("Current = %v, %v", records, err)
		}
		if err := a.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Whoever has one renews it, although one before it is free.
		if grant := mustObtain(t, b); grant.Path != path+"/1" {
			t.Errorf("renewed %s, want %s/1", grant.Path, path)
		}
		if grant := mustObtain(t, d); grant.Path != path+"/0" {
			t.Errorf("the free one is %s, want %s/0", grant.Path, path)
		}
		clock.Time = clock.Add(2 * time.Hour)
		mustObtain(t, a)
	})
}

func TestArguments(t *testing.T) {
	_, err := lease.New(nil, "no path", time.Millisecond, lease.WithHolder(""), lease.WithClock(nil))
	for _, word := range []string{"zk", "no path", "duration", "WithHolder", "WithClock"} {
		if !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), word) {
			t.Errorf("New: %v, want it to name %s", err, word)
		}
	}
	if _, err := lease.NewMulti(nil, path, 0, time.Hour); !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), "count") {
		t.Errorf("NewMulti: %v", err)
	}
	if _, err := lease.NewTimed(nil, path, 0); !errors.Is(err, gazoo.ErrBadArguments) {
		t.Errorf("NewTimed: %v", err)
	}
}

// Two holders at a time never have it on one clock, whatever happens to their connections.
func TestOneHolderAtATime(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		var mu sync.Mutex
		var grants []*lease.Grant
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for n := range 4 {
			l := newLease(t, recipetest.Client(t, srv), path, 5*time.Second, lease.WithHolder(fmt.Sprint(n)))
			rnd := rand.New(rand.NewPCG(1, uint64(n)))
			wg.Go(func() {
				for ctx.Err() == nil {
					grant, err := l.Obtain(ctx)
					if err == nil {
						mu.Lock()
						for _, other := range grants {
							if other.Holder != grant.Holder && other.Err() == nil && grant.Err() == nil {
								t.Errorf("%v and %v have it at once", other.Record, grant.Record)
							}
						}
						grants = append(grants, grant)
						mu.Unlock()
					}
					time.Sleep(time.Duration(rnd.IntN(9000)) * time.Millisecond)
				}
			})
		}
		for n := 0; ctx.Err() == nil; n++ {
			time.Sleep(700 * time.Millisecond)
			if sessions := srv.Sessions(); len(sessions) > 0 {
				s := sessions[n%len(sessions)].ID
				switch n % 3 {
				case 0:
					srv.ExpireSession(s)
				case 1:
					srv.Session(s).Cut()
				case 2:
					srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: s}, Do: zktest.DropReply(), Times: 1})
				}
			}
		}
		wg.Wait()
		holders := map[string]bool{}
		for _, g := range grants {
			holders[g.Holder] = true
		}
		if len(grants) < 100 || len(holders) != 4 {
			t.Errorf("%d grants to %d holders: too little to show anything", len(grants), len(holders))
		}
	}, zktest.WithLogSize(0))
}
