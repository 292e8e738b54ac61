package counter_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/counter"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// A write whose answer was lost is never applied twice; whoever has receipts learns in each case what became of it.
func TestLostAnswer(t *testing.T) {
	for _, c := range []struct {
		name     string
		receipts bool
		stored   string
		do       zktest.Action
		inDoubt  bool
	}{
		{"set not applied", false, "4", zktest.DropRequest(), false},
		{"set applied", false, "4", zktest.DropReply(), true},
		{"create not applied", false, "", zktest.DropRequest(), false},
		{"create applied", false, "", zktest.DropReply(), true},
		{"set not applied, receipts", true, "4", zktest.DropRequest(), false},
		{"set applied, receipts", true, "4", zktest.DropReply(), false},
		{"create not applied, receipts", true, "", zktest.DropRequest(), false},
		{"create applied, receipts", true, "", zktest.DropReply(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				want := "1"
				if c.stored != "" {
					must(t, srv.Put("/n", c.stored))
					want = "5"
				}
				var opts []counter.Option
				if c.receipts {
					opts = append(opts, counter.WithReceipts("/receipts"))
				}
				n := newInt(t, zk, "/n", opts...)
				lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpWrite, Path: "/n"}, Do: c.do, Times: 2})
				change, err := n.Increment(t.Context())
				if c.inDoubt {
					if !gazoo.MaybeApplied(err) {
						t.Errorf("Increment: %v, want one that may have been applied", err)
					}
				} else if err != nil || fmt.Sprint(change.Post) != want {
					t.Errorf("Increment: %d, %v, want %s", change.Post, err, want)
				}
				if lost.Hits() == 0 {
					t.Error("nothing was lost, which shows nothing")
				}
				wantStored(t, srv, "/n", want)
			})
		})
	}
}

// Somebody else writes between a lost request and the next try.
func TestLostAnswerAndARival(t *testing.T) {
	for _, c := range []struct {
		name, rival string
		inDoubt     bool
		want        string
	}{
		{"another value proves that it was the rival", "10", false, "11"},
		{"the same value proves nothing", "5", true, "5"},
	} {
		for _, receipts := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", receipts ", receipts), func(t *testing.T) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					must(t, srv.Put("/n", "4"))
					var opts []counter.Option
					want, inDoubt := c.want, c.inDoubt
					if receipts {
						opts, inDoubt = append(opts, counter.WithReceipts("/receipts")), false
						if c.inDoubt {
							want = "6"
						}
					}
					n := newInt(t, recipetest.Client(t, srv), "/n", opts...)
					rival := sync.OnceValue(func() bool { return srv.Put("/n", c.rival) == nil })
					lost := srv.Add(zktest.Rule{
						Match: zktest.Match{Op: zktest.OpWrite, Path: "/n", If: func(zktest.Request) bool { return rival() }},
						Do:    zktest.DropRequest(), Times: 1,
					})
					defer func() {
						if lost.Hits() != 1 {
							t.Error("nothing was lost, which shows nothing")
						}
					}()
					_, err := n.Increment(t.Context())
					if gazoo.MaybeApplied(err) != inDoubt || !inDoubt && err != nil {
						t.Errorf("Increment: %v, want doubt: %v", err, inDoubt)
					}
					wantStored(t, srv, "/n", want)
				})
			})
		}
	}
}

// Many add while answers and requests are lost at random: the sum is exact.
func TestSumUnderLostAnswers(t *testing.T) {
	for _, receipts := range []bool{true, false} {
		t.Run(fmt.Sprint("receipts ", receipts), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				const clients, each, rounds = 3, 3, 30
				var mu sync.Mutex
				random := rand.New(rand.NewPCG(7, 11))
				pick := func(n int) func(zktest.Request) bool {
					return func(zktest.Request) bool {
						mu.Lock()
						defer mu.Unlock()
						return random.IntN(n) == 0
					}
				}
				for _, action := range []zktest.Action{zktest.DropReply(), zktest.DropRequest()} {
					srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpWrite, If: pick(12)}, Do: action})
				}
				var opts []counter.Option
				if receipts {
					opts = append(opts, counter.WithReceipts("/receipts"))
				}
				var made, inDoubt atomic.Int64
				var wg sync.WaitGroup
				for range clients {
					n := newInt(t, recipetest.Client(t, srv), "/n", opts...)
					defer n.Close()
					for range each {
						wg.Go(func() {
							for range rounds {
								switch _, err := n.Increment(t.Context()); {
								case err == nil:
									made.Add(1)
								case gazoo.MaybeApplied(err) && !receipts:
									inDoubt.Add(1)
								default:
									t.Errorf("Increment: %v", err)
								}
							}
						})
					}
				}
				wg.Wait()
				sum := must1(newInt(t, recipetest.Client(t, srv), "/n").Get(t.Context())).Value
				if sum < made.Load() || sum > made.Load()+inDoubt.Load() {
					t.Errorf("the sum is %d with %d changes made and %d in doubt", sum, made.Load(), inDoubt.Load())
				}
				if receipts && made.Load() != clients*each*rounds {
					t.Errorf("%d changes were made, want %d", made.Load(), clients*each*rounds)
				}
				if !receipts && inDoubt.Load() == 0 {
					t.Error("nothing was ever in doubt, which shows nothing")
				}
			})
		})
	}
}

// A context that ends while it is open what became of the write says so, and why.
func TestDoubtOutlivesTheContext(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		must(t, srv.Put("/n", "4"))
		n := newInt(t, zk, "/n", counter.WithReceipts("/receipts"))
		srv.Add(zktest.Rule{
			Match: zktest.Match{Op: zktest.OpWrite, Path: "/n", If: func(zktest.Request) bool { srv.Refuse(); return true }},
			Do:    zktest.DropReply(), Times: 1,
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Increment(ctx); !gazoo.MaybeApplied(err) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Increment: %v, want doubt and the deadline", err)
		}
		srv.Heal()
		wantStored(t, srv, "/n", "5")
		zktest.Eventually(t, "the receipt has gone", func() bool { return srv.Count() == 2 })
	})
}

// Receipts that have gone are replaced; nothing was applied then.
func TestReceiptsAreReplaced(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		n := newInt(t, zk, "/n", counter.WithReceipts("/receipts", gazoo.Ephemeral()))
		for range 3 {
			change, err := n.Increment(t.Context())
			must(t, err)
			if srv.Count() != 3 {
				t.Fatalf("%d znodes: %s", srv.Count(), srv.Dump())
			}
			if _, set, err := n.TrySet(t.Context(), change.Version, change.Post); err != nil || !set {
				t.Errorf("TrySet: %v, %v", set, err)
			}
			old := zk.SessionID()
			srv.ExpireSession(old)
			zktest.Eventually(t, "there is another session", func() bool { id := zk.SessionID(); return id != 0 && id != old })
		}
		_, set, err := n.TrySet(t.Context(), 5, 100) // with a receipt that has gone, and a version that has not
		if err != nil || !set {
			t.Errorf("TrySet behind an expiry: %v, %v", set, err)
		}
		n.Close()
		zktest.Eventually(t, "the receipts have gone", func() bool { return srv.Count() == 2 })
		wantStored(t, srv, "/n", "100")
	})
}

// A session that ends together with the answer takes an ephemeral receipt along: the doubt is told.
func TestEphemeralReceiptIsNoProofBeyondItsSession(t *testing.T) {
	for name, ephemeral := range map[string]bool{"ephemeral": true, "persistent": false} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				must(t, srv.Put("/n", "4"))
				var kind []gazoo.CreateOption
				if ephemeral {
					kind = append(kind, gazoo.Ephemeral())
				}
				n := newInt(t, zk, "/n", counter.WithReceipts("/receipts", kind...))
				srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpWrite, Path: "/n"}, Do: zktest.HoldReply(), Times: 1})
				result := make(chan error, 1)
				go func() {
					_, err := n.Increment(t.Context())
					result <- err
				}()
				synctest.Wait() // it is applied, and its answer held
				srv.ExpireSession(zk.SessionID())
				if err := <-result; ephemeral != gazoo.MaybeApplied(err) || !ephemeral && err != nil {
					t.Errorf("Increment: %v", err)
				}
				wantStored(t, srv, "/n", "5")
			})
		})
	}
}
