package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// gated makes a tree that answers nothing but pings until the gate is closed.
func gated(gate <-chan struct{}) func(*fakeTree) {
	return func(t *fakeTree) {
		t.before = func(c *peer.Conn, req peer.Request) bool {
			if req.Header.Op != zkproto.OpPing {
				select {
				case <-gate:
				case <-c.Done():
				}
			}
			return false
		}
	}
}

func TestPendingCallsCostNoGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.plant("a:2181", gated(gate))
		zk := w.connect("a")
		synctest.Wait()
		before := runtime.NumGoroutine()
		futures := make([]gazoo.Future[gazoo.Presence], 10_000)
		for i := range futures {
			futures[i] = zk.Async().Exists(t.Context(), "/")
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 0 {
			t.Errorf("10,000 pending calls added %d goroutines", n)
		}
		if calls, bytes := zk.InFlight(); calls != 10_000 || bytes < 10_000*17 {
			t.Errorf("InFlight = %d calls, %d bytes", calls, bytes)
		}
		close(gate)
		for i, f := range futures {
			if p, err := f.Wait(t.Context()); err != nil || !p.Exists {
				t.Fatalf("call %d: %+v, %v", i, p, err)
			}
		}
		if calls, bytes := zk.InFlight(); calls != 0 || bytes != 0 {
			t.Errorf("InFlight = %d calls, %d bytes after the last answer", calls, bytes)
		}
	})
}

func TestWireOrderIsSubmissionOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		zk := w.connect("a")
		view, err := zk.Chroot("/v")
		must(t, err)
		var want []string
		for i := range 200 {
			path := fmt.Sprintf("/n%03d", i)
			switch i % 4 {
			case 0:
				zk.Async().Exists(ctx, path)
			case 1:
				zk.Async().Delete(ctx, path, 0)
			case 2:
				zk.Sync(ctx, path)
			case 3:
				view.Async().Get(ctx, path)
				path = "/v" + path
			}
			want = append(want, path)
		}
		synctest.Wait()
		var got []string
		for _, req := range tree.sentAll() {
			r := zkproto.NewReader(req.Body)
			got = append(got, r.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("order on the wire %q, want %q", got, want)
		}
	})
}

func TestWindowHoldsCallersBackInOrder(t *testing.T) {
	for name, c := range map[string]struct {
		calls, bytes int
		data         int
	}{
		"by calls": {2, 1 << 20, 0},
		"by bytes": {1000, 5000, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				gate := make(chan struct{})
				tree := w.plant("a:2181", gated(gate))
				tree.mustCreate("/a")
				zk := w.connect("a", gazoo.WithWindow(c.calls, c.bytes))
				data := make([]byte, c.data)
				zk.Async().Set(t.Context(), "/a", data, -1)
				zk.Async().Set(t.Context(), "/a", data, -1)
				done := make(chan int, 10)
				for i := range 10 {
					go func() {
						ctx := t.Context()
						if i == 3 {
							ctx = deadline(t, time.Second)
						}
						// The version tells on the wire who it was.
						f := zk.Async().Set(ctx, "/a", data, int32(100+i))
						if _, err := f.Wait(t.Context()); errors.Is(err, context.DeadlineExceeded) && gazoo.WasNotSent(err) {
							done <- -1
							return
						}
						done <- i
					}()
					synctest.Wait() // they queue up one after the other
				}
				if calls, bytes := zk.InFlight(); calls != 2 || bytes > c.bytes {
					t.Errorf("InFlight = %d calls, %d bytes with the window full, want 2", calls, bytes)
				}
				time.Sleep(2 * time.Second)
				if got := <-done; got != -1 {
					t.Errorf("the first to return was %d, want the one whose time was up", got)
				}
				close(gate)
				for range 9 {
					<-done
				}
				var got []int32
				for _, req := range tree.sent(zkproto.OpSetData) {
					var m zkproto.SetDataRequest
					must(t, req.Decode(&m))
					got = append(got, m.Version)
				}
				if want := []int32{-1, -1, 100, 101, 102, 104, 105, 106, 107, 108, 109}; !slices.Equal(got, want) {
					t.Errorf("order on the wire %v, want %v", got, want)
				}
			})
		})
	}
}

func TestSmallCallIsLetInWhenTheLargeOneBeforeItLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.plant("a:2181", gated(gate))
		zk := w.connect("a", gazoo.WithWindow(100, 10_000))
		zk.Async().Set(t.Context(), "/", make([]byte, 5_000), -1)
		go zk.Set(deadline(t, time.Second), "/", make([]byte, 9_000), -1)
		synctest.Wait()
		go zk.Exists(t.Context(), "/small") // fits, but has to wait its turn
		synctest.Wait()
		if calls, _ := zk.InFlight(); calls != 1 {
			t.Fatalf("%d calls in flight, want 1", calls)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if calls, _ := zk.InFlight(); calls != 2 {
			t.Errorf("%d calls in flight after the large one had left, want 2", calls)
		}
		close(gate)
		synctest.Wait()
	})
}

func TestOneCallAlwaysFitsAnEmptyWindow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.plant("a:2181").mustCreate("/a")
		zk := w.connect("a", gazoo.WithWindow(1, 10))
		if _, err := zk.Set(deadline(t, time.Second), "/a", make([]byte, 100), -1); err != nil {
			t.Error(err)
		}
	})
}

func TestWaitersForRoomFailWithTheDrop(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		tree := w.plant("a:2181", gated(gate))
		zk := w.connect("a", gazoo.WithWindow(1, 1<<20))
		zk.Async().Exists(t.Context(), "/")
		errs := make(chan error, 3)
		for range 3 {
			go func() { errs <- second(zk.Set(t.Context(), "/", nil, -1)) }()
		}
		synctest.Wait()
		tree.Conn(zk.SessionID()).Close()
		for range 3 {
			if err := <-errs; !errors.Is(err, gazoo.ErrConnectionLoss) || !gazoo.WasNotSent(err) {
				t.Errorf("a caller that waited for room: %v, want connection loss, not sent", err)
			}
		}
		close(gate)
	})
}

func TestFuture(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		gate := make(chan struct{})
		tree := w.plant("a:2181", gated(gate))
		tree.mustCreate("/a")
		zk := w.connect("a")
		f := zk.Async().Get(ctx, "/a")
		g := zk.Async().Get(ctx, "/none")
		if _, err := f.Wait(deadline(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) || f.Ready() {
			t.Errorf("Wait before the answer: %v, ready %v", err, f.Ready())
		}
		if _, err := f.Wait(noContext); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Wait(nil): %v", err)
		}
		var order []string
		note := func(s string) func(gazoo.Node, error) {
			return func(n gazoo.Node, err error) {
				order = append(order, fmt.Sprint(s, " ", errors.Is(err, gazoo.ErrNoNode)))
			}
		}
		g.Then(note("g"))
		f.Then(note("f1"))
		f.Then(func(n gazoo.Node, _ error) {
			// A callback may make calls and wait for them.
			_, _, err := zk.Get(ctx, "/a")
			note("f2")(n, err)
		})
		waiters := make(chan error)
		for range 3 {
			go func() { waiters <- second(f.Wait(ctx)) }()
		}
		done := f.Done()
		select {
		case <-done:
			t.Error("Done is closed before the answer")
		default:
		}
		close(gate)
		<-done
		for range 3 {
			must(t, <-waiters)
		}
		for range 2 {
			if _, err := f.Wait(ctx); err != nil || !f.Ready() {
				t.Errorf("Wait again: %v", err)
			}
		}
		<-f.Done()
		synctest.Wait()
		f.Then(note("late"))
		synctest.Wait()
		if want := []string{"f1 false", "f2 false", "g true", "late false"}; !slices.Equal(order, want) {
			t.Errorf("callbacks ran as %q, want %q: in the order in which the operations finished", order, want)
		}
		copied := f
		f.Release()
		if _, err := copied.Wait(ctx); err == nil || copied.Ready() {
			t.Errorf("Wait after Release: %v, want an error", err)
		}
		<-copied.Done()
		// The memory serves another operation now, which the old future must not touch.
		next := zk.Async().Get(ctx, "/none")
		f.Release()
		if _, err := next.Wait(ctx); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("the next operation: %v", err)
		}
		if _, err := copied.Wait(ctx); errors.Is(err, gazoo.ErrNoNode) {
			t.Error("a spent future shows the next operation's result")
		}
	})
}

func TestCallbacksOfAClosedClientStillRun(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		w.plant("a:2181", gated(gate))
		zk := w.connect("a")
		f := zk.Async().Get(t.Context(), "/a")
		got := make(chan error, 2)
		f.Then(func(_ gazoo.Node, err error) { got <- err })
		go zk.CloseNow()
		if err := <-got; !errors.Is(err, gazoo.ErrClosed) {
			t.Errorf("callback of a call in flight: %v, want ErrClosed", err)
		}
		<-zk.Done()
		zk.Async().Get(t.Context(), "/a").Then(func(_ gazoo.Node, err error) { got <- err })
		if err := <-got; !errors.Is(err, gazoo.ErrClosed) || !gazoo.WasNotSent(err) {
			t.Errorf("callback of a call on a closed client: %v, want ErrClosed, not sent", err)
		}
	})
}

func TestCallsFailInOrderWhenTheClientIsClosedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		gate := make(chan struct{})
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		zk := w.connect("a")
		for range 10 { // so that the ring of pending calls does not begin at its start
			must(t, zk.Sync(t.Context(), "/"))
		}
		tree.do(func() { gated(gate)(tree) })
		var order []int
		for i := range 12 {
			zk.Async().Set(t.Context(), "/a", nil, -1).Then(func(_ gazoo.Stat, err error) {
				if !errors.Is(err, gazoo.ErrClosed) || !gazoo.MaybeApplied(err) {
					t.Errorf("call %d: %v, want ErrClosed, maybe applied", i, err)
				}
				order = append(order, i)
			})
		}
		synctest.Wait()
		zk.CloseNow()
		<-zk.Done()
		if !slices.IsSorted(order) || len(order) != 12 {
			t.Errorf("they failed in the order %v", order)
		}
		close(gate)
	})
}

// TestPipelinedGetsDoNotAllocate guards what the benchmarks measured.
func TestPipelinedGetsDoNotAllocate(t *testing.T) {
	zk := benchClient(t, reply100)
	ctx := context.Background()
	async := zk.Async()
	buf := make([]byte, 128)
	var flight [64]gazoo.Future[gazoo.Node]
	round := func() {
		for i := range flight {
			flight[i] = async.Get(ctx, "/bench")
		}
		for _, f := range flight {
			if _, err := f.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			f.Release()
		}
	}
	round()
	if n := testing.AllocsPerRun(200, round) / float64(len(flight)); n >= 2 {
		t.Errorf("a pipelined get allocates %.2f times, want less than 2: its data alone", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, err := zk.GetInto(ctx, "/bench", buf); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("a get into a buffer allocates %.2f times, want none", n)
	}
}
