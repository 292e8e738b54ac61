package gazoo_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// old is what ZooKeeper 3.4 does not know.
var old = lacking(zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL, zkproto.OpRemoveWatches,
	zkproto.OpReconfig, zkproto.OpMultiRead, zkproto.OpGetEphemerals, zkproto.OpGetAllChildrenNumber,
	zkproto.OpAddWatch, zkproto.OpSetWatches2, zkproto.OpWhoAmI)

func TestOperationsUnknownToTheServerAreExplained(t *testing.T) {
	for name, op := range map[string]func(zk *gazoo.Client, t *testing.T) error{
		"container": func(zk *gazoo.Client, t *testing.T) error {
			_, err := zk.Create(t.Context(), "/a", nil, gazoo.Container())
			return err
		},
		"ttl": func(zk *gazoo.Client, t *testing.T) error {
			_, err := zk.Create(t.Context(), "/a", nil, gazoo.TTL(time.Hour))
			return err
		},
		"ephemerals": func(zk *gazoo.Client, t *testing.T) error { _, err := zk.Ephemerals(t.Context(), ""); return err },
		"descendants": func(zk *gazoo.Client, t *testing.T) error {
			_, err := zk.AllChildrenNumber(t.Context(), "/")
			return err
		},
		"whoami": func(zk *gazoo.Client, t *testing.T) error { _, err := zk.WhoAmI(t.Context()); return err },
		"reconfig": func(zk *gazoo.Client, t *testing.T) error {
			_, _, err := zk.Reconfig(t.Context(), gazoo.Reconfiguration{Leaving: []string{"1"}, Version: gazoo.AnyConfig})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				tree := w.plant("a:2181", old)
				zk := w.connect("a")
				for range 2 {
					err := op(zk, t)
					if !errors.Is(err, gazoo.ErrNotSupported) || !errors.Is(err, gazoo.ErrUnimplemented) || gazoo.MaybeApplied(err) {
						t.Errorf("got %v, want ErrNotSupported and ErrUnimplemented, nothing applied", err)
					}
				}
				unknown := 0
				tree.do(func() {
					for _, r := range tree.reqs {
						if tree.lacks[r.Header.Op] {
							unknown++
						}
					}
				})
				if unknown != 1 {
					t.Errorf("the server was asked %d times, want once: the answer is remembered", unknown)
				}
				if _, _, err := zk.Exists(t.Context(), "/"); err != nil {
					t.Errorf("the next call: %v", err)
				}
			})
		})
	}
}

func TestOldServersAreServedByOtherMeans(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181", old)
		tree.mustCreate("/r")
		zk := w.connect("a")
		path, stat, err := zk.CreateStat(ctx, "/sync", []byte("x"))
		if err != nil || path != "/sync" || stat.DataLength != 1 {
			t.Errorf("CreateStat = %q, %+v, %v", path, stat, err)
		}
		reads, err := zk.MultiRead(ctx, gazoo.ReadData("/sync"), gazoo.ReadChildren("/"), gazoo.ReadData("/none"))
		must(t, err)
		if string(reads[0].Data) != "x" || len(reads[1].Children) != 2 || !errors.Is(reads[2].Err, gazoo.ErrNoNode) {
			t.Errorf("MultiRead = %+v", reads)
		}
		if _, err := zk.EnsurePath(ctx, "/c/d", gazoo.Container()); err != nil {
			t.Errorf("EnsurePath with containers: %v, want plain znodes instead", err)
		}
	})
}

func TestAsyncFallsBackLikeSync(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.plant("a:2181", old).mustCreate("/r")
		zk := w.connect("a")
		for i := range 2 { // the second time the client knows before it asks
			path := "/async" + string(rune('0'+i))
			made, err := zk.Async().CreateStat(ctx, path, []byte("x")).Wait(ctx)
			if err != nil || made.Path != path || made.Stat.DataLength != 1 {
				t.Errorf("CreateStat = %+v, %v", made, err)
			}
			reads, err := zk.Async().MultiRead(ctx, gazoo.ReadData(path), gazoo.ReadData("/none")).Wait(ctx)
			if err != nil || string(reads[0].Data) != "x" || !errors.Is(reads[1].Err, gazoo.ErrNoNode) {
				t.Errorf("MultiRead = %+v, %v", reads, err)
			}
		}
	})
}

func TestTTLRefusedForLackOfExtendedTypesIsExplained(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		b := &peer.Basic{}
		b.Answer = func(c *peer.Conn, req peer.Request) bool {
			if req.Header.Op != zkproto.OpCreateTTL {
				return false
			}
			c.Reply(req.Header.Xid, b.NextZxid(), zkproto.ErrUnimplemented, nil)
			return true
		}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a")
		_, err := zk.Create(ctx, "/a", nil, gazoo.TTL(time.Second))
		_, aerr := zk.Async().Create(ctx, "/a", nil, gazoo.TTL(time.Second)).Wait(ctx)
		for _, err := range []error{err, aerr} {
			if !errors.Is(err, gazoo.ErrUnimplemented) || errors.Is(err, gazoo.ErrNotSupported) || !strings.Contains(err.Error(), "extendedTypesEnabled") {
				t.Errorf("got %v, want an ordinary refusal that names the server's setting", err)
			}
		}
		if zk.State() != gazoo.StateConnected {
			t.Error("an ordinary refusal cost the connection")
		}
	})
}

func TestFirstUseOfAYoungOperationIsAlone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		var order []zkproto.OpCode
		gate := make(chan struct{})
		tree := w.plant("a:2181", func(tr *fakeTree) {
			tr.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op != zkproto.OpPing {
					order = append(order, req.Header.Op)
					<-gate // a request at a time
				}
				return false
			}
		})
		zk := w.connect("a")
		async := zk.Async()
		get := async.Exists(ctx, "/")
		stat := async.CreateStat(ctx, "/a", nil)
		set := async.Set(ctx, "/a", nil, 0)
		again := async.CreateStat(ctx, "/b", nil)
		wire := func() int { synctest.Wait(); return len(tree.sentAll()) }
		for i, want := range []int{1, 2, 4} { // the probe comes alone, the rest together after it
			if i < 2 {
				if n := wire(); n != want {
					t.Errorf("%d requests arrived before answer %d, want %d", n, i+1, want)
				}
			}
			gate <- struct{}{}
		}
		close(gate)
		for _, err := range []error{second(get.Wait(ctx)), second(stat.Wait(ctx)), second(set.Wait(ctx)), second(again.Wait(ctx))} {
			must(t, err)
		}
		if want := []zkproto.OpCode{zkproto.OpExists, zkproto.OpCreate2, zkproto.OpSetData, zkproto.OpCreate2}; !slices.Equal(order, want) {
			t.Errorf("order on the wire %v, want %v", order, want)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestCallsBehindARefusedProbeWereNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		gate := make(chan struct{})
		tree := w.plant("a:2181", old, func(tr *fakeTree) {
			tr.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op == zkproto.OpWhoAmI {
					<-gate
				}
				return false
			}
		})
		tree.mustCreate("/a")
		zk := w.connect("a")
		probe := zk.Async().WhoAmI(ctx)
		set := zk.Async().Set(ctx, "/a", []byte("x"), gazoo.AnyVersion)
		close(gate)
		if _, err := probe.Wait(ctx); !errors.Is(err, gazoo.ErrNotSupported) {
			t.Errorf("WhoAmI: %v", err)
		}
		_, err := set.Wait(ctx)
		if !errors.Is(err, gazoo.ErrConnectionLoss) || !gazoo.WasNotSent(err) {
			t.Errorf("Set submitted behind it: %v, want connection loss, not sent", err)
		}
		if n := len(tree.sent(zkproto.OpSetData)); n != 0 {
			t.Errorf("it was sent %d times", n)
		}
		if _, err := zk.Set(ctx, "/a", nil, gazoo.AnyVersion); err != nil {
			t.Errorf("Set made afterwards: %v", err)
		}
	})
}

func TestSupportIsRememberedPerServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		olds := w.plant("old:2181", old)
		w.plant("new:2181")
		zk := w.connect("old,new")
		if _, err := zk.Create(ctx, "/a", nil, gazoo.Container()); !errors.Is(err, gazoo.ErrNotSupported) {
			t.Fatalf("on the old server: %v", err)
		}
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		olds.down.Store(true)
		if c := olds.Conn(zk.SessionID()); c != nil {
			c.Close()
		}
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if zk.Server() != "new:2181" {
			t.Fatalf("on %s", zk.Server())
		}
		if _, err := zk.Create(ctx, "/a", nil, gazoo.Container()); err != nil {
			t.Errorf("on the new server: %v", err)
		}
	})
}

func TestServerThatForgotAnOperationIsAskedNoMore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		zk := w.connect("a")
		if _, _, err := zk.CreateStat(ctx, "/a", nil); err != nil {
			t.Fatal(err)
		}
		// Another version behind the same address: a downgrade, or a load balancer.
		tree.do(func() { tree.lacks = map[zkproto.OpCode]bool{zkproto.OpCreate2: true} })
		for _, path := range []string{"/b", "/c", "/d"} {
			if _, _, err := zk.CreateStat(ctx, path, nil); err != nil {
				t.Errorf("CreateStat %s: %v", path, err)
			}
		}
		if n := len(tree.sent(zkproto.OpCreate2)); n != 2 {
			t.Errorf("create2 was sent %d times, want once before and once after the change", n)
		}
	})
}

func TestOneShotsEndWhenTheServerCannotRegisterThemAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181", lacking(zkproto.OpSetWatches, zkproto.OpSetWatches2))
		tree.mustCreate("/a")
		zk := w.connect("a")
		_, _, watch, err := zk.GetW(ctx, "/a")
		must(t, err)
		tree.Conn(zk.SessionID()).Close()
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if _, err := watch.Wait(deadline(t, time.Minute)); !errors.Is(err, gazoo.ErrConnectionLoss) {
			t.Errorf("watch after the reconnect: %v, want ErrConnectionLoss: nobody would ever fire it", err)
		}
	})
}

// A server may be upgraded behind its address: what it lacked is asked for again, at the first
// connect an hour later.
func TestLackOfSupportIsForgottenInTime(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", lacking(zkproto.OpWhoAmI))
		zk := w.connect("a")
		if _, err := zk.WhoAmI(t.Context()); !errors.Is(err, gazoo.ErrNotSupported) {
			t.Fatalf("WhoAmI: %v, want ErrNotSupported", err)
		}
		asked := len(tree.sent(zkproto.OpWhoAmI))
		for _, pause := range []time.Duration{30 * time.Minute, 31 * time.Minute} {
			time.Sleep(pause)
			tree.Conn(zk.SessionID()).Close()
			synctest.Wait()
			w.waitState(zk, gazoo.StateConnected, time.Minute)
			zk.WhoAmI(t.Context())
			if got, want := len(tree.sent(zkproto.OpWhoAmI))-asked, int(pause/(31*time.Minute)); got != want {
				t.Errorf("asked %d times again after %v more, want %d", got, pause, want)
			}
		}
	})
}
