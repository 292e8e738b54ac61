package conformance

import (
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Who a connection is.

var authFacts = facts(identitiesEndWithTheConnection, digestOfCredentials, digestWithoutColon, nullCredentials, superuser,
	ipAuthAddsNothing, refusedAuthEndsConnection, authCountsFromReceipt, requiredAuth, requiredAuthHasZxidZero, saslWithoutProvider)

func identitiesEndWithTheConnection(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	made(c, createWith(d+"/a", acl(31, "auth", "")))
	c.Want(zkproto.OK, zkproto.OpGetData, read(d+"/a"))
	c = s.resume(t, c.Session)
	c.Want(zkproto.ErrNoAuth, zkproto.OpGetData, read(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	c.Want(zkproto.OK, zkproto.OpGetData, read(d+"/a"))
}

func digestOfCredentials(t *testing.T, s *server) {
	for credentials, want := range map[string]string{
		"bob:pw": bob, "super:secret": superDigest, "a:b:c": "a:cLzgnoJ6mP5qz3w+mwvPE2vDgu0=",
	} {
		c := s.open(t)
		d := dir(c)
		c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", credentials))
		made(c, createWith(d+"/a", acl(31, "auth", "")))
		if got, want := aclOf(c, d+"/a"), []zkproto.ACL{acl(31, "digest", want)}; !slices.Equal(got, want) {
			t.Errorf("credentials %s make %v, want %v", credentials, got, want)
		}
	}
}

func digestWithoutColon(t *testing.T, s *server) {
	for _, credentials := range []string{"x", "", ":", ":pw"} {
		c := s.open(t)
		c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", credentials))
		c.Want(zkproto.OK, zkproto.OpPing, nil)
	}
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "x"))
	made(c, createWith(d+"/a", acl(31, "digest", "x:EfatjsUqKYSrqv18O1FlA3hcIHI=")))
	c.Want(zkproto.OK, zkproto.OpGetData, read(d+"/a"))
	if got := identities(c); !slices.Contains(got, zkproto.ClientInfo{Scheme: "digest", User: "x"}) {
		t.Errorf("whoAmI = %v, want digest x in it", got)
	}
}

func nullCredentials(t *testing.T, s *server) {
	c := s.open(t)
	c.Want(zkproto.ErrAuthFailed, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "digest"})
	c.Closed()
	s.resume(t, c.Session)
}

func superuser(t *testing.T, s *server) {
	c := s.with(t, options{super: true}).open(t)
	d := dir(c)
	made(c, createWith(d+"/a", acl(31, "digest", bob)))
	reads := []try{
		{zkproto.ErrNoAuth, zkproto.OpGetData, read(d + "/a")},
		{zkproto.ErrNoAuth, zkproto.OpSetData, set(d + "/a")},
		{zkproto.ErrNoAuth, zkproto.OpCreate, create(d + "/a/b")},
		{zkproto.ErrNoAuth, zkproto.OpDelete, del(d + "/a/b")},
		{zkproto.ErrNoAuth, zkproto.OpGetACL, at(d + "/a")},
		{zkproto.ErrNoAuth, zkproto.OpSetACL, setACL(d+"/a", none...)},
	}
	tryAll(c, reads...)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "super:wrong"))
	tryAll(c, reads...)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", superPassword))
	for _, x := range reads {
		c.Want(zkproto.OK, x.op, x.body)
	}
	want := []zkproto.ClientInfo{{Scheme: "digest", User: "super"}, {Scheme: "digest", User: "super"}, {Scheme: "ip", User: "127.0.0.1"}, {Scheme: "super"}}
	if got := identities(c); !slices.Equal(got, want) {
		t.Errorf("whoAmI = %v, want %v", got, want)
	}
}

func ipAuthAddsNothing(t *testing.T, s *server) {
	c := s.open(t)
	before := identities(c)
	for _, credentials := range []string{"", "10.0.0.1", "x"} {
		c.Want(zkproto.OK, zkproto.OpAuth, auth("ip", credentials))
	}
	c.Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "ip"})
	if got := identities(c); !slices.Equal(got, before) {
		t.Errorf("whoAmI = %v, want %v as before", got, before)
	}
}

func refusedAuthEndsConnection(t *testing.T, s *server) {
	for _, scheme := range []string{"world", "auth", "sasl", "super", "x509", "", "nope"} {
		c := s.open(t)
		p := c.Want(zkproto.ErrAuthFailed, zkproto.OpAuth, auth(scheme, "x:y"))
		if p.Zxid != 0 {
			t.Errorf("refusal of scheme %q has zxid %d, want 0", scheme, p.Zxid)
		}
		c.Closed()
		s.resume(t, c.Session)
	}
	c := s.open(t) // the null scheme
	c.Want(zkproto.ErrAuthFailed, zkproto.OpAuth, nullScheme{})
	c.Closed()
	s.resume(t, c.Session)
}

type nullScheme struct{}

func (nullScheme) AppendTo(b []byte) []byte {
	return zkproto.AppendBuffer(zkproto.AppendNullString(zkproto.AppendInt32(b, 0)), []byte("x"))
}

func authCountsFromReceipt(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, createWith(d+"/a", acl(31, "digest", bob)))
	c.Write(slices.Concat(
		rawzk.Request(1, zkproto.OpGetData, read(d+"/a")),
		rawzk.Request(2, zkproto.OpAuth, auth("digest", "bob:pw")),
		rawzk.Request(3, zkproto.OpGetData, read(d+"/a"))))
	// The second reply may overtake the first.
	want := map[int32]zkproto.Code{1: zkproto.ErrNoAuth, 2: zkproto.OK, 3: zkproto.OK}
	for range 3 {
		if p := c.Next(); p.Err != want[p.Xid] {
			t.Errorf("reply %+v, want %v", p.ReplyHeader, want[p.Xid].Name())
		}
	}
}

func requiredAuth(t *testing.T, s *server) {
	s = s.with(t, options{requireAuth: "digest"})
	c := s.dial(t).Open(sessionTimeout)
	for _, op := range []zkproto.OpCode{zkproto.OpPing, zkproto.OpCloseSession, zkproto.OpWhoAmI, zkproto.OpSync, 99} {
		xid := c.Send(op, at("/"))
		if p := c.Next(); p.Xid != xid || p.Err != zkproto.ErrSessionClosedRequireSASLAuth || len(p.Body) > 0 {
			t.Errorf("%v: %+v, want SessionClosedRequireSaslAuth", op, p)
		}
		c.Closed()
		again := s.dial(t)
		if again.Handshake(zkproto.ConnectRequest{TimeoutMS: 10_000, SessionID: c.Session.SessionID, Password: c.Session.Password}).Refused() {
			t.Fatalf("%v ended the session", op)
		}
		c = again
	}
	c.Want(zkproto.OK, zkproto.OpAuth, auth("ip", ""))
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	c.Want(zkproto.OK, zkproto.OpPing, nil)
	c.Want(zkproto.OK, zkproto.OpCloseSession, nil)
}

func requiredAuthHasZxidZero(t *testing.T, s *server) {
	c := s.with(t, options{requireAuth: "digest"}).dial(t).Open(sessionTimeout)
	if p := c.Want(zkproto.ErrSessionClosedRequireSASLAuth, zkproto.OpExists, read("/")); p.Zxid != 0 {
		t.Errorf("refusal has zxid %d, want 0", p.Zxid)
	}
	c.Closed()
}

func saslWithoutProvider(t *testing.T, s *server) {
	c := s.open(t)
	for _, token := range [][]byte{{}, []byte("x")} {
		p := c.Want(zkproto.OK, zkproto.OpSASL, zkproto.SASLRequest{Token: token})
		if got := as[zkproto.SASLResponse](t, p); got.Token != nil {
			t.Errorf("sasl = %q, want a null token", got.Token)
		}
	}
	c.Want(zkproto.OK, zkproto.OpPing, nil)
}
