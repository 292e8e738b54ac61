package recipe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// leaves are the znodes that the cache's program writes, parents first.
var leaves = []string{"/tree", "/tree/a", "/tree/b", "/tree/a/x", "/tree/a/y", "/tree/b/x"}

// Cache has every client write to one tree, and keep a cache of it. When nobody writes any more all of them converge.
func Cache() *program.Program {
	return &program.Program{
		Name:  "cache",
		Needs: program.Needs{OneLeader: true}, // what is compared in the end is read behind a sync
		Setup: func(ctx context.Context, zk *gazoo.Client) error {
			_, err := zk.Create(ctx, leaves[0], []byte(seed))
			return err
		},
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			c, err := cache.New(zk, leaves[0], cache.Text())
			if err != nil {
				return err
			}
			w := &writer{e: e, zk: zk, c: c, replay: map[string]nodeOut{}}
			var following sync.WaitGroup
			sub := c.Subscribe()
			following.Go(func() { w.follow(sub) })
			defer following.Wait()
			defer c.Close()
			for i := 0; e.Pause(ctx, 250*time.Millisecond); i++ {
				w.write(ctx, fmt.Sprintf("%d.%d.%d", e.Client, e.Run, i))
			}
			w.converge()
			return nil
		},
		Check: checkCache,
	}
}

// seed is what the root has in the beginning.
const seed = "seed"

// What is noted of writes, events and looks.
type (
	nodeIn  struct{ Value string }
	nodeOut struct {
		Value        string
		Czxid, Mzxid int64
		Version      int32
	}
	eventOut struct {
		Type     string
		Old, New *nodeOut
	}
	ownOut struct {
		Zxid int64 // of the client's own write
		Node *nodeOut
	}
	convergedOut struct{ Truth, Cache, Replay map[string]nodeOut }
)

// writer is a client with its cache.
type writer struct {
	e  *program.Env
	zk *gazoo.Client
	c  *cache.Cache[string]

	mu     sync.Mutex // guards replay
	replay map[string]nodeOut
}

func nodeOf(n *cache.Node[string]) *nodeOut {
	if n == nil {
		return nil
	}
	return &nodeOut{n.Value, n.Stat.Czxid, n.Stat.Mzxid, n.Stat.Version}
}

// follow notes the events, and replays them over an empty map.
func (w *writer) follow(sub *cache.Subscription[string]) {
	for {
		ev, err := sub.Next(context.Background())
		if err != nil {
			return // the cache is closed
		}
		if ev.Old == nil && ev.New == nil {
			continue
		}
		out := eventOut{ev.Type.String(), nodeOf(ev.Old), nodeOf(ev.New)}
		w.mu.Lock()
		if ev.New == nil {
			delete(w.replay, ev.Path)
		} else {
			w.replay[ev.Path] = *out.New
		}
		w.mu.Unlock()
		w.e.Note("event", ev.Path, out)
	}
}

// write changes something, and sometimes looks for it in the cache.
func (w *writer) write(ctx context.Context, value string) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	path := leaves[w.e.Rand.IntN(len(leaves))]
	var stat gazoo.Stat
	var err error
	switch dice := w.e.Rand.IntN(10); {
	case dice < 4:
		p := w.e.Begin("create", path, nodeIn{value})
		_, stat, err = w.zk.CreateStat(ctx, path, []byte(value))
		p.End(nil, err)
	case dice < 7:
		p := w.e.Begin("set", path, nodeIn{value})
		stat, err = w.zk.Set(ctx, path, []byte(value), gazoo.AnyVersion)
		p.End(nil, err)
	case dice < 9:
		p := w.e.Begin("delete", path, nil)
		p.End(nil, w.zk.Delete(ctx, path, gazoo.AnyVersion))
		return
	default:
		w.waitFor(ctx, path)
		return
	}
	if err == nil && w.e.Rand.IntN(2) == 0 && w.c.WaitZxid(ctx, stat.Mzxid) == nil {
		out := ownOut{Zxid: stat.Mzxid}
		if n, there, err := w.c.Get(path); err == nil && there {
			out.Node = nodeOf(&n)
		}
		w.e.Note("own", path, out)
	}
}

// waitFor waits until a znode is there, as the cache has it.
func (w *writer) waitFor(ctx context.Context, path string) {
	there := false
	err := w.c.WaitFor(ctx, func() bool {
		_, there, _ = w.c.Get(path)
		return there
	})
	if err == nil {
		w.e.Note("waited", path, there)
	}
}

// converge compares the cache, and what its events say, with the servers until all are the same, and notes that, or what
// the differences are in the end. Others may write for a little longer.
func (w *writer) converge() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var out convergedOut
	for quiet := 3 * time.Second; program.Sleep(ctx, quiet); quiet = 200 * time.Millisecond {
		truth, err := w.truth(ctx)
		if err != nil {
			continue
		}
		out = convergedOut{truth, map[string]nodeOut{}, nil}
		for n := range w.c.All() {
			out.Cache[n.Path] = *nodeOf(&n)
		}
		w.mu.Lock()
		out.Replay = maps.Clone(w.replay)
		w.mu.Unlock()
		if out.same() {
			break
		}
	}
	if out.Truth != nil {
		w.e.Note("converged", "", out)
	}
}

func (o convergedOut) same() bool {
	return maps.Equal(o.Truth, o.Cache) && maps.Equal(o.Truth, o.Replay)
}

// truth reads the tree from the servers.
func (w *writer) truth(ctx context.Context) (map[string]nodeOut, error) {
	if err := w.zk.Sync(ctx, leaves[0]); err != nil {
		return nil, err
	}
	all := map[string]nodeOut{}
	for _, path := range leaves {
		data, stat, err := w.zk.Get(ctx, path)
		switch {
		case err == nil:
			all[path] = nodeOut{string(data), stat.Czxid, stat.Mzxid, stat.Version}
		case !errors.Is(err, gazoo.ErrNoNode):
			return nil, err
		}
	}
	return all, nil
}

// checkCache judges events, each client's by themselves: that they follow one another, that each state was written by
// somebody, and that nothing goes back. And all has to be the same in the end.
func checkCache(ops []history.Op) (bad []program.Violation) {
	complain := func(promise, format string, args ...any) {
		bad = append(bad, program.Violated(promise, format, args...))
	}
	type value struct{ path, value string }
	writes := map[value]*history.Op{}
	deletes := map[string][]*history.Op{}
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case "create", "set":
			writes[value{op.Key, history.Decode[nodeIn](op.In).Value}] = op
		case "delete":
			if op.Outcome != history.Refused {
				deletes[op.Key] = append(deletes[op.Key], op)
			}
		}
	}
	deleted := func(path string, from, to history.Instant) bool {
		for _, d := range deletes[path] {
			if d.Start <= to && (d.Outcome == history.Maybe || d.End >= from) {
				return true
			}
		}
		return false
	}
	type follower struct{ client, run int }
	views := map[follower]map[string]nodeOut{}
	newest := map[follower]map[string]nodeOut{}
	// When a parent turns out to be another znode, what was found below it goes with it, and comes again as it was.
	came, went := map[follower]map[string]int{}, map[follower]map[string]int{}
	for i := range ops {
		op := &ops[i]
		f := follower{op.Client, op.Run}
		switch op.Kind {
		case "event":
			if views[f] == nil {
				views[f], newest[f] = map[string]nodeOut{}, map[string]nodeOut{}
				came[f], went[f] = map[string]int{}, map[string]int{}
			}
			ev, view := history.Decode[eventOut](op.Out), views[f]
			had, there := view[op.Key]
			if there != (ev.Old != nil) || there && *ev.Old != had || (ev.Type == cache.Added.String()) != (ev.Old == nil) || (ev.Type == cache.Removed.String()) != (ev.New == nil) {
				complain("events follow", "%s was %+v (%v) before: %v", op.Key, had, there, op)
			}
			if ev.New == nil {
				delete(view, op.Key)
				went[f][op.Key] = i
				for path := range view {
					if gazoo.ParentPath(path) == op.Key {
						complain("children within parents", "%s was still there: %v", path, op)
					}
				}
				if !deleted(op.Key, 0, op.Start) && !deleted(gazoo.ParentPath(op.Key), 0, op.Start) {
					complain("states were there", "nobody has deleted it: %v", op)
				}
				continue
			}
			if _, parent := view[gazoo.ParentPath(op.Key)]; !parent && op.Key != leaves[0] {
				complain("children within parents", "it came before its parent: %v", op)
			}
			again := ev.Old == nil && *ev.New == newest[f][op.Key] && came[f][gazoo.ParentPath(op.Key)] > went[f][op.Key]
			if ev.Old == nil {
				came[f][op.Key] = i
			}
			if last := newest[f][op.Key]; !again && (ev.New.Mzxid <= last.Mzxid || ev.New.Czxid < last.Czxid || ev.New.Czxid == last.Czxid && ev.New.Version <= last.Version) {
				complain("nothing goes back", "it was %+v: %v", last, op)
			}
			view[op.Key], newest[f][op.Key] = *ev.New, *ev.New
			w := writes[value{op.Key, ev.New.Value}]
			if (w == nil || w.Outcome == history.Refused || w.Start > op.Start) && (op.Key != leaves[0] || ev.New.Value != seed) {
				complain("states were there", "nobody has written that: %v; %v", w, op)
			}
		case "own":
			own := history.Decode[ownOut](op.Out)
			if own.Node != nil && own.Node.Mzxid < own.Zxid {
				complain("own writes are seen", "%v", op)
			}
			if own.Node == nil && !deleted(op.Key, 0, op.Start) {
				complain("own writes are seen", "nobody has deleted it: %v", op)
			}
		case "waited":
			if !history.Decode[bool](op.Out) {
				complain("waits are true", "%v", op)
			}
		case "converged":
			if !history.Decode[convergedOut](op.Out).same() {
				complain("all converges", "%v", op)
			}
		}
	}
	return append(bad, orphans(ops)...)
}
