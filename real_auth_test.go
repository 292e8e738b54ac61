package gazoo_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

func TestDigestACLsOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		anyone := fresh(t, connect(t, c.Hosts()))
		_, err := anyone.Create(ctx, "/creator", nil, gazoo.WithACL(gazoo.CreatorACL()...))
		wantErr(t, "Create for the creator without a credential", err, gazoo.ErrInvalidACL)

		bob := connect(t, c.Hosts()+anyone.Root(), gazoo.WithAuth("digest", []byte("bob:pw")), gazoo.WithDefaultACL(gazoo.CreatorACL()...))
		_, err = bob.Create(ctx, "/creator", []byte("secret"))
		must(t, err)
		who, err := bob.WhoAmI(ctx)
		if err != nil || !slices.Contains(who, gazoo.ClientInfo{Scheme: "digest", User: "bob"}) || len(who) != 2 {
			t.Errorf("WhoAmI = %v, %v", who, err)
		}
		acl, _, err := bob.GetACL(ctx, "/creator")
		if err != nil || !slices.Equal(acl, []gazoo.ACL{gazoo.DigestACL(gazoo.PermAll, "bob", "pw")}) {
			t.Errorf("GetACL = %v, %v", acl, err)
		}
		_, err = bob.Create(ctx, "/creator/child", nil)
		must(t, err)

		// Every operation on it is refused to others.
		must(t, anyone.Sync(ctx, "/"))
		refused := map[string]error{}
		_, _, refused["get"] = anyone.Get(ctx, "/creator")
		_, refused["children"] = anyone.Children(ctx, "/creator")
		_, refused["set"] = anyone.Set(ctx, "/creator", nil, gazoo.AnyVersion)
		_, refused["create"] = anyone.Create(ctx, "/creator/x", nil)
		refused["delete"] = anyone.Delete(ctx, "/creator/child", gazoo.AnyVersion)
		_, refused["set ACL"] = anyone.SetACL(ctx, "/creator", gazoo.OpenACL(), gazoo.AnyVersion)
		_, _, refused["get ACL"] = anyone.GetACL(ctx, "/creator")
		_, refused["all children number"] = anyone.AllChildrenNumber(ctx, "/creator")
		_, _, _, refused["get and watch"] = anyone.GetW(ctx, "/creator")
		_, refused["commit"] = anyone.Txn().Check("/creator", 0).Commit(ctx)
		for op, err := range refused {
			wantErr(t, op, err, gazoo.ErrNoAuth)
		}
		results, err := anyone.MultiRead(ctx, gazoo.ReadData("/creator"), gazoo.ReadData("/"))
		must(t, err)
		wantErr(t, "read in a multi-read", results[0].Err, gazoo.ErrNoAuth)
		if results[1].Err != nil {
			t.Errorf("the other read = %v", results[1].Err)
		}
		for _, err := range anyone.WatchData(ctx, "/creator") {
			wantErr(t, "WatchData", err, gazoo.ErrNoAuth) // its last element
		}

		// Presenting the credential later does as well.
		must(t, anyone.AddAuth(ctx, "digest", []byte("bob:pw")))
		if data, _, err := anyone.Get(ctx, "/creator"); err != nil || string(data) != "secret" {
			t.Errorf("Get with the credential = %q, %v", data, err)
		}
	})
}

func TestACLVersionsAndMasks(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts(), gazoo.WithAuth("digest", []byte("bob:pw"))))
		_, err := zk.Create(ctx, "/n", nil)
		must(t, err)
		acl := []gazoo.ACL{
			gazoo.DigestACL(gazoo.PermAll, "bob", "pw"),
			{Perms: gazoo.PermRead, Scheme: "world", ID: "anyone"},
			{Perms: gazoo.PermRead | gazoo.PermWrite, Scheme: "ip", ID: "10.0.0.0/8"},
		}
		stat, err := zk.SetACL(ctx, "/n", acl, 0)
		if err != nil || stat.Aversion != 1 || stat.Version != 0 {
			t.Errorf("SetACL = %+v, %v, want ACL version 1", stat, err)
		}
		_, err = zk.SetACL(ctx, "/n", acl, 0)
		wantErr(t, "SetACL with an old version", err, gazoo.ErrBadVersion)
		_, err = zk.SetACL(ctx, "/none", acl, gazoo.AnyVersion)
		wantErr(t, "SetACL of nothing", err, gazoo.ErrNoNode)
		_, err = zk.SetACL(ctx, "/n", []gazoo.ACL{{Perms: gazoo.PermAll, Scheme: "kerberos?", ID: "x"}}, gazoo.AnyVersion)
		wantErr(t, "SetACL with an unknown scheme", err, gazoo.ErrInvalidACL)
		got, stat, err := zk.GetACL(ctx, "/n")
		if err != nil || !slices.Equal(got, acl) || stat.Aversion != 1 {
			t.Errorf("GetACL = %v, version %d, %v, want %v", got, stat.Aversion, err, acl)
		}
		// Without Admin the servers hide the hash.
		other := connect(t, c.Hosts()+zk.Root())
		must(t, other.Sync(ctx, "/"))
		got, _, err = other.GetACL(ctx, "/n")
		if err != nil || len(got) != 3 || got[0].ID != "bob:x" || got[2] != acl[2] {
			t.Errorf("GetACL without Admin = %v, %v, want the hash masked", got, err)
		}
	})
}

func TestSuperUser(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{SuperDigest: gazoo.DigestID("super", "secret")})
	ctx := deadline(t, 30*time.Second)
	bob := connect(t, e.Hosts(), gazoo.WithAuth("digest", []byte("bob:pw")))
	_, err := bob.Create(ctx, "/private", nil, gazoo.WithACL(gazoo.CreatorACL()...))
	must(t, err)
	// Not super's password: just another user.
	fake := connect(t, e.Hosts(), gazoo.WithAuth("digest", []byte("super:guess")))
	_, _, err = fake.Get(ctx, "/private")
	wantErr(t, "Get by a fake super user", err, gazoo.ErrNoAuth)
	super := connect(t, e.Hosts(), gazoo.WithAuth("digest", []byte("super:secret")))
	_, err = super.SetACL(ctx, "/private", gazoo.OpenACL(), gazoo.AnyVersion)
	must(t, err)
	must(t, fake.Delete(ctx, "/private", gazoo.AnyVersion))
}

// Requests never overtake the credentials after a reconnect.
func TestNoRequestBeforeCredentials(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 60*time.Second)
		zk := fresh(t, connect(t, c.Proxied(), gazoo.WithAuth("digest", []byte("bob:pw")), gazoo.WithSessionTimeout(30*time.Second)))
		_, err := zk.Create(ctx, "/secret", []byte("x"), gazoo.WithACL(gazoo.CreatorACL()...))
		must(t, err)
		var wg sync.WaitGroup
		stop := make(chan struct{})
		var reads, lost atomic.Int64
		progress := make(chan struct{}, 1)
		for range 50 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					_, _, err := zk.Get(ctx, "/secret")
					switch {
					case err == nil:
						reads.Add(1)
						select {
						case progress <- struct{}{}:
						default:
						}
					case errors.Is(err, gazoo.ErrConnectionLoss):
						lost.Add(1)
					default:
						t.Errorf("Get: %v", err)
						return
					}
				}
			})
		}
		for range 30 {
			cut(t, c, zk)
			<-progress
			select {
			case <-progress:
			case <-ctx.Done():
				t.Error("no read succeeds any more")
			}
		}
		close(stop)
		wg.Wait()
		if reads.Load() < 30 || lost.Load() < 30 {
			t.Errorf("%d reads and %d lost in 30 reconnects: no load", reads.Load(), lost.Load())
		}
	})
}

func TestServersRefusalOfACredentialEndsTheClient(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := connect(t, c.Hosts())
		sub := zk.SubscribeState()
		wantErr(t, "AddAuth of an unknown scheme", zk.AddAuth(ctx, "nobody-knows", []byte("x")), gazoo.ErrAuthFailed)
		if ch := awaitState(t, sub, gazoo.StateLost); ch.Keeper != gazoo.KeeperAuthFailed || !errors.Is(ch.Err, gazoo.ErrAuthFailed) {
			t.Errorf("state = %+v, want lost for a refused credential", ch)
		}
		_, _, err := zk.Get(ctx, "/")
		wantErr(t, "Get afterwards", err, gazoo.ErrAuthFailed)
		if cause := context.Cause(zk.Context()); !errors.Is(cause, gazoo.ErrAuthFailed) {
			t.Errorf("cause of the client's end = %v", cause)
		}
		_, err = gazoo.Connect(ctx, c.Hosts(), gazoo.WithAuth("nobody-knows", []byte("hush")))
		wantErr(t, "Connect with an unknown scheme", err, gazoo.ErrAuthFailed)
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("the error %q tells the credential", err)
		}
	})
}
