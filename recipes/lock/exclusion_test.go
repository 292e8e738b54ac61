package lock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zktest"
)

// checker watches over all holders of one thing on one clock: that of the process, in which everything runs.
type checker struct {
	t    *testing.T
	room int // of what is shared: how many may be inside together; a writer fills it alone

	mu      sync.Mutex
	live    map[*lock.Held]int // by how much room it takes
	token   int64              // the highest of a writer
	grants  int
	writers int
	lost    int // while they were inside
}

// enter notes a holder. Those whose context has ended are none any more, whatever they still do.
func (c *checker) enter(h *lock.Held, writer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.Err() != nil {
		return // lost before it could look
	}
	for other := range c.live {
		if other.Err() != nil {
			delete(c.live, other)
		}
	}
	need, used := 1, 0
	if writer {
		need = c.room
	}
	for _, n := range c.live {
		used += n
	}
	if used+need > c.room {
		c.t.Errorf("%v, which takes %d, is beside others that take %d of %d", h, need, used, c.room)
	}
	if writer {
		if h.Token() <= c.token {
			c.t.Errorf("a writer's token %d behind %d", h.Token(), c.token)
		}
		c.token = h.Token()
		c.writers++
	}
	c.live[h] = need
	c.grants++
}

// weaken notes that a writer is about to become a reader: others may see that before it does.
func (c *checker) weaken(h *lock.Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live[h] > 0 {
		c.live[h] = 1
	}
}

// swap notes that a writer has become a reader.
func (c *checker) swap(from, to *lock.Held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(from.Err(), lock.ErrLost) {
		c.lost++
	}
	delete(c.live, from)
	if to != nil && to.Err() == nil {
		c.live[to] = 1
	}
}

func (c *checker) leave(h *lock.Held) { c.swap(h, nil) }

// disturb does something bad to the server or a session from time to time, until ctx ends, and heals it again. Sessions
// expire by what cuts them off for long enough: no server expires one earlier than that, and nothing could protect from
// one that did.
func disturb(ctx context.Context, srv *zktest.Server, rng *rand.Rand, clients []*gazoo.Client) (faults int) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
		zk := clients[rng.IntN(len(clients))]
		session := srv.Session(zk.SessionID())
		faults++
		switch rng.IntN(8) {
		case 0:
			srv.Cut()
		case 1:
			session.Refuse()
			time.Sleep(recipetest.SessionTimeout + time.Duration(rng.IntN(3000))*time.Millisecond)
		case 2:
			session.BlackHole()
			time.Sleep(time.Duration(rng.IntN(9000)) * time.Millisecond)
		case 3:
			session.Refuse()
			time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
		case 4:
			session.Stall(zktest.ToClient)
			time.Sleep(time.Duration(rng.IntN(9000)) * time.Millisecond)
		case 5:
			srv.DropReply(zktest.OpCreate|zktest.OpMulti, "")
		case 6:
			srv.DropRequest(zktest.OpDelete|zktest.OpMulti, "")
		case 7:
			srv.DropReply(zktest.OpDelete|zktest.OpChildren, "")
		}
		srv.Heal()
	}
	return faults
}

// trial lets workers take and give while faults happen, and asserts that nothing is left behind. It adds to the tally.
func trial(t *testing.T, sum *tally, seed uint64, room int, dirs []string, work func(ctx context.Context, rng *rand.Rand, c *checker, zk *gazoo.Client) error) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		c := &checker{t: t, room: room, live: map[*lock.Held]int{}}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var clients []*gazoo.Client
		for range 4 {
			clients = append(clients, recipetest.Client(t, srv))
		}
		var wg sync.WaitGroup
		for i := range 3 * len(clients) {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			wg.Go(func() {
				for ctx.Err() == nil {
					if err := work(ctx, rng, c, clients[i%len(clients)]); err != nil && !passing(err) {
						t.Errorf("worker %d: %v", i, err)
						return
					}
				}
			})
		}
		faults := disturb(ctx, srv, rand.New(rand.NewPCG(seed, 99)), clients)
		wg.Wait()
		time.Sleep(time.Minute)
		zk := recipetest.Client(t, srv)
		for _, dir := range dirs {
			if left := recipetest.Children(t, zk, dir); len(left) != 0 {
				t.Errorf("left behind in %s: %v", dir, left)
			}
		}
		sum.grants += c.grants
		sum.writers += c.writers
		sum.lost += c.lost
		sum.faults += faults
	})
}

// tally is what trials came to.
type tally struct{ grants, writers, lost, faults int }

// enough asserts that there was something to see.
func (sum tally) enough(t *testing.T) {
	t.Logf("%d grants, %d of them to writers, %d lost, among %d faults", sum.grants, sum.writers, sum.lost, sum.faults)
	if sum.grants < 200 || sum.lost == 0 || sum.faults < 40 {
		t.Error("too few to show anything")
	}
}

// stay holds for a short time, and once in a number of times for so long that a fault can take away what is held.
func stay(ctx context.Context, rng *rand.Rand, long int) {
	limit := 200 * time.Millisecond
	if rng.IntN(long) == 0 {
		limit = 2 * recipetest.SessionTimeout
	}
	select {
	case <-time.After(time.Duration(rng.Int64N(int64(limit)))):
	case <-ctx.Done():
	}
}

// passing reports whether err is what faults lead to.
func passing(err error) bool {
	for _, ok := range []error{lock.ErrBusy, lock.ErrLost, lock.ErrReleased, context.DeadlineExceeded, context.Canceled, gazoo.ErrConnectionLoss} {
		if errors.Is(err, ok) {
			return true
		}
	}
	return gazoo.SessionLost(err)
}

// Random readers and writers, downgrades and cancels among them, and random faults: no writer is ever beside anybody,
// writers' tokens grow, and no contender is left.
func TestReadersAndWritersExcludeEachOther(t *testing.T) {
	var sum tally
	for seed := range uint64(4) {
		style := []lock.Style{lock.Kazoo, lock.CuratorRW}[seed%2]
		t.Run(fmt.Sprint(style.Name, " ", seed), func(t *testing.T) {
			trial(t, &sum, seed, 100, []string{path}, func(ctx context.Context, rng *rand.Rand, c *checker, zk *gazoo.Client) error {
				rw, err := lock.NewRW(zk, path, lock.WithStyle(style))
				if err != nil {
					return err
				}
				writer := rng.IntN(3) == 0
				m := rw.Reader()
				if writer {
					m = rw.Writer()
				}
				limit, stop := context.WithTimeout(ctx, time.Duration(rng.IntN(10000))*time.Millisecond)
				defer stop()
				held, err := m.Lock(limit)
				if err != nil {
					return err
				}
				c.enter(held, writer)
				stay(held.Context(), rng, 5)
				if writer && rng.IntN(2) == 0 {
					c.weaken(held)
					down, err := held.Downgrade(limit)
					c.swap(held, down)
					if err != nil {
						return err
					}
					held = down
					stay(held.Context(), rng, 5)
				}
				c.leave(held)
				return held.Release(limit)
			})
		})
	}
	sum.enough(t)
}

// Random requests for permits and random faults: never more than there are, and none is left.
func TestPermitsAreNeverTooMany(t *testing.T) {
	var sum tally
	for seed := range uint64(4) {
		style := poolStyles[seed%2]
		leases, guards := dirs(style)
		t.Run(fmt.Sprint(style.Name, " ", seed), func(t *testing.T) {
			trial(t, &sum, seed, 5, []string{leases, guards}, func(ctx context.Context, rng *rand.Rand, c *checker, zk *gazoo.Client) error {
				s, err := lock.NewSemaphore(zk, pool, 5, lock.WithStyle(style))
				if err != nil {
					return err
				}
				limit, stop := context.WithTimeout(ctx, time.Duration(rng.IntN(10000))*time.Millisecond)
				defer stop()
				held, err := s.AcquireN(limit, 1+rng.IntN(4))
				if err != nil {
					return err
				}
				for _, h := range held.Members() {
					c.enter(h, false)
				}
				stay(held.Context(), rng, 2)
				for _, h := range held.Members() {
					c.leave(h)
				}
				return held.Release(limit)
			})
		})
	}
	sum.enough(t)
}
