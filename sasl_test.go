package gazoo_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// saslPeer is a Basic that knows bob, whose password is "secret", by DIGEST-MD5, and writes
// down the operations that come.
type saslPeer struct {
	peer.Basic
	script func(c *peer.Conn, xid int32, n int) (done bool) // sees the nth token of all first

	mu     sync.Mutex
	ops    []string
	xids   []int32
	tokens int
	logins map[*peer.Conn]bool // exchanges that await a response
}

func newSASLPeer() *saslPeer {
	p := &saslPeer{logins: make(map[*peer.Conn]bool)}
	p.Answer = p.answer
	return p
}

const (
	saslNonce     = `n"o\nce`
	saslChallenge = `realm="zk-sasl-md5",nonce="n\"o\\nce",charset=utf-8,algorithm=md5-sess`
)

func (p *saslPeer) answer(c *peer.Conn, req peer.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ops = append(p.ops, req.Header.Op.String())
	xid := req.Header.Xid
	var token zkproto.SASLRequest
	if req.Header.Op != zkproto.OpSASL {
		return false
	}
	if req.Decode(&token) != nil || token.Token == nil {
		c.Close()
		return true
	}
	p.xids = append(p.xids, xid)
	p.tokens++
	if p.script != nil && p.script(c, xid, p.tokens) {
		return true
	}
	if !p.logins[c] {
		p.logins[c] = true
		replyToken(c, xid, saslChallenge)
		return true
	}
	delete(p.logins, c)
	text := string(token.Token)
	cnonce := saslValue(text, "cnonce")
	digest := func(method string) string {
		a1 := md5.Sum([]byte("bob:zk-sasl-md5:secret"))
		inner := fmt.Sprintf("%x", md5.Sum(fmt.Appendf(a1[:], ":%s:%s", saslNonce, cnonce)))
		outer := fmt.Sprintf("%x", md5.Sum([]byte(method+":zookeeper/zk-sasl-md5")))
		return fmt.Sprintf("%x", md5.Sum([]byte(inner+":"+saslNonce+":00000001:"+cnonce+":auth:"+outer)))
	}
	if saslValue(text, "username") != "bob" || saslValue(text, "response") != digest("AUTHENTICATE") || len(cnonce) < 16 {
		refuseSASL(c, xid, zkproto.ErrAuthFailed)
		return true
	}
	replyToken(c, xid, "rspauth="+digest(""))
	return true
}

// seen returns the operations since the last call, without pings.
func (p *saslPeer) seen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	ops := strings.Join(slices.DeleteFunc(p.ops, func(op string) bool { return op == "ping" }), " ")
	p.ops = nil
	return ops
}

func saslValue(token, name string) string {
	m := regexp.MustCompile(`(?:^|,)` + name + `="?([^",]*)`).FindStringSubmatch(token)
	if m == nil {
		return ""
	}
	return m[1]
}

func replyToken(c *peer.Conn, xid int32, token string) {
	c.Reply(xid, 0, zkproto.OK, zkproto.SASLResponse{Token: []byte(token)})
}

func refuseSASL(c *peer.Conn, xid int32, code zkproto.Code) {
	c.Reply(xid, 0, code, zkproto.SASLResponse{})
	c.Close()
}

func TestSASLComesBeforeCredentialsWatchesAndCalls(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := newSASLPeer()
		srv := w.serve("a:2181", p.Handle)
		zk := w.client("a", gazoo.WithSASL(gazoo.DigestMD5("bob", "secret")), gazoo.WithAuth("digest", []byte("carol:pw")))
		_, _, _, err := zk.GetW(t.Context(), "/w") // waits from the beginning
		must(t, err)
		if got, want := p.seen(), "sasl sasl auth getData"; got != want {
			t.Errorf("first connection: %q, want %q", got, want)
		}
		for range 2 {
			srv.CloseConns()
			synctest.Wait()
			_, _, err = zk.Get(t.Context(), "/")
			must(t, err)
			if got := p.seen(); !regexp.MustCompile(`^sasl sasl auth setWatches2? getData$`).MatchString(got) {
				t.Errorf("reconnect: %q, want SASL, credential, watches, call", got)
			}
		}
		for i, xid := range p.xids {
			if xid <= 0 || i > 0 && xid <= p.xids[i-1] {
				t.Errorf("xids of the tokens: %d, want ordinary ones", p.xids)
			}
		}
		// Words are not affected: no session is behind them.
		if answer, err := zk.FourLetterWord(t.Context(), "ruok"); err != nil || answer != "imok" {
			t.Errorf("FourLetterWord(ruok) = %q, %v", answer, err)
		}
	})
}

func TestCallsWaitForSASL(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, release := newSASLPeer(), make(chan struct{})
		p.script = func(*peer.Conn, int32, int) bool { <-release; return false }
		w.serve("a:2181", p.Handle)
		zk := w.client("a", gazoo.WithSASL(gazoo.DigestMD5("bob", "secret")))
		got := zk.Async().Get(t.Context(), "/")
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case <-got.Done():
			t.Error("a call was answered before SASL was through")
		default:
		}
		if zk.State() == gazoo.StateConnected {
			t.Error("connected before SASL was through")
		}
		close(release)
		<-got.Done()
		if zk.State() != gazoo.StateConnected {
			t.Errorf("state %v behind SASL, want connected", zk.State())
		}
	})
}

func TestTwoRefusalsThenSASLSucceeds(t *testing.T) {
	for name, fail := range map[string]func(c *peer.Conn, xid int32){
		"refused":                func(c *peer.Conn, xid int32) { refuseSASL(c, xid, zkproto.ErrAuthFailed) },
		"required":               func(c *peer.Conn, xid int32) { refuseSASL(c, xid, zkproto.ErrSessionClosedRequireSASLAuth) },
		"without a token":        func(c *peer.Conn, xid int32) { c.Reply(xid, 0, zkproto.OK, zkproto.SASLResponse{}) },
		"closed":                 func(c *peer.Conn, xid int32) { c.Close() },
		"not a challenge":        func(c *peer.Conn, xid int32) { replyToken(c, xid, `="`) },
		"another xid":            func(c *peer.Conn, xid int32) { replyToken(c, xid+1, saslChallenge) },
		"no body":                func(c *peer.Conn, xid int32) { c.Reply(xid, 0, zkproto.OK, nil) },
		"silent":                 func(*peer.Conn, int32) {},
		"unknown to this server": func(c *peer.Conn, xid int32) { refuseSASL(c, xid, zkproto.ErrUnimplemented) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				p := newSASLPeer()
				p.script = func(c *peer.Conn, xid int32, n int) bool {
					if n > 2 {
						return false
					}
					fail(c, xid)
					return true
				}
				srv := w.serve("a:2181", p.Handle)
				var failed []error
				zk := w.connect("a", gazoo.WithSASL(gazoo.DigestMD5("bob", "secret")), gazoo.WithHook(connectHook(func(info gazoo.ConnectInfo) {
					if !info.Connected && !info.Lost {
						failed = append(failed, info.Err)
					}
				})))
				synctest.Wait()
				if len(failed) != 2 {
					t.Fatalf("failed attempts: %v, want 2", failed)
				}
				for _, err := range failed {
					e, ok := errors.AsType[*gazoo.SASLError](err)
					verdict := slices.Contains([]string{"refused", "required", "without a token", "unknown to this server"}, name)
					if !ok || e.Refused != verdict || errors.Is(err, gazoo.ErrAuthFailed) != verdict || e.Mechanism != "DIGEST-MD5" || e.Server != "a:2181" {
						t.Errorf("attempt failed with %v (%#v), want a SASLError with Refused %v", err, e, verdict)
					}
				}
				// The count starts again behind a success.
				p.mu.Lock()
				p.tokens = 0
				p.mu.Unlock()
				srv.CloseConns()
				synctest.Wait()
				w.waitState(zk, gazoo.StateConnected, time.Minute)
			})
		})
	}
}

func TestSASLRefusalsEndTheClient(t *testing.T) {
	for _, tc := range []struct {
		name, hosts string
		opts        []gazoo.Option
		tries       int
	}{
		{"one server", "a", nil, 3},
		{"with servers that are down", "down,a", nil, 3},
		{"three servers", "a,b,c", nil, 3},
		{"one is enough", "a,b,c", []gazoo.Option{gazoo.WithSASLTries(1)}, 1},
		{"patient", "a,b", []gazoo.Option{gazoo.WithSASLTries(9)}, 9},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				p := newSASLPeer()
				for _, host := range []string{"a:2181", "b:2181", "c:2181"} {
					w.serve(host, p.Handle)
				}
				var book logBook
				opts := append([]gazoo.Option{gazoo.WithSASL(gazoo.DigestMD5("bob", "wr0ng")), gazoo.WithLogger(book.logger())}, tc.opts...)
				zk := w.client(tc.hosts, opts...)
				_, _, err := zk.Get(t.Context(), "/")
				mustAuthFailed(t, "a call that waited", err)
				if e, ok := errors.AsType[*gazoo.SASLError](err); !ok || !e.Refused || !gazoo.WasNotSent(err) {
					t.Errorf("a call that waited: %v, want a SASLError, not sent", err)
				}
				mustAuthFailed(t, "WaitState", zk.WaitState(t.Context(), gazoo.StateConnected))
				mustAuthFailed(t, "the cause of the context", context.Cause(zk.Context()))
				if zk.State() != gazoo.StateLost || zk.KeeperState() != gazoo.KeeperAuthFailed {
					t.Errorf("%v, %v, want lost, auth failed", zk.State(), zk.KeeperState())
				}
				time.Sleep(time.Hour)
				if p.tokens != 2*tc.tries {
					t.Errorf("%d tokens came, want %d of %d exchanges", p.tokens, 2*tc.tries, tc.tries)
				}
				if shown := book.String() + fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(shown, "wr0ng") || !strings.Contains(shown, "SASL DIGEST-MD5 refused by a:2181: ") {
					t.Errorf("log and errors show the password, or not the refusal:\n%s", shown)
				}
			})
		})
	}
}

// Servers behind one name may differ, as when a list of users is being rolled out.
func TestRefusalByOneAddressOfAHost(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		lagging := newSASLPeer()
		lagging.script = func(c *peer.Conn, xid int32, _ int) bool {
			refuseSASL(c, xid, zkproto.ErrAuthFailed)
			return true
		}
		w.serve("10.0.0.1:2181", lagging.Handle)
		w.serve("10.0.0.2:2181", newSASLPeer().Handle)
		dials := w.dialled()
		zk := w.connect("zk", gazoo.WithSASL(gazoo.DigestMD5("bob", "secret")), gazoo.WithResolver(func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}, nil
		}))
		if got, want := dials(), []string{"10.0.0.1:2181", "10.0.0.2:2181"}; !slices.Equal(got, want) || zk.Server() != want[1] {
			t.Errorf("dialled %q, on %s, want %q in one attempt", got, zk.Server(), want)
		}
	})
}

func TestPasswordRevokedBehindASession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := newSASLPeer()
		srv := w.serve("a:2181", p.Handle)
		password := "secret"
		zk := w.connect("a", gazoo.WithSASL(gazoo.DigestMD5Func(func(context.Context) (string, string, error) { return "bob", password, nil })))
		changes, session := changesOf(zk), zk.Session()
		password = "old"
		srv.CloseConns()
		<-zk.Context().Done()
		synctest.Wait()
		got := changes()
		if outline(got) != "suspended lost" || got[1].Keeper != gazoo.KeeperAuthFailed {
			t.Fatalf("states %q, want suspended, lost by a refused credential: %+v", outline(got), got)
		}
		mustAuthFailed(t, "the change of state", got[1].Err)
		mustAuthFailed(t, "the session", context.Cause(session.Context()))
	})
}

func TestForeverTriesOfSASL(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := newSASLPeer()
		w.serve("a:2181", p.Handle)
		zk := w.client("a", gazoo.WithSASL(gazoo.DigestMD5("bob", "wr0ng")), gazoo.WithSASLTries(gazoo.Forever))
		time.Sleep(time.Hour)
		synctest.Wait()
		if zk.Context().Err() != nil || p.tokens < 1000 {
			t.Errorf("after an hour: ended with %v, %d tokens, want it to go on", context.Cause(zk.Context()), p.tokens)
		}
	})
}

func TestCloseDuringSASL(t *testing.T) {
	for name, opts := range map[string][]gazoo.Option{
		"while the server is silent":    {gazoo.WithSASL(gazoo.DigestMD5("bob", "wr0ng"))},
		"while the mechanism waits":     {gazoo.WithSASL(gazoo.DigestMD5Func(func(ctx context.Context) (string, string, error) { <-ctx.Done(); return "", "", ctx.Err() }))},
		"while others refuse in a loop": {gazoo.WithSASL(gazoo.DigestMD5("bob", "wr0ng")), gazoo.WithSASLTries(gazoo.Forever)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				p := newSASLPeer()
				silent := name == "while the server is silent"
				p.script = func(_ *peer.Conn, _ int32, n int) bool { return silent }
				w.serve("a:2181", p.Handle)
				zk := w.client("a", opts...)
				got := zk.Async().Get(t.Context(), "/")
				time.Sleep(time.Second)
				begin := time.Now()
				if err := zk.Close(); err != nil || time.Since(begin) > 0 {
					t.Errorf("Close = %v after %v, want it at once", err, time.Since(begin))
				}
				<-got.Done()
				if _, err := got.Wait(t.Context()); !errors.Is(err, gazoo.ErrClosed) {
					t.Errorf("a call that waited: %v, want ErrClosed", err)
				}
				<-zk.Done()
			})
		})
	}
}

// A server that cannot prove that it knows the password is left for another one.
func TestServerHasToProveThePassword(t *testing.T) {
	for name, proof := range map[string]string{"wrong": "rspauth=00000000000000000000000000000000", "empty": "", "twice": "rspauth=a,rspauth=a"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				impostor := newSASLPeer()
				impostor.script = func(c *peer.Conn, xid int32, n int) bool {
					if n%2 == 0 {
						replyToken(c, xid, proof)
					}
					return n%2 == 0
				}
				w.serve("a:2181", impostor.Handle)
				w.serve("b:2181", newSASLPeer().Handle)
				zk := w.connect("a,b", gazoo.WithSASL(gazoo.DigestMD5("bob", "secret")))
				if zk.Server() != "b:2181" {
					t.Errorf("on %s, want b:2181", zk.Server())
				}
			})
		})
	}
}

// tokens is a mechanism that says what it is told to.
type tokens struct {
	start error
	step  func(challenge []byte) ([]byte, bool, error)
	got   *[]gazoo.SASLServer
}

func (tokens) Name() string { return "TOKENS" }

func (m tokens) Start(_ context.Context, server gazoo.SASLServer) (gazoo.SASLExchange, error) {
	if m.got != nil {
		*m.got = append(*m.got, server)
	}
	return m, m.start
}

func (m tokens) Step(_ context.Context, challenge []byte) ([]byte, bool, error) {
	return m.step(challenge)
}

func TestMechanismOfOnesOwn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := newSASLPeer()
		p.script = func(c *peer.Conn, xid int32, n int) bool {
			if n == 1 {
				replyToken(c, xid, "go on")
			} else {
				c.Reply(xid, 0, zkproto.OK, zkproto.SASLResponse{}) // its last word is null
			}
			return true
		}
		w.serve("a:2181", p.Handle)
		var servers []gazoo.SASLServer
		var book logBook
		w.connect("a", gazoo.WithLogger(book.logger()), gazoo.WithSASL(tokens{got: &servers, step: func(challenge []byte) ([]byte, bool, error) {
			if challenge == nil {
				return []byte("first"), false, nil
			}
			return []byte("second"), string(challenge) == "go on", nil
		}}))
		want := gazoo.SASLServer{Host: gazoo.Host{Name: "a", Port: 2181}, Addr: "a:2181"}
		if !slices.Equal(servers, []gazoo.SASLServer{want}) || p.tokens != 2 {
			t.Errorf("started for %+v with %d tokens, want %+v and 2", servers, p.tokens, want)
		}
		if !strings.Contains(book.String(), `"sasl":"TOKENS"`) {
			t.Errorf("log without the mechanism:\n%s", book.String())
		}
	})
}

func TestFailuresOfTheMechanismAreTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := newSASLPeer()
		w.serve("a:2181", p.Handle)
		asked, oops := 0, errors.New("vault is sealed")
		zk := w.connect("a", gazoo.WithSASL(gazoo.DigestMD5Func(func(context.Context) (string, string, error) {
			if asked++; asked <= 10 {
				return "", "", oops
			}
			return "bob", "secret", nil
		})))
		if asked != 11 {
			t.Errorf("asked %d times, want 11", asked)
		}
		zk.CloseNow()

		zk = w.client("a", gazoo.WithSASL(tokens{start: fmt.Errorf("account disabled: %w", gazoo.ErrAuthFailed)}))
		err := zk.WaitState(t.Context(), gazoo.StateConnected)
		mustAuthFailed(t, "a mechanism that has given up", err)
		if !strings.Contains(err.Error(), "account disabled") {
			t.Errorf("WaitState: %v, want it to say why", err)
		}
	})
}

func TestSASLOptions(t *testing.T) {
	m := gazoo.DigestMD5("bob", "s3cret")
	for name, opts := range map[string][]gazoo.Option{
		"nil":      {gazoo.WithSASL(nil)},
		"twice":    {gazoo.WithSASL(m), gazoo.WithSASL(m)},
		"no tries": {gazoo.WithSASL(m), gazoo.WithSASLTries(0)},
	} {
		if _, err := gazoo.New("a", opts...); !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), "WithSASL") {
			t.Errorf("%s: %v, want an argument error of WithSASL", name, err)
		}
	}
	var book logBook
	book.logger().Info("mechanism", "m", m)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&book, verb+"\n", m)
	}
	if shown := book.String(); strings.Contains(shown, "s3cret") || strings.Contains(shown, "733363726574") || !strings.Contains(shown, "DIGEST-MD5") {
		t.Errorf("printed: %s", shown)
	}
	if _, ok := m.(slog.LogValuer); !ok {
		t.Error("DigestMD5 is no LogValuer")
	}
}
