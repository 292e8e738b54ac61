package gazoo_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// readRaw serves an address with a listener that reads n bytes of each connection, hands them
// to the returned channel and closes.
func (w *world) readRaw(addr string, n int) <-chan []byte {
	w.t.Helper()
	ln, err := w.net.Listen(addr)
	must(w.t, err)
	w.t.Cleanup(func() { ln.Close() })
	ch := make(chan []byte, 100)
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			b := make([]byte, n)
			if _, err := io.ReadFull(nc, b); err == nil {
				ch <- b
			}
			nc.Close()
		}
	}()
	return ch
}

func TestEveryByteOfTheConnectRecord(t *testing.T) {
	saved := gazoo.SavedSession{ID: 0x0102030405060708, Password: []byte("0123456789abcdef"), LastZxid: 0x1122334455667788}
	for _, tc := range []struct {
		name string
		opts []gazoo.Option
		want string // hexadecimal
	}{
		{"new session", nil, "0000002d" + "00000000" + "0000000000000000" + "00002af8" + "0000000000000000" + "00000010" + strings.Repeat("00", 16) + "00"},
		{"read-only will do", []gazoo.Option{gazoo.WithReadOnly()}, "0000002d" + "00000000" + "0000000000000000" + "00002af8" + "0000000000000000" + "00000010" + strings.Repeat("00", 16) + "01"},
		{"resumed session", []gazoo.Option{gazoo.WithSession(saved)}, "0000002d" + "00000000" + "1122334455667788" + "00002af8" + "0102030405060708" + "00000010" + "30313233343536373839616263646566" + "00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				ch := w.readRaw("a:2181", 4+45)
				w.client("a", append(tc.opts, gazoo.WithSessionTimeout(11*time.Second))...)
				if got := fmt.Sprintf("%x", <-ch); got != tc.want {
					t.Errorf("connect record\n%s, want\n%s", got, tc.want)
				}
			})
		})
	}
}

func TestNewestZxidIsOfferedAtReconnects(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var offered []int64
		b := &peer.Basic{Connect: func(_ *peer.Conn, req zkproto.ConnectRequest) bool {
			offered = append(offered, req.LastZxidSeen)
			return false
		}}
		srv := w.serve("a:2181", b.Handle)
		zk := w.connect("a")
		b.SetZxid(77)
		_, _, err := zk.Get(t.Context(), "/")
		must(t, err)
		b.SetZxid(99)
		time.Sleep(time.Minute) // pings have been answered with 99: no reply of ours depends on it
		srv.CloseConns()
		time.Sleep(time.Second)
		synctest.Wait()
		if want := []int64{0, 77}; !slices.Equal(offered, want) || zk.LastZxid() != 77 {
			t.Errorf("zxids offered: %d, LastZxid() = %d, want %d and 77", offered, zk.LastZxid(), want)
		}
	})
}

func TestAnswersToTheConnectRecord(t *testing.T) {
	answer := func(version, timeout int32, id int64, tail ...byte) string {
		b := zkproto.ConnectResponse{ProtocolVersion: version, TimeoutMS: timeout, SessionID: id, Password: make([]byte, 16)}.AppendTo(nil)
		return string(append(b, tail...))
	}
	for _, tc := range []struct {
		name, answer string
		fails        string // why the server is left, "" when it is taken
	}{
		{"with a read-only byte", answer(0, 5000, 7, 0), ""},
		{"without a read-only byte", answer(0, 5000, 7), ""},
		{"with bytes of its own", answer(0, 5000, 7, 0, 1, 2, 3), ""},
		{"another protocol version", answer(3, 5000, 7), ""},
		{"no leader (ClickHouse Keeper)", answer(42, 0, 0), "protocol version 42"},
		{"read-only, which was not asked for", answer(0, 5000, 7, 1), "read-only"},
		{"refused although new", answer(0, 0, 0, 0), "refused"},
		{"cut short", answer(0, 5000, 7)[:20], "connect record"},
		{"empty", "", "connect record"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.serve("odd:2181", func(c *peer.Conn) {
					c.ReadConnect()
					c.ReplyRaw([]byte(tc.answer))
					for {
						req, err := c.ReadRequest()
						if err != nil {
							return
						}
						c.Reply(req.Header.Xid, 1, zkproto.OK, nil)
					}
				})
				w.serve("b:2181", (&peer.Basic{}).Handle)
				var failed []error
				zk := w.connect("odd,b", gazoo.WithHook(connectHook(func(info gazoo.ConnectInfo) {
					if info.Err != nil {
						failed = append(failed, info.Err)
					}
				})))
				synctest.Wait()
				if tc.fails == "" {
					if zk.Server() != "odd:2181" || zk.SessionID() != 7 || zk.SessionTimeout() != 5*time.Second || len(failed) > 0 {
						t.Errorf("on %q, session %d, time-out %v, failures %v, want session 7 with 5s on odd", zk.Server(), zk.SessionID(), zk.SessionTimeout(), failed)
					}
					return
				}
				if zk.Server() != "b:2181" || len(failed) != 1 || !strings.Contains(failed[0].Error(), tc.fails) {
					t.Errorf("on %q after %v, want b:2181 after a failure that says %q", zk.Server(), failed, tc.fails)
				}
			})
		})
	}
}

// connectHook makes a function a ConnectHook.
type connectHook func(gazoo.ConnectInfo)

func (h connectHook) OnConnect(info gazoo.ConnectInfo) { h(info) }

// record keeps a client's changes of state, as a hook from the first one on.
type record struct {
	mu  sync.Mutex
	all []gazoo.StateChange
}

func (r *record) OnSession(ch gazoo.StateChange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, ch)
}

func (r *record) changes() []gazoo.StateChange {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// changesOf records a client's changes of state from now on.
func changesOf(zk *gazoo.Client) func() []gazoo.StateChange {
	r := &record{}
	zk.AddListener(func(ch gazoo.StateChange) bool { r.OnSession(ch); return false })
	return r.changes
}

// outline writes changes of state in short.
func outline(changes []gazoo.StateChange) string {
	var words []string
	for _, ch := range changes {
		word := ch.To.String()
		for _, flag := range []struct {
			set  bool
			name string
		}{{ch.First, "first"}, {ch.NewSession, "new"}, {ch.Resumed, "resumed"}, {ch.HistoryLost, "history lost"}, {ch.Keeper == gazoo.KeeperConnectedReadOnly, "read-only"}} {
			if flag.set {
				word += "+" + flag.name
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// A server in the manner of ClickHouse Keeper knows no resuming: it answers with a session of
// its own making, a zero password and no read-only byte.
func TestForeignSessionIDIsAnExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var next int64 = 100
		srv := w.serve("a:2181", func(c *peer.Conn) {
			if _, err := c.ReadConnect(); err != nil {
				return
			}
			next++
			c.Accept(next, 10*time.Second, func(r *zkproto.ConnectResponse) {
				r.HasReadOnly = false
				r.Password = make([]byte, 16)
			})
			for {
				req, err := c.ReadRequest()
				if err != nil {
					return
				}
				var body peer.Body
				if req.Header.Op == zkproto.OpGetData {
					body = zkproto.GetDataResponse{}
				}
				c.Reply(req.Header.Xid, 1, zkproto.OK, body)
			}
		})
		zk := w.connect("a")
		changes := changesOf(zk)
		old := zk.Session()
		view := zk.InSession(old)
		_, _, watch, err := zk.GetW(t.Context(), "/w")
		must(t, err)
		srv.CloseConns()
		_, werr := watch.Wait(t.Context())
		if !errors.Is(werr, gazoo.ErrSessionExpired) {
			t.Errorf("the old session's watch ended with %v, want ErrSessionExpired", werr)
		}
		w.waitState(zk, gazoo.StateConnected, time.Second)
		synctest.Wait()
		if got, want := outline(changes()), "suspended lost connected+new"; got != want {
			t.Errorf("states %q, want %q", got, want)
		}
		if cause := context.Cause(old.Context()); !errors.Is(cause, gazoo.ErrSessionExpired) || !errors.Is(old.Err(), gazoo.ErrSessionExpired) {
			t.Errorf("the old session ended with %v, Err %v, want ErrSessionExpired", cause, old.Err())
		}
		if zk.SessionID() != 102 || zk.Session().Err() != nil {
			t.Errorf("session %d, Err %v, want a live 102", zk.SessionID(), zk.Session().Err())
		}
		if _, _, err := view.Get(t.Context(), "/"); !errors.Is(err, gazoo.ErrSessionOver) || !gazoo.WasNotSent(err) {
			t.Errorf("a call bound to the old session: %v, want ErrSessionOver, not sent", err)
		}
	})
}

func TestServerWithoutALeaderSaysNothingAboutTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var leaderless atomic.Bool
		b := &peer.Basic{Connect: func(c *peer.Conn, _ zkproto.ConnectRequest) bool {
			if leaderless.Load() {
				c.ReplyRaw(zkproto.ConnectResponse{ProtocolVersion: 42, Password: make([]byte, 16)}.AppendTo(nil))
			}
			return leaderless.Load()
		}}
		srv := w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		id := zk.SessionID()
		leaderless.Store(true)
		srv.CloseConns()
		time.Sleep(5 * time.Second)
		leaderless.Store(false)
		w.waitState(zk, gazoo.StateConnected, 10*time.Second)
		if zk.SessionID() != id {
			t.Errorf("session %x, want %x to go on", zk.SessionID(), id)
		}
	})
}

func TestRefusedSessionIsReplacedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a")
		changes := changesOf(zk)
		old := zk.Session()
		begin := time.Now()
		b.Expire(old.ID())
		<-old.Context().Done()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if d := time.Since(begin); d > 0 {
			t.Errorf("took %v, want no pause", d)
		}
		synctest.Wait()
		if got, want := outline(changes()), "suspended lost connected+new"; got != want {
			t.Errorf("states %q, want %q", got, want)
		}
		if ch := changes()[1]; ch.Keeper != gazoo.KeeperExpired || ch.Session != old.ID() || !errors.Is(ch.Err, gazoo.ErrSessionExpired) {
			t.Errorf("change to lost = %+v, want keeper state expired and the old session", ch)
		}
		if zk.SessionID() == old.ID() || context.Cause(old.Tenancy()) != gazoo.ErrSessionExpired {
			t.Errorf("session %x after %x, tenancy ended with %v", zk.SessionID(), old.ID(), context.Cause(old.Tenancy()))
		}
	})
}

func TestHungHandshakeDoesNotCostTheSession(t *testing.T) {
	const timeout = 9 * time.Second
	for hung := 1; hung <= 4; hung++ {
		t.Run(fmt.Sprintf("%d of %d servers", hung, hung+1), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				b := &peer.Basic{}
				good := w.serve("b:2181", b.Handle)
				hosts := "b"
				for i := range hung {
					name := fmt.Sprintf("hung%d", i)
					w.serve(name+":2181", func(c *peer.Conn) {
						c.ReadConnect()
						c.ReadRequest()
					})
					hosts += "," + name
				}
				zk := w.connect(hosts, gazoo.WithSessionTimeout(timeout))
				id := zk.SessionID()
				begin := time.Now()
				good.CloseConns()
				synctest.Wait()
				w.waitState(zk, gazoo.StateConnected, timeout)
				if d := time.Since(begin); d >= timeout*9/10 || zk.SessionID() != id {
					t.Errorf("back after %v in session %x, want %x within nine tenths of %v", d, zk.SessionID(), id, timeout)
				}
				synctest.Wait()
				if n := w.net.OpenConns(); n != 1 {
					t.Errorf("%d connections open, want 1: those to hung servers closed", n)
				}
			})
		})
	}
}

func TestHungHandshakeAtTheFirstConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.serve("hung:2181", func(c *peer.Conn) {
			c.ReadConnect()
			c.ReadRequest()
		})
		w.serve("b:2181", (&peer.Basic{}).Handle)
		begin := time.Now()
		w.connect("hung,b", gazoo.WithSessionTimeout(10*time.Second))
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("connected after %v, want half the time-out, one of two hosts' share", d)
		}
	})
}

// A server that has answered the connect record holds the session: whatever the hosts' shares
// of the time, it may take its time over the watches.
func TestRegisteringWatchesMayTakeLongerThanAHostsShare(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{Answer: func(_ *peer.Conn, req peer.Request) bool {
			if req.Header.Op == zkproto.OpSetWatches || req.Header.Op == zkproto.OpSetWatches2 {
				time.Sleep(5 * time.Second)
			}
			return false
		}}
		a := w.serve("a:2181", b.Handle)
		w.serve("b:2181", b.Handle)
		w.serve("c:2181", b.Handle)
		zk := w.connect("a,b,c", gazoo.WithSessionTimeout(9*time.Second))
		changes := changesOf(zk)
		_, _, watch, err := zk.GetW(t.Context(), "/w")
		must(t, err)
		a.CloseConns()
		time.Sleep(6 * time.Second)
		if zk.State() != gazoo.StateConnected || zk.Server() != "b:2181" {
			t.Errorf("%v to %q, want connected to b:2181 (%v)", zk.State(), zk.Server(), zk.ConnectErrors())
		}
		if got, want := outline(changes()), "suspended connected+resumed"; got != want {
			t.Errorf("states %q, want %q", got, want)
		}
		watch.Close()
	})
}

func TestOrderOnTheWire(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var seen []string
		b := &peer.Basic{Answer: func(_ *peer.Conn, req peer.Request) bool {
			word := req.Header.Op.String()
			if req.Header.Op == zkproto.OpAuth {
				var auth zkproto.AuthRequest
				must(t, req.Decode(&auth))
				word += " " + auth.Scheme + " " + string(auth.Auth)
			}
			seen = append(seen, word)
			return false
		}}
		srv := w.serve("a:2181", b.Handle)
		secret := []byte("u:p")
		zk := w.client("a", gazoo.WithAuth("digest", secret), gazoo.WithAuth("super", []byte("s:s")))
		secret[0] = 'X' // it was copied
		must(t, zk.Sync(t.Context(), "/"))
		must(t, zk.AddAuth(t.Context(), "third", []byte("t")))
		_, _, watch, err := zk.GetW(t.Context(), "/w")
		must(t, err)
		synctest.Wait()
		want := []string{"auth digest u:p", "auth super s:s", "sync", "auth third t", "getData"}
		if !slices.Equal(seen, want) {
			t.Errorf("first connection: %q, want %q", seen, want)
		}
		for range 30 {
			seen = nil
			srv.CloseConns()
			synctest.Wait()
			w.waitState(zk, gazoo.StateConnected, time.Second)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { zk.Get(t.Context(), "/") })
			}
			wg.Wait()
			if want := []string{"auth digest u:p", "auth super s:s", "auth third t", "setWatches"}; len(seen) != 54 || !slices.Equal(seen[:4], want) {
				t.Fatalf("reconnect: %q (%d requests), want %q before 50 calls", seen[:4], len(seen), want)
			}
		}
		zk.ForgetAuth("super", []byte("s:s"))
		seen = nil
		srv.CloseConns()
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Second)
		if want := []string{"auth digest u:p", "auth third t", "setWatches"}; !slices.Equal(seen, want) {
			t.Errorf("after ForgetAuth: %q, want %q", seen, want)
		}
		watch.Close()
	})
}

// Calls made while the handshake runs are held back until the last credential is accepted.
func TestCallsWaitForTheCredentials(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var seen []zkproto.OpCode
		b := &peer.Basic{Answer: func(_ *peer.Conn, req peer.Request) bool {
			seen = append(seen, req.Header.Op)
			if req.Header.Op == zkproto.OpAuth {
				time.Sleep(time.Second)
			}
			return false
		}}
		w.serve("a:2181", b.Handle)
		zk := w.client("a", gazoo.WithAuth("digest", []byte("u:p")))
		begin := time.Now()
		if _, _, err := zk.Get(t.Context(), "/"); err != nil || time.Since(begin) != time.Second {
			t.Errorf("Get: %v after %v, want an answer once the credential was accepted, in 1s", err, time.Since(begin))
		}
		if zk.State() != gazoo.StateConnected || !slices.Equal(seen, []zkproto.OpCode{zkproto.OpAuth, zkproto.OpGetData}) {
			t.Errorf("%v, server saw %v", zk.State(), seen)
		}
	})
}

// refuseAuth answers every credential as a server does that does not believe it.
func refuseAuth(c *peer.Conn, req peer.Request) bool {
	if req.Header.Op != zkproto.OpAuth {
		return false
	}
	c.Reply(req.Header.Xid, 0, zkproto.ErrAuthFailed, nil)
	c.Close()
	return true
}

func mustAuthFailed(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, gazoo.ErrAuthFailed) {
		t.Errorf("%s: %v, want ErrAuthFailed", what, err)
	}
}

func TestRefusedCredentialEndsTheClient(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dials := 0
		b := &peer.Basic{Answer: refuseAuth, Connect: func(*peer.Conn, zkproto.ConnectRequest) bool {
			dials++
			return false
		}}
		w.serve("a:2181", b.Handle)
		zk := w.client("a", gazoo.WithAuth("digest", []byte("u:wrong")))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, _, err := zk.Get(t.Context(), "/")
				mustAuthFailed(t, "a waiting call", err)
			})
		}
		wg.Go(func() { mustAuthFailed(t, "WaitState", zk.WaitState(t.Context(), gazoo.StateConnected)) })
		wg.Go(func() {
			_, err := zk.SubscribeState().Next(t.Context())
			mustAuthFailed(t, "StateSubscription.Next", err)
		})
		wg.Wait()
		time.Sleep(time.Hour)
		if zk.State() != gazoo.StateLost || zk.KeeperState() != gazoo.KeeperAuthFailed || dials != 1 {
			t.Errorf("%v, %v after %d connects, want lost, auth failed after one", zk.State(), zk.KeeperState(), dials)
		}
		_, _, err := zk.Get(t.Context(), "/")
		mustAuthFailed(t, "a later call", err)
		mustAuthFailed(t, "the client's context", context.Cause(zk.Context()))
		begin := time.Now()
		if err := zk.Close(); err != nil || time.Since(begin) > 0 {
			t.Errorf("Close: %v after %v", err, time.Since(begin))
		}
		<-zk.Done()
	})
}

func TestRefusedAddAuthEndsTheClient(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{Answer: func(c *peer.Conn, req peer.Request) bool {
			return req.Header.Op == zkproto.OpGetData || refuseAuth(c, req) // data never comes
		}}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a")
		changes := changesOf(zk)
		session := zk.Session()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _, err := zk.Get(t.Context(), "/")
			mustAuthFailed(t, "a call in flight", err)
		})
		synctest.Wait()
		mustAuthFailed(t, "AddAuth", zk.AddAuth(t.Context(), "digest", []byte("u:wrong")))
		wg.Wait()
		synctest.Wait()
		if got := changes(); outline(got) != "lost" || got[0].Keeper != gazoo.KeeperAuthFailed {
			t.Errorf("states %q, want lost, auth failed", outline(got))
		}
		mustAuthFailed(t, "the session's context", context.Cause(session.Context()))
		mustAuthFailed(t, "the tenancy", session.Err())
		if zk.Session() != nil {
			t.Errorf("Session() = %v, want none", zk.Session())
		}
		must(t, zk.Close())
	})
}

// late is a connection whose bytes, once armed, are delivered after a write has failed.
type late struct {
	net.Conn
	armed  atomic.Bool
	failed chan struct{}
}

func (c *late) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.armed.Load() {
		<-c.failed
	}
	return n, err
}

func (c *late) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil && c.armed.CompareAndSwap(true, false) {
		close(c.failed)
	}
	return n, err
}

// The server closes behind its refusal, so a write may fail before the refusal is read. It is
// final all the same.
func TestRefusalCountsEvenIfAWriteFailedBefore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{Answer: refuseAuth}
		w.serve("a:2181", b.Handle)
		conn := &late{failed: make(chan struct{})}
		zk := w.connect("a", gazoo.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := w.net.Dial(ctx, network, addr)
			if err != nil || conn.Conn != nil {
				return nc, err
			}
			conn.Conn = nc
			return conn, nil
		}))
		conn.armed.Store(true)
		refusal := make(chan error, 1)
		go func() { refusal <- zk.AddAuth(t.Context(), "digest", []byte("u:wrong")) }()
		synctest.Wait()
		_, _, err := zk.Get(t.Context(), "/")
		mustAuthFailed(t, "a call whose write failed", err)
		mustAuthFailed(t, "AddAuth", <-refusal)
		synctest.Wait()
		if zk.KeeperState() != gazoo.KeeperAuthFailed {
			t.Errorf("keeper state %v, want auth failed", zk.KeeperState())
		}
	})
}

func TestUnusableRepliesCostTheConnectionOnly(t *testing.T) {
	length := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	header := func(xid int32) string {
		return string(zkproto.ReplyHeader{Xid: xid, Zxid: 5}.AppendTo(nil))
	}
	frame := func(s string) string { return length(uint32(len(s))) + s }
	for _, tc := range []struct {
		name string
		send func(xid int32) string
		want string // in the call's error
	}{
		{"empty frame", func(int32) string { return frame("") }, "reply header"},
		{"frame shorter than a header", func(int32) string { return frame("1234") }, "reply header"},
		{"negative length", func(int32) string { return length(1 << 31) }, zkproto.ErrCorrupt.Error()},
		{"length of 2 GiB", func(int32) string { return length(1<<31 - 1) }, "out of order"},
		{"length of 2 GiB and some", func(xid int32) string { return length(1<<31-1) + header(xid+1) }, "out of order"},
		{"reply to a later request", func(xid int32) string { return frame(header(xid + 1)) }, fmt.Sprintf("out of order: xid %d", 2)},
		{"reply to an unknown request", func(int32) string { return frame(header(-77)) }, "out of order: xid -77"},
		{"ping reply without a ping", func(int32) string { return frame(header(zkproto.XidPing)) }, "out of order: xid -2"},
		{"auth reply without an auth", func(int32) string { return frame(header(zkproto.XidAuth)) }, "to no request: xid -4"},
		{"event cut short", func(int32) string { return frame(header(-1) + "123") }, "watch event"},
		{"event of negative length", func(int32) string { return frame(header(-1) + "\x00\x00\x00\x01\x00\x00\x00\x03" + length(1<<31)) }, "watch event"},
		{"reply cut short", func(xid int32) string { return frame(header(xid) + length(3) + "abc") }, "getData reply"},
		{"data of negative length", func(xid int32) string { return frame(header(xid) + length(1<<31+5)) }, "getData reply"},
		{"noise", func(int32) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" }, ""},
		{"end inside a frame", nil, "EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				broken := false
				b := &peer.Basic{Data: []byte("fine")}
				b.Answer = func(c *peer.Conn, req peer.Request) bool {
					if broken || req.Header.Op != zkproto.OpGetData {
						return false
					}
					broken = true
					if tc.send == nil {
						c.WriteText(frame("longer than what follows")[:9])
						c.Close()
					} else {
						c.WriteText(tc.send(req.Header.Xid))
					}
					return true
				}
				w.serve("a:2181", b.Handle)
				zk := w.connect("a", gazoo.WithSessionTimeout(9*time.Second))
				changes, id := changesOf(zk), zk.SessionID()
				_, _, err := zk.Get(t.Context(), "/")
				if err == nil || !strings.Contains(err.Error(), tc.want) || gazoo.WasNotSent(err) {
					t.Errorf("Get: %v, want an error that says %q", err, tc.want)
				}
				if data, _, err := zk.Get(t.Context(), "/"); err != nil || string(data) != "fine" || zk.SessionID() != id {
					t.Errorf("next Get = %q, %v in session %x, want it answered in %x", data, err, zk.SessionID(), id)
				}
				synctest.Wait()
				if got, want := outline(changes()), "suspended connected+resumed"; got != want {
					t.Errorf("states %q, want %q", got, want)
				}
			})
		})
	}
}

// Each request is answered with "session moved", as a server does that another one has taken
// the session from.
func TestSessionMovedDropsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		serve := func(addr string, code zkproto.Code, body peer.Body) {
			w.serve(addr, func(c *peer.Conn) {
				if _, err := c.ReadConnect(); err != nil {
					return
				}
				c.Accept(peer.FirstSessionID, 9*time.Second)
				for {
					req, err := c.ReadRequest()
					if err != nil {
						return
					}
					if req.Header.Op == zkproto.OpPing {
						c.Reply(zkproto.XidPing, 3, zkproto.OK, nil)
						continue
					}
					c.Reply(req.Header.Xid, 3, code, body)
				}
			})
		}
		serve("a:2181", zkproto.ErrSessionMoved, nil)
		zk := w.connect("b,a", gazoo.WithSessionTimeout(9*time.Second))
		if zk.Server() != "a:2181" {
			t.Fatalf("on %q, want a:2181", zk.Server())
		}
		serve("b:2181", zkproto.OK, zkproto.GetDataResponse{})
		id := zk.SessionID()
		if _, _, err := zk.Get(t.Context(), "/"); !errors.Is(err, gazoo.ErrSessionMoved) {
			t.Errorf("Get: %v, want ErrSessionMoved", err)
		}
		if _, _, err := zk.Get(t.Context(), "/"); err != nil || zk.Server() != "b:2181" || zk.SessionID() != id {
			t.Errorf("next Get: %v on %q in session %x, want it answered by b:2181 in %x", err, zk.Server(), zk.SessionID(), id)
		}
	})
}
