package crashload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// Worker is a client that writes and reads at random: it sets, creates, deletes and reads, alone
// and in transactions, some of which fail.
type Worker struct {
	load *Load
	id   int
	zk   *gazoo.Client
	rnd  *rand.Rand
	n    int      // writes so far, which number them
	own  []string // znodes that it made, oldest first
}

func counter(id int) string  { return fmt.Sprintf("/counter%d", id) }
func pair(id int) string     { return fmt.Sprintf("/pair%d", id) }
func multi(id, n int) string { return fmt.Sprintf("/multi%d-%d", id, n) }

// Worker makes the znodes of a worker, whose client's session is to stay alive.
func (l *Load) Worker(ctx context.Context, zk *gazoo.Client, id int, seed uint64) (*Worker, error) {
	for _, path := range []string{counter(id), pair(id) + "-a", pair(id) + "-b"} {
		if _, err := zk.Create(ctx, path, []byte("0")); err != nil {
			return nil, err
		}
	}
	l.Session(zk.SessionID())
	return &Worker{load: l, id: id, zk: zk, rnd: rand.New(rand.NewPCG(seed, uint64(id)))}, nil
}

// Client returns the worker's client.
func (w *Worker) Client() *gazoo.Client { return w.zk }

// Run works until ctx ends. What fails was perhaps done.
func (w *Worker) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.step(ctx)
		w.load.Saw(w.zk.LastZxid())
		if err == nil {
			continue
		}
		select { // the server is away
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (w *Worker) step(ctx context.Context) error {
	w.n++
	switch w.rnd.IntN(8) {
	case 0, 1:
		return w.set(ctx)
	case 2:
		return w.transaction(ctx)
	case 3:
		_, err := w.zk.Txn().Set(pair(w.id)+"-a", nil, gazoo.AnyVersion).Check("/none", 0).Commit(ctx)
		if errors.Is(err, gazoo.ErrNoNode) {
			return nil
		}
		return fmt.Errorf("a transaction that cannot be done: %w", err)
	case 4, 5:
		return w.create(ctx)
	case 6:
		return w.delete(ctx)
	}
	path := counter(w.rnd.IntN(w.load.workers))
	data, _, err := w.zk.Get(ctx, path)
	if err == nil {
		n, _ := strconv.Atoi(string(data))
		w.load.learn(func() { w.load.counters[path] = max(w.load.counters[path], n) })
	}
	return err
}

// sends notes a value that may be there from here on.
func (w *Worker) sends(paths ...string) []byte {
	w.load.learn(func() {
		for _, p := range paths {
			w.load.sent[p] = w.n
		}
	})
	return []byte(strconv.Itoa(w.n))
}

// acked notes a write that was acknowledged, and what follows from it.
func (w *Worker) acked(err error, follows func(l *Load)) error {
	if err == nil {
		w.load.learn(func() {
			w.load.acked++
			follows(w.load)
			w.load.more.Broadcast()
		})
	}
	return err
}

func (w *Worker) set(ctx context.Context) error {
	path := counter(w.id)
	_, err := w.zk.Set(ctx, path, w.sends(path), gazoo.AnyVersion)
	return w.acked(err, func(l *Load) { l.counters[path] = max(l.counters[path], w.n) })
}

func (w *Worker) transaction(ctx context.Context) error {
	a, b, path := pair(w.id)+"-a", pair(w.id)+"-b", multi(w.id, w.n)
	data := w.sends(a, b)
	_, err := w.zk.Txn().Set(a, data, gazoo.AnyVersion).Create(path, data).Set(b, data, gazoo.AnyVersion).Commit(ctx)
	return w.acked(err, func(l *Load) {
		l.counters[a], l.counters[b] = max(l.counters[a], w.n), max(l.counters[b], w.n)
		l.created[path] = true
	})
}

func (w *Worker) create(ctx context.Context) error {
	path := fmt.Sprintf("/node%d-%d", w.id, w.n)
	var opts []gazoo.CreateOption
	if w.rnd.IntN(2) == 0 {
		opts = append(opts, gazoo.Ephemeral())
	}
	_, err := w.zk.Create(ctx, path, make([]byte, w.rnd.IntN(20)*w.rnd.IntN(100)), opts...)
	return w.acked(err, func(l *Load) {
		w.own = append(w.own, path)
		l.created[path] = true
		if len(opts) > 0 {
			l.ephemerals[path] = w.zk.SessionID()
		}
	})
}

func (w *Worker) delete(ctx context.Context) error {
	if len(w.own) == 0 {
		return nil
	}
	path := w.own[0]
	w.own = w.own[1:]
	w.load.learn(func() { w.load.deleting[path] = true })
	err := w.zk.Delete(ctx, path, gazoo.AnyVersion)
	return w.acked(err, func(l *Load) { l.deleted[path] = true })
}

// Watch notes what the events of a recursive watch of "/" tell, until it ends.
func (l *Load) Watch(ctx context.Context, s *gazoo.Stream) {
	for {
		ev, err := s.Next(ctx)
		if err != nil {
			return
		}
		l.learn(func() {
			switch ev.Type {
			case gazoo.EventCreated:
				l.created[ev.Path] = true
			case gazoo.EventDeleted:
				l.deleted[ev.Path] = true
			}
		})
	}
}

// Spy reads the newest zxid from a four-letter word, again and again.
func (l *Load) Spy(ctx context.Context, zk *gazoo.Client) {
	for {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return
		}
		text, err := zk.FourLetterWord(ctx, "srvr")
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(text, "Zxid: ")
		word, _, _ := strings.Cut(rest, "\n")
		if zxid, err := strconv.ParseInt(word, 0, 64); err == nil {
			l.Saw(zxid)
		}
	}
}
