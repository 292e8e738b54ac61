package tree_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/tree"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestChildrenAndWalk(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		zk, root := recipetest.Dial(t, c.Hosts()), recipetest.Path(t)
		plant(t, zk, root+"/b=2", root+"/a=1", root+"/b/c=3")
		if _, err := zk.Create(t.Context(), root+"/null", nil); err != nil {
			t.Fatal(err)
		}
		kids, err := tree.Children(t.Context(), zk, root)
		must(t, err)
		var got []string
		for _, k := range kids {
			got = append(got, fmt.Sprint(k.Path[len(root):], " ", k.Name(), " ", string(k.Data), " ", k.Data == nil, " ", k.Stat.NumChildren))
		}
		if want := []string{"/a a 1 false 0", "/b b 2 false 1", "/null null  true 0"}; !slices.Equal(got, want) {
			t.Errorf("Children: %q, want %q", got, want)
		}
		wantContent(t, zk, root, "/a=1", "/b/c=3", "/b=2", "/null=", "=")
		for node, err := range tree.Walk(t.Context(), zk, root+"/a", tree.KeepACLs()) {
			if err != nil || len(node.ACL) != 1 || node.ACL[0] != gazoo.OpenACL()[0] {
				t.Errorf("Walk with ACLs: %+v, %v", node, err)
			}
		}
		for _, err := range tree.Walk(t.Context(), zk, root+"/none") {
			if !errors.Is(err, gazoo.ErrNoNode) {
				t.Errorf("Walk of nothing: %v, want ErrNoNode", err)
			}
		}
	})
}

// Reading many survives a connection that breaks in the middle, and takes few round trips.
func TestChildrenArePipelined(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		for i := range 500 {
			must(t, srv.Put(fmt.Sprintf("/d/%03d", i), fmt.Sprint(i)))
		}
		srv.Delay(zktest.ToClient, 100*time.Millisecond)
		begin := time.Now()
		kids, err := tree.Children(t.Context(), zk, "/d")
		must(t, err)
		if took := time.Since(begin); len(kids) != 500 || string(kids[123].Data) != "123" || took > 2*time.Second {
			t.Errorf("%d children in %v", len(kids), took)
		}
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpGet}, Do: zktest.DropReply(), Skip: 100, Times: 3})
		kids, err = tree.Children(t.Context(), zk, "/d")
		if err != nil || len(kids) != 500 {
			t.Errorf("%d children, %v", len(kids), err)
		}
	})
}

// Between two clients, with everything that a znode is.
func TestCopy(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		root := recipetest.Path(t)
		zk := recipetest.Dial(t, c.Hosts())
		other := must1(recipetest.Dial(t, c.Hosts()).Chroot(root + "/there"))
		plant(t, zk, root+"/here=0", root+"/here/a=1", root+"/here/a/b=2", root+"/here/c=3")
		_, err := zk.Create(t.Context(), root+"/here/null", nil, gazoo.WithACL(gazoo.ACL{Perms: gazoo.PermRead | gazoo.PermDelete, Scheme: "world", ID: "anyone"}))
		must(t, err)
		_, err = zk.Create(t.Context(), root+"/here/a/eph", nil, gazoo.Ephemeral())
		must(t, err)
		plant(t, zk, root+"/there")
		var steps int
		res, err := tree.Copy(t.Context(), zk, root+"/here", other, "/x/y", tree.KeepACLs(), tree.WithProgress(func(s tree.Step) {
			steps++
			if s.Action == tree.Created && (s.Total != 5 || s.Done > 5 || s.Path[:4] != "/x/y") {
				t.Errorf("step %+v", s)
			}
		}))
		if err != nil || res != (tree.Result{Created: 5, Skipped: 1, Bytes: 4}) || steps != 6 {
			t.Errorf("Copy: %+v, %v after %d steps", res, err, steps)
		}
		wantContent(t, other, "/x/y", "/a/b=2", "/a=1", "/c=3", "/null=", "=0")
		acl, _, err := other.GetACL(t.Context(), "/x/y/null")
		if err != nil || len(acl) != 1 || acl[0].Perms != gazoo.PermRead|gazoo.PermDelete {
			t.Errorf("ACL of the copy: %v, %v", acl, err)
		}
		if data, _, err := other.Get(t.Context(), "/x/y/null"); err != nil || data != nil {
			t.Errorf("null data became %q, %v", data, err)
		}
		if _, err = tree.Copy(t.Context(), zk, root+"/here", other, "/x/y"); !errors.Is(err, tree.ErrExists) {
			t.Errorf("Copy onto it: %v, want ErrExists", err)
		}
		if _, err := zk.Set(t.Context(), root+"/here/c", []byte("new"), gazoo.AnyVersion); err != nil {
			t.Fatal(err)
		}
		plant(t, zk, root+"/here/d=4")
		plant(t, other, "/x/y/extra=5")
		res, err = tree.Copy(t.Context(), zk, root+"/here", other, "/x/y", tree.Merge())
		if err != nil || res.Created != 1 || res.Kept != 5 {
			t.Errorf("Copy with Merge: %+v, %v", res, err)
		}
		wantContent(t, other, "/x/y", "/a/b=2", "/a=1", "/c=3", "/d=4", "/extra=5", "/null=", "=0")
		must(t, zk.Delete(t.Context(), root+"/here/null", gazoo.AnyVersion)) // its copy cannot be written
		res, err = tree.Copy(t.Context(), zk, root+"/here", other, "/x/y", tree.Overwrite(), tree.Ephemerals(tree.IncludeEphemerals))
		if err != nil || res.Updated != 5 || res.Created != 1 {
			t.Errorf("Copy with Overwrite: %+v, %v", res, err)
		}
		wantContent(t, other, "/x/y", "/a/b=2", "/a/eph=", "/a=1", "/c=new", "/d=4", "/extra=5", "/null=", "=0")
		if stat, _, err := other.Exists(t.Context(), "/x/y/a/eph"); err != nil || stat.Ephemeral() {
			t.Errorf("the copy of an ephemeral: %+v, %v", stat, err)
		}
	})
}

// Answers and requests are lost, connections cut, sessions expired: the copy is complete, and nothing is taken for a
// stranger's.
func TestCopyUnderFaults(t *testing.T) {
	for name, fault := range map[string]zktest.Rule{
		"requests lost": {Match: zktest.Match{Op: zktest.OpWrite}, Do: zktest.DropRequest(), Skip: 40, Times: 5},
		"answers lost":  {Match: zktest.Match{Op: zktest.OpWrite}, Do: zktest.DropReply(), Skip: 40, Times: 5},
		"reads lost":    {Match: zktest.Match{Op: zktest.OpGet}, Do: zktest.DropReply(), Skip: 40, Times: 5},
		"lists lost":    {Match: zktest.Match{Op: zktest.OpChildren}, Do: zktest.DropReply(), Times: 3},
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				big(t, srv, "/src", 160)
				from, to := recipetest.Client(t, srv), recipetest.Client(t, srv)
				lost := srv.Add(fault)
				res, err := tree.Copy(t.Context(), from, "/src", to, "/dst")
				if err != nil || res.Created != 168 {
					t.Errorf("Copy: %+v, %v", res, err)
				}
				if lost.Hits() == 0 {
					t.Error("nothing was lost, which shows nothing")
				}
				if a, b := content(t, from, "/src"), content(t, from, "/dst"); !slices.Equal(a, b) {
					t.Errorf("the copy has %d znodes of %d", len(b), len(a))
				}
			})
		})
	}
}

// What stands in the way of a create whose answer was lost is looked at.
func TestCopyMeetsAStranger(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		must(t, srv.Put("/src/a", "1"))
		first := true
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate, Path: "/dst/a", If: func(zktest.Request) bool {
			if first {
				first = false
				srv.Put("/dst/a", "stranger")
				return true
			}
			return false
		}}, Do: zktest.DropRequest()})
		if _, err := tree.Copy(t.Context(), zk, "/src", zk, "/dst"); !errors.Is(err, tree.ErrExists) {
			t.Errorf("Copy: %v, want ErrExists", err)
		}
		if got, _ := srv.Get("/dst/a"); got != "stranger" {
			t.Errorf("the stranger's znode holds %q", got)
		}
	})
}

func TestDryRunWritesNothing(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		big(t, srv, "/src", 20)
		must(t, srv.Put("/dst/0/0", "old"))
		zxid := srv.Zxid()
		copied, err := tree.Copy(t.Context(), zk, "/src", zk, "/dst", tree.DryRun(), tree.Overwrite())
		must(t, err)
		moved, err := tree.Move(t.Context(), zk, "/src", zk, "/other", tree.DryRun())
		must(t, err)
		once, err := tree.Move(t.Context(), zk, "/src", zk, "/other", tree.DryRun(), tree.Atomic())
		must(t, err)
		deleted, err := tree.Delete(t.Context(), zk, "/src", tree.DryRun())
		must(t, err)
		if srv.Zxid() != zxid {
			t.Errorf("%d transactions were made", srv.Zxid()-zxid)
		}
		if copied.Updated != 3 || copied.Created != 25 || moved.Created != 28 || moved.Deleted != 28 || once.Created != 28 || once.Deleted != 28 || deleted.Deleted != 28 {
			t.Errorf("%+v %+v %+v %+v", copied, moved, once, deleted)
		}
	})
}

// Whatever is refused is refused before anything is sent.
func TestRefusals(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		same := recipetest.Client(t, srv)
		must(t, srv.Put("/a/b/c", ""))
		chroot := must1(zk.Chroot("/a"))
		ctx, requests := t.Context(), srv.Add(zktest.Rule{Match: zktest.Match{}, Do: zktest.DropRequest()})
		for name, op := range map[string]func() error{
			"into itself":              func() error { _, err := tree.Copy(ctx, zk, "/a", zk, "/a/x"); return err },
			"onto itself":              func() error { _, err := tree.Copy(ctx, zk, "/a", zk, "/a", tree.Merge()); return err },
			"onto its parent":          func() error { _, err := tree.Copy(ctx, zk, "/a/b", zk, "/a", tree.Overwrite()); return err },
			"into itself, by chroot":   func() error { _, err := tree.Copy(ctx, zk, "/a", chroot, "/x"); return err },
			"into itself, two clients": func() error { _, err := tree.Copy(ctx, zk, "/", same, "/x"); return err },
			"move into itself":         func() error { _, err := tree.Move(ctx, zk, "/a", zk, "/a/x", tree.Atomic()); return err },
			"the root":                 func() error { _, err := tree.Move(ctx, zk, "/", zk, "/x"); return err },
			"delete the root":          func() error { _, err := tree.Delete(ctx, zk, "/"); return err },
			"delete the servers' own":  func() error { _, err := tree.Delete(ctx, zk, "/zookeeper"); return err },
			"no client":                func() error { _, err := tree.Copy(ctx, zk, "/a", nil, "/x"); return err },
			"no path":                  func() error { _, err := tree.Copy(ctx, zk, "a", zk, "/x/"); return err },
			"policy":                   func() error { _, err := tree.Copy(ctx, zk, "/a", zk, "/x", tree.Ephemerals(9)); return err },
			"option of another":        func() error { _, err := tree.Delete(ctx, zk, "/a", tree.Merge()); return err },
			"atomic copy":              func() error { _, err := tree.Copy(ctx, zk, "/a", zk, "/x", tree.Atomic()); return err },
			"move that loses": func() error {
				_, err := tree.Move(ctx, zk, "/a", zk, "/x", tree.Ephemerals(tree.SkipEphemerals))
				return err
			},
			"atomic merge":  func() error { _, err := tree.Move(ctx, zk, "/a", zk, "/x", tree.Atomic(), tree.Merge()); return err },
			"atomic by two": func() error { _, err := tree.Move(ctx, zk, "/a", same, "/x", tree.Atomic()); return err },
			"tries":         func() error { _, err := tree.Snapshot(ctx, zk, "/a", tree.WithTries(0)); return err },
			"no snapshot":   func() error { _, err := tree.Restore(ctx, nil, zk, "/x"); return err },
			"orphan": func() error {
				_, err := tree.Restore(ctx, &tree.Snap{Nodes: []tree.Node{{}, {Path: "/a/b"}}}, zk, "/x")
				return err
			},
			"no root": func() error {
				_, err := tree.Restore(ctx, &tree.Snap{Nodes: []tree.Node{{Path: "/a"}}}, zk, "/x")
				return err
			},
			"twice": func() error {
				_, err := tree.Restore(ctx, &tree.Snap{Nodes: []tree.Node{{}, {Path: "/a"}, {Path: "/a"}}}, zk, "/x")
				return err
			},
		} {
			if err := op(); !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, want ErrBadArguments", name, err)
			}
		}
		if requests.Hits() != 0 {
			t.Errorf("%d requests were sent", requests.Hits())
		}
	})
}

// An ACL that the server shows without its password would lock everybody out.
func TestMaskedACLIsNotCopied(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		_, err := zk.Create(t.Context(), "/src", nil, gazoo.WithACL(gazoo.DigestACL(gazoo.PermAll, "u", "p"),
			gazoo.ACL{Perms: gazoo.PermRead, Scheme: "world", ID: "anyone"}))
		must(t, err)
		if _, err := tree.Copy(t.Context(), zk, "/src", zk, "/dst", tree.KeepACLs()); !errors.Is(err, tree.ErrMaskedACL) {
			t.Errorf("Copy: %v, want ErrMaskedACL", err)
		}
		if _, found := srv.Get("/dst"); found {
			t.Error("something was written")
		}
		must(t, zk.AddAuth(t.Context(), "digest", []byte("u:p")))
		if _, err := tree.Copy(t.Context(), zk, "/src", zk, "/dst", tree.KeepACLs()); err != nil {
			t.Errorf("Copy with Admin: %v", err)
		}
	})
}

// The servers' own znodes are no part of a copy of the root.
func TestCopyOfTheRoot(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		must(t, srv.Put("/a/b", "1"))
		second := must1(zktest.New())
		defer second.Close()
		other, err := gazoo.Connect(t.Context(), "another:2181", gazoo.WithDialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
			return second.Dial(ctx, network, second.Addr()) // both servers have the same name
		}))
		must(t, err)
		defer other.Close()
		if _, err := tree.Copy(t.Context(), zk, "/", other, "/", tree.Merge()); err != nil {
			t.Errorf("Copy: %v", err)
		}
		second.RequireTree(t, "/a\n/a/b \"1\"")
		if res, err := tree.Delete(t.Context(), other, "/", tree.KeepRoot()); err != nil || res.Deleted != 2 {
			t.Errorf("Delete: %+v, %v", res, err)
		}
		second.RequireTree(t, "")
		if _, err := tree.Copy(t.Context(), zk, "/a", must1(other.Chroot("/new/chroot")), "/"); err != nil {
			t.Errorf("Copy to a chroot that is missing: %v", err)
		}
		second.RequireTree(t, "/new\n/new/chroot\n/new/chroot/b \"1\"")
	})
}

// A context that ends stops a copy where it is, and what was sent is in the result.
func TestCopyEndsWithItsContext(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		big(t, srv, "/src", 500)
		ctx, cancel := context.WithCancel(t.Context())
		res, err := tree.Copy(ctx, zk, "/src", zk, "/dst", tree.WithProgress(func(s tree.Step) {
			if s.Done == 200 {
				cancel()
			}
		}))
		if !errors.Is(err, context.Canceled) || res.Created < 200 || res.Created > 400 {
			t.Errorf("Copy: %+v, %v, want canceled", res, err)
		}
		res, err = tree.Copy(t.Context(), zk, "/src", zk, "/dst", tree.Merge())
		if err != nil || res.Created+res.Kept != 508 {
			t.Errorf("Copy with Merge: %+v, %v", res, err)
		}
	})
}
