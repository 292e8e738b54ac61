package election

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
)

// Candidate is one that takes part, leader or not, of whatever library.
type Candidate struct {
	Identity string    // data of its znode
	Session  int64     // that owns it
	Czxid    int64     // zxid of its znode's creation
	Since    time.Time // when the server made its znode
	Path     string

	name string
}

// Candidates returns those that take part, the leader first and then in the order in which they will lead. Those that
// vanish meanwhile are left out.
//
// Errors: [gazoo.ErrNoAuth], the context's, [gazoo.ErrConnectionLoss].
func (e *Election) Candidates(ctx context.Context) ([]Candidate, error) {
	names, err := e.zk.Children(ctx, e.path)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := e.cfg.reader.Read(names)
	nodes := make([]gazoo.Future[gazoo.Node], len(list))
	async := e.zk.Async()
	for i, c := range list {
		nodes[i] = async.Get(ctx, gazoo.JoinPath(e.path, c.Name))
	}
	candidates := make([]Candidate, 0, len(list))
	for i, c := range list {
		node, err := nodes[i].Wait(ctx)
		switch {
		case err == nil:
			candidates = append(candidates, e.candidate(c, node))
		case !errors.Is(err, gazoo.ErrNoNode):
			return nil, err
		}
	}
	return candidates, nil
}

func (e *Election) candidate(c contend.Contender, node gazoo.Node) Candidate {
	identity := string(node.Data)
	if g, ok := parseGrant(node.Data); ok {
		identity = g.identity // an offer is under way
	}
	return Candidate{
		Identity: identity, Session: node.Stat.EphemeralOwner, Czxid: node.Stat.Czxid,
		Since: time.UnixMilli(node.Stat.Ctime), Path: gazoo.JoinPath(e.path, c.Name), name: c.Name,
	}
}

// Exists reports whether there is such a candidate: false of the zero Candidate, which stands for nobody.
func (c Candidate) Exists() bool { return c.Path != "" }

// Leader returns the candidate that leads, as the server connected to sees it; false when nobody does. It may have
// ceased to lead when the answer arrives, and a candidate that has just become first may not know it yet.
//
// Errors: [gazoo.ErrNoAuth], the context's, [gazoo.ErrConnectionLoss].
func (e *Election) Leader(ctx context.Context) (Candidate, bool, error) {
	for {
		names, err := e.zk.Children(ctx, e.path)
		list := e.cfg.reader.Read(names)
		if err != nil && !errors.Is(err, gazoo.ErrNoNode) || len(list) == 0 {
			return Candidate{}, false, unlessMissing(err)
		}
		data, stat, err := e.zk.Get(ctx, gazoo.JoinPath(e.path, list[0].Name))
		if !errors.Is(err, gazoo.ErrNoNode) {
			return e.candidate(list[0], gazoo.Node{Data: data, Stat: stat}), err == nil, err
		}
	}
}

func unlessMissing(err error) error {
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil
	}
	return err
}

// Observe follows who leads, without taking part: the present leader at once, and then each change. Where nobody leads
// the Candidate is the zero one. Changes in quick succession may be seen as one, and the last one is always seen; lost
// connections and sessions are survived. It ends when the loop breaks or with an error as its last element: the context's,
// [gazoo.ErrClosed], [gazoo.ErrNoAuth].
//
// An observer has a single watch, on the leader's znode, since nobody gets before a leader that stays; on the path only
// while there is none. So candidates that come and go behind a leader cost observers nothing.
func (e *Election) Observe(ctx context.Context) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		var last Candidate
		for begun := false; ; begun = true {
			var leader Candidate
			var watch *gazoo.Watch
			err := gazoo.Retry(ctx, observing, func(ctx context.Context) (err error) {
				leader, watch, err = e.look(ctx)
				return err
			})
			if err != nil {
				yield(Candidate{}, err)
				return
			}
			news := !begun || leader != last
			if last = leader; news && !yield(leader, nil) {
				watch.Close()
				return
			}
			// Whatever ends the watch, the next look tells who leads, or why there is no telling.
			watch.Wait(ctx)
			watch.Close()
		}
	}
}

// observing paces the looks of an observer that fail.
var observing = gazoo.Backoff{
	MaxTries: gazoo.Forever, Delay: 20 * time.Millisecond, MaxDelay: 3 * time.Second, RetryThrottled: true,
}

// look returns who leads, with a watch that ends when that may have changed.
func (e *Election) look(ctx context.Context) (Candidate, *gazoo.Watch, error) {
	for {
		names, err := e.zk.Children(ctx, e.path)
		if err != nil && !errors.Is(err, gazoo.ErrNoNode) {
			return Candidate{}, nil, err
		}
		if list := e.cfg.reader.Read(names); len(list) > 0 {
			data, stat, watch, err := e.zk.GetW(ctx, gazoo.JoinPath(e.path, list[0].Name))
			switch {
			case err == nil:
				return e.candidate(list[0], gazoo.Node{Data: data, Stat: stat}), watch, nil
			case !errors.Is(err, gazoo.ErrNoNode):
				return Candidate{}, nil, err
			}
			continue // gone since it was listed
		}
		watch, err := e.watchNobody(ctx)
		if watch != nil || err != nil {
			return Candidate{}, watch, err
		}
	}
}

// watchNobody sets a watch for the first candidate to come, and returns none when there is one already.
func (e *Election) watchNobody(ctx context.Context) (*gazoo.Watch, error) {
	names, _, watch, err := e.zk.ChildrenW(ctx, e.path)
	some := len(e.cfg.reader.Read(names)) > 0
	if errors.Is(err, gazoo.ErrNoNode) {
		_, some, watch, err = e.zk.ExistsW(ctx, e.path)
	}
	if err == nil && some {
		watch.Close()
		watch = nil
	}
	return watch, err
}
