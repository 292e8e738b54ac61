package tree_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/tree"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMove(t *testing.T) {
	for name, opts := range map[string][]tree.Option{"in steps": nil, "at once": {tree.Atomic()}} {
		t.Run(name, func(t *testing.T) {
			recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
				root := recipetest.Path(t)
				zk := recipetest.Dial(t, c.Hosts())
				view := must1(zk.Chroot(root + "/there"))
				plant(t, zk, root+"/here=0", root+"/here/a=1", root+"/here/a/b=2", root+"/there")
				if _, err := tree.Move(t.Context(), zk, root+"/here", zk, root+"/there", opts...); !errors.Is(err, tree.ErrExists) {
					t.Errorf("Move onto something: %v, want ErrExists", err)
				}
				res, err := tree.Move(t.Context(), zk, root+"/here", view, "/x/y", opts...)
				if err != nil || res.Created != 3 || res.Deleted != 3 {
					t.Errorf("Move: %+v, %v", res, err)
				}
				wantContent(t, zk, root, "/there/x/y/a/b=2", "/there/x/y/a=1", "/there/x/y=0", "/there/x=", "/there=", "=")
			})
		})
	}
}

func TestMoveRefusesEphemerals(t *testing.T) {
	for name, opts := range map[string][]tree.Option{"in steps": nil, "at once": {tree.Atomic()}} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				plant(t, zk, "/src")
				must1(zk.Create(t.Context(), "/src/eph", nil, gazoo.Ephemeral()))
				zxid := srv.Zxid()
				if _, err := tree.Move(t.Context(), zk, "/src", zk, "/dst", opts...); !errors.Is(err, tree.ErrEphemeral) {
					t.Errorf("Move: %v, want ErrEphemeral", err)
				}
				if srv.Zxid() != zxid {
					t.Error("something was written")
				}
				if _, err := tree.Move(t.Context(), zk, "/src", zk, "/dst", append(opts, tree.Ephemerals(tree.IncludeEphemerals))...); err != nil {
					t.Errorf("Move with ephemerals: %v", err)
				}
				srv.RequireTree(t, "/dst\n/dst/eph")
			})
		})
	}
}

// What changes in the source while it is moved is never lost.
func TestMoveLosesNoChange(t *testing.T) {
	for name, c := range map[string]struct {
		change func(srv *zktest.Server) error
		want   error
		left   string // of the source
	}{
		"data":      {func(srv *zktest.Server) error { return srv.Put("/src/3/3", "new") }, tree.ErrChanged, "/src/3/3"},
		"new child": {func(srv *zktest.Server) error { return srv.Put("/src/3/3/below", "new") }, gazoo.ErrNotEmpty, "/src/3/3/below"},
		"copy":      {func(srv *zktest.Server) error { return srv.Put("/dst/3/3", "new") }, tree.ErrChanged, "/src/3/3"},
	} {
		for _, when := range []tree.Action{tree.Created, tree.Verified} {
			t.Run(fmt.Sprint(name, " when ", when), func(t *testing.T) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					if name == "copy" && when == tree.Verified {
						return // it is the new place then
					}
					zk := recipetest.Client(t, srv)
					big(t, srv, "/src", 20)
					_, err := tree.Move(t.Context(), zk, "/src", zk, "/dst", tree.WithProgress(func(s tree.Step) {
						if s.Action == when && s.Done == 28 {
							must(t, c.change(srv))
						}
					}))
					if !errors.Is(err, c.want) {
						t.Errorf("Move: %v, want %v", err, c.want)
					}
					if _, found := srv.Get(c.left); !found {
						t.Errorf("%s has gone", c.left)
					}
					if _, found := srv.Get("/dst/6/6"); !found {
						t.Error("the copy has gone")
					}
				})
			})
		}
	}
}

// A move in one transaction is there or not, whatever is lost.
func TestAtomicMoveWithALostAnswer(t *testing.T) {
	for name, action := range map[string]zktest.Action{"applied": zktest.DropReply(), "not applied": zktest.DropRequest()} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				big(t, srv, "/src", 20)
				want := content(t, zk, "/src")
				lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Do: action, Times: 2})
				res, err := tree.Move(t.Context(), zk, "/src", zk, "/dst", tree.Atomic())
				if err != nil || res.Deleted != 28 || lost.Hits() == 0 {
					t.Errorf("Move: %+v, %v with %d lost", res, err, lost.Hits())
				}
				if got := content(t, zk, "/dst"); !slices.Equal(got, want) {
					t.Errorf("moved: %q, want %q", got, want)
				}
				if _, found := srv.Get("/src"); found {
					t.Error("the source is still there")
				}
			})
		})
	}
}

func TestAtomicMoveIsAllOrNothing(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv, gazoo.WithMaxRequest(4000))
		big(t, srv, "/src", 100)
		zxid := srv.Zxid()
		if _, err := tree.Move(t.Context(), zk, "/src", zk, "/dst", tree.Atomic()); !errors.Is(err, gazoo.ErrRequestTooLarge) {
			t.Errorf("Move of much: %v, want ErrRequestTooLarge", err)
		}
		if srv.Zxid() != zxid {
			t.Error("something was written")
		}
		// The source changes between the reading and the transaction.
		first := true
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, If: func(zktest.Request) bool {
			if first {
				first = false
				srv.Put("/src/1/1", "new")
			}
			return false
		}}, Do: zktest.DropRequest()})
		if _, err := tree.Move(t.Context(), zk, "/src/1", zk, "/dst", tree.Atomic()); !errors.Is(err, tree.ErrChanged) {
			t.Errorf("Move of what changes: %v, want ErrChanged", err)
		}
		if _, found := srv.Get("/dst"); found {
			t.Error("a part was moved")
		}
	})
}

func TestMoveUnderFaults(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		big(t, srv, "/src", 300)
		want := content(t, zk, "/src")
		for _, action := range []zktest.Action{zktest.DropReply(), zktest.DropRequest()} {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate | zktest.OpDelete}, Do: action, Skip: 50, Times: 4})
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpDelete}, Do: action, Skip: 50, Times: 4})
		}
		res, err := tree.Move(t.Context(), zk, "/src", zk, "/dst")
		if err != nil || res.Created != 308 || res.Deleted != 308 || res.Verified != 308 {
			t.Errorf("Move: %+v, %v", res, err)
		}
		if got := content(t, zk, "/dst"); !slices.Equal(got, want) {
			t.Errorf("moved %d znodes of %d", len(got), len(want))
		}
		if _, found := srv.Get("/src"); found {
			t.Error("the source is still there")
		}
	})
}

func TestDelete(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		root := recipetest.Path(t)
		zk := recipetest.Dial(t, c.Hosts())
		plant(t, zk, root+"/a/b=1", root+"/c")
		must1(zk.Create(t.Context(), root+"/a/eph", nil, gazoo.Ephemeral()))
		if _, err := tree.Delete(t.Context(), zk, root, tree.Ephemerals(tree.RefuseEphemerals)); !errors.Is(err, tree.ErrEphemeral) {
			t.Errorf("Delete: %v, want ErrEphemeral", err)
		}
		res, err := tree.Delete(t.Context(), zk, root, tree.Ephemerals(tree.SkipEphemerals))
		if err != nil || res.Deleted != 2 || res.Skipped != 1 {
			t.Errorf("Delete without ephemerals: %+v, %v", res, err)
		}
		wantContent(t, zk, root, "/a/eph=", "/a=", "=")
		if res, err = tree.Delete(t.Context(), zk, root, tree.KeepRoot()); err != nil || res.Deleted != 2 {
			t.Errorf("Delete below the root: %+v, %v", res, err)
		}
		wantContent(t, zk, root, "=")
		if res, err = tree.Delete(t.Context(), zk, root); err != nil || res.Deleted != 1 {
			t.Errorf("Delete: %+v, %v", res, err)
		}
		if _, err = tree.Delete(t.Context(), zk, root); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("Delete of nothing: %v, want ErrNoNode", err)
		}
	})
}

// Others create below while it is deleted, and connections break.
func TestDeleteUnderFaults(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		big(t, srv, "/src", 300)
		lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpDelete}, Do: zktest.DropReply(), Skip: 50, Times: 4})
		begin, last := time.Now(), 0
		res, err := tree.Delete(t.Context(), zk, "/src", tree.WithProgress(func(s tree.Step) {
			if s.Done == 100 {
				must(t, srv.Put("/src/new/child", "")) // the plan does not know it
			}
			if s.Action != tree.Deleted || s.Done != last+1 || s.Total != 308 {
				t.Errorf("step %+v", s)
			}
			last = s.Done
		}))
		if err != nil || res.Deleted != 310 || lost.Hits() == 0 {
			t.Errorf("Delete: %+v, %v with %d lost in %v", res, err, lost.Hits(), time.Since(begin))
		}
		if n := srv.Count(); n != 0 {
			t.Errorf("%d znodes are left", n)
		}
	})
}
