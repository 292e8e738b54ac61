package zktest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestFail(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		h := srv.Fail(zktest.OpCreate, "/a", gazoo.ErrNoAuth)
		create(t, zk, "/other")
		f := zk.Async().Create(soon(t), "/a", nil)
		g := zk.Async().Get(soon(t), "/other") // pipelined behind it
		_, err := f.Wait(soon(t))
		wantErr(t, "Create", err, gazoo.ErrNoAuth)
		if gazoo.MaybeApplied(err) {
			t.Errorf("%v says it may have been applied", err)
		}
		if n, err := g.Wait(soon(t)); err != nil || string(n.Data) != "v" {
			t.Errorf("the request behind it = %q, %v", n.Data, err)
		}
		if _, found := srv.Get("/a"); found {
			t.Error("/a was created")
		}
		if n := h.Hits(); n != 1 {
			t.Errorf("Hits() = %d, want 1", n)
		}
		create(t, zk, "/a") // it was for one alone
		srv.Fail(zktest.OpPing, "", gazoo.ErrThrottledOp)
		srv.Fail(zktest.OpSync, "", gazoo.ErrOperationTimeout)
		wantErr(t, "Sync", zk.Sync(soon(t), "/"), gazoo.ErrOperationTimeout)
	})
}

// TestFailWithTheEndOfTheConnection: two codes say that the server closes behind them.
func TestFailWithTheEndOfTheConnection(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		back := reconnects(t, srv, zk)
		srv.Fail(zktest.OpWhoAmI, "", gazoo.ErrUnimplemented)
		_, err := zk.WhoAmI(soon(t))
		wantErr(t, "WhoAmI", err, gazoo.ErrNotSupported) // as of a server that does not know it
		back()
		srv.Fail(zktest.OpAuth, "", gazoo.ErrAuthFailed)
		err = zk.AddAuth(soon(t), "digest", []byte("a:b"))
		wantErr(t, "AddAuth", err, gazoo.ErrAuthFailed)
		zktest.Eventually(t, "the client gives up", func() bool { return zk.KeeperState() == gazoo.KeeperAuthFailed })
	})
}

// TestDropReply is what every client has to live with: applied, and nobody says so.
func TestDropReply(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		h := srv.DropReply(zktest.OpCreate, "/a")
		_, err := zk.Create(soon(t), "/a", []byte("v"))
		if !gazoo.MaybeApplied(err) {
			t.Errorf("Create = %v, want it maybe applied", err)
		}
		if _, found := srv.Get("/a"); !found {
			t.Error("/a was not created")
		}
		must(t, h.Wait(soon(t)))

		h = srv.DropRequest(zktest.OpCreate, "/b")
		_, err = zk.Create(soon(t), "/b", nil)
		if !gazoo.MaybeApplied(err) {
			t.Errorf("Create = %v, want it maybe applied", err)
		}
		if _, found := srv.Get("/b"); found {
			t.Error("/b was created")
		}
		must(t, h.Wait(soon(t)))
		// A client that can find out does.
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate, Under: "/p"}, Do: zktest.DropReply(), Times: 3})
		must(t, srv.Put("/p", ""))
		path, err := zk.Create(soon(t), "/p/x-", nil, gazoo.Sequential(), gazoo.Protected())
		if err != nil {
			t.Fatalf("protected Create = %v", err)
		}
		if _, found := srv.Get(path); !found || srv.Count() != 3 {
			t.Errorf("%s: tree\n%s", path, srv.Dump())
		}
	})
}

func TestIgnore(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv, gazoo.WithSessionTimeout(600*time.Millisecond))
		back := reconnects(t, srv, zk)
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpSet}, Do: zktest.Ignore(), Times: 1})
		begin := time.Now()
		f := zk.Async().Set(soon(t), "/", []byte("x"), gazoo.AnyVersion)
		zk.Async().Get(soon(t), "/") // neither this nor a ping is answered either
		_, err := f.Wait(soon(t))
		if d := time.Since(begin); d < 100*time.Millisecond {
			t.Errorf("Set ended after %v, want it when the client's patience is over", d)
		}
		if !gazoo.MaybeApplied(err) {
			t.Errorf("Set = %v, want it maybe applied", err)
		}
		if data, _ := srv.Get("/"); data != "" {
			t.Errorf("data %q, want it not executed", data)
		}
		back()
	})
}

func TestDelayAndHold(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		create(t, zk, "/a")
		for _, c := range []struct {
			do      zktest.Action
			applied bool
		}{
			{zktest.DelayRequest(100 * time.Millisecond), false},
			{zktest.DelayReply(100 * time.Millisecond), true},
			{zktest.HoldRequest(), false},
			{zktest.HoldReply(), true},
		} {
			must(t, srv.Put("/a", "old"))
			h := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpSet}, Do: c.do})
			begin := time.Now()
			f := zk.Async().Set(soon(t), "/a", []byte("new"), gazoo.AnyVersion)
			must(t, h.Wait(soon(t)))
			if c.applied {
				zktest.Eventually(t, "it is executed", func() bool { data, _ := srv.Get("/a"); return data == "new" })
			} else if data, _ := srv.Get("/a"); data != "old" {
				t.Errorf("%v: executed already", c.do)
			}
			if strings.HasPrefix(c.do.String(), "hold") {
				if f.Ready() {
					t.Errorf("%v: answered already", c.do)
				}
				h.Release()
				h.Release()
			}
			if _, err := f.Wait(soon(t)); err != nil {
				t.Errorf("%v: %v", c.do, err)
			}
			if d := time.Since(begin); strings.HasPrefix(c.do.String(), "delay") && d < 100*time.Millisecond {
				t.Errorf("%v: answered after %v", c.do, d)
			}
			h.Remove()
		}
		// What is held does not keep a server from ending.
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpSet}, Do: zktest.HoldReply()})
		zk.Async().Set(soon(t), "/a", nil, gazoo.AnyVersion)
	})
}

func TestCutAfter(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		back := reconnects(t, srv, zk)
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate}, Do: zktest.CutAfter(), Times: 1})
		create(t, zk, "/a")
		back()
	})
}

func TestCall(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		var seen zktest.Request
		srv.Add(zktest.Rule{
			Match: zktest.Match{Op: zktest.OpSet, Path: "/a"},
			Do: zktest.Call(func(r zktest.Request) {
				seen = r
				srv.Put(r.Path, "somebody else")
			}),
			Times: 1,
		})
		create(t, zk, "/a")
		_, err := zk.Set(soon(t), "/a", []byte("mine"), 0)
		wantErr(t, "Set", err, gazoo.ErrBadVersion)
		if seen.Session != zk.SessionID() || seen.Endpoint != srv.Endpoint(0) || seen.Op != zktest.OpSet || seen.Code.String() != "setData" {
			t.Errorf("request %+v", seen)
		}
	})
}

// TestConnectRules: a server may answer a client that comes back in several ways.
func TestConnectRules(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		again := func(a zktest.Action) (*zktest.Handle, int64) {
			back := reconnects(t, srv, zk)
			id := zk.SessionID()
			h := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpConnect, Session: id}, Do: a, Times: 1})
			srv.Cut()
			must(t, h.Wait(soon(t)))
			back()
			return h, id
		}
		if _, id := again(zktest.DropRequest()); zk.SessionID() != id {
			t.Errorf("a lost connect request cost the session")
		}
		if _, id := again(zktest.DropReply()); zk.SessionID() != id {
			t.Errorf("a lost connect response cost the session")
		}
		if _, id := again(zktest.DelayReply(20 * time.Millisecond)); zk.SessionID() != id {
			t.Errorf("a late connect response cost the session")
		}
		_, id := again(zktest.Fail(gazoo.ErrSessionExpired))
		if zk.SessionID() == id {
			t.Errorf("session %#x again, though it was told that it is over", id)
		}
		if n := len(srv.Sessions()); n != 2 {
			t.Errorf("%d sessions, want also the old one", n)
		}
		_, id = again(zktest.NewSession())
		if zk.SessionID() == id {
			t.Errorf("session %#x again, though another one was handed out", id)
		}
		id = zk.SessionID()
		back := reconnects(t, srv, zk)
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpConnect}, Do: zktest.Ignore(), Times: 1})
		srv.Cut()
		back()
		if zk.SessionID() != id {
			t.Errorf("a handshake that hangs cost the session")
		}
	})
}

func TestEventRules(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		stream, err := zk.Watch(soon(t), "/", gazoo.Recursive())
		must(t, err)
		defer stream.Close()
		lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpEvent, Path: "/lost"}, Do: zktest.Ignore()})
		held := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpEvent, Path: "/held"}, Do: zktest.HoldReply()})
		must(t, srv.Put("/lost", ""))
		must(t, srv.Put("/held", ""))
		must(t, lost.Wait(soon(t)))
		must(t, held.Wait(soon(t)))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if ev, err := stream.Next(ctx); err == nil {
			t.Errorf("event %+v, want it held", ev)
		}
		held.Release()
		if ev, err := stream.Next(soon(t)); err != nil || ev.Path != "/held" {
			t.Errorf("event %+v, %v, want that of /held", ev, err)
		}
		cut := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpEvent}, Do: zktest.DropReply(), Times: 1})
		back := reconnects(t, srv, zk)
		must(t, srv.Put("/cut", ""))
		must(t, cut.Wait(soon(t)))
		back()
	})
}

func TestMatch(t *testing.T) {
	srv := zktest.Start(t, zktest.Endpoints(2))
	zk, other := connectTo(t, srv, 0), connectTo(t, srv, 1)
	for name, c := range map[string]struct {
		match zktest.Match
		want  int
	}{
		"everything":          {zktest.Match{}, 8},
		"reads and creates":   {zktest.Match{Op: zktest.OpRead | zktest.OpCreate}, 7},
		"a path":              {zktest.Match{Path: "/a/b"}, 3},
		"below a path":        {zktest.Match{Under: "/a"}, 5},
		"below the root":      {zktest.Match{Under: "/"}, 8},
		"of a session":        {zktest.Match{Session: other.SessionID()}, 1},
		"at an endpoint":      {zktest.Match{Endpoint: srv.Endpoint(1)}, 1},
		"all of it":           {zktest.Match{Op: zktest.OpGet, Path: "/ab", Session: zk.SessionID(), Endpoint: srv.Endpoint(0)}, 1},
		"not quite all of it": {zktest.Match{Op: zktest.OpSet, Path: "/ab", Session: zk.SessionID()}, 0},
		"what a function says": {zktest.Match{If: func(r zktest.Request) bool {
			return slices.Contains(r.Paths, "/c")
		}}, 1},
	} {
		must(t, srv.Put("/a/b", ""))
		h := srv.Add(zktest.Rule{Match: c.match, Do: zktest.Call(func(zktest.Request) {})})
		for _, path := range []string{"/a", "/a/b", "/ab"} {
			zk.Get(soon(t), path)
		}
		zk.Exists(soon(t), "/a/b")
		zk.Children(soon(t), "/a/c")
		other.Get(soon(t), "/x")
		zk.Create(soon(t), "/x", nil)
		zk.Txn().Create("/a/b", nil).Create("/c", nil).Commit(soon(t))
		if n := h.Hits(); n != c.want {
			t.Errorf("%s: %d hits, want %d", name, n, c.want)
		}
		h.Remove()
		zk.Get(soon(t), "/a/b")
		if n := h.Hits(); n != c.want {
			t.Errorf("%s: hit after Remove", name)
		}
	}
}

func TestCounts(t *testing.T) {
	srv := zktest.Start(t)
	zk := connect(t, srv)
	rule := zktest.Rule{Match: zktest.Match{Op: zktest.OpExists}, Do: zktest.Fail(gazoo.ErrNoAuth), Skip: 1, Times: 2}
	first := srv.Add(rule)
	rule.Skip, rule.Do = 0, zktest.Fail(gazoo.ErrBadArguments)
	second := srv.Add(rule)
	var got []error
	for range 6 {
		_, _, err := zk.Exists(soon(t), "/")
		got = append(got, err)
	}
	for i, want := range []error{gazoo.ErrBadArguments, gazoo.ErrNoAuth, gazoo.ErrNoAuth, gazoo.ErrBadArguments, nil, nil} {
		if !errors.Is(got[i], want) {
			t.Errorf("request %d: %v, want %v", i, got[i], want)
		}
	}
	if first.Hits() != 2 || second.Hits() != 2 {
		t.Errorf("hits %d and %d, want 2 and 2", first.Hits(), second.Hits())
	}
	never := srv.Fail(zktest.OpDelete, "/x", gazoo.ErrNoAuth)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := never.Wait(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "rule delete /x: fail NoAuth") {
		t.Errorf("Wait = %v, want the deadline and the rule", err)
	}
}

func TestOpNames(t *testing.T) {
	for op, want := range map[zktest.Op]string{
		0: "any", zktest.OpCreate | zktest.OpEvent: "create|event", zktest.OpUnknown: "unknown", zktest.OpSASL: "sasl",
		zktest.OpWrite: "create|delete|set|setACL|multi|reconfig",
	} {
		if got := op.String(); got != want {
			t.Errorf("%d = %q, want %q", op, got, want)
		}
	}
}
