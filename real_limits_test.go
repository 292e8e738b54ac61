package gazoo_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// commitAll does n operations in pipelined transactions of batch operations each.
func commitAll(t *testing.T, zk *gazoo.Client, n, batch int, add func(txn *gazoo.Txn, i int)) {
	t.Helper()
	ctx := deadline(t, 60*time.Second)
	var pending []gazoo.Future[[]gazoo.TxnResult]
	for i := 0; i < n; i += batch {
		txn := zk.Txn()
		for j := i; j < min(i+batch, n); j++ {
			add(txn, j)
		}
		pending = append(pending, zk.Async().Commit(ctx, txn))
	}
	for _, f := range pending {
		if _, err := f.Wait(ctx); err != nil {
			t.Fatalf("Commit: %v", err)
		}
	}
}

func TestHugeChildrenList(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{})
	ctx := deadline(t, 60*time.Second)
	zk := connect(t, e.Hosts(), gazoo.WithSessionTimeout(30*time.Second))
	_, err := zk.Create(ctx, "/wide", nil)
	must(t, err)
	const children = 312_763
	commitAll(t, zk, children, 8000, func(txn *gazoo.Txn, i int) { txn.Create(fmt.Sprintf("/wide/child-with-a-long-name-%06d", i), nil) })
	session, sub := zk.SessionID(), zk.SubscribeState()

	// With the default ceiling that call fails, alone.
	after := zk.Async().Exists(ctx, "/")
	names, err := zk.Children(ctx, "/wide")
	wantErr(t, "Children", err, gazoo.ErrReplyTooLarge)
	if size, ok := errors.AsType[*gazoo.SizeError](err); !ok || size.Size < 10_000_000 || size.Limit != 4<<20 {
		t.Errorf("error = %#v with %d names, want about 10 MiB against 4 MiB", err, len(names))
	}
	get(t, ctx, "Exists", after)
	if n, err := zk.AllChildrenNumber(ctx, "/wide"); err != nil || n != children {
		t.Errorf("AllChildrenNumber = %d, %v, want %d", n, err, children)
	}
	if zk.SessionID() != session {
		t.Error("the session did not survive")
	}
	if ch, err := sub.Next(deadline(t, time.Millisecond)); err == nil {
		t.Errorf("state changed: %+v", ch)
	}

	raised := connect(t, e.Hosts(), gazoo.WithMaxReply(16<<20))
	names, err = raised.Children(ctx, "/wide")
	must(t, err)
	slices.Sort(names)
	if len(names) != children || names[0] != "child-with-a-long-name-000000" || names[children-1] != fmt.Sprintf("child-with-a-long-name-%06d", children-1) {
		t.Errorf("%d names from %q to %q, want %d", len(names), names[0], names[len(names)-1], children)
	}
}

// The servers' limit of a packet is 1 MiB: more watches than fit must not end a client.
func TestManyWatchesSurviveADrop(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{})
	ctx := deadline(t, 90*time.Second)
	var log watchLog
	zk := connect(t, e.Proxied(), gazoo.WithHook(&log), gazoo.WithSessionTimeout(30*time.Second))
	root := "/" + strings.Repeat("x", 190)
	_, err := zk.Create(ctx, root, nil)
	must(t, err)
	const watches, each = 60_000, 20_000
	path := func(i int) string { return fmt.Sprintf("%s/n%06d", root, i) } // 199 bytes
	commitAll(t, zk, 2*each, 2500, func(txn *gazoo.Txn, i int) { txn.Create(path(i), nil) })
	all := make([]*gazoo.Watch, watches)
	var wg sync.WaitGroup
	for from := range 3 {
		wg.Go(func() { // each goroutine one kind
			gets := make([]gazoo.Future[gazoo.WatchedNode], each)
			exists := make([]gazoo.Future[gazoo.WatchedPresence], each)
			children := make([]gazoo.Future[gazoo.WatchedDirectory], each)
			for i := range each {
				switch from {
				case 0:
					gets[i] = zk.Async().GetW(ctx, path(i))
				case 1:
					children[i] = zk.Async().ChildrenW(ctx, path(each+i))
				default:
					exists[i] = zk.Async().ExistsW(ctx, path(2*each+i))
				}
			}
			for i := range each {
				switch from {
				case 0:
					all[i] = get(t, ctx, "GetW", gets[i]).Watch
				case 1:
					all[each+i] = get(t, ctx, "ChildrenW", children[i]).Watch
				default:
					all[2*each+i] = get(t, ctx, "ExistsW", exists[i]).Watch
				}
			}
		})
	}
	wg.Wait()
	var mu sync.Mutex
	packets, largest := 0, 0
	e.Proxy(0).SetFilter(func(dir faultproxy.Dir, _ int, frame []byte) faultproxy.Verdict {
		if dir == faultproxy.Upstream && isSetWatches(frame) {
			mu.Lock()
			packets++
			largest = max(largest, len(frame))
			mu.Unlock()
		}
		return faultproxy.Forward
	})
	if ch := cut(t, cluster.Apache{Ensemble: e}, zk); !ch.Resumed {
		t.Errorf("after the cut: %+v, want the session resumed", ch)
	}
	e.Proxy(0).SetFilter(nil)
	mu.Lock()
	t.Logf("%d watches registered again in %d packets, the largest of %d bytes", watches, packets, largest)
	if packets < 90 || largest >= 128<<10 {
		t.Errorf("%d packets of up to %d bytes, want many under 128 KiB", packets, largest)
	}
	mu.Unlock()
	settleCallbacks(t, zk)
	log.mu.Lock()
	if log.registered != watches || len(log.events) != 0 {
		t.Errorf("%d watches registered and %d paths with events, want %d and none", log.registered, len(log.events), watches)
	}
	log.mu.Unlock()

	commitAll(t, zk, watches, 2000, func(txn *gazoo.Txn, i int) {
		switch {
		case i < each:
			txn.Set(path(i), nil, 0)
		case i < 2*each:
			txn.Create(path(i)+"/c", nil)
		default:
			txn.Create(path(i), nil)
		}
	})
	for i, w := range all {
		want := []gazoo.EventType{gazoo.EventDataChanged, gazoo.EventChildrenChanged, gazoo.EventCreated}[i/each]
		ev, err := w.Wait(ctx)
		if err != nil || ev.Type != want || ev.Path != path(i) {
			t.Fatalf("watch %d = %+v, %v, want %v", i, ev, err, want)
		}
	}
	if oneShots, _ := zk.WatchCount(); oneShots != 0 {
		t.Errorf("%d watches left", oneShots)
	}
}

func TestEnforcedQuota(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{Properties: map[string]string{"enforceQuota": "true"}})
	ctx := deadline(t, 20*time.Second)
	zk := connect(t, e.Hosts())
	_, err := zk.Create(ctx, "/app", nil)
	must(t, err)
	_, err = zk.Create(ctx, "/zookeeper/quota/app/zookeeper_limits", []byte("count=-1,bytes=-1=;byteHardLimit=100;countHardLimit=3"), gazoo.Parents())
	must(t, err)
	_, err = zk.Create(ctx, "/zookeeper/quota/app/zookeeper_stats", []byte("count=0,bytes=0"))
	must(t, err)
	_, err = zk.Create(ctx, "/app/a", make([]byte, 60))
	must(t, err)
	_, err = zk.Set(ctx, "/app/a", make([]byte, 200), gazoo.AnyVersion)
	wantErr(t, "Set beyond the quota's bytes", err, gazoo.ErrQuotaExceeded)
	_, err = zk.Create(ctx, "/app/b", nil)
	must(t, err)
	_, err = zk.Create(ctx, "/app/c", nil)
	wantErr(t, "Create beyond the quota's count", err, gazoo.ErrQuotaExceeded)
	_, err = zk.Txn().Create("/free", nil).Create("/app/c", nil).Commit(ctx)
	wantErr(t, "Commit beyond the quota's count", err, gazoo.ErrQuotaExceeded)
	if te, ok := errors.AsType[*gazoo.TxnError](err); !ok || te.Index != 1 {
		t.Errorf("error = %v, want it to name operation 1", err)
	}
}

// An overloaded server refuses requests without executing them, in order.
func TestThrottledByTheServer(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{SystemProperties: map[string]string{
		"zookeeper.throttled_op_wait_time":        "1",
		"zookeeper.request_throttle_max_requests": "1",
		"zookeeper.request_throttle_stall_time":   "20",
	}})
	ctx := deadline(t, 30*time.Second)
	zk := connect(t, e.Hosts())
	throttled, done := 0, 0
	var sets []gazoo.Future[gazoo.Created]
	for i := range 100 {
		sets = append(sets, zk.Async().Create(ctx, fmt.Sprintf("/n%d", i), make([]byte, 1000)))
	}
	for _, f := range sets {
		_, err := f.Wait(ctx)
		switch {
		case err == nil:
			done++
		case errors.Is(err, gazoo.ErrThrottledOp) && !gazoo.MaybeApplied(err):
			throttled++
		default:
			t.Errorf("Create = %v", err)
		}
	}
	if throttled == 0 {
		t.Fatalf("%d creates, none throttled", done)
	}
	// A policy that retries them gets through.
	policy := gazoo.Backoff{MaxTries: gazoo.Forever, Delay: 5 * time.Millisecond, RetryThrottled: true}
	must(t, gazoo.Retry(ctx, policy, func(ctx context.Context) error {
		names, err := zk.Children(ctx, "/")
		if err == nil && len(names) != done+1 {
			t.Errorf("%d znodes, want the %d whose create succeeded and /zookeeper", len(names), done)
		}
		return err
	}))
}

// frameOp returns the operation of a request frame, 0 for a connect record.
func frameOp(frame []byte) int32 {
	if len(frame) < 8 {
		return 0
	}
	return int32(binary.BigEndian.Uint32(frame[4:]))
}
