package gazoo_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestACLHelpers(t *testing.T) {
	for want, got := range map[string]string{
		"bob:ikIaKsbtGweaHnb/jKn7OHqbunM=":   gazoo.DigestID("bob", "pw"),
		"super:lK75jTNcA+U9vtVEw5vB51mj/w4=": gazoo.DigestID("super", "secret"),
	} {
		if got != want {
			t.Errorf("DigestID = %q, want %q", got, want)
		}
	}
	for name, c := range map[string]struct{ got, want gazoo.ACL }{
		"open":    {gazoo.OpenACL()[0], gazoo.ACL{Perms: 31, Scheme: "world", ID: "anyone"}},
		"read":    {gazoo.ReadACL()[0], gazoo.ACL{Perms: 1, Scheme: "world", ID: "anyone"}},
		"creator": {gazoo.CreatorACL()[0], gazoo.ACL{Perms: 31, Scheme: "auth"}},
		"digest":  {gazoo.DigestACL(gazoo.PermRead|gazoo.PermWrite, "bob", "pw"), gazoo.ACL{Perms: 3, Scheme: "digest", ID: "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", name, c.got, c.want)
		}
	}
	gazoo.OpenACL()[0].Perms = 0
	if gazoo.OpenACL()[0].Perms != gazoo.PermAll {
		t.Error("OpenACL hands out shared memory")
	}
}

func TestParseACL(t *testing.T) {
	got, err := gazoo.ParseACL("world:anyone:r,digest:bob:ikIaKsbtGweaHnb/jKn7OHqbunM=:cdrwa,ip:10.0.0.0/8:all")
	want := []gazoo.ACL{
		{Perms: gazoo.PermRead, Scheme: "world", ID: "anyone"},
		{Perms: gazoo.PermAll, Scheme: "digest", ID: "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="},
		{Perms: gazoo.PermAll, Scheme: "ip", ID: "10.0.0.0/8"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("ParseACL = %v, %v, want %v", got, err, want)
	}
	if s := want[1].String(); s != "digest:bob:ikIaKsbtGweaHnb/jKn7OHqbunM=:cdrwa" {
		t.Errorf("an ACL reads %q", s)
	}
	for _, bad := range []string{"", "world", "world:anyone", "world:anyone:x", "world:anyone:r,", ":::"} {
		if acl, err := gazoo.ParseACL(bad); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("ParseACL(%q) = %v, %v, want an argument error", bad, acl, err)
		}
	}
}

// authTree answers add-auth requests as the function says and remembers them.
func authTree(w *world, verdict func(zkproto.AuthRequest) zkproto.Code) (tree *fakeTree, came *[]string) {
	came = new([]string)
	tree = w.plant("a:2181", func(tr *fakeTree) {
		tr.before = func(c *peer.Conn, req peer.Request) bool {
			if req.Header.Op != zkproto.OpAuth {
				return false
			}
			var m zkproto.AuthRequest
			must2(req.Decode(&m))
			*came = append(*came, m.Scheme+" "+string(m.Auth))
			code := verdict(m)
			c.Reply(req.Header.Xid, 0, code, nil)
			if code != 0 {
				c.Close()
			}
			return true
		}
	})
	return tree, came
}

func TestAddAuthWaitsForTheVerdictAndIsReplayed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree, came := authTree(w, func(zkproto.AuthRequest) zkproto.Code { time.Sleep(time.Second); return 0 })
		zk := w.connect("a", gazoo.WithAuth("digest", []byte("first:x")))
		begin := time.Now()
		secret := []byte("second:y")
		must(t, zk.AddAuth(ctx, "digest", secret))
		if time.Since(begin) != time.Second {
			t.Errorf("AddAuth took %v, want to wait for the server", time.Since(begin))
		}
		copy(secret, "changed!")
		must(t, zk.AddAuth(ctx, "ip", nil))
		zk.ForgetAuth("digest", []byte("first:x"))
		*came = nil
		w.drop(zk, tree, func() { go zk.Exists(ctx, "/") })
		synctest.Wait()
		if want := []string{"digest second:y", "ip "}; !slices.Equal(*came, want) {
			t.Errorf("after a reconnect came %q, want %q", *came, want)
		}
		all := tree.sentAll()
		if op := all[len(all)-1].Header.Op; op != zkproto.OpExists {
			t.Errorf("the last request is %v: a waiting call overtook the credentials", op)
		}
	})
}

func TestAddAuthOutlivesADrop(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := 0
		tree, came := authTree(w, func(zkproto.AuthRequest) zkproto.Code { return 0 })
		answer := tree.before
		tree.do(func() {
			tree.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op == zkproto.OpAuth && n == 0 {
					n++
					c.Close()
					return true
				}
				return answer(c, req)
			}
		})
		zk := w.connect("a")
		must(t, zk.AddAuth(t.Context(), "digest", []byte("u:p")))
		if len(*came) == 0 {
			t.Error("the credential never arrived")
		}
	})
}

func TestAddAuthOutlivesASession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		tree.down.Store(true)
		tree.Conn(zk.SessionID()).Close()
		synctest.Wait()
		time.AfterFunc(time.Minute, func() { tree.down.Store(false) })
		must(t, zk.AddAuth(t.Context(), "digest", []byte("u:p")))
	})
}

func TestAddAuthRefusalIsFinal(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		authTree(w, func(zkproto.AuthRequest) zkproto.Code { return zkproto.ErrAuthFailed })
		zk := w.connect("a")
		err := zk.AddAuth(ctx, "digest", []byte("user:hunter2"))
		if !errors.Is(err, gazoo.ErrAuthFailed) || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "hunter2") {
			t.Errorf("AddAuth: %v, want ErrAuthFailed without the secret", err)
		}
		synctest.Wait()
		if _, _, err := zk.Get(ctx, "/"); !errors.Is(err, gazoo.ErrAuthFailed) || !gazoo.WasNotSent(err) {
			t.Errorf("a later call: %v, want ErrAuthFailed, not sent", err)
		}
		if zk.State() != gazoo.StateLost || zk.KeeperState() != gazoo.KeeperAuthFailed {
			t.Errorf("state %v, %v", zk.State(), zk.KeeperState())
		}
	})
}

func TestParseEnsembleConfig(t *testing.T) {
	cfg, err := gazoo.ParseEnsembleConfig("server.1=h1:2888:3888:participant;0.0.0.0:2181\n" +
		"server.2=h2:2888:3888|h2b:2889:3889:participant;2182\nserver.3=h3:2888:3888:observer\nversion=1a00000005\n")
	must(t, err)
	want := []string{
		"server.1=h1:2888:3888:participant;0.0.0.0:2181", "server.2=h2:2888:3888|h2b:2889:3889:participant;0.0.0.0:2182", "server.3=h3:2888:3888:observer",
	}
	var got []string
	for _, m := range cfg.Members {
		got = append(got, m.String())
	}
	if cfg.Version != 0x1a00000005 || !slices.Equal(got, want) || !cfg.Members[2].Observer || cfg.Members[2].Client != "" || len(cfg.Members[1].Quorum) != 2 {
		t.Errorf("version %x, members %q, want %q", cfg.Version, got, want)
	}
	if cfg, err := gazoo.ParseEnsembleConfig(""); err != nil || len(cfg.Members) != 0 {
		t.Errorf("of a standalone server: %+v, %v", cfg, err)
	}
	for _, bad := range []string{"nonsense", "version=xyz", "server.x=h:1:2", "server.1=h:1"} {
		if cfg, err := gazoo.ParseEnsembleConfig(bad); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("ParseEnsembleConfig(%q) = %+v, %v, want an argument error", bad, cfg, err)
		}
	}
}
