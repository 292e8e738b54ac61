package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// seen collects what a surviving watch yields, as text.
type seen struct{ got []string }

func (s *seen) data(d gazoo.DataSnapshot) bool {
	if !d.Exists {
		s.got = append(s.got, "missing")
		return true
	}
	s.got = append(s.got, string(d.Data))
	return true
}

func (s *seen) children(c gazoo.ChildrenSnapshot) bool {
	names := slices.Sorted(slices.Values(c.Children))
	if !c.Exists {
		names = []string{"missing"}
	}
	s.got = append(s.got, fmt.Sprint(names))
	return true
}

// want lets everything settle and compares.
func (s *seen) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(s.got, want) {
		t.Errorf("yielded %q, want %q", s.got, want)
	}
}

func watchData(t *testing.T, zk *gazoo.Client, path string, opts ...gazoo.SurvivingOption) (*seen, *gazoo.Watching) {
	t.Helper()
	s := &seen{}
	w, err := zk.WatchDataFunc(t.Context(), path, s.data, opts...)
	must(t, err)
	synctest.Wait()
	return s, w
}

func TestWatchDataYieldsThePresentAndEachChange(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
		zk := w.connect("a")
		s, watching := watchData(t, zk, "/a")
		s.want(t, "missing")
		tree.mustCreate("/a")
		s.want(t, "missing", "")
		tree.mustSet("/a", "1")
		s.want(t, "missing", "", "1")
		tree.mustCreate("/a/b") // concerns children, not data
		tree.mustDelete("/a/b")
		tree.mustDelete("/a")
		s.want(t, "missing", "", "1", "missing")
		tree.mustCreate("/a")
		tree.mustSet("/a", "2")
		synctest.Wait()
		if s.got[len(s.got)-1] != "2" {
			t.Errorf("yielded %q, want the last state at the end", s.got)
		}
		watching.Stop()
		<-watching.Done()
		if err := watching.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("Err after Stop: %v", err)
		}
		synctest.Wait()
		if held := tree.held(); len(held) != 0 {
			t.Errorf("server still holds %q", held)
		}
	})
}

func TestWatchChildrenYieldsThePresentAndEachChange(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
		zk := w.connect("a")
		s := &seen{}
		watching, err := zk.WatchChildrenFunc(t.Context(), "/a", s.children)
		must(t, err)
		s.want(t, "[missing]")
		tree.mustCreate("/a")
		s.want(t, "[missing]", "[]")
		tree.mustCreate("/a/x")
		s.want(t, "[missing]", "[]", "[x]")
		tree.mustSet("/a", "data")
		tree.mustSet("/a/x", "data")
		s.want(t, "[missing]", "[]", "[x]")
		tree.do(func() { tree.remove("/a/x", -1); tree.create("/a/x", nil, 0, 0) }) // replaced by its namesake
		s.want(t, "[missing]", "[]", "[x]", "[x]")
		w.drop(zk, tree, nil)
		s.want(t, "[missing]", "[]", "[x]", "[x]")
		w.drop(zk, tree, func() { tree.mustCreate("/a/y") })
		s.want(t, "[missing]", "[]", "[x]", "[x]", "[x y]")
		watching.Stop()
		<-watching.Done()
	})
}

func TestSurvivingWatchSurvivesDropsAndSessions(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		tree.mustSet("/a", "0")
		zk := w.connect("a")
		s, _ := watchData(t, zk, "/a")
		w.drop(zk, tree, nil)
		s.want(t, "0")
		w.drop(zk, tree, func() { tree.mustSet("/a", "1"); tree.mustSet("/a", "2") })
		s.want(t, "0", "2")
		tree.expire(zk.SessionID())
		tree.mustSet("/a", "3")
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		s.want(t, "0", "2", "3")
		w.drop(zk, tree, func() {
			time.Sleep(time.Hour) // presumed expired by now
			tree.mustDelete("/a")
			tree.mustCreate("/a")
		})
		s.want(t, "0", "2", "3", "")
		tree.mustSet("/a", "4")
		s.want(t, "0", "2", "3", "", "4")
	})
}

func TestSlowConsumerSkipsStatesButNotTheLast(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		zk := w.connect("a")
		var versions []int32
		go func() {
			for i := range 50 {
				tree.mustSet("/a", fmt.Sprint(i))
				time.Sleep(time.Millisecond)
			}
		}()
		ctx := deadline(t, time.Minute)
		for snap, err := range zk.WatchData(ctx, "/a") {
			if err != nil {
				break
			}
			versions = append(versions, snap.Stat.Version)
			time.Sleep(7 * time.Millisecond)
		}
		if !slices.IsSorted(versions) || versions[len(versions)-1] != 50 || len(versions) > 12 || len(versions) != len(slices.Compact(slices.Clone(versions))) {
			t.Errorf("versions %v, want them to ascend to 50 with leaps", versions)
		}
	})
}

func TestWaysToEndASurvivingWatch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a", "/secret")
		zk := w.connect("a")
		for range zk.WatchData(t.Context(), "/a") {
			break
		}
		synctest.Wait()
		if held := tree.held(); len(held) != 0 {
			t.Errorf("after break the server holds %q", held)
		}
		w1, err := zk.WatchDataFunc(t.Context(), "/a", func(gazoo.DataSnapshot) bool { return false })
		must(t, err)
		<-w1.Done()
		if err := w1.Err(); err != nil {
			t.Errorf("Err after the function returned false: %v", err)
		}
		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var last error
		for _, err := range zk.WatchChildren(ctx, "/a") {
			cancel(reason)
			last = err
		}
		if !errors.Is(last, reason) || !errors.Is(last, context.Canceled) {
			t.Errorf("last element after the context ended: %v", last)
		}
		tree.do(func() {
			tree.before = func(c *peer.Conn, req peer.Request) bool {
				var m zkproto.PathWatchRequest
				if req.Decode(&m) == nil && m.Path == "/secret" {
					c.Reply(req.Header.Xid, 1, zkproto.ErrNoAuth, nil)
					return true
				}
				return false
			}
		})
		for _, last = range zk.WatchData(t.Context(), "/secret") {
		}
		if !errors.Is(last, gazoo.ErrNoAuth) {
			t.Errorf("last element of a refused read: %v", last)
		}
		_, w2 := watchData(t, zk, "/a")
		w3, err := zk.WatchDataFunc(t.Context(), "/a", func(d gazoo.DataSnapshot) bool {
			if string(d.Data) == "close" {
				if err := zk.Close(); err != nil {
					t.Errorf("Close from the handler: %v", err)
				}
			}
			return true
		})
		must(t, err)
		tree.mustSet("/a", "close")
		<-w2.Done()
		<-w3.Done()
		for _, w := range []*gazoo.Watching{w2, w3} {
			if err := w.Err(); !errors.Is(err, gazoo.ErrClosed) {
				t.Errorf("Err after Close: %v, want ErrClosed", err)
			}
		}
		<-zk.Done()
	})
}

// lastError drains a surviving watch and returns what ended it.
func lastError[S any](seq iter.Seq2[S, error], each func(S)) (last error) {
	for s, err := range seq {
		if last = err; err == nil {
			each(s)
		}
	}
	return last
}

func TestUntilSessionLost(t *testing.T) {
	for name, lose := range map[string]func(w *world, zk *gazoo.Client, tree *fakeTree){
		"expired": func(_ *world, zk *gazoo.Client, tree *fakeTree) { tree.expire(zk.SessionID()) },
		"presumed": func(_ *world, zk *gazoo.Client, tree *fakeTree) {
			tree.down.Store(true)
			tree.Conn(zk.SessionID()).Close()
			time.AfterFunc(time.Hour, func() { tree.down.Store(false) })
		},
	} {
		for when, busy := range map[string]bool{"while waiting": false, "while reading": true} {
			t.Run(name+" "+when, func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					tree := w.plant("a:2181")
					tree.mustCreate("/a")
					zk := w.connect("a")
					if busy {
						lost := false
						tree.do(func() {
							tree.after = func(c *peer.Conn, req peer.Request) bool {
								var m zkproto.PathWatchRequest
								if req.Header.Op != zkproto.OpGetData || req.Decode(&m) != nil || tree.nodes["/a"].stat.Version == 0 || lost {
									return true
								}
								lost = true
								go lose(w, zk, tree) // the answer is never sent
								return false
							}
						})
					}
					yields := 0
					err := lastError(zk.WatchData(deadline(t, 24*time.Hour), "/a", gazoo.UntilSessionLost()), func(gazoo.DataSnapshot) {
						if yields++; yields > 1 {
							return
						}
						if busy {
							go tree.mustSet("/a", "x")
							return
						}
						go func() { synctest.Wait(); lose(w, zk, tree) }()
					})
					if !gazoo.SessionLost(err) || yields != 1 {
						t.Errorf("yielded %d states and ended with %v, want one and the session's error", yields, err)
					}
				})
			})
		}
	}
}

func TestSurvivingWatchFollowsAHistoryThatWentBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", func(tr *fakeTree) {
			tr.Connect = func(c *peer.Conn, req zkproto.ConnectRequest) bool {
				// As a server does that is behind what the client has seen.
				return tr.down.Load() || req.LastZxidSeen > tr.Zxid()
			}
		})
		tree.mustCreate("/a")
		for range 20 {
			tree.mustSet("/a", "of the future")
		}
		zk := w.connect("a")
		s, _ := watchData(t, zk, "/a")
		s.want(t, "of the future")
		id := zk.SessionID()
		tree.down.Store(true)
		tree.Conn(id).Close()
		synctest.Wait()
		tree.Expire(id)
		tree.do(func() { // restored from an old backup
			tree.SetZxid(0)
			tree.nodes = map[string]*fakeNode{"/": {}}
			tree.create("/a", []byte("of the past"), 0, 0)
		})
		tree.down.Store(false)
		w.waitState(zk, gazoo.StateConnected, time.Hour)
		s.want(t, "of the future", "of the past")
	})
}

func TestThrottledReadOfASurvivingWatchIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := 0
		tree := w.plant("a:2181", func(tr *fakeTree) {
			tr.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op != zkproto.OpGetData || n == 3 {
					return false
				}
				n++
				c.Reply(req.Header.Xid, 1, zkproto.ErrThrottledOp, nil)
				return true
			}
		})
		tree.mustCreate("/a")
		s, _ := watchData(t, w.connect("a"), "/a")
		time.Sleep(time.Minute)
		s.want(t, "")
	})
}
