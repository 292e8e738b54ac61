package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// badPaths has one of each kind that the servers refuse.
var badPaths = []string{
	"", "a", "a/b", "/a/", "//", "//a", "/a//b", "/.", "/..", "/a/./b", "/a/../b", "/a/..", "/a\x00b", "/a\x1fb", "/\x7f", "/\u0085",
	"/\ue000", "/\uf8ff", "/\ufff0", "/\uffff", "/\U0001F600", "/\xff",
}

// pathOps is every operation of one path.
var pathOps = map[string]func(ctx context.Context, zk *gazoo.Client, path string) error{
	"Exists": func(ctx context.Context, zk *gazoo.Client, p string) error {
		_, _, err := zk.Exists(ctx, p)
		return err
	},
	"Get": func(ctx context.Context, zk *gazoo.Client, p string) error { _, _, err := zk.Get(ctx, p); return err },
	"GetInto": func(ctx context.Context, zk *gazoo.Client, p string) error {
		_, _, err := zk.GetInto(ctx, p, make([]byte, 8))
		return err
	},
	"Children": func(ctx context.Context, zk *gazoo.Client, p string) error { return second(zk.Children(ctx, p)) },
	"ChildrenStat": func(ctx context.Context, zk *gazoo.Client, p string) error {
		_, _, err := zk.ChildrenStat(ctx, p)
		return err
	},
	"Set": func(ctx context.Context, zk *gazoo.Client, p string) error { return second(zk.Set(ctx, p, nil, 0)) },
	"SetIdempotent": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.SetIdempotent(ctx, p, nil, 0))
	},
	"Create": func(ctx context.Context, zk *gazoo.Client, p string) error { return second(zk.Create(ctx, p, nil)) },
	"Create protected": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Create(ctx, p, nil, gazoo.Protected(), gazoo.Parents()))
	},
	"CreateStat": func(ctx context.Context, zk *gazoo.Client, p string) error {
		_, _, err := zk.CreateStat(ctx, p, nil)
		return err
	},
	"Delete":           func(ctx context.Context, zk *gazoo.Client, p string) error { return zk.Delete(ctx, p, 0) },
	"DeleteIfExists":   func(ctx context.Context, zk *gazoo.Client, p string) error { return zk.DeleteIfExists(ctx, p, 0) },
	"DeleteIdempotent": func(ctx context.Context, zk *gazoo.Client, p string) error { return zk.DeleteIdempotent(ctx, p, 0) },
	"DeleteRecursive":  func(ctx context.Context, zk *gazoo.Client, p string) error { return zk.DeleteRecursive(ctx, p, nil) },
	"EnsurePath":       func(ctx context.Context, zk *gazoo.Client, p string) error { return second(zk.EnsurePath(ctx, p)) },
	"Sync":             func(ctx context.Context, zk *gazoo.Client, p string) error { return zk.Sync(ctx, p) },
	"GetACL": func(ctx context.Context, zk *gazoo.Client, p string) error {
		_, _, err := zk.GetACL(ctx, p)
		return err
	},
	"SetACL": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.SetACL(ctx, p, openACL, 0))
	},
	"AllChildrenNumber": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.AllChildrenNumber(ctx, p))
	},
	"GetW": func(ctx context.Context, zk *gazoo.Client, p string) error {
		_, _, _, err := zk.GetW(ctx, p)
		return err
	},
	"ExistsW": func(ctx context.Context, zk *gazoo.Client, p string) error {
		_, _, _, err := zk.ExistsW(ctx, p)
		return err
	},
	"ChildrenW": func(ctx context.Context, zk *gazoo.Client, p string) error {
		_, _, _, err := zk.ChildrenW(ctx, p)
		return err
	},
	"Watch": func(ctx context.Context, zk *gazoo.Client, p string) error { return second(zk.Watch(ctx, p)) },
	"WatchData": func(ctx context.Context, zk *gazoo.Client, p string) (err error) {
		for _, err = range zk.WatchData(ctx, p) {
		}
		return err
	},
	"WatchChildren": func(ctx context.Context, zk *gazoo.Client, p string) (err error) {
		for _, err = range zk.WatchChildren(ctx, p) {
		}
		return err
	},
	"WatchDataFunc": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.WatchDataFunc(ctx, p, func(gazoo.DataSnapshot) bool { return true }))
	},
	"WatchChildrenFunc": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.WatchChildrenFunc(ctx, p, func(gazoo.ChildrenSnapshot) bool { return true }))
	},
	"Txn.Create": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Txn().Create(p, nil).Commit(ctx))
	},
	"Txn.Set": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Txn().Set(p, nil, 0).Commit(ctx))
	},
	"Txn.Delete": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Txn().Delete(p, 0).Commit(ctx))
	},
	"Txn.Check": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Txn().Check(p, 0).Commit(ctx))
	},
	"MultiRead": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.MultiRead(ctx, gazoo.ReadData("/"), gazoo.ReadChildren(p)))
	},
	"Async.Get": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().Get(ctx, p).Wait(waiting(ctx)))
	},
	"Async.GetInto": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().GetInto(ctx, p, nil).Wait(waiting(ctx)))
	},
	"Async.Exists": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().Exists(ctx, p).Wait(waiting(ctx)))
	},
	"Async.Children": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().Children(ctx, p).Wait(waiting(ctx)))
	},
	"Async.ChildrenStat": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().ChildrenStat(ctx, p).Wait(waiting(ctx)))
	},
	"Async.Set": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().Set(ctx, p, nil, 0).Wait(waiting(ctx)))
	},
	"Async.Create": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().Create(ctx, p, nil).Wait(waiting(ctx)))
	},
	"Async.Create parents": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().Create(ctx, p, nil, gazoo.Parents()).Wait(waiting(ctx)))
	},
	"Async.CreateStat": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().CreateStat(ctx, p, nil).Wait(waiting(ctx)))
	},
	"Async.Delete": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().Delete(ctx, p, 0).Wait(waiting(ctx)))
	},
	"Async.DeleteRecursive": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().DeleteRecursive(ctx, p).Wait(waiting(ctx)))
	},
	"Async.EnsurePath": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().EnsurePath(ctx, p).Wait(waiting(ctx)))
	},
	"Async.GetACL": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().GetACL(ctx, p).Wait(waiting(ctx)))
	},
	"Async.SetACL": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().SetACL(ctx, p, openACL, 0).Wait(waiting(ctx)))
	},
	"Async.Sync": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().Sync(ctx, p).Wait(waiting(ctx)))
	},
	"Async.AllChildren": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().AllChildrenNumber(ctx, p).Wait(waiting(ctx)))
	},
	"Async.GetW": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().GetW(ctx, p).Wait(waiting(ctx)))
	},
	"Async.ExistsW": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().ExistsW(ctx, p).Wait(waiting(ctx)))
	},
	"Async.ChildrenW": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().ChildrenW(ctx, p).Wait(waiting(ctx)))
	},
	"Async.Commit": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().Commit(ctx, zk.Txn().Check(p, 0)).Wait(waiting(ctx)))
	},
	"Async.MultiRead": func(ctx context.Context, zk *gazoo.Client, p string) error {
		return second(zk.Async().MultiRead(ctx, gazoo.ReadData(p)).Wait(waiting(ctx)))
	},
}

// waiting stands in for a nil context of the call, so that the wait is not what is refused.
func waiting(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

var noContext context.Context

type badCall struct {
	name, arg string
	do        func(ctx context.Context, zk *gazoo.Client) error
}

func badCalls() []badCall {
	var calls []badCall
	add := func(name, arg string, do func(ctx context.Context, zk *gazoo.Client) error) {
		calls = append(calls, badCall{name, arg, do})
	}
	for name, op := range pathOps {
		for _, path := range badPaths {
			add(fmt.Sprintf("%s(%q)", name, path), "path", func(ctx context.Context, zk *gazoo.Client) error { return op(ctx, zk, path) })
		}
		add(name+"(nil ctx)", "ctx", func(_ context.Context, zk *gazoo.Client) error { return op(noContext, zk, "/a") })
	}
	add("SetIdempotent at any version", "version", func(ctx context.Context, zk *gazoo.Client) error { return second(zk.SetIdempotent(ctx, "/a", nil, -1)) })
	for name, op := range map[string]func(ctx context.Context, zk *gazoo.Client) error{
		"Delete":          func(ctx context.Context, zk *gazoo.Client) error { return zk.Delete(ctx, "/", -1) },
		"DeleteRecursive": func(ctx context.Context, zk *gazoo.Client) error { return zk.DeleteRecursive(ctx, "/", nil) },
		"Create":          func(ctx context.Context, zk *gazoo.Client) error { return second(zk.Create(ctx, "/", nil)) },
		"Txn.Create": func(ctx context.Context, zk *gazoo.Client) error {
			return second(zk.Txn().Create("/", nil).Commit(ctx))
		},
	} {
		add(name+" of the root", "path", op)
	}
	for name, opts := range map[string][]gazoo.CreateOption{
		"container and ephemeral":  {gazoo.Container(), gazoo.Ephemeral()},
		"container and sequential": {gazoo.Container(), gazoo.Sequential()},
		"container and TTL":        {gazoo.Container(), gazoo.TTL(time.Hour)},
		"ephemeral and TTL":        {gazoo.Ephemeral(), gazoo.TTL(time.Hour)},
		"OrSet and sequential":     {gazoo.OrSet(), gazoo.Sequential()},
		"OrSet and protected":      {gazoo.OrSet(), gazoo.Protected()},
		"TTL zero":                 {gazoo.TTL(0)},
		"TTL negative":             {gazoo.TTL(-time.Second)},
		"TTL below a millisecond":  {gazoo.TTL(time.Microsecond)},
		"TTL too large":            {gazoo.TTL(1 << 40 * time.Millisecond)},
		"ACL empty":                {gazoo.WithACL()},
		"ACL without scheme":       {gazoo.WithACL(gazoo.ACL{Perms: gazoo.PermAll, ID: "x"})},
		"ACL of the whole world":   {gazoo.WithACL(gazoo.ACL{Perms: gazoo.PermAll, Scheme: "world", ID: "everyone"})},
	} {
		arg := "options"
		if strings.HasPrefix(name, "TTL") || strings.HasPrefix(name, "ACL") {
			arg = name[:3]
		}
		add("Create "+name, arg, func(ctx context.Context, zk *gazoo.Client) error { return second(zk.Create(ctx, "/a", nil, opts...)) })
		add("Async.Create "+name, arg, func(ctx context.Context, zk *gazoo.Client) error {
			return second(zk.Async().Create(ctx, "/a", nil, opts...).Wait(ctx))
		})
		add("Txn.Create "+name, arg, func(ctx context.Context, zk *gazoo.Client) error {
			return second(zk.Txn().Create("/a", nil, opts...).Commit(ctx))
		})
	}
	for name, opt := range map[string]gazoo.CreateOption{"protected": gazoo.Protected(), "parents": gazoo.Parents(), "or set": gazoo.OrSet()} {
		add("Txn.Create "+name, "options", func(ctx context.Context, zk *gazoo.Client) error {
			return second(zk.Txn().Create("/a", nil, opt).Commit(ctx))
		})
	}
	for name, opt := range map[string]gazoo.CreateOption{"ephemeral": gazoo.Ephemeral(), "sequential": gazoo.Sequential(), "TTL": gazoo.TTL(time.Hour), "protected": gazoo.Protected(), "or set": gazoo.OrSet()} {
		add("EnsurePath "+name, "options", func(ctx context.Context, zk *gazoo.Client) error { return second(zk.EnsurePath(ctx, "/a", opt)) })
	}
	add("nameless protected", "options", func(ctx context.Context, zk *gazoo.Client) error {
		return second(zk.Create(ctx, "/a/", nil, gazoo.Sequential(), gazoo.Protected()))
	})
	add("SetACL empty", "ACL", func(ctx context.Context, zk *gazoo.Client) error { return second(zk.SetACL(ctx, "/a", nil, 0)) })
	add("AddAuth scheme", "scheme", func(ctx context.Context, zk *gazoo.Client) error { return zk.AddAuth(ctx, "", []byte("x")) })
	add("AddAuth ctx", "ctx", func(_ context.Context, zk *gazoo.Client) error { return zk.AddAuth(noContext, "digest", nil) })
	add("Async.AddAuth scheme", "scheme", func(ctx context.Context, zk *gazoo.Client) error {
		return second(zk.Async().AddAuth(ctx, "", nil).Wait(ctx))
	})
	add("Ephemerals prefix", "prefix", func(ctx context.Context, zk *gazoo.Client) error { return second(zk.Ephemerals(ctx, "a")) })
	add("WhoAmI ctx", "ctx", func(_ context.Context, zk *gazoo.Client) error { return second(zk.WhoAmI(noContext)) })
	add("MultiRead of nothing known", "read", func(ctx context.Context, zk *gazoo.Client) error { return second(zk.MultiRead(ctx, gazoo.Read{})) })
	for name, ch := range map[string]gazoo.Reconfiguration{
		"empty":            {Version: gazoo.AnyConfig},
		"both kinds":       {Leaving: []string{"1"}, Members: []string{"server.1=a:1:2;3"}},
		"negative version": {Leaving: []string{"1"}, Version: -2},
	} {
		add("Reconfig "+name, "reconfiguration", func(ctx context.Context, zk *gazoo.Client) error { _, _, err := zk.Reconfig(ctx, ch); return err })
	}
	add("WatchDataFunc without function", "fn", func(ctx context.Context, zk *gazoo.Client) error { return second(zk.WatchDataFunc(ctx, "/a", nil)) })
	add("WatchChildrenFunc without function", "fn", func(ctx context.Context, zk *gazoo.Client) error {
		return second(zk.WatchChildrenFunc(ctx, "/a", nil))
	})
	add("Retry without function", "fn", func(ctx context.Context, zk *gazoo.Client) error { return zk.Retry(ctx, nil) })
	add("Retry without policy", "policy", func(ctx context.Context, zk *gazoo.Client) error {
		return gazoo.Retry(ctx, nil, func(context.Context) error { return nil })
	})
	return calls
}

func TestBadArgumentsAreRefusedBeforeAnythingIsSent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		srv := w.can("a:2181", nil, nil)
		zk := w.connect("a/x")
		for _, c := range badCalls() {
			err := c.do(t.Context(), zk)
			arg, ok := errors.AsType[*gazoo.ArgumentError](err)
			if !ok || arg.Arg != c.arg || !gazoo.WasNotSent(err) || !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, want an *ArgumentError about %s, not sent", c.name, err, c.arg)
			}
		}
		if reqs := srv.take(); len(reqs) != 0 {
			t.Errorf("%d requests reached the server, the first is %v", len(reqs), reqs[0].Header.Op)
		}
		if calls, bytes := zk.InFlight(); calls != 0 || bytes != 0 {
			t.Errorf("InFlight = %d calls, %d bytes, want nothing", calls, bytes)
		}
		if one, streams := zk.WatchCount(); one != 0 || streams != 0 {
			t.Errorf("WatchCount = %d, %d: refused watches were left behind", one, streams)
		}
	})
}

func TestOversizedRequestFailsAloneAndUnsent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		zk := w.connect("a")
		large := make([]byte, 3_400_000)
		for name, err := range map[string]error{
			"Set":          second(zk.Set(ctx, "/a", large, -1)),
			"Create":       second(zk.Create(ctx, "/b", large)),
			"Async.Set":    second(zk.Async().Set(ctx, "/a", large, -1).Wait(ctx)),
			"Txn":          second(zk.Txn().Set("/a", large, -1).Commit(ctx)),
			"a byte above": second(zk.Set(ctx, "/a", make([]byte, 0xfffff-8-6-4-4+1), -1)),
		} {
			size, ok := errors.AsType[*gazoo.SizeError](err)
			if !ok || !errors.Is(err, gazoo.ErrRequestTooLarge) || !gazoo.WasNotSent(err) || size.Limit != 0xfffff || size.Size <= size.Limit {
				t.Errorf("%s: %v, want a *SizeError for the request, not sent", name, err)
			}
		}
		if _, err := zk.Set(ctx, "/a", make([]byte, 0xfffff-8-6-4-4), -1); err != nil {
			t.Errorf("Set of just the limit: %v", err)
		}
		if n := len(tree.sentAll()); n != 1 {
			t.Errorf("%d requests arrived, want the last one alone", n)
		}
	})
}
