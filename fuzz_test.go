package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// FuzzConnectString: whatever the text, ParseHosts returns usable hosts or errors that name the
// argument, and what it returns means the same when it is written and read again.
func FuzzConnectString(f *testing.F) {
	for _, s := range []string{"", "a", "a:1,b:2/c/d", "[::1]:2181", "::1", "tls://h:9, tcp://[fe80::1]/", "a,,b", "a:0", "[x]", "/a//b", "h\x00", "\xff:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		hosts, chroot, err := gazoo.ParseHosts(s)
		if err != nil {
			if !errors.Is(err, gazoo.ErrBadArguments) {
				t.Fatalf("ParseHosts(%q): %v is no argument error", s, err)
			}
			return
		}
		if len(hosts) == 0 || chroot != "" && gazoo.ValidatePath(chroot) != nil {
			t.Fatalf("ParseHosts(%q) = %v, %q", s, hosts, chroot)
		}
		var parts []string
		for _, h := range hosts {
			if h.Name == "" || h.Port < 1 || h.Port > 65535 {
				t.Fatalf("ParseHosts(%q): host %+v", s, h)
			}
			parts = append(parts, h.String())
		}
		written := strings.Join(parts, ",") + chroot
		again, root, err := gazoo.ParseHosts(written)
		if err != nil || root != chroot || len(again) != len(hosts) {
			t.Fatalf("ParseHosts(%q), written as %q, reads as %v, %q, %v", s, written, again, root, err)
		}
		for i := range hosts {
			if again[i] != hosts[i] {
				t.Fatalf("ParseHosts(%q): host %+v reads again as %+v", s, hosts[i], again[i])
			}
		}
	})
}

// FuzzPath: valid paths are in normal form and fall apart into parts that join again.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "a", "//", "/a/../b", "/a/", "/\u00a0", "/\ue000", "/\x7f", "/lock-0000000007", "/l-2147483648", "/\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		gazoo.SequenceOf(path)
		err := gazoo.ValidatePath(path)
		norm, nerr := gazoo.NormalizePath(path)
		if nerr == nil && gazoo.ValidatePath(norm) != nil {
			t.Fatalf("NormalizePath(%q) = %q, which is invalid", path, norm)
		}
		if err != nil {
			if !errors.Is(err, gazoo.ErrBadArguments) {
				t.Fatalf("ValidatePath(%q): %v is no argument error", path, err)
			}
			return
		}
		if nerr != nil || norm != path {
			t.Fatalf("NormalizePath(%q) = %q, %v, want it unchanged", path, norm, nerr)
		}
		parent, name := gazoo.SplitPath(path)
		if joined := gazoo.JoinPath(parent, name); joined != path {
			t.Fatalf("JoinPath(SplitPath(%q)) = %q", path, joined)
		}
		if parent != gazoo.ParentPath(path) || name != gazoo.BaseName(path) || gazoo.ValidatePath(parent) != nil {
			t.Fatalf("%q: parent %q, name %q", path, parent, name)
		}
		if prefix, _, ok := gazoo.SequenceOf(path); ok && !strings.HasPrefix(path, prefix) {
			t.Fatalf("SequenceOf(%q): prefix %q", path, prefix)
		}
	})
}

// FuzzText: the other texts that come from people and servers: ACLs, ensemble configurations,
// saved sessions, SASL challenges.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"world:anyone:cdrwa", "digest:a:b:r, ip:::1:none", "x", "sasl:u:r|0x40",
		"server.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=b:1:2|c:3:4:observer\nversion=100000000", "server.x=a", "version=zz",
		"v1 1000000000000 00ff 10000 ff", "v1 x", "v1 1 zz 1 1",
		`realm="zk-sasl-md5",nonce="n\"1",charset=utf-8,algorithm=md5-sess`, "nonce=n , ,algorithm=md5-sess,qop=\"auth\",realm=\"\xff\"", `rspauth=00`, `a="\`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if acl, err := gazoo.ParseACL(s); err == nil {
			for _, a := range acl {
				back, err := zkproto.ParseACL(a.String())
				if err != nil || back != a {
					t.Fatalf("ACL %+v of %q reads again as %+v, %v", a, s, back, err)
				}
			}
		} else if !errors.Is(err, gazoo.ErrBadArguments) {
			t.Fatalf("ParseACL(%q): %v is no argument error", s, err)
		}
		if cfg, err := gazoo.ParseEnsembleConfig(s); err == nil {
			for _, m := range cfg.Members {
				again, err := gazoo.ParseEnsembleConfig(m.String())
				if err != nil || len(again.Members) != 1 || again.Members[0].String() != m.String() {
					t.Fatalf("member %v of %q reads again as %v, %v", m, s, again.Members, err)
				}
			}
		}
		checkChallenge(t, s)
		var saved gazoo.SavedSession
		if saved.UnmarshalText([]byte(s)) == nil {
			text, _ := saved.MarshalText()
			var back gazoo.SavedSession
			if err := back.UnmarshalText(text); err != nil || back.ID != saved.ID || string(back.Password) != string(saved.Password) {
				t.Fatalf("saved session %q reads again as %v, %v", text, back, err)
			}
		}
	})
}

// checkChallenge: whatever a server sends, DIGEST-MD5 answers in well-formed directives or with
// an error, shows no password, and takes no proof that was not made with it.
func checkChallenge(t *testing.T, challenge string) {
	t.Helper()
	ctx := t.Context()
	exchange, err := gazoo.DigestMD5(`b"ob`, "pass-w0rd").Start(ctx, gazoo.SASLServer{})
	must(t, err)
	if first, done, err := exchange.Step(ctx, nil); len(first) > 0 || done || err != nil {
		t.Fatalf("first step = %q, %v, %v", first, done, err)
	}
	response, done, err := exchange.Step(ctx, []byte(challenge))
	if err == nil && (done || !strings.Contains(string(response), `username="b\"ob",realm="`) || !strings.HasSuffix(string(response), ",qop=auth")) {
		t.Fatalf("challenge %q: response %q, %v", challenge, response, done)
	}
	if strings.Contains(string(response)+fmt.Sprint(err), "pass-w0rd") && !strings.Contains(challenge, "pass-w0rd") {
		t.Fatalf("challenge %q: the password shows in %q, %v", challenge, response, err)
	}
	if _, _, err := exchange.Step(ctx, []byte(challenge)); err == nil {
		t.Fatalf("%q is taken as a proof", challenge)
	}
}

// script is fuzz input read as instructions; when it is used up everything is zero.
type script struct{ b []byte }

func (s *script) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	v := s.b[0]
	s.b = s.b[1:]
	return v
}

func (s *script) bytes() []byte {
	n := min(int(s.byte()), len(s.b))
	v := s.b[:n]
	s.b = s.b[n:]
	return v
}

// FuzzServerStream plays a whole conversation in which the server says what the input wants:
// wrong answers, wrong order, events out of the blue, garbage, cut frames. The client may fail
// calls and reconnect; it may not panic, hang, leak, or answer a call twice.
func FuzzServerStream(f *testing.F) {
	stat := zkproto.GetDataResponse{Data: []byte("v")}.AppendTo(nil)
	good := []byte{0}
	for range 12 {
		good = append(good, 0, byte(len(stat)))
		good = append(good, stat...)
	}
	f.Add(good)
	f.Add([]byte{1, 2, 3, 4})
	f.Add([]byte{0, 1, 20, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 2, '/', 'a', 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 2, 8, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 3, 0x9b, 0, 4, 0, 5, 0, 6, 0, 7, 3, 1, 2, 3})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4096 {
			return
		}
		synctest.Test(t, func(t *testing.T) { playServer(t, in) })
	})
}

func playServer(t *testing.T, in []byte) {
	w := newWorld(t)
	s := &script{in}
	conns := 0
	w.serve("a:2181", func(c *peer.Conn) {
		if _, err := c.ReadConnect(); err != nil {
			return
		}
		conns++
		switch how := s.byte(); {
		case how&0x80 != 0 && conns < 20:
			c.ReplyRaw(s.bytes())
		case how&0x40 != 0 && conns < 20:
			c.Refuse()
			return
		default:
			c.Accept(int64(1+how&3), 10*time.Second)
		}
		for {
			req, err := c.ReadRequest()
			if err != nil || !mumble(c, req, s) {
				return
			}
		}
	})
	zk := w.client("a", gazoo.WithMaxReply(1<<16))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answers := 0
	zk.Async().Get(ctx, "/a").Then(func(gazoo.Node, error) { answers++ })
	zk.GetW(ctx, "/a")
	zk.ChildrenW(ctx, "/a")
	zk.ExistsW(ctx, "/a")
	if st, err := zk.Watch(ctx, "/a", gazoo.Recursive()); err == nil {
		st.Close()
	}
	zk.Txn().Create("/a", nil).Check("/b", 1).Commit(ctx)
	zk.MultiRead(ctx, gazoo.ReadData("/a"), gazoo.ReadChildren("/b"))
	zk.GetACL(ctx, "/a")
	zk.Create(ctx, "/a/b", nil, gazoo.Parents(), gazoo.Sequential())
	zk.WhoAmI(ctx)
	zk.Ephemerals(ctx, "")
	zk.AllChildrenNumber(ctx, "/")
	zk.CloseNow()
	<-zk.Done()
	if answers != 1 {
		t.Errorf("a call was answered %d times", answers)
	}
}

// mumble answers one request the way the script wants and reports whether to go on.
func mumble(c *peer.Conn, req peer.Request, s *script) bool {
	raw := func(b []byte) bool { return c.ReplyRaw(b) == nil }
	answer := func(xid int32, code zkproto.Code, body []byte) bool {
		return raw(append(zkproto.ReplyHeader{Xid: xid, Zxid: int64(s.byte()), Err: code}.AppendTo(nil), body...))
	}
	switch s.byte() % 8 {
	case 0:
		return answer(req.Header.Xid, 0, s.bytes())
	case 1: // an event first
		return raw(append(zkproto.ReplyHeader{Xid: zkproto.XidNotification, Zxid: -1}.AppendTo(nil), s.bytes()...)) && answer(req.Header.Xid, 0, s.bytes())
	case 2:
		return raw(s.bytes())
	case 3:
		return answer(req.Header.Xid, -zkproto.Code(s.byte()), s.bytes())
	case 4:
		return answer(req.Header.Xid+int32(int8(s.byte())), 0, s.bytes())
	case 5:
		c.WriteText(string(s.bytes()))
		return false
	case 6: // an oversized reply
		return raw(append(zkproto.ReplyHeader{Xid: req.Header.Xid}.AppendTo(nil), make([]byte, 1<<16)...))
	}
	return false
}
