package gazoo_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestWalkVisitsParentsFirstAndEverythingOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		want := []string{"/", "/app", "/app/x", "/app/x/deep", "/app/x/deep/er"}
		tree.mustCreate(want[1:]...)
		for i := range gazoo.WalkAhead + 50 {
			p := fmt.Sprintf("/app/n%04d", i)
			tree.mustCreate(p)
			want = append(want, p)
		}
		zk := w.connect("a")
		var got []string
		for path, err := range zk.Walk(t.Context(), "/") {
			must(t, err)
			if path != "/" && !slices.Contains(got, gazoo.ParentPath(path)) {
				t.Errorf("%s comes before its parent", path)
			}
			got = append(got, path)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("walk visited %d znodes, want %d", len(got), len(want))
		}
		n := 0
		for range zk.Walk(t.Context(), "/") {
			if n++; n == 3 {
				break
			}
		}
		view, err := zk.Chroot("/app/x")
		must(t, err)
		got = nil
		for path, err := range view.Walk(t.Context(), "/deep") {
			must(t, err)
			got = append(got, path)
		}
		if !slices.Equal(got, []string{"/deep", "/deep/er"}) {
			t.Errorf("walk in a chroot: %q", got)
		}
	})
}

func TestWalkLeavesOutWhatVanishes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a", "/a/b", "/c")
		zk := w.connect("a")
		var got []string
		for path, err := range zk.Walk(t.Context(), "/") {
			must(t, err)
			got = append(got, path)
			if path == "/" {
				tree.mustDelete("/a/b")
				tree.mustDelete("/a")
			}
		}
		if !slices.Equal(got, []string{"/", "/c"}) {
			t.Errorf("walk = %q, want / and /c", got)
		}
		for _, err := range zk.Walk(t.Context(), "/none") {
			if !errors.Is(err, gazoo.ErrNoNode) {
				t.Errorf("walk of a missing znode: %v, want ErrNoNode", err)
			}
		}
		for _, err := range zk.Walk(t.Context(), "bad") {
			if !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("walk of an invalid path: %v, want ErrBadArguments", err)
			}
		}
	})
}

func TestSetACLRecursive(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		for _, p := range []string{"/a/b/c", "/a/d"} {
			_, err := zk.EnsurePath(ctx, p)
			must(t, err)
		}
		acl := []gazoo.ACL{{Perms: gazoo.PermRead | gazoo.PermAdmin, Scheme: "world", ID: "anyone"}}
		n, err := zk.SetACLRecursive(ctx, "/a", acl)
		must(t, err)
		if n != 4 {
			t.Errorf("SetACLRecursive changed %d znodes, want 4", n)
		}
		for _, p := range []string{"/a", "/a/b", "/a/b/c", "/a/d"} {
			got, _, err := zk.GetACL(ctx, p)
			must(t, err)
			if !slices.Equal(got, acl) {
				t.Errorf("ACL of %s = %v", p, got)
			}
		}
		if _, err := zk.SetACLRecursive(ctx, "/none", acl); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("SetACLRecursive of a missing znode: %v", err)
		}
		_, err = zk.SetACLRecursive(ctx, "/a", gazoo.OpenACL())
		must(t, err)
	})
}

func TestACLIsChosenByPath(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		sent := map[string][]gazoo.ACL{}
		b := &peer.Basic{Answer: func(c *peer.Conn, req peer.Request) bool {
			var m zkproto.CreateRequest
			if req.Header.Op != zkproto.OpCreate || req.Decode(&m) != nil {
				return false
			}
			sent[m.Path] = m.ACL
			c.Reply(req.Header.Xid, 1, 0, zkproto.CreateResponse{Path: m.Path})
			return true
		}}
		w.serve("a:2181", b.Handle)
		choose := func(path string) []gazoo.ACL {
			if path == "/app/public" {
				return gazoo.ReadACL()
			}
			return nil
		}
		zk := w.connect("a/app", gazoo.WithACLFor(choose), gazoo.WithDefaultACL(gazoo.CreatorACL()...))
		for _, p := range []string{"/public", "/other"} {
			_, err := zk.Create(t.Context(), p, nil)
			must(t, err)
		}
		_, err := zk.Create(t.Context(), "/own", nil, gazoo.WithACL(gazoo.OpenACL()...))
		must(t, err)
		for path, want := range map[string][]gazoo.ACL{"/app/public": gazoo.ReadACL(), "/app/other": gazoo.CreatorACL(), "/app/own": gazoo.OpenACL()} {
			if !slices.Equal(sent[path], want) {
				t.Errorf("%s was created with %v, want %v", path, sent[path], want)
			}
		}
	})
}
