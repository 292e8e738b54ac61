// Package crashload is for tests that end a server with force: clients that write and read at
// random, and remember what they were told, so that it can be compared with what is there
// afterwards.
//
//	load := crashload.New(16)
//	w, err := load.Worker(ctx, zk, id, seed)
//	go w.Run(ctx)
//	… // the server ends, and its tree is recovered
//	for _, problem := range load.Check(tree) {
package crashload

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Load is what all clients together know of a server. It is safe for concurrent use.
type Load struct {
	workers int

	mu         sync.Mutex
	more       sync.Cond        // an acknowledgement came
	acked      int              // writes
	zxid       int64            // newest that anything told
	counters   map[string]int   // largest value that was acknowledged or read
	sent       map[string]int   // largest value that may be there
	created    map[string]bool  // acknowledged, or told by an event
	deleting   map[string]bool  // may be deleted
	deleted    map[string]bool  // acknowledged, or told by an event
	ephemerals map[string]int64 // sessions of those that were acknowledged
	sessions   map[int64]bool
}

// New returns the load of a number of workers.
func New(workers int) *Load {
	l := &Load{
		workers: workers, counters: map[string]int{}, sent: map[string]int{},
		created: map[string]bool{}, deleting: map[string]bool{}, deleted: map[string]bool{},
		ephemerals: map[string]int64{}, sessions: map[int64]bool{},
	}
	l.more.L = &l.mu
	return l
}

func (l *Load) learn(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// Saw notes a zxid that somebody was told.
func (l *Load) Saw(zxid int64) { l.learn(func() { l.zxid = max(l.zxid, zxid) }) }

// Session notes a session that is alive, and stays so.
func (l *Load) Session(id int64) { l.learn(func() { l.sessions[id] = true }) }

// Acked returns how many writes were acknowledged.
func (l *Load) Acked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// Ephemerals returns how many ephemerals were acknowledged and not deleted.
func (l *Load) Ephemerals() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for path := range l.ephemerals {
		if !l.deleting[path] {
			n++
		}
	}
	return n
}

// WaitAcked waits until n writes were acknowledged in all.
func (l *Load) WaitAcked(ctx context.Context, n int) error {
	stop := context.AfterFunc(ctx, l.more.Broadcast)
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.acked < n {
		if ctx.Err() != nil {
			return fmt.Errorf("%d writes acknowledged, want %d: %w", l.acked, n, ctx.Err())
		}
		l.more.Wait()
	}
	return nil
}

// Check returns what a recovered tree lacks of what anybody was told, what it has only half, and
// what it has though it cannot.
func (l *Load) Check(tree *ztree.Tree) (problems []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	super := &ztree.Caller{IDs: []ztree.ID{{Scheme: "super"}}}
	value := func(path string) int {
		data, _, _ := tree.Get(super, path)
		n, _ := strconv.Atoi(string(data))
		return n
	}
	if tree.Zxid() < l.zxid {
		say("recovered up to zxid 0x%x, but 0x%x was seen", tree.Zxid(), l.zxid)
	}
	for path, n := range l.counters {
		if got := value(path); got < n || got > l.sent[path] {
			say("%s is %d, but %d was seen, and %d sent", path, got, n, l.sent[path])
		}
		if other, pair := strings.CutSuffix(path, "-a"); pair && value(path) != value(other+"-b") {
			say("half a transaction: %s is %d, %s is %d", path, value(path), other+"-b", value(other+"-b"))
		}
	}
	for path := range l.created {
		_, stat, code := tree.Get(super, path)
		switch owner := l.ephemerals[path]; {
		case l.deleting[path]:
		case code != zkproto.OK:
			say("%s is gone, which was seen", path)
		case stat.EphemeralOwner != owner && owner != 0:
			say("%s belongs to session 0x%x, not to 0x%x", path, stat.EphemeralOwner, owner)
		}
	}
	for path := range l.deleted {
		if _, _, code := tree.Get(super, path); code == zkproto.OK {
			say("%s is back, which was seen deleted", path)
		}
	}
	for id := range l.sessions {
		if _, alive := tree.Session(id); !alive {
			say("session 0x%x is gone", id)
		}
	}
	// Each transaction makes one znode and sets two to its number.
	for id := range l.workers {
		n := value(pair(id) + "-a")
		if _, _, code := tree.Get(super, multi(id, n)); n > 0 && code != zkproto.OK {
			say("half a transaction: %s-a is %d, but there is no %s", pair(id), n, multi(id, n))
		}
	}
	return problems
}
