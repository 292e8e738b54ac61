package lock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
)

// Contender is one that holds or waits, of whatever library, as it was when it was read.
type Contender struct {
	Path     string // its znode
	Identity string // the znode's data: see [WithIdentity]; "" when there is none, or it was revoked
	Session  int64  // that it belongs to; 0 of one that outlives its session
	Czxid    int64  // zxid of its znode's creation
	Since    time.Time
	Shared   bool // a reader
	Position int  // how many are ahead, readers among them
	// Turn says that nobody is ahead for whom it would wait: it holds, or is about to.
	Turn    bool
	Revoked bool // it was asked to give the lock up
}

// Contenders lists who holds the lock and who waits for it, in the order of the queue. It costs one request and one for
// each contender, all of them in flight together. Others come and go meanwhile; nothing follows from it for this
// program's own right to hold.
//
// Errors: [gazoo.ErrNoAuth] (needs Read on the path and the contenders). A path that does not exist has no contenders.
func (m *Mutex) Contenders(ctx context.Context) ([]Contender, error) {
	names, err := m.zk.Children(ctx, m.path)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("contenders: %w", err)
	}
	queue := m.cfg.reader.Read(names)
	list := make([]Contender, len(queue))
	for i, c := range queue {
		_, blocked := contend.Blocker(queue, i)
		list[i] = Contender{Path: gazoo.JoinPath(m.path, c.Name), Shared: c.Role == contend.Shared, Turn: !blocked}
	}
	list, err = describe(ctx, m.zk, list)
	if err != nil {
		return nil, fmt.Errorf("contenders: %w", err)
	}
	for i := range list {
		list[i].Position = i
	}
	return list, nil
}

// describe fills in what the znodes tell, and leaves those out that have gone.
func describe(ctx context.Context, zk *gazoo.Client, list []Contender) ([]Contender, error) {
	nodes := make([]gazoo.Future[gazoo.Node], len(list))
	for i, c := range list {
		nodes[i] = zk.Async().Get(ctx, c.Path)
	}
	there := list[:0]
	for i, c := range list {
		node, err := nodes[i].Wait(ctx)
		if errors.Is(err, gazoo.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if c.Revoked = string(node.Data) == revocation; !c.Revoked {
			c.Identity = string(node.Data)
		}
		c.Session, c.Czxid, c.Since = node.Stat.EphemeralOwner, node.Stat.Czxid, node.Stat.Created()
		there = append(there, c)
	}
	return there, nil
}
