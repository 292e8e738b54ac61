package election

import (
	"context"
	"errors"
	"iter"
	"strings"
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
		nodes[i] = async.Get(ctx, e.child(c.Name))
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
	if mark, ok := strings.CutPrefix(identity, grantPrefix); ok {
		_, identity, _ = strings.Cut(mark, " ") // an offer is under way
	}
	return Candidate{
		Identity: identity, Session: node.Stat.EphemeralOwner, Czxid: node.Stat.Czxid,
		Since: time.UnixMilli(node.Stat.Ctime), Path: e.child(c.Name), name: c.Name,
	}
}

// Leader returns the candidate that leads, as the server connected to sees it; false when nobody does. It may have
// ceased to lead when the answer arrives, and a candidate that has just become first may not know it yet.
func (e *Election) Leader(ctx context.Context) (Candidate, bool, error) {
	for {
		names, err := e.zk.Children(ctx, e.path)
		if err != nil && !errors.Is(err, gazoo.ErrNoNode) {
			return Candidate{}, false, err
		}
		c, found, err := e.first(ctx, names)
		if err != nil || found || len(e.cfg.reader.Read(names)) == 0 {
			return c, found, err
		}
	}
}

// first reads the first of the candidates; false when there is none, or it has vanished meanwhile.
func (e *Election) first(ctx context.Context, names []string) (Candidate, bool, error) {
	list := e.cfg.reader.Read(names)
	if len(list) == 0 {
		return Candidate{}, false, nil
	}
	data, stat, err := e.zk.Get(ctx, e.child(list[0].Name))
	if errors.Is(err, gazoo.ErrNoNode) {
		return Candidate{}, false, nil
	}
	if err != nil {
		return Candidate{}, false, err
	}
	return e.candidate(list[0], gazoo.Node{Data: data, Stat: stat}), true, nil
}

// Observe follows who leads, without taking part: the present leader at once, and then each change. Where nobody leads
// the Candidate is zero. Changes in quick succession may be seen as one, and the last one is always seen; lost
// connections and sessions are survived. It ends when the loop breaks or with an error as its last element: the context's,
// [gazoo.ErrClosed], [gazoo.ErrNoAuth].
//
// An observer has a watch on the directory, so it is told of each candidate that comes or goes.
func (e *Election) Observe(ctx context.Context) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		var last Candidate
		begun := false
		for snap, err := range e.zk.WatchChildren(ctx, e.path) {
			var leader Candidate
			found := false
			if err == nil {
				leader, found, err = e.follow(ctx, snap.Children)
			}
			switch {
			case err != nil:
				yield(Candidate{}, err)
				return
			case !found && len(e.cfg.reader.Read(snap.Children)) > 0:
				continue // the first has vanished since: another change is on its way
			case begun && leader.Path == last.Path && leader.Czxid == last.Czxid:
				continue
			}
			last, begun = leader, true
			if !yield(leader, nil) {
				return
			}
		}
	}
}

// follow is first, across lost connections.
func (e *Election) follow(ctx context.Context, names []string) (c Candidate, found bool, err error) {
	err = e.zk.Retry(ctx, func(ctx context.Context) error {
		c, found, err = e.first(ctx, names)
		return err
	})
	return c, found, err
}
