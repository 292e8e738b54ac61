package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// losing makes a tree that applies the first n requests of an operation and cuts the
// connection instead of answering.
func losing(op zkproto.OpCode, n int) func(*fakeTree) {
	return func(t *fakeTree) {
		t.after = func(c *peer.Conn, req peer.Request) bool {
			if req.Header.Op != op || n == 0 {
				return true
			}
			n--
			c.Close()
			return false
		}
	}
}

func (t *fakeTree) names(parent string) []string {
	var names []string
	t.do(func() { names = t.children(parent) })
	slices.Sort(names)
	return names
}

func TestCreateWhoseReplyIsLostMayHaveBeenApplied(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", losing(zkproto.OpCreate, 1))
		zk := w.connect("a")
		_, err := zk.Create(t.Context(), "/a", nil)
		if !errors.Is(err, gazoo.ErrConnectionLoss) || !gazoo.MaybeApplied(err) || errors.Is(err, gazoo.ErrNodeExists) {
			t.Errorf("Create: %v, want connection loss, maybe applied", err)
		}
		if n := len(tree.sent(zkproto.OpCreate)); n != 1 {
			t.Errorf("the create was sent %d times", n)
		}
	})
}

var protectedName = regexp.MustCompile(`^_c_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-n(\d{10})?$`)

func TestProtectedCreateMakesExactlyOneZnode(t *testing.T) {
	kinds := map[string][]gazoo.CreateOption{
		"persistent":           nil,
		"ephemeral":            {gazoo.Ephemeral()},
		"sequential":           {gazoo.Sequential()},
		"ephemeral sequential": {gazoo.Ephemeral(), gazoo.Sequential()},
		"with parents":         {gazoo.Parents()},
	}
	for name, opts := range kinds {
		for _, lost := range []int{0, 1, 3} {
			t.Run(fmt.Sprintf("%s, %d replies lost", name, lost), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					tree := w.plant("a:2181", losing(zkproto.OpCreate, lost))
					zk := w.connect("a")
					tree.mustCreate("/p", "/p/other")
					opts := append(slices.Clone(opts), gazoo.Protected())
					path, err := zk.Create(t.Context(), "/p/n", []byte("v"), opts...)
					must(t, err)
					made := slices.DeleteFunc(tree.names("/p"), func(n string) bool { return n == "other" })
					if len(made) != 1 || path != "/p/"+made[0] || !protectedName.MatchString(made[0]) {
						t.Errorf("Create = %q, the tree has %q", path, made)
					}
				})
			})
		}
	}
	t.Run("with stat", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			tree := w.plant("a:2181", losing(zkproto.OpCreate2, 1))
			zk := w.connect("a")
			path, stat, err := zk.CreateStat(t.Context(), "/n", []byte("v"), gazoo.Protected())
			if err != nil || stat.DataLength != 1 || tree.nodes[path] == nil {
				t.Errorf("CreateStat = %q, %+v, %v", path, stat, err)
			}
		})
	})
}

func TestProtectedCreateBeforeTheFirstConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", losing(zkproto.OpCreate, 1))
		zk := w.client("a") // the call is made before there is a session
		path, err := zk.Create(t.Context(), "/n", nil, gazoo.Protected(), gazoo.Ephemeral())
		must(t, err)
		if made := tree.names("/"); len(made) != 1 || path != "/"+made[0] {
			t.Errorf("Create = %q, the tree has %q", path, made)
		}
	})
}

func TestProtectedEphemeralOfADyingSessionIsNotAdopted(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", losing(zkproto.OpCreate, 1))
		zk := w.connect("a")
		old := zk.SessionID()
		go func() {
			// The session ends with the lost reply, but its ephemerals outlive it for a while.
			synctest.Wait()
			tree.Expire(old)
		}()
		tree.down.Store(true)
		time.AfterFunc(time.Minute, func() { tree.down.Store(false) })
		path, err := zk.Create(t.Context(), "/n", nil, gazoo.Protected(), gazoo.Ephemeral())
		must(t, err)
		var owner int64
		tree.do(func() { owner = tree.nodes[path].stat.EphemeralOwner })
		if owner == old || owner != zk.SessionID() {
			t.Errorf("Create = %q of session %x, want one of the present session %x, not of %x", path, owner, zk.SessionID(), old)
		}
	})
}

func TestProtectedCreateGoesOnAcrossSessionsUntilItsContextEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", losing(zkproto.OpCreate, 1))
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		tree.down.Store(true)
		time.AfterFunc(time.Minute, func() { tree.down.Store(false) }) // far beyond the presumed end
		path, err := zk.Create(t.Context(), "/n", nil, gazoo.Protected())
		must(t, err)
		if made := tree.names("/"); len(made) != 1 || path != "/"+made[0] {
			t.Errorf("Create = %q, the tree has %q", path, made)
		}
	})
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", losing(zkproto.OpCreate, 1))
		zk := w.connect("a")
		tree.down.Store(true)
		_, err := zk.Create(deadline(t, time.Hour), "/n", nil, gazoo.Protected())
		if !gazoo.MaybeApplied(err) {
			t.Errorf("Create that never found out: %v, want maybe applied", err)
		}
	})
}

func TestFiftyClientsMakeTheSameParents(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		errs := make(chan error)
		for i := range 50 {
			zk := w.connect("a")
			go func() {
				if i%2 == 0 {
					_, err := zk.EnsurePath(t.Context(), "/a/b/c/d/e")
					errs <- err
					return
				}
				_, err := zk.Create(t.Context(), fmt.Sprintf("/a/b/c/d/e/n%d", i), nil, gazoo.Parents())
				errs <- err
			}()
		}
		for range 50 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := len(tree.names("/a/b/c/d/e")); n != 25 {
			t.Errorf("%d znodes were made, want 25", n)
		}
	})
}

func TestParentsGetTheSameACLAndKind(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		zk := w.connect("a")
		_, err := zk.Create(t.Context(), "/a/b/n", []byte("v"), gazoo.ContainerParents(), gazoo.WithACL(readACL...))
		must(t, err)
		var got []string
		for _, req := range tree.sentAll() {
			var m zkproto.CreateRequest
			must(t, req.Decode(&m))
			if len(m.ACL) != 1 || m.ACL[0] != readACL[0] {
				t.Errorf("%s has ACL %v", m.Path, m.ACL)
			}
			got = append(got, fmt.Sprint(req.Header.Op, " ", m.Path, " ", string(m.Data)))
		}
		want := []string{"create /a/b/n v", "createContainer /a ", "createContainer /a/b ", "create /a/b/n v"}
		if !slices.Equal(got, want) {
			t.Errorf("requests %q, want %q", got, want)
		}
	})
}

func TestEnsurePathTellsWhetherItMadeTheZnode(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.plant("a:2181")
		zk := w.connect("a")
		for i, want := range []bool{true, false} {
			if made, err := zk.EnsurePath(ctx, "/a/b"); err != nil || made != want {
				t.Errorf("call %d: %v, %v, want %v", i, made, err, want)
			}
		}
		if made, err := zk.Async().EnsurePath(ctx, "/a/c").Wait(ctx); err != nil || !made {
			t.Errorf("asynchronously: %v, %v", made, err)
		}
		if made, err := zk.EnsurePath(ctx, "/"); err != nil || made {
			t.Errorf("of the root: %v, %v", made, err)
		}
	})
}

func TestCreateOrSet(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		zk := w.connect("a")
		for i, data := range []string{"one", "two"} {
			path, stat, err := zk.CreateStat(ctx, "/a", []byte(data), gazoo.OrSet())
			if err != nil || path != "/a" || stat.Version != int32(i) {
				t.Errorf("CreateStat = %q, version %d, %v", path, stat.Version, err)
			}
		}
		// Deleted between the create that failed and the set.
		once := true
		tree.do(func() {
			tree.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op == zkproto.OpSetData && once {
					once = false
					tree.mustDelete("/a")
				}
				return false
			}
		})
		if _, err := zk.Create(ctx, "/a", []byte("three"), gazoo.OrSet()); err != nil || string(tree.nodes["/a"].data) != "three" {
			t.Errorf("Create in a race: %v", err)
		}
	})
}

func TestDeleteRecursiveAmongOthers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		deletes := 0
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		for i := range 600 {
			tree.mustCreate(fmt.Sprintf("/a/n%03d", i))
		}
		tree.mustCreate("/a/n000/x", "/a/n000/x/y", "/a/n001/z")
		tree.do(func() {
			tree.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op != zkproto.OpDelete {
					return false
				}
				switch deletes++; deletes {
				case 3: // somebody else deletes, too
					tree.do(func() { tree.remove("/a/n001/z", -1); tree.remove("/a/n500", -1) })
				case 700, 702: // and creates
					tree.do(func() { tree.create(fmt.Sprintf("/a/late%d", deletes), nil, 0, 0) })
				}
				return false
			}
		})
		zk := w.connect("a")
		last, calls := 0, 0
		must(t, zk.DeleteRecursive(ctx, "/a", func(n int) {
			if calls++; n != last+1 {
				t.Errorf("progress %d after %d", n, last)
			}
			last = n
		}))
		if tree.nodes["/a"] != nil || calls < 600 {
			t.Errorf("left %q, progress called %d times", tree.names("/a"), calls)
		}
		if err := zk.DeleteRecursive(ctx, "/a", nil); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("of a missing path: %v, want ErrNoNode", err)
		}
		tree.mustCreate("/a", "/a/b")
		if _, err := zk.Async().DeleteRecursive(ctx, "/a").Wait(ctx); err != nil || tree.nodes["/a"] != nil {
			t.Errorf("asynchronously: %v", err)
		}
	})
}

func TestTwoRecursiveDeletesOfOneTree(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		for i := range 50 {
			tree.mustCreate(fmt.Sprintf("/a/%d", i), fmt.Sprintf("/a/%d/x", i))
		}
		errs := make(chan error)
		for range 3 {
			zk := w.connect("a")
			go func() { errs <- zk.DeleteRecursive(t.Context(), "/a", nil) }()
		}
		for range 3 {
			if err := <-errs; err != nil && !errors.Is(err, gazoo.ErrNoNode) {
				t.Error(err)
			}
		}
		if names := tree.names("/"); len(names) != 0 {
			t.Errorf("left: %q", names)
		}
	})
}

func TestDeleteIdempotent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181", losing(zkproto.OpDelete, 2))
		tree.mustCreate("/a", "/b")
		zk := w.connect("a")
		if err := zk.Delete(ctx, "/a", 0); !gazoo.MaybeApplied(err) {
			t.Errorf("plain Delete with a lost reply: %v, want maybe applied", err)
		}
		if err := zk.DeleteIdempotent(ctx, "/b", 0); err != nil || tree.nodes["/b"] != nil {
			t.Errorf("DeleteIdempotent with a lost reply: %v", err)
		}
		if err := zk.DeleteIdempotent(ctx, "/b", 0); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("of a znode that never was: %v, want ErrNoNode", err)
		}
		if err := zk.DeleteIfExists(ctx, "/b", 0); err != nil {
			t.Errorf("DeleteIfExists of a missing znode: %v", err)
		}
	})
}

func TestIdempotentDeleteNeverForgetsThatItMayHaveBeenApplied(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", losing(zkproto.OpDelete, 1))
		tree.mustCreate("/a")
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		tree.down.Store(true)
		err := zk.DeleteIdempotent(deadline(t, time.Hour), "/a", 0) // the second try is never sent
		if !gazoo.MaybeApplied(err) || gazoo.WasNotSent(err) {
			t.Errorf("DeleteIdempotent: %v, want maybe applied: its first try was", err)
		}
		tree.down.Store(false)
		w.waitState(zk, gazoo.StateConnected, time.Hour)
		tree.mustCreate("/b")
		tree.do(func() { losing(zkproto.OpDelete, 1)(tree) })
		tree.down.Store(true)
		time.AfterFunc(time.Minute, func() { tree.down.Store(false) }) // far beyond the session
		if err := zk.DeleteIdempotent(deadline(t, time.Hour), "/b", 0); err != nil {
			t.Errorf("DeleteIdempotent across sessions: %v", err)
		}
	})
}

func TestSetIdempotent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181", losing(zkproto.OpSetData, 1))
		tree.mustCreate("/a")
		zk := w.connect("a")
		if _, err := zk.SetIdempotent(ctx, "/a", []byte("x"), 0); !gazoo.MaybeApplied(err) || errors.Is(err, gazoo.ErrBadVersion) {
			t.Errorf("applied, reply lost: %v, want the connection loss, maybe applied: equal bytes prove nothing", err)
		}
		cuts := 0
		tree.do(func() {
			tree.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op == zkproto.OpSetData && cuts < 3 { // lost before it was applied
					cuts++
					c.Close()
					return true
				}
				return false
			}
		})
		if stat, err := zk.SetIdempotent(ctx, "/a", []byte("y"), 1); err != nil || stat.Version != 2 || cuts != 3 {
			t.Errorf("not applied, reply lost %d times: version %d, %v, want it repeated", cuts, stat.Version, err)
		}
		if _, err := zk.SetIdempotent(ctx, "/a", nil, 0); !errors.Is(err, gazoo.ErrBadVersion) {
			t.Errorf("of an old version: %v, want ErrBadVersion", err)
		}
	})
}

// A read behind a sync can miss a write that is under way: what the next try finds is then that write's doing.
func TestSetIdempotentBelievesNoStaleRead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", losing(zkproto.OpSetData, 1))
		tree.mustCreate("/a")
		zk := w.connect("a")
		tree.do(func() {
			old := tree.nodes["/a"].stat
			tree.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op == zkproto.OpExists {
					must2(c.Reply(req.Header.Xid, tree.Zxid(), zkproto.Code(0), zkproto.StatResponse{Stat: old}))
					return true
				}
				return false
			}
		})
		if _, err := zk.SetIdempotent(t.Context(), "/a", []byte("x"), 0); !gazoo.MaybeApplied(err) {
			t.Errorf("SetIdempotent: %v, want the connection loss, maybe applied", err)
		}
	})
}

func TestStatOfACreateThatCouldNotBeRead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", lacking(zkproto.OpCreate2), func(tr *fakeTree) {
			tr.before = func(_ *peer.Conn, req peer.Request) bool { return req.Header.Op == zkproto.OpExists }
		})
		zk := w.connect("a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		path, _, err := zk.CreateStat(ctx, "/a", nil)
		if path != "/a" || !gazoo.MaybeApplied(err) || gazoo.WasNotSent(err) || !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "create /a: ") {
			t.Errorf("CreateStat = %q, %v, want the path and an error that says it may have been applied", path, err)
		}
		if tree.nodes["/a"] == nil {
			t.Error("nothing was made")
		}
	})
}

func TestDescribeCreate(t *testing.T) {
	acl := gazoo.ReadACL()[0]
	for _, c := range []struct {
		opts []gazoo.CreateOption
		want gazoo.Creation
	}{
		{nil, gazoo.Creation{Mode: zkproto.ModePersistent}},
		{[]gazoo.CreateOption{gazoo.Ephemeral(), gazoo.Sequential()}, gazoo.Creation{Mode: zkproto.ModeEphemeralSequential}},
		{[]gazoo.CreateOption{gazoo.TTL(time.Second), gazoo.OrSet()}, gazoo.Creation{Mode: zkproto.ModePersistentTTL, TTL: time.Second, OrSet: true}},
		{[]gazoo.CreateOption{gazoo.Container(), gazoo.ContainerParents()}, gazoo.Creation{Mode: zkproto.ModeContainer, Parents: true, ContainerParents: true}},
		{[]gazoo.CreateOption{gazoo.WithACL(acl), gazoo.Protected()}, gazoo.Creation{Mode: zkproto.ModePersistent, ACL: []gazoo.ACL{acl}, Protected: true}},
		{[]gazoo.CreateOption{gazoo.WithACL()}, gazoo.Creation{Mode: zkproto.ModePersistent, ACL: []gazoo.ACL{}}},
	} {
		if got := gazoo.DescribeCreate(c.opts...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("DescribeCreate = %+v, want %+v", got, c.want)
		}
	}
}
