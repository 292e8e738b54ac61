package tree_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/tree"
	"github.com/gazoo-zk/gazoo/zktest"
)

// Out as JSON and in again, somewhere else.
func TestSnapshotAndRestore(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		root := recipetest.Path(t)
		zk := recipetest.Dial(t, c.Hosts())
		plant(t, zk, root+"/here=0", root+"/here/a=1", root+"/here/a/b=2", root+"/here/a-b=3")
		acl := gazoo.ACL{Perms: gazoo.PermAll &^ gazoo.PermWrite, Scheme: "world", ID: "anyone"}
		must1(zk.Create(t.Context(), root+"/here/null", nil, gazoo.WithACL(acl)))
		must1(zk.Create(t.Context(), root+"/here/eph", nil, gazoo.Ephemeral()))
		snap, err := tree.Snapshot(t.Context(), zk, root+"/here")
		must(t, err)
		if snap.Root != root+"/here" || snap.Zxid < snap.Nodes[0].Stat.Pzxid || len(snap.Nodes) != 6 {
			t.Errorf("snapshot of %s with %d znodes at %#x", snap.Root, len(snap.Nodes), snap.Zxid)
		}
		text := must1(json.Marshal(snap))
		var again tree.Snap
		must(t, json.Unmarshal(text, &again))
		if !reflect.DeepEqual(*snap, again) {
			t.Errorf("JSON changed it: %s", text)
		}
		if node, found := again.Find("/a/b"); !found || string(node.Data) != "2" || node.Stat.DataLength != 1 {
			t.Errorf("Find: %+v, %v", node, found)
		}
		if _, found := again.Find("/a/c"); found {
			t.Error("Find found nothing")
		}
		res, err := tree.Restore(t.Context(), &again, zk, root+"/x/there", tree.KeepACLs())
		if err != nil || res != (tree.Result{Created: 5, Skipped: 1, Bytes: 4}) {
			t.Errorf("Restore: %+v, %v", res, err)
		}
		wantContent(t, zk, root+"/x/there", "/a-b=3", "/a/b=2", "/a=1", "/null=", "=0")
		if got, _, err := zk.GetACL(t.Context(), root+"/x/there/null"); err != nil || len(got) != 1 || got[0] != acl {
			t.Errorf("ACL: %v, %v", got, err)
		}
		if _, err := tree.Restore(t.Context(), snap, zk, root+"/x/there"); !errors.Is(err, tree.ErrExists) {
			t.Errorf("Restore onto it: %v, want ErrExists", err)
		}
		if _, err := tree.Snapshot(t.Context(), zk, root+"/none"); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("Snapshot of nothing: %v, want ErrNoNode", err)
		}
	})
}

// Writers keep an invariant by transactions: the values of all znodes add up to zero, and a name says how many there are.
// No snapshot shows it broken.
func TestSnapshotsAreConsistent(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		const accounts, transfers = 40, 60
		root := recipetest.Path(t)
		zk := recipetest.Dial(t, c.Hosts())
		for i := range accounts {
			plant(t, zk, fmt.Sprintf("%s/%d/%d=0", root, i%5, i))
		}
		var wg sync.WaitGroup
		done := make(chan struct{})
		writer := recipetest.Dial(t, c.Hosts())
		wg.Go(func() {
			defer close(done)
			balance := make([]int, accounts)
			path := func(i int) string { return fmt.Sprintf("%s/%d/%d", root, i%5, i) }
			for n := range transfers {
				a, b := n%accounts, (n*7+3)%accounts
				if a == b {
					continue
				}
				balance[a]--
				balance[b]++
				txn := writer.Txn().Set(path(a), []byte(strconv.Itoa(balance[a])), gazoo.AnyVersion).
					Set(path(b), []byte(strconv.Itoa(balance[b])), gazoo.AnyVersion)
				// One comes and another goes, with a value and its counterpart.
				txn.Create(fmt.Sprintf("%s/0/new-%d", root, n), []byte("1")).Create(fmt.Sprintf("%s/1/new-%d", root, n), []byte("-1"))
				if n > 0 {
					txn.Delete(fmt.Sprintf("%s/0/new-%d", root, n-1), gazoo.AnyVersion).Delete(fmt.Sprintf("%s/1/new-%d", root, n-1), gazoo.AnyVersion)
				} else {
					txn.Create(root+"/0/new--1", []byte("5")).Delete(root+"/0/new--1", gazoo.AnyVersion)
				}
				if _, err := txn.Commit(t.Context()); err != nil {
					t.Errorf("Commit: %v", err)
					return
				}
			}
		})
		taken, zxid := 0, int64(0)
		for running := true; running; taken++ {
			select {
			case <-done:
				running = false
			default:
			}
			snap, err := tree.Snapshot(t.Context(), zk, root, tree.WithTries(1000))
			must(t, err)
			sum, newest := 0, int64(0)
			for _, node := range snap.Nodes {
				n, _ := strconv.Atoi(string(node.Data))
				sum += n
				newest = max(newest, node.Stat.Mzxid, node.Stat.Czxid, node.Stat.Pzxid)
			}
			if sum != 0 {
				t.Fatalf("snapshot number %d, of %d znodes: the sum is %d", taken, len(snap.Nodes), sum)
			}
			if snap.Zxid < newest || snap.Zxid < zxid {
				t.Fatalf("snapshot number %d: zxid %#x, behind a change of %#x or the last one of %#x", taken, snap.Zxid, newest, zxid)
			}
			zxid = snap.Zxid
		}
		wg.Wait()
	})
}

// A subtree that changes between the reading and the look is read again, and one that never rests is told.
func TestSnapshotTornIsTakenAgain(t *testing.T) {
	for name, change := range map[string]func(srv *zktest.Server, zk *gazoo.Client, n int) error{
		"data": func(srv *zktest.Server, _ *gazoo.Client, n int) error { return srv.Put("/d/a", fmt.Sprint(n)) },
		"new below": func(srv *zktest.Server, _ *gazoo.Client, n int) error {
			return srv.Put(fmt.Sprintf("/d/a/%d/x", n), "")
		},
		"gone": func(srv *zktest.Server, _ *gazoo.Client, n int) error {
			return srv.Remove(fmt.Sprintf("/d/gone/%d", n))
		},
		"replaced": func(srv *zktest.Server, _ *gazoo.Client, n int) error {
			srv.Remove("/d/old")
			return srv.Put("/d/old", "")
		},
		"ACL": func(_ *zktest.Server, zk *gazoo.Client, n int) error {
			_, err := zk.SetACL(zk.Context(), "/d/a", gazoo.OpenACL(), gazoo.AnyVersion)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk, other := recipetest.Client(t, srv), recipetest.Client(t, srv)
				must(t, srv.Put("/d/a", ""))
				must(t, srv.Put("/d/old/below/it", ""))
				for i := range 10 {
					must(t, srv.Put(fmt.Sprintf("/d/gone/%d/x", i), ""))
				}
				// Before each look, which begins with an exists, something changes.
				looks, times, busy := 0, 3, sync.Mutex{}
				srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpExists, Path: "/d", Session: zk.SessionID(), If: func(zktest.Request) bool {
					busy.Lock()
					defer busy.Unlock()
					looks++
					if looks <= times {
						if err := change(srv, other, looks); err != nil {
							t.Error(err)
						}
					}
					return false
				}}, Do: zktest.DropRequest()})
				snap, err := tree.Snapshot(t.Context(), zk, "/d")
				must(t, err)
				if looks != times+1 {
					t.Errorf("%d looks, want %d", looks, times+1)
				}
				var got []string
				for _, node := range snap.Nodes {
					got = append(got, node.Path+"="+string(node.Data))
				}
				slices.Sort(got)
				if want := content(t, other, "/d"); !slices.Equal(got, want) {
					t.Errorf("snapshot %q, want %q", got, want)
				}
			})
		})
	}
}

func TestSnapshotOfWhatNeverRests(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		must(t, srv.Put("/d/a", ""))
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpExists, If: func(zktest.Request) bool {
			srv.Put("/d/a", "again")
			srv.Put("/d", "again")
			return false
		}}, Do: zktest.DropRequest()})
		if _, err := tree.Snapshot(t.Context(), zk, "/d", tree.WithTries(3)); !errors.Is(err, tree.ErrRestless) {
			t.Errorf("Snapshot: %v, want ErrRestless", err)
		}
	})
}

// What does not fit into one answer is read in parts; lost connections are waited out, wherever they break.
func TestSnapshotOfMuch(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv, gazoo.WithMaxReply(3000))
		big(t, srv, "/d", 300)
		must(t, srv.Put("/d/large", string(make([]byte, 2500))))
		must(t, srv.Put("/d/large/child", ""))
		for skip := range 4 {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpRead}, Do: zktest.DropReply(), Skip: 30 * skip, Times: 2})
		}
		snap, err := tree.Snapshot(t.Context(), zk, "/d")
		must(t, err)
		if len(snap.Nodes) != 310 {
			t.Errorf("%d znodes, want 310", len(snap.Nodes))
		}
		must(t, srv.Put("/d/large", string(make([]byte, 4000))))
		if _, err := tree.Snapshot(t.Context(), zk, "/d"); !errors.Is(err, gazoo.ErrReplyTooLarge) {
			t.Errorf("Snapshot of what is too large: %v, want ErrReplyTooLarge", err)
		}
	})
}
