package gazoo_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// This file is about writes that a server applied and whose answer was lost.

// loseReply makes the proxies forward the next request of an operation, and cut the
// connection instead of passing on its reply.
func loseReply(t *testing.T, c cluster.Cluster, ops ...int32) {
	t.Helper()
	type request struct{ proxy, conn, xid int }
	var mu sync.Mutex
	var target *request
	done := false
	for i, p := range proxies(c) {
		p.SetFilter(func(dir faultproxy.Dir, conn int, frame []byte) faultproxy.Verdict {
			mu.Lock()
			defer mu.Unlock()
			if done || len(frame) < 4 {
				return faultproxy.Forward
			}
			this := request{i, conn, int(int32(binary.BigEndian.Uint32(frame)))}
			if dir == faultproxy.Upstream {
				for _, op := range ops {
					if target == nil && frameOp(frame) == op {
						target = &this
					}
				}
				return faultproxy.Forward
			}
			if target != nil && *target == this {
				done = true
				return faultproxy.Cut
			}
			return faultproxy.Forward
		})
	}
	t.Cleanup(func() {
		for _, p := range proxies(c) {
			p.SetFilter(nil)
		}
		mu.Lock()
		defer mu.Unlock()
		if !done {
			t.Error("no reply was lost")
		}
	})
}

const (
	opCreate    = 1
	opDelete    = 2
	opSetData   = 5
	opMulti     = 14
	opCreate2   = 15
	opContainer = 19
	opCreateTTL = 21
)

func TestCreateWhoseReplyIsLost(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		for _, kind := range createKinds {
			for _, protected := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/protected=%v", kind.name, protected), func(t *testing.T) {
					ctx := deadline(t, 30*time.Second)
					zk := fresh(t, connect(t, c.Proxied()))
					opts := kind.opts
					if protected {
						opts = append([]gazoo.CreateOption{gazoo.Protected()}, opts...)
					}
					loseReply(t, c, opCreate, opContainer, opCreateTTL)
					path, err := zk.Create(ctx, "/n-", []byte("x"), opts...)
					names, cerr := zk.Children(ctx, "/")
					must(t, cerr)
					if len(names) != 1 {
						t.Fatalf("%d znodes for one create: %q", len(names), names)
					}
					if protected {
						must(t, err)
						if path != "/"+names[0] {
							t.Errorf("Create = %q, the znode is %q", path, names[0])
						}
						return
					}
					wantErr(t, "Create", err, gazoo.ErrConnectionLoss)
					if !gazoo.MaybeApplied(err) || gazoo.WasNotSent(err) || errors.Is(err, gazoo.ErrNodeExists) {
						t.Errorf("Create = %v, want that it may have been applied", err)
					}
				})
			}
		}
	})
}

func TestCreateStatWhoseReplyIsLost(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Proxied()))
		loseReply(t, c, opCreate2)
		path, stat, err := zk.CreateStat(ctx, "/n-", nil, gazoo.Protected(), gazoo.Ephemeral(), gazoo.Sequential())
		must(t, err)
		got, found, err := zk.Exists(ctx, path)
		if err != nil || !found || got != stat || stat.EphemeralOwner != zk.SessionID() {
			t.Errorf("CreateStat = %q, %+v; Exists = %+v, %v, %v", path, stat, got, found, err)
		}
	})
}

func TestIdempotentWritesWhoseReplyIsLost(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Proxied()))
		_, err := zk.Create(ctx, "/n", []byte("0"))
		must(t, err)

		loseReply(t, c, opSetData)
		_, err = zk.Set(ctx, "/n", []byte("1"), 0)
		if !errors.Is(err, gazoo.ErrConnectionLoss) || !gazoo.MaybeApplied(err) {
			t.Errorf("Set = %v, want that it may have been applied", err)
		}
		loseReply(t, c, opSetData)
		// It was applied, as far as anybody can tell: the version moved on.
		_, err = zk.SetIdempotent(ctx, "/n", []byte("2"), 1)
		if !errors.Is(err, gazoo.ErrConnectionLoss) || !gazoo.MaybeApplied(err) {
			t.Errorf("SetIdempotent = %v, want that it may have been applied", err)
		}
		if data, stat, err := zk.Get(ctx, "/n"); err != nil || string(data) != "2" || stat.Version != 2 {
			t.Errorf("Get = %q, version %d, %v", data, stat.Version, err)
		}
		loseReply(t, c, opDelete)
		must(t, zk.DeleteIdempotent(ctx, "/n", 2))
		if _, found, err := zk.Exists(ctx, "/n"); err != nil || found {
			t.Errorf("Exists after DeleteIdempotent = %v, %v", found, err)
		}
		loseReply(t, c, opMulti)
		_, err = zk.Txn().Create("/a", nil).Create("/b", nil).Commit(ctx)
		if !errors.Is(err, gazoo.ErrConnectionLoss) || !gazoo.MaybeApplied(err) {
			t.Errorf("Commit = %v, want that it may have been applied", err)
		}
		if n, err := zk.AllChildrenNumber(ctx, "/"); err != nil || n != 2 {
			t.Errorf("%d znodes, %v, want both of the transaction", n, err)
		}
	})
}

// Of writes that are in flight together none is applied when one before it was lost.
func TestNothingOvertakesALostWrite(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 40*time.Second)
		zk := fresh(t, connect(t, c.Proxied()))
		between := 0 // a reset may also take what the server has not read
		for round := range 20 {
			parent, err := zk.Create(ctx, "/r-", nil, gazoo.Sequential())
			must(t, err)
			for _, p := range proxies(c) {
				p.Stall(faultproxy.Upstream, true)
			}
			creates := make([]gazoo.Future[gazoo.Created], 200)
			for i := range creates {
				creates[i] = zk.Async().Create(ctx, fmt.Sprintf("%s/%03d", parent, i), nil)
			}
			for _, p := range proxies(c) {
				p.CutAfter(faultproxy.Upstream, 2000+137*round)
				p.Stall(faultproxy.Upstream, false)
			}
			last := -1 // newest that may exist
			for i, f := range creates {
				_, err := f.Wait(ctx)
				switch {
				case err == nil, gazoo.MaybeApplied(err):
					last = i
				case !gazoo.WasNotSent(err) || !errors.Is(err, gazoo.ErrConnectionLoss):
					t.Errorf("create %d = %v", i, err)
				}
			}
			for _, p := range proxies(c) {
				p.CutAfter(faultproxy.Upstream, -1)
			}
			must(t, retrySync(ctx, zk))
			names, err := zk.Children(ctx, parent)
			must(t, err)
			if len(names) > 0 && len(names) < len(creates) {
				between++
			}
			exists := make([]bool, len(creates))
			for _, name := range names {
				var i int
				fmt.Sscanf(name, "%d", &i)
				exists[i] = true
			}
			for i := range exists {
				if exists[i] && (i > last || i > 0 && !exists[i-1]) {
					t.Fatalf("round %d: create %d was applied, %d was not, and %d is the last that may have been", round, i, i-1, last)
				}
			}
		}
		if between < 10 {
			t.Errorf("%d of 20 cuts fell between the creates", between)
		}
	})
}

// retrySync is a Sync that gets over a lost connection.
func retrySync(ctx context.Context, zk *gazoo.Client) error {
	return zk.Retry(ctx, func(ctx context.Context) error { return zk.Sync(ctx, "/") })
}
