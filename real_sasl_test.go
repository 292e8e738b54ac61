package gazoo_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

// newSASLServer starts a server that knows a few users.
func newSASLServer(t *testing.T, system map[string]string) *ensemble.Ensemble {
	t.Helper()
	return ensemble.StartT(t, ensemble.Config{
		JAAS: `Server {
	org.apache.zookeeper.server.auth.DigestLoginModule required
	user_bob="secret"
	user_jürgen="geheim-ß-秘密";
};
`,
		Properties:       map[string]string{"authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider"},
		SystemProperties: system,
	})
}

func TestDigestMD5OnServer(t *testing.T) {
	e := newSASLServer(t, map[string]string{"file.encoding": "UTF-8"})
	ctx := deadline(t, 60*time.Second)
	bob := connect(t, e.Proxied(), gazoo.WithSASL(gazoo.DigestMD5("bob", "secret")), gazoo.WithAuth("digest", []byte("carol:pw")))
	who, err := bob.WhoAmI(ctx)
	for _, want := range []gazoo.ClientInfo{{Scheme: "sasl", User: "bob"}, {Scheme: "digest", User: "carol"}} {
		if err != nil || !slices.Contains(who, want) {
			t.Errorf("WhoAmI = %v, %v, want %v in it", who, err, want)
		}
	}
	acl, err := gazoo.ParseACL("sasl:bob:cdrwa")
	must(t, err)
	_, err = bob.Create(ctx, "/mine", []byte("1"), gazoo.WithACL(acl...))
	must(t, err)
	_, _, watch, err := bob.GetW(ctx, "/mine")
	must(t, err)
	id := bob.SessionID()
	for i := range 3 {
		if ch := cut(t, cluster.Apache{Ensemble: e}, bob); !ch.Resumed {
			t.Errorf("reconnect %d: %+v, want the session resumed", i, ch)
		}
		if data, _, err := bob.Get(ctx, "/mine"); err != nil || string(data) != "1" {
			t.Errorf("Get after reconnect %d = %q, %v", i, data, err)
		}
	}
	_, err = bob.Set(ctx, "/mine", nil, gazoo.AnyVersion)
	must(t, err)
	awaitEvent(t, watch, gazoo.EventDataChanged, "/mine")
	if bob.SessionID() != id {
		t.Errorf("session %x, want %x throughout", bob.SessionID(), id)
	}

	for name, opts := range map[string][]gazoo.Option{
		"without SASL":    nil,
		"as another user": {gazoo.WithSASL(gazoo.DigestMD5("jürgen", "geheim-ß-秘密"))},
	} {
		zk := connect(t, e.Hosts(), opts...)
		must(t, zk.Sync(ctx, "/"))
		_, _, err := zk.Get(ctx, "/mine")
		wantErr(t, "Get "+name, err, gazoo.ErrNoAuth)
	}
}

func TestWrongSASLPasswordOnServer(t *testing.T) {
	for name, system := range map[string]map[string]string{
		"SASL optional": nil,
		"SASL required": {"zookeeper.sessionRequireClientSASLAuth": "true"},
		"may fail":      {"zookeeper.allowSaslFailedClients": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newSASLServer(t, system)
			connect(t, e.Hosts(), gazoo.WithSASL(gazoo.DigestMD5("bob", "secret")))
			for _, user := range []string{"bob", "mallory"} {
				_, err := gazoo.Connect(deadline(t, 30*time.Second), e.Hosts(), gazoo.WithSASL(gazoo.DigestMD5(user, "wr0ng")))
				wantErr(t, "Connect with a wrong password", err, gazoo.ErrAuthFailed)
				refused, ok := errors.AsType[*gazoo.SASLError](err)
				if !ok || !refused.Refused || refused.Mechanism != "DIGEST-MD5" || refused.Server != e.Hosts() || strings.Contains(fmt.Sprintf("%v %+v", err, refused), "wr0ng") {
					t.Errorf("Connect with a wrong password = %v (%#v), want a SASLError of a refusal by %s", err, refused, e.Hosts())
				}
			}
		})
	}
}

// A server without SASL answers without a token, which is no login.
func TestServerWithoutSASL(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		_, err := gazoo.Connect(deadline(t, 30*time.Second), c.Hosts(), gazoo.WithSASL(gazoo.DigestMD5("bob", "secret")))
		wantErr(t, "Connect", err, gazoo.ErrAuthFailed)
		if err == nil || !strings.Contains(err.Error(), "has no SASL") {
			t.Errorf("Connect = %v, want it to say that the server has no SASL", err)
		}
	})
}
