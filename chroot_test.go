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

func TestPathsAreRelativeEverywhereBelowAChroot(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		zk := w.connect("a/x/y")
		if created, err := zk.EnsurePath(ctx, "/"); err != nil || !created {
			t.Fatalf("EnsurePath of a missing chroot = %v, %v", created, err)
		}
		// A real path that repeats the chroot must lose it once, not twice.
		path, err := zk.Create(ctx, "/x/y", []byte("v"), gazoo.Parents())
		must(t, err)
		if path != "/x/y" || tree.nodes["/x/y/x/y"] == nil {
			t.Errorf("Create = %q, real paths %v", path, tree.children("/x/y/x"))
		}
		if path, err = zk.Create(ctx, "/x/y/s-", nil, gazoo.Sequential()); err != nil || path != "/x/y/s-0000000000" {
			t.Errorf("sequential Create = %q, %v", path, err)
		}
		if path, err = zk.Create(ctx, "/", nil, gazoo.Sequential()); err != nil || path != "/0000000001" {
			t.Errorf("nameless sequential Create = %q, %v", path, err)
		}
		if path, err = zk.Create(ctx, "/p", nil, gazoo.Protected()); err != nil || !strings.HasPrefix(path, "/_c_") || !strings.HasSuffix(path, "-p") {
			t.Errorf("protected Create = %q, %v", path, err)
		}
		_, _, watch, err := zk.GetW(ctx, "/x/y")
		must(t, err)
		_, _, root, err := zk.ChildrenW(ctx, "/")
		must(t, err)
		tree.mustSet("/x/y/x/y", "w")
		tree.mustCreate("/x/y/n")
		if ev, err := watch.Wait(ctx); err != nil || ev.Path != "/x/y" {
			t.Errorf("event %+v, %v, want path /x/y", ev, err)
		}
		if ev, err := root.Wait(ctx); err != nil || ev.Path != "/" {
			t.Errorf("event of the root %+v, %v, want path /", ev, err)
		}
		_, _, err = zk.Get(ctx, "/none")
		if e, ok := errors.AsType[*gazoo.OpError](err); !ok || e.Path != "/none" {
			t.Errorf("error %v, want path /none", err)
		}
		must(t, zk.DeleteRecursive(ctx, "/x", nil))
		if tree.nodes["/x/y/x"] != nil || tree.nodes["/x/y"] == nil {
			t.Error("DeleteRecursive deleted something else than /x of the view")
		}
		if got := zk.Unchroot("/x/y/z"); got != "/z" || zk.Unchroot("/xy") != "/xy" || zk.Unchroot("/x/y") != "/" {
			t.Errorf("Unchroot(/x/y/z) = %q", got)
		}
	})
}

func TestViewsOfViews(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		zk := w.connect("a/x")
		view, err := zk.Chroot("/y")
		must(t, err)
		same, err := view.Chroot("/")
		must(t, err)
		if view.Root() != "/x/y" || same.Root() != "/x/y" || zk.Root() != "/x" {
			t.Errorf("roots %q, %q, %q", view.Root(), same.Root(), zk.Root())
		}
		if _, err := view.Create(t.Context(), "/z", nil, gazoo.Parents()); err != nil || tree.nodes["/x/y/z"] == nil {
			t.Errorf("Create in a view: %v", err)
		}
		if _, err := zk.Chroot("y"); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Chroot(y): %v, want an argument error", err)
		}
	})
}

func TestEphemeralsBelowAChroot(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		srv := w.can("a:2181", map[zkproto.OpCode]peer.Body{
			zkproto.OpGetEphemerals: zkproto.EphemeralsResponse{Paths: []string{"/app/e", "/apple", "/app"}},
		}, nil)
		zk := w.connect("a/app")
		got, err := zk.Ephemerals(t.Context(), "")
		must(t, err)
		slices.Sort(got)
		if !slices.Equal(got, []string{"/", "/e"}) {
			t.Errorf("Ephemerals = %q, want those below the chroot: the server compares text", got)
		}
		var m zkproto.PathRequest
		must(t, srv.take()[0].Decode(&m))
		if m.Path != "/app" {
			t.Errorf("prefix on the wire %q, want /app", m.Path)
		}
	})
}

func TestConfigurationLiesOutsideTheChroot(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		text := "server.1=h1:2888:3888:participant;0.0.0.0:2181\nversion=100000003"
		srv := w.can("a:2181", map[zkproto.OpCode]peer.Body{
			zkproto.OpGetData: zkproto.GetDataResponse{Data: []byte(text)},
		}, nil)
		zk := w.connect("a/app")
		cfg, _, err := zk.EnsembleConfig(t.Context())
		must(t, err)
		watched, _, watch, err := zk.EnsembleConfigW(t.Context())
		must(t, err)
		if cfg.Version != 0x100000003 || len(cfg.Members) != 1 || cfg.Text != text || watched.Version != cfg.Version {
			t.Errorf("EnsembleConfig = %+v", cfg)
		}
		for _, req := range srv.take() {
			var m zkproto.PathWatchRequest
			must(t, req.Decode(&m))
			if m.Path != "/zookeeper/config" {
				t.Errorf("path on the wire %q", m.Path)
			}
		}
		srv.Conn(zk.SessionID()).Event(gazoo.EventDataChanged, "/zookeeper/config", -1)
		if ev, err := watch.Wait(t.Context()); err != nil || ev.Path != "/zookeeper/config" {
			t.Errorf("event %+v, %v", ev, err)
		}
	})
}

func TestBoundViewEndsWithItsSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		zk := w.connect("a")
		bound := zk.InSession(zk.Session())
		if _, err := bound.Create(ctx, "/a", nil, gazoo.Ephemeral()); err != nil {
			t.Fatal(err)
		}
		tree.expire(zk.SessionID())
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		before := len(tree.sentAll())
		for name, err := range map[string]error{
			"Create":     second(bound.Create(ctx, "/b", nil)),
			"Async.Get":  second(bound.Async().Get(ctx, "/").Wait(ctx)),
			"Commit":     second(bound.Txn().Check("/", 0).Commit(ctx)),
			"EnsurePath": second(bound.EnsurePath(ctx, "/c")),
			"Protected":  second(bound.Create(ctx, "/b", nil, gazoo.Protected())),
		} {
			if !errors.Is(err, gazoo.ErrSessionOver) || !gazoo.SessionLost(err) || !gazoo.WasNotSent(err) {
				t.Errorf("%s after the session's end: %v, want ErrSessionOver, not sent", name, err)
			}
		}
		if n := len(tree.sentAll()) - before; n != 0 {
			t.Errorf("%d requests crossed into the next session", n)
		}
		if _, err := zk.InSession(zk.Session()).Create(ctx, "/b", nil); err != nil {
			t.Errorf("a view bound to the new session: %v", err)
		}
	})
}
