package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/histogram"
)

// tally is what all workers have done.
type tally struct {
	took   [kinds]histogram.Histogram
	failed [kinds]atomic.Int64
	ended  atomic.Bool

	mu       sync.Mutex
	failures map[string]int
	first    error
}

// counts are a tally at one moment, or between two.
type counts struct {
	took   [kinds]histogram.Snapshot
	failed [kinds]int64
}

func (t *tally) mark() (c counts) {
	for k := range kinds {
		c.took[k] = t.took[k].Snapshot()
		c.failed[k] = t.failed[k].Load()
	}
	return c
}

func (c counts) since(before counts) counts {
	for k := range kinds {
		c.took[k] = c.took[k].Since(before.took[k])
		c.failed[k] -= before.failed[k]
	}
	return c
}

// none reports whether nothing has succeeded.
func (c counts) none() bool {
	for k := range kinds {
		if c.took[k].Count() > 0 {
			return false
		}
	}
	return true
}

// fail notes a failure, by what it is and not by where.
func (t *tally) fail(k kind, err error) {
	t.failed[k].Add(1)
	reason := err
	if op, ok := errors.AsType[*gazoo.OpError](err); ok {
		reason = op.Err
	}
	if txn, ok := errors.AsType[*gazoo.TxnError](err); ok {
		reason = txn.Code
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures[reason.Error()]++
	if t.first == nil {
		t.first = err
	}
}

// worker is one caller.
type worker struct {
	*options
	all  *tally
	zk   *gazoo.Client
	root string
	id   int
	rnd  *rand.Rand
	data []byte
}

func newWorker(o *options, all *tally, zk *gazoo.Client, root string, id int) *worker {
	return &worker{
		options: o, all: all, zk: zk, root: root, id: id,
		rnd: rand.New(rand.NewPCG(uint64(id), 1)), data: data(o.size),
	}
}

// pauseAfterFailure keeps a server that refuses everything from being asked in a tight loop.
const pauseAfterFailure = 10 * time.Millisecond

// work does one operation after another until the load ends.
func (w *worker) work(ctx context.Context) {
	sum := w.mix.sum()
	for !w.all.ended.Load() && ctx.Err() == nil && w.zk.Context().Err() == nil {
		k := w.mix.pick(w.rnd.IntN(sum))
		if err := w.do(ctx, k); err != nil && ctx.Err() == nil && !w.all.ended.Load() {
			w.all.fail(k, err)
			select {
			case <-time.After(pauseAfterFailure):
			case <-ctx.Done():
			}
		}
	}
}

// timed does something and notes how long it took, when it succeeds.
func (w *worker) timed(k kind, f func() error) error {
	begin := time.Now()
	err := f()
	if err == nil {
		w.all.took[k].Record(time.Since(begin))
	}
	return err
}

func (w *worker) do(ctx context.Context, k kind) error {
	path := znode(w.root, w.rnd.IntN(w.znodes))
	switch k {
	case opCreate:
		return w.create(ctx)
	case opWatch:
		return w.watch(ctx)
	}
	return w.timed(k, func() (err error) {
		switch k {
		case opGet:
			_, _, err = w.zk.Get(ctx, path)
		case opSet:
			_, err = w.zk.Set(ctx, path, w.data, gazoo.AnyVersion)
		case opExists:
			_, _, err = w.zk.Exists(ctx, path)
		case opChildren:
			_, err = w.zk.Children(ctx, w.root+"/listed")
		case opMulti:
			txn := w.zk.Txn()
			for range w.multi {
				txn.Set(znode(w.root, w.rnd.IntN(w.znodes)), w.data, gazoo.AnyVersion)
			}
			_, err = txn.Commit(ctx)
		case opSync:
			err = w.zk.Sync(ctx, path)
		}
		return err
	})
}

// create makes a znode and deletes it, so that the tree does not grow.
func (w *worker) create(ctx context.Context) error {
	var path string
	err := w.timed(opCreate, func() (err error) {
		path, err = w.zk.Create(ctx, w.root+"/created/n-", w.data, gazoo.Sequential())
		return err
	})
	if err != nil {
		return err
	}
	if err := w.timed(opRemove, func() error { return w.zk.Delete(ctx, path, gazoo.AnyVersion) }); err != nil {
		if ctx.Err() == nil {
			w.all.fail(opRemove, err)
		}
	}
	return nil
}

// watch sets a watch and makes it fire.
func (w *worker) watch(ctx context.Context) error {
	path := watched(w.root, w.id)
	_, _, wt, err := w.zk.GetW(ctx, path)
	if err != nil {
		return err
	}
	defer wt.Close()
	return w.timed(opWatch, func() error {
		if _, err := w.zk.Set(ctx, path, w.data, gazoo.AnyVersion); err != nil {
			return err
		}
		e, err := wt.Wait(ctx)
		if err == nil && e.Type != gazoo.EventDataChanged {
			err = fmt.Errorf("the watch has ended with the event %v", e.Type)
		}
		return err
	})
}
