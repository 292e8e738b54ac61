package queue_test

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
	"github.com/gazoo-zk/gazoo/recipes/queue"
	"github.com/gazoo-zk/gazoo/zktest"
)

// history is what producers and consumers were told, by item.
type history struct {
	t  *testing.T
	mu sync.Mutex

	acked     map[string]bool // put and acknowledged
	doubtful  map[string]bool // put, and perhaps applied
	delivered map[string]int
	lost      map[string]bool                  // a take, or a consume, whose answer was lost
	holders   map[string][]*queue.Item[string] // of a locking queue, all who had it
	consumed  map[string]int
	faults    int
}

func newHistory(t *testing.T) *history {
	return &history{
		t: t, acked: map[string]bool{}, doubtful: map[string]bool{}, delivered: map[string]int{},
		lost: map[string]bool{}, holders: map[string][]*queue.Item[string]{}, consumed: map[string]int{},
	}
}

func (h *history) put(item string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.acked[item] = true
	case gazoo.MaybeApplied(err):
		h.doubtful[item] = true
	}
}

func (h *history) take(item string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if doubt, ok := errors.AsType[*queue.DoubtError](err); ok {
		h.lost[string(doubt.Data)] = true
	} else if err == nil {
		h.delivered[item]++
	}
}

// grant notes a holder, and that no other is alive at this moment.
func (h *history) grant(item *queue.Item[string]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if item.Err() != nil {
		return // lost on its way, which its holder sees at the first look
	}
	for _, other := range h.holders[item.Value] {
		if other.Err() == nil {
			h.t.Errorf("%s is held by two: tokens %d and %d", item.Value, other.Token(), item.Token())
		}
		if other.Token() >= item.Token() {
			h.t.Errorf("%s: token %d behind %d", item.Value, item.Token(), other.Token())
		}
	}
	if h.consumed[item.Value] > 0 {
		h.t.Errorf("%s was delivered after it was consumed", item.Value)
	}
	h.holders[item.Value] = append(h.holders[item.Value], item)
	h.delivered[item.Value]++
}

func (h *history) consume(item string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.consumed[item]++
	case gazoo.MaybeApplied(err) || errors.Is(err, queue.ErrInDoubt):
		h.lost[item] = true
	}
}

// chaos lets things go wrong at random until ctx ends. With force the server expires sessions before their time, which
// no client can foresee: others may then have what it held before it knows.
func (h *history) chaos(ctx context.Context, srv *zktest.Server, rnd *rand.Rand, force bool) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(rnd.IntN(400)) * time.Millisecond)
		sessions := srv.Sessions()
		if len(sessions) == 0 {
			continue
		}
		id := sessions[rnd.IntN(len(sessions))].ID
		ops := []zktest.Op{zktest.OpCreate, zktest.OpDelete, zktest.OpMulti, zktest.OpGet, zktest.OpChildren, zktest.OpExists}
		match := zktest.Match{Op: ops[rnd.IntN(len(ops))], Session: id}
		h.faults++
		switch rnd.IntN(8) {
		case 0:
			if force {
				srv.ExpireSession(id)
			} else {
				srv.Session(id).BlackHole()
				time.AfterFunc(8*time.Second, srv.Session(id).Heal)
			}
		case 1:
			srv.Session(id).Cut()
		case 2:
			srv.Session(id).BlackHole()
			time.AfterFunc(time.Duration(rnd.IntN(9))*time.Second, srv.Session(id).Heal)
		case 3, 4, 5:
			srv.Add(zktest.Rule{Match: match, Do: zktest.DropReply(), Times: 1})
		case 6:
			srv.Add(zktest.Rule{Match: match, Do: zktest.DropRequest(), Times: 1})
		default:
			srv.Add(zktest.Rule{Match: match, Do: zktest.DelayReply(time.Duration(rnd.IntN(3000)) * time.Millisecond), Times: 1})
		}
	}
}

// produce puts unique items until ctx ends.
func (h *history) produce(ctx context.Context, name string, rnd *rand.Rand, q putter) {
	for i := 0; ctx.Err() == nil; i++ {
		item := fmt.Sprintf("%s-%04d", name, i)
		var opts []queue.PutOption
		if rnd.IntN(3) == 0 {
			opts = append(opts, queue.Priority(100+rnd.IntN(3)))
		}
		h.put(item, q.Put(ctx, item, opts...))
		time.Sleep(time.Duration(rnd.IntN(200)) * time.Millisecond)
	}
}

const (
	chaosTime = 40 * time.Second
	calmTime  = time.Minute
)

func seeds(t *testing.T, n uint64, f func(t *testing.T, srv *zktest.Server, seed uint64)) {
	for seed := range n {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) { f(t, srv, seed) }, zktest.WithLogSize(0))
		})
	}
}

// Random producers and consumers under random faults: nothing is delivered twice, and what was acknowledged is
// delivered, but for what a consumer was told that it may have lost.
func TestAtMostOnceUnderFaults(t *testing.T) {
	total, losses, faults := 0, 0, 0
	seeds(t, 3, func(t *testing.T, srv *zktest.Server, seed uint64) {
		h := newHistory(t)
		putting, stop := context.WithTimeout(t.Context(), chaosTime)
		defer stop()
		taking, cancel := context.WithCancel(t.Context())
		var producers, consumers sync.WaitGroup
		for p := range 3 {
			q := newQueue(t, recipetest.Client(t, srv), path)
			producers.Go(func() { h.produce(putting, fmt.Sprint(p), rand.New(rand.NewPCG(seed, uint64(p))), q) })
		}
		for range 3 {
			q := newQueue(t, recipetest.Client(t, srv), path)
			consumers.Go(func() {
				for item, err := range q.Items(taking) {
					h.take(item, err)
				}
			})
		}
		h.chaos(putting, srv, rand.New(rand.NewPCG(seed, 99)), true)
		srv.Heal()
		producers.Wait()
		time.Sleep(calmTime)
		cancel()
		consumers.Wait()
		for item, n := range h.delivered {
			if n > 1 {
				t.Errorf("%s was delivered %d times", item, n)
			}
			if !h.acked[item] && !h.doubtful[item] {
				t.Errorf("%s was delivered, and not put", item)
			}
		}
		for item := range h.acked {
			if h.delivered[item] == 0 && !h.lost[item] {
				t.Errorf("%s was put and never delivered", item)
			}
		}
		if left := names(t, srv, path); len(left) != 0 {
			t.Errorf("items are left: %v", left)
		}
		total, losses, faults = total+len(h.delivered), losses+len(h.lost), faults+h.faults
	})
	t.Logf("%d items delivered, %d in doubt, %d faults", total, losses, faults)
	if total < 500 || losses == 0 {
		t.Errorf("%d items delivered and %d in doubt: too little to show anything", total, losses)
	}
}

// The same with locks: no item is held by two at one moment, what was acknowledged is consumed, once, and what a
// former holder does is refused.
func TestAtLeastOnceUnderFaults(t *testing.T) {
	total, again, faults := 0, 0, 0
	seeds(t, 3, func(t *testing.T, srv *zktest.Server, seed uint64) {
		h := newHistory(t)
		putting, stop := context.WithTimeout(t.Context(), chaosTime)
		defer stop()
		taking, cancel := context.WithCancel(t.Context())
		var producers, consumers sync.WaitGroup
		for p := range 3 {
			q := newLocking(t, recipetest.Client(t, srv), path)
			producers.Go(func() { h.produce(putting, fmt.Sprint(p), rand.New(rand.NewPCG(seed, uint64(p))), q) })
		}
		for c := range 3 {
			rnd := rand.New(rand.NewPCG(seed, 10+uint64(c)))
			q := newLocking(t, recipetest.Client(t, srv), path)
			consumers.Go(func() {
				for item, err := range q.Items(taking) {
					if err != nil {
						continue
					}
					h.grant(item)
					time.Sleep(time.Duration(rnd.IntN(300)) * time.Millisecond)
					switch rnd.IntN(6) {
					case 0:
						item.Release(taking)
					case 1: // handed back by the iteration
					default:
						h.consume(item.Value, item.Consume(taking))
					}
				}
			})
		}
		h.chaos(putting, srv, rand.New(rand.NewPCG(seed, 99)), false)
		srv.Heal()
		producers.Wait()
		time.Sleep(calmTime)
		cancel()
		consumers.Wait()
		for item, n := range h.consumed {
			if n > 1 {
				t.Errorf("%s was consumed %d times", item, n)
			}
		}
		for item, n := range h.delivered {
			if !h.acked[item] && !h.doubtful[item] {
				t.Errorf("%s was delivered, and not put", item)
			}
			if n > 1 {
				again++
			}
		}
		for item := range h.acked {
			if h.consumed[item] == 0 && !h.lost[item] {
				t.Errorf("%s was put and never consumed", item)
			}
		}
		if entries, locks := names(t, srv, path+"/entries"), names(t, srv, path+"/taken"); len(entries)+len(locks) != 0 {
			t.Errorf("left: %v, locks %v", entries, locks)
		}
		total, faults = total+len(h.consumed), faults+h.faults
	})
	t.Logf("%d items consumed, %d delivered again, %d faults", total, again, faults)
	if total < 500 || again == 0 {
		t.Errorf("%d items consumed, %d of them delivered again: too little to show anything", total, again)
	}
}

// One producer and one consumer, whose connections come and go: the order is that of the puts.
func TestOrderUnderFaults(t *testing.T) {
	seeds(t, 4, func(t *testing.T, srv *zktest.Server, seed uint64) {
		h := newHistory(t)
		putting, stop := context.WithTimeout(t.Context(), chaosTime)
		defer stop()
		taking, cancel := context.WithCancel(t.Context())
		producer, consumer := newQueue(t, recipetest.Client(t, srv), path), newQueue(t, recipetest.Client(t, srv), path)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; putting.Err() == nil; i++ {
				producer.Put(putting, fmt.Sprintf("%06d", i))
				time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			}
		})
		last, n := "", 0
		wg.Go(func() {
			for item, err := range consumer.Items(taking) {
				if err == nil {
					if item <= last {
						t.Errorf("%s came behind %s", item, last)
					}
					last = item
					n++
				}
			}
		})
		h.chaos(putting, srv, rand.New(rand.NewPCG(seed, 99)), true)
		srv.Heal()
		time.Sleep(calmTime)
		cancel()
		wg.Wait()
		if n < 100 {
			t.Errorf("only %d items", n)
		}
	})
}
