package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
)

// How contenders behave.
const (
	looking   = time.Millisecond      // between two looks at what is held
	telling   = 50 * time.Millisecond // between two reports that it is still held
	shortHold = 12 * time.Millisecond // at most
	longHold  = 60 * time.Millisecond // long enough to be caught
	longShare = 0.1                   // of all holds
	pause     = 20 * time.Millisecond // at most, between two tries to get the lock
	pace      = 15 * time.Millisecond // at most, between two writes
	patience  = 2 * time.Second       // of those that do not wait as long as it takes, at most
	deafness  = 2                     // session time-outs that a deaf holder goes on for
)

// contender takes the lock again and again, on a client of its own.
type contender struct {
	w       *worker
	id      int
	zk      *gazoo.Client
	session time.Duration
	plant   string
	rnd     *rand.Rand // of the goroutine that contends

	mu    sync.Mutex // guards what follows
	hold  int        // number of the last hold
	until instant    // when it is given up; 0 when nothing is held, or it is being released
}

func newContender(w *worker, id int, zk *gazoo.Client, a assignment) *contender {
	return &contender{w: w, id: id, zk: zk, session: a.Session, plant: a.Plant, rnd: rand.New(rand.NewPCG(a.Seed, uint64(id)))}
}

func (c *contender) say(e event) {
	e.Contender = c.id
	c.w.say(e)
}

func (c *contender) problem(err error) { c.say(event{Kind: evProblem, At: now(), Err: err.Error()}) }

// upTo returns a random duration.
func (c *contender) upTo(d time.Duration) time.Duration {
	return time.Duration(c.rnd.Int64N(int64(d))) + 1
}

// contend takes the lock of a part and holds it for a while, until ctx ends.
func (c *contender) contend(ctx context.Context, p part) {
	var opts []lock.Option
	if p.Partitions && c.plant != plantUnverified {
		opts = append(opts, lock.WithQuorum())
	}
	mu, err := lock.New(c.zk, p.lock(), opts...)
	if err != nil {
		c.problem(err)
		return
	}
	for sleep(ctx, c.upTo(pause)) {
		if held := c.acquire(ctx, mu); held != nil {
			c.held(ctx, p, held)
		}
	}
}

// acquire waits for the lock, or tries, or waits for some time only.
func (c *contender) acquire(ctx context.Context, mu *lock.Mutex) *lock.Held {
	take := mu.Lock
	switch dice := c.rnd.Float64(); {
	case dice < 0.05:
		take = mu.TryLock
	case dice < 0.25:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.upTo(patience))
		defer cancel()
	}
	over := make(chan instant, 1)
	stop := context.AfterFunc(ctx, func() { over <- now() })
	defer stop()
	held, err := take(ctx)
	switch at := now(); {
	case err == nil:
		return held
	case errors.Is(err, lock.ErrBusy):
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		c.say(event{Kind: evGaveUp, At: <-over, To: at})
	default:
		c.problem(fmt.Errorf("lock: %w", err))
	}
	return nil
}

// held is what a holder does.
func (c *contender) held(ctx context.Context, p part, held *lock.Held) {
	at := now()
	long := c.rnd.Float64() < longShare
	length := c.upTo(shortHold)
	if long {
		length = longHold
	}
	id := c.begin(at.add(length))
	c.say(event{
		Kind: evGranted, Hold: id, At: at, Token: held.Token(), Session: held.Session().ID(), Server: c.zk.Server(), Long: long,
	})
	writing, stop := context.WithCancel(ctx)
	written, quiet := make(chan struct{}), c.rnd.IntN(2) == 0 || c.plant == plantUnverified
	go func() {
		defer close(written)
		c.write(writing, p, held, id, quiet)
	}()

	lost := c.look(ctx, held, id)
	stop()
	<-written
	if lost {
		c.late(p, held, id)
		c.w.side.Go(func() { c.fate(held, id) })
	}
	c.release(held, id)
}

// begin numbers a hold, which goes on until a time.
func (c *contender) begin(until instant) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold++
	c.until = until
	return c.hold
}

// keep makes a hold go on.
func (c *contender) keep(hold int, length time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hold == hold && c.until != 0 {
		c.until = now().add(length)
		c.say(event{Kind: evKept, Hold: hold})
	}
}

// goesOn reports whether it is to hold on; once it is not, that is final.
func (c *contender) goesOn(ctx context.Context) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until != 0 && (ctx.Err() != nil || now() >= c.until) {
		c.until = 0
	}
	return c.until != 0
}

// look looks at what is held until it is time to release it, or it is lost. Half of the holders ask Err, the others look
// at the context alone after the first time.
func (c *contender) look(ctx context.Context, held *lock.Held, id int) (lost bool) {
	var alive, reported, deafUntil instant
	var steady steadiness
	byContext := c.rnd.IntN(2) == 0
	tell := func() {
		if alive > reported {
			c.say(event{Kind: evAlive, Hold: id, At: alive})
			reported = alive
		}
	}
	defer tell()
	for first := true; ; first = false {
		at := now() // before the look: what is alive then was alive at this moment
		err := held.Context().Err()
		switch {
		case first || !byContext:
			err = held.Err()
		case err != nil:
			err = context.Cause(held.Context())
		}
		if err != nil && c.plant == plantDeaf {
			if deafUntil == 0 {
				deafUntil = at.add(deafness * c.session)
			}
			if at < deafUntil {
				err = nil
			}
		}
		if err != nil {
			c.ended(held, id, at, err)
			return true
		}
		if running := steady.look(at); running || first || !byContext {
			alive = at
		}
		if alive.since(reported) >= telling {
			tell()
		}
		if !c.goesOn(ctx) {
			break
		}
		time.Sleep(looking)
	}
	at := now()
	if err := held.Err(); err != nil {
		c.ended(held, id, at, err)
		return true
	}
	return false
}

// ended reports how a lock was lost.
func (c *contender) ended(held *lock.Held, id int, at instant, err error) {
	c.say(event{Kind: evEnded, Hold: id, At: at, To: now(), Err: err.Error()})
	if !errors.Is(err, lock.ErrLost) {
		c.problem(fmt.Errorf("held, and neither released nor lost: %w", err))
	}
	if errors.Is(err, tenure.ErrDeleted) {
		c.problem(fmt.Errorf("somebody has deleted the holder's znode: %w", err))
	}
}

// steadiness tells whether the process has been running for some time without a break. A context ends by a timer, so one
// that is alive after a break may not have had the time to end.
type steadiness struct{ since, last instant }

// look says that the process runs, and reports whether it did so all the time of late.
func (s *steadiness) look(at instant) bool {
	if s.last == 0 || at.since(s.last) > 20*time.Millisecond {
		s.since = at
	}
	s.last = at
	return at.since(s.since) >= 100*time.Millisecond
}

// write writes the token, guarded, as long as ctx lasts; when quiet only once. A client whose writes are not answered
// takes another server, one that is quiet stays where it is.
func (c *contender) write(ctx context.Context, p part, held *lock.Held, id int, quiet bool) {
	rnd := rand.New(rand.NewPCG(uint64(held.Token()), uint64(id)))
	for {
		c.commit(ctx, held.Txn(), p, held, id, false)
		if quiet || !sleep(ctx, time.Duration(rnd.Int64N(int64(pace)))) {
			return
		}
	}
}

// late tries to write when the lock has been lost: in the session that held it, and in whichever there is, which only the
// znode's absence can refuse.
func (c *contender) late(p part, held *lock.Held, id int) {
	ctx, cancel := context.WithTimeout(context.Background(), c.session)
	defer cancel()
	c.commit(ctx, held.Txn(), p, held, id, true)
	c.commit(ctx, c.zk.Txn().Check(held.Path(), gazoo.AnyVersion), p, held, id, true)
	if c.plant == plantDeaf {
		// Something else is checked, so that the results are where they are.
		c.commit(context.Background(), c.zk.Txn().Check(p.root(), gazoo.AnyVersion), p, held, id, true)
	}
}

// commit commits one write behind a guard.
func (c *contender) commit(ctx context.Context, guard *gazoo.Txn, p part, held *lock.Held, id int, stale bool) {
	entry := fmt.Sprintf("%s/%016x-", p.history(), held.Token())
	results, err := guard.Set(p.register(), fmt.Appendf(nil, "%016x", held.Token()), gazoo.AnyVersion).
		Create(entry, nil, gazoo.Sequential()).Commit(ctx)
	e := event{Kind: evWrite, Hold: id, At: now(), Token: held.Token(), Stale: stale}
	switch {
	case err != nil:
		e.Err = err.Error()
	default:
		e.Zxid, e.Version = results[1].Stat.Mzxid, results[1].Stat.Version
		_, e.Number, _ = gazoo.SequenceOf(results[2].Path)
	}
	c.say(e)
}

// release gives it up: most of the time with patience, sometimes with a context that has ended or is about to.
func (c *contender) release(held *lock.Held, id int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch dice := c.rnd.Float64(); {
	case dice < 0.15:
		cancel()
	case dice < 0.3:
		ctx, cancel = context.WithTimeout(ctx, c.upTo(5*time.Millisecond))
		defer cancel()
	}
	at := now()
	err := held.Release(ctx)
	e := event{Kind: evRelease, Hold: id, At: at, To: now()}
	if err != nil {
		e.Err = err.Error()
	}
	c.say(e)
}

// fate finds out what became of the session of a lock that was lost: its client has another one, or the same again.
func (c *contender) fate(held *lock.Held, id int) {
	changes := c.zk.SubscribeState()
	for {
		if s := c.zk.Session(); s != nil && s.Err() == nil {
			c.say(event{Kind: evFate, Hold: id, At: now(), Expired: s.ID() != held.Session().ID()})
			return
		}
		if _, err := changes.Next(c.zk.Context()); err != nil {
			return
		}
	}
}

// sleep reports whether ctx has lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
