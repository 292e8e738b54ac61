package gazoo_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// canned answers every request of an operation with the same body, and remembers what came.
type canned struct {
	peer.Basic
	bodies map[zkproto.OpCode]peer.Body
	codes  map[zkproto.OpCode]zkproto.Code

	mu   sync.Mutex
	reqs []peer.Request // everything but pings
}

func (w *world) can(addr string, bodies map[zkproto.OpCode]peer.Body, codes map[zkproto.OpCode]zkproto.Code) *canned {
	w.t.Helper()
	b := &canned{bodies: bodies, codes: codes}
	b.Answer = func(c *peer.Conn, req peer.Request) bool {
		op := req.Header.Op
		if op != zkproto.OpPing {
			b.mu.Lock()
			b.reqs = append(b.reqs, req)
			b.mu.Unlock()
		}
		if code, ok := b.codes[op]; ok {
			c.Reply(req.Header.Xid, b.NextZxid(), code, nil)
			return true
		}
		body, ok := b.bodies[op]
		if ok {
			c.Reply(req.Header.Xid, b.NextZxid(), zkproto.OK, body)
		}
		return ok
	}
	w.serve(addr, b.Handle)
	return b
}

// take returns what came since the last take.
func (b *canned) take() []peer.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	reqs := b.reqs
	b.reqs = nil
	return reqs
}

var (
	openACL = []gazoo.ACL{{Perms: gazoo.PermAll, Scheme: "world", ID: "anyone"}}
	readACL = []gazoo.ACL{{Perms: gazoo.PermRead, Scheme: "world", ID: "anyone"}}
	aStat   = zkproto.Stat{Czxid: 1, Mzxid: 2, Ctime: 3, Mtime: 4, Version: 5, Cversion: 6, Aversion: 7, EphemeralOwner: 8, DataLength: 9, NumChildren: 10, Pzxid: 11}
)

// wireCase is an operation: its request as it must be on the wire below a chroot, the reply,
// and what both forms return.
type wireCase struct {
	name  string
	op    zkproto.OpCode
	req   func(root string) peer.Body
	reply func(root string) peer.Body
	want  []any
	sync  func(ctx context.Context, zk *gazoo.Client) ([]any, error)
	async func(ctx context.Context, a gazoo.Async) ([]any, error)
}

// list packs results for comparison.
func list(vs ...any) []any { return vs }

func created(mode zkproto.CreateMode, name string, data []byte, acl []gazoo.ACL) func(string) peer.Body {
	return func(root string) peer.Body {
		return zkproto.CreateRequest{Path: root + name, Data: data, ACL: acl, Mode: mode}
	}
}

func createdTTL(mode zkproto.CreateMode, ttl int64) func(string) peer.Body {
	return func(root string) peer.Body {
		return zkproto.CreateTTLRequest{Path: root + "/a", ACL: openACL, Mode: mode, TTL: ttl}
	}
}

func createCase(name string, op zkproto.OpCode, req func(string) peer.Body, data []byte, path string, opts ...gazoo.CreateOption) wireCase {
	return wireCase{
		name: "create " + name, op: op, req: req,
		reply: func(root string) peer.Body {
			if op == zkproto.OpCreate {
				return zkproto.CreateResponse{Path: root + "/made"}
			}
			return zkproto.Create2Response{Path: root + "/made", Stat: aStat}
		},
		want: list("/made"),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			made, err := zk.Create(ctx, path, data, opts...)
			return list(made), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			made, err := a.Create(ctx, path, data, opts...).Wait(ctx)
			return list(made.Path), err
		},
	}
}

func pathWatch(name string, watch bool) func(string) peer.Body {
	return func(root string) peer.Body {
		return zkproto.PathWatchRequest{Path: under(root, name), Watch: watch}
	}
}

func pathOnly(name string) func(string) peer.Body {
	return func(root string) peer.Body { return zkproto.PathRequest{Path: under(root, name)} }
}

func under(root, name string) string {
	if root != "" && name == "/" {
		return root
	}
	return root + name
}

func always(body peer.Body) func(string) peer.Body { return func(string) peer.Body { return body } }

var wireCases = []wireCase{
	createCase("persistent", zkproto.OpCreate, created(zkproto.ModePersistent, "/a", []byte("x"), openACL), []byte("x"), "/a"),
	createCase("null data", zkproto.OpCreate, created(zkproto.ModePersistent, "/a", nil, openACL), nil, "/a"),
	createCase("empty data", zkproto.OpCreate, created(zkproto.ModePersistent, "/a", []byte{}, openACL), []byte{}, "/a"),
	createCase("ephemeral", zkproto.OpCreate, created(zkproto.ModeEphemeral, "/a", nil, openACL), nil, "/a", gazoo.Ephemeral()),
	createCase("sequential", zkproto.OpCreate, created(zkproto.ModePersistentSequential, "/a-", nil, openACL), nil, "/a-", gazoo.Sequential()),
	createCase("nameless sequential", zkproto.OpCreate, created(zkproto.ModeEphemeralSequential, "/a/", nil, openACL), nil, "/a/", gazoo.Ephemeral(), gazoo.Sequential()),
	createCase("own ACL", zkproto.OpCreate, created(zkproto.ModePersistent, "/a", nil, readACL), nil, "/a", gazoo.WithACL(readACL...)),
	createCase("container", zkproto.OpCreateContainer, created(zkproto.ModeContainer, "/a", nil, openACL), nil, "/a", gazoo.Container()),
	createCase("TTL", zkproto.OpCreateTTL, createdTTL(zkproto.ModePersistentTTL, 1500), nil, "/a", gazoo.TTL(1500*time.Millisecond)),
	createCase("sequential TTL", zkproto.OpCreateTTL, createdTTL(zkproto.ModePersistentSequentialTTL, zkproto.MaxTTL), nil, "/a", gazoo.Sequential(), gazoo.TTL(time.Duration(zkproto.MaxTTL)*time.Millisecond)),
	{
		name: "create with stat", op: zkproto.OpCreate2, req: created(zkproto.ModeEphemeral, "/a", nil, openACL),
		reply: func(root string) peer.Body { return zkproto.Create2Response{Path: root + "/a", Stat: aStat} },
		want:  list("/a", aStat),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			path, stat, err := zk.CreateStat(ctx, "/a", nil, gazoo.Ephemeral())
			return list(path, stat), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			made, err := a.CreateStat(ctx, "/a", nil, gazoo.Ephemeral()).Wait(ctx)
			return list(made.Path, made.Stat), err
		},
	},
	{
		name: "delete", op: zkproto.OpDelete,
		req:   func(root string) peer.Body { return zkproto.DeleteRequest{Path: root + "/a", Version: 3} },
		reply: always(nil),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			return nil, zk.Delete(ctx, "/a", 3)
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			return nil, second(a.Delete(ctx, "/a", 3).Wait(ctx))
		},
	},
	{
		name: "exists", op: zkproto.OpExists, req: pathWatch("/", false),
		reply: always(zkproto.StatResponse{Stat: aStat}), want: list(aStat, true),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			stat, found, err := zk.Exists(ctx, "/")
			return list(stat, found), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			p, err := a.Exists(ctx, "/").Wait(ctx)
			return list(p.Stat, p.Exists), err
		},
	},
	{
		name: "get", op: zkproto.OpGetData, req: pathWatch("/a", false),
		reply: always(zkproto.GetDataResponse{Data: []byte("x"), Stat: aStat}), want: list([]byte("x"), aStat),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			data, stat, err := zk.Get(ctx, "/a")
			return list(data, stat), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			n, err := a.Get(ctx, "/a").Wait(ctx)
			return list(n.Data, n.Stat), err
		},
	},
	{
		name: "get null data", op: zkproto.OpGetData, req: pathWatch("/a", false),
		reply: always(zkproto.GetDataResponse{Stat: aStat}), want: list([]byte(nil), aStat),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			data, stat, err := zk.Get(ctx, "/a")
			return list(data, stat), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			n, err := a.GetInto(ctx, "/a", make([]byte, 9)).Wait(ctx)
			return list(n.Data, n.Stat), err
		},
	},
	{
		name: "set", op: zkproto.OpSetData,
		req: func(root string) peer.Body {
			return zkproto.SetDataRequest{Path: root + "/a", Data: []byte("x"), Version: 7}
		},
		reply: always(zkproto.StatResponse{Stat: aStat}), want: list(aStat),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			stat, err := zk.Set(ctx, "/a", []byte("x"), 7)
			return list(stat), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			stat, err := a.Set(ctx, "/a", []byte("x"), 7).Wait(ctx)
			return list(stat), err
		},
	},
	{
		name: "set null at any version", op: zkproto.OpSetData,
		req:   func(root string) peer.Body { return zkproto.SetDataRequest{Path: root + "/a", Version: -1} },
		reply: always(zkproto.StatResponse{Stat: aStat}), want: list(aStat),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			stat, err := zk.Set(ctx, "/a", nil, gazoo.AnyVersion)
			return list(stat), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			stat, err := a.Set(ctx, "/a", nil, gazoo.AnyVersion).Wait(ctx)
			return list(stat), err
		},
	},
	{
		name: "children", op: zkproto.OpGetChildren, req: pathWatch("/a", false),
		reply: always(zkproto.ChildrenResponse{Children: []string{"x", "y"}}), want: list([]string{"x", "y"}),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			names, err := zk.Children(ctx, "/a")
			return list(names), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			d, err := a.Children(ctx, "/a").Wait(ctx)
			return list(d.Children), err
		},
	},
	{
		name: "children with stat", op: zkproto.OpGetChildren2, req: pathWatch("/", false),
		reply: always(zkproto.Children2Response{Children: []string{"x"}, Stat: aStat}), want: list([]string{"x"}, aStat),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			names, stat, err := zk.ChildrenStat(ctx, "/")
			return list(names, stat), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			d, err := a.ChildrenStat(ctx, "/").Wait(ctx)
			return list(d.Children, d.Stat), err
		},
	},
	{
		name: "get ACL", op: zkproto.OpGetACL, req: pathOnly("/a"),
		reply: always(zkproto.GetACLResponse{ACL: readACL, Stat: aStat}), want: list(readACL, aStat),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			acl, stat, err := zk.GetACL(ctx, "/a")
			return list(acl, stat), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			l, err := a.GetACL(ctx, "/a").Wait(ctx)
			return list(l.ACL, l.Stat), err
		},
	},
	{
		name: "set ACL", op: zkproto.OpSetACL,
		req: func(root string) peer.Body {
			return zkproto.SetACLRequest{Path: root + "/a", ACL: readACL, Version: 2}
		},
		reply: always(zkproto.StatResponse{Stat: aStat}), want: list(aStat),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			stat, err := zk.SetACL(ctx, "/a", readACL, 2)
			return list(stat), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			stat, err := a.SetACL(ctx, "/a", readACL, 2).Wait(ctx)
			return list(stat), err
		},
	},
	{
		name: "sync", op: zkproto.OpSync, req: pathOnly("/a"), reply: pathOnly("/a"),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) { return nil, zk.Sync(ctx, "/a") },
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			return nil, second(a.Sync(ctx, "/a").Wait(ctx))
		},
	},
	{
		name: "count of descendants", op: zkproto.OpGetAllChildrenNumber, req: pathOnly("/"),
		reply: always(zkproto.AllChildrenNumberResponse{Count: 42}), want: list(42),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			n, err := zk.AllChildrenNumber(ctx, "/")
			return list(n), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			n, err := a.AllChildrenNumber(ctx, "/").Wait(ctx)
			return list(n), err
		},
	},
	{
		name: "ephemerals", op: zkproto.OpGetEphemerals,
		req: func(root string) peer.Body { return zkproto.PathRequest{Path: root + "/a"} },
		reply: func(root string) peer.Body {
			return zkproto.EphemeralsResponse{Paths: []string{root + "/a", root + "/ab"}}
		},
		want: list([]string{"/a", "/ab"}),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			paths, err := zk.Ephemerals(ctx, "/a")
			return list(paths), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			paths, err := a.Ephemerals(ctx, "/a").Wait(ctx)
			return list(paths), err
		},
	},
	{
		name: "whoami", op: zkproto.OpWhoAmI, req: always(nil),
		reply: always(zkproto.WhoAmIResponse{Clients: []gazoo.ClientInfo{{Scheme: "ip", User: "::1"}}}),
		want:  list([]gazoo.ClientInfo{{Scheme: "ip", User: "::1"}}),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			who, err := zk.WhoAmI(ctx)
			return list(who), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			who, err := a.WhoAmI(ctx).Wait(ctx)
			return list(who), err
		},
	},
	{
		name: "reconfig", op: zkproto.OpReconfig,
		req:   always(zkproto.ReconfigRequest{Joining: "server.4=a:1:2;3,server.5=b:1:2;3", Leaving: "1,2", ConfigID: 9}),
		reply: always(zkproto.GetDataResponse{Data: []byte("version=a"), Stat: aStat}), want: list([]byte("version=a"), aStat),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			data, stat, err := zk.Reconfig(ctx, gazoo.Reconfiguration{Joining: []string{"server.4=a:1:2;3", "server.5=b:1:2;3"}, Leaving: []string{"1", "2"}, Version: 9})
			return list(data, stat), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			n, err := a.Reconfig(ctx, gazoo.Reconfiguration{Joining: []string{"server.4=a:1:2;3", "server.5=b:1:2;3"}, Leaving: []string{"1", "2"}, Version: 9}).Wait(ctx)
			return list(n.Data, n.Stat), err
		},
	},
	{
		name: "add auth", op: zkproto.OpAuth, req: always(zkproto.AuthRequest{Scheme: "digest", Auth: []byte("u:p")}), reply: always(nil),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			return nil, zk.AddAuth(ctx, "digest", []byte("u:p"))
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			return nil, second(a.AddAuth(ctx, "digest", []byte("u:p")).Wait(ctx))
		},
	},
	{
		name: "get with a watch", op: zkproto.OpGetData, req: pathWatch("/a", true),
		reply: always(zkproto.GetDataResponse{Data: []byte{}, Stat: aStat}), want: list([]byte{}, aStat, true),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			data, stat, w, err := zk.GetW(ctx, "/a")
			return list(data, stat, w != nil), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			n, err := a.GetW(ctx, "/a").Wait(ctx)
			return list(n.Data, n.Stat, n.Watch != nil), err
		},
	},
	{
		name: "exists with a watch", op: zkproto.OpExists, req: pathWatch("/a", true),
		reply: always(zkproto.StatResponse{Stat: aStat}), want: list(aStat, true, true),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			stat, found, w, err := zk.ExistsW(ctx, "/a")
			return list(stat, found, w != nil), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			p, err := a.ExistsW(ctx, "/a").Wait(ctx)
			return list(p.Stat, p.Exists, p.Watch != nil), err
		},
	},
	{
		name: "children with a watch", op: zkproto.OpGetChildren2, req: pathWatch("/a", true),
		reply: always(zkproto.Children2Response{Children: []string{"x"}, Stat: aStat}), want: list([]string{"x"}, aStat, true),
		sync: func(ctx context.Context, zk *gazoo.Client) ([]any, error) {
			names, stat, w, err := zk.ChildrenW(ctx, "/a")
			return list(names, stat, w != nil), err
		},
		async: func(ctx context.Context, a gazoo.Async) ([]any, error) {
			d, err := a.ChildrenW(ctx, "/a").Wait(ctx)
			return list(d.Children, d.Stat, d.Watch != nil), err
		},
	},
}

func TestRequestsAndResultsOfEveryOperation(t *testing.T) {
	for _, root := range []string{"", "/x/y"} {
		for _, c := range wireCases {
			t.Run(fmt.Sprintf("%s below %q", c.name, root), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					ctx := t.Context()
					srv := w.can("a:2181", map[zkproto.OpCode]peer.Body{c.op: c.reply(root)}, nil)
					zk := w.connect("a" + root)
					check := func(form string, got []any, err error) {
						t.Helper()
						if err != nil || !reflect.DeepEqual(got, c.want) {
							t.Errorf("%s returns %#v, %v, want %#v", form, got, err, c.want)
						}
						var want []byte
						if body := c.req(root); body != nil {
							want = body.AppendTo(nil)
						}
						reqs := srv.take()
						if len(reqs) != 1 || reqs[0].Header.Op != c.op || !bytes.Equal(reqs[0].Body, want) {
							t.Errorf("%s sent %q, want one %v of %q", form, reqs, c.op, want)
						}
					}
					got, err := c.sync(ctx, zk)
					check("the synchronous form", got, err)
					got, err = c.async(ctx, zk.Async())
					check("the asynchronous form", got, err)
				})
			})
		}
	}
}
