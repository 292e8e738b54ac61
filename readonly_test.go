package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// member is a server that can be cut off from its ensemble, which makes it read-only.
type member struct {
	ensemble *peer.Basic
	srv      *peer.Server

	mu      sync.Mutex
	cutOff  bool
	asked   []time.Time // for isro
	offered []int64     // sessions, while cut off
	onWord  func()
}

// provisional is the id of the first session that a read-only member makes.
const provisional = 0x0f00_0000_0000_0001

func (w *world) member(addr string, ensemble *peer.Basic, cutOff bool) *member {
	m := &member{ensemble: ensemble, cutOff: cutOff}
	m.srv = w.serve(addr, m.handle)
	return m
}

// set cuts the member off or brings it back; both close its connections, as servers do.
func (m *member) set(cutOff bool) {
	m.mu.Lock()
	m.cutOff = cutOff
	m.mu.Unlock()
	m.srv.CloseConns()
}

func (m *member) readOnly() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cutOff
}

func (m *member) handle(c *peer.Conn) {
	if c.FourLetter() != "" {
		m.mu.Lock()
		m.asked = append(m.asked, time.Now())
		onWord := m.onWord
		m.mu.Unlock()
		word := map[bool]string{true: "ro", false: "rw"}[m.readOnly()]
		if onWord != nil {
			onWord()
		}
		c.WriteText(word)
		return
	}
	if !m.readOnly() {
		m.ensemble.Handle(c)
		return
	}
	req, err := c.ReadConnect()
	if err != nil {
		return
	}
	m.mu.Lock()
	m.offered = append(m.offered, req.SessionID)
	m.mu.Unlock()
	if !req.ReadOnly || req.SessionID != 0 {
		return // not for us, or a global session: closed without a word
	}
	c.Accept(provisional, 6*time.Second, peer.ReadOnly)
	for {
		req, err := c.ReadRequest()
		if err != nil {
			return
		}
		switch req.Header.Op {
		case zkproto.OpPing:
			c.Reply(zkproto.XidPing, 1, zkproto.OK, nil)
		case zkproto.OpGetData:
			c.Reply(req.Header.Xid, 1, zkproto.OK, zkproto.GetDataResponse{Data: []byte("old")})
		default:
			c.Reply(req.Header.Xid, 1, zkproto.ErrNotReadOnly, nil)
		}
	}
}

func TestReadOnlyServerThenAReadWriteOne(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		w.member("a:2181", b, true)
		w.member("b:2181", b, true)
		var r record
		zk := w.client("a,b,c", gazoo.WithReadOnly(), gazoo.WithSessionTimeout(9*time.Second), gazoo.WithHook(&r))
		w.waitState(zk, gazoo.StateConnected, time.Second)
		session := zk.Session()
		if zk.KeeperState() != gazoo.KeeperConnectedReadOnly || !session.ReadOnly() || session.ID() != provisional || session.Timeout() != 6*time.Second {
			t.Errorf("%v in %v, read-only %v, want connected read-only in a provisional session", zk.KeeperState(), session, session.ReadOnly())
		}
		if session.Err() == nil || session.Tenancy().Err() == nil || session.Context().Err() != nil {
			t.Errorf("tenancy of a provisional session: %v, context %v, want none and alive", session.Err(), session.Context().Err())
		}
		data, _, watch, err := zk.GetW(t.Context(), "/")
		if err != nil || string(data) != "old" {
			t.Errorf("Get = %q, %v", data, err)
		}
		for name, write := range map[string]func(*gazoo.Client) error{
			"Create": func(zk *gazoo.Client) error { _, err := zk.Create(t.Context(), "/a", nil); return err },
			"Set":    func(zk *gazoo.Client) error { _, err := zk.Set(t.Context(), "/a", nil, 1); return err },
			"Delete": func(zk *gazoo.Client) error { return zk.Delete(t.Context(), "/a", 1) },
			"Sync":   func(zk *gazoo.Client) error { return zk.Sync(t.Context(), "/a") },
		} {
			err := write(zk)
			var opErr *gazoo.OpError
			if !errors.Is(err, gazoo.ErrNotReadOnly) || !errors.As(err, &opErr) || opErr.Outcome != gazoo.OutcomeRefused {
				t.Errorf("%s: %v, want ErrNotReadOnly, refused", name, err)
			}
			if err := write(zk.InSession(session)); !errors.Is(err, gazoo.ErrSessionOver) {
				t.Errorf("%s bound to a provisional session: %v, want ErrSessionOver", name, err)
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if zk.Session() != session || zk.State() != gazoo.StateConnected {
			t.Errorf("after ten idle minutes: %v in %v, want the provisional session to go on", zk.State(), zk.Session())
		}
		w.member("c:2181", b, false)
		_, werr := watch.Wait(deadline(t, 5*time.Minute))
		if !errors.Is(werr, gazoo.ErrReadOnlyEnded) {
			t.Errorf("the provisional session's watch ended with %v, want ErrReadOnlyEnded", werr)
		}
		w.waitState(zk, gazoo.StateConnected, time.Second)
		synctest.Wait()
		if got, want := outline(r.changes()), "connected+first+new+read-only suspended lost connected+new"; got != want {
			t.Errorf("states %q, want %q", got, want)
		}
		if zk.Server() != "c:2181" || zk.SessionID() != peer.FirstSessionID || zk.KeeperState() != gazoo.KeeperConnected {
			t.Errorf("on %q in %v, %v, want the read-write c:2181 in a session of the ensemble", zk.Server(), zk.Session(), zk.KeeperState())
		}
		if cause := context.Cause(session.Context()); cause != gazoo.ErrReadOnlyEnded {
			t.Errorf("the provisional session ended with %v, want ErrReadOnlyEnded", cause)
		}
	})
}

func TestReadOnlyServersAreNotForThoseWhoDidNotAsk(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.member("a:2181", &peer.Basic{}, true)
		var r record
		zk := w.client("a", gazoo.WithHook(&r))
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := r.changes(); len(got) > 0 || zk.State() != gazoo.StateLost {
			t.Errorf("states %q, want none", outline(got))
		}
		if len(a.asked) > 0 || len(a.offered) == 0 {
			t.Errorf("asked %d times for isro and tried %d times, want no question and some tries", len(a.asked), len(a.offered))
		}
	})
}

// A global session is not given up for a read-only server while it may live, and comes back
// when its ensemble does.
func TestGlobalSessionOutlivesAReadOnlySpell(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		a, other := w.member("a:2181", b, false), w.member("b:2181", b, false)
		zk := w.connect("a,b", gazoo.WithReadOnly(), gazoo.WithSessionTimeout(10*time.Second))
		session, changes := zk.Session(), changesOf(zk)
		begin := time.Now()
		other.srv.Close()
		a.set(true)
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if d := time.Since(begin); d < 9*time.Second || d > 13*time.Second {
			t.Errorf("read-only after %v, want it once the session is presumed expired, after 9s, and soon", d)
		}
		if zk.SessionID() != provisional || session.Err() != gazoo.ErrSessionPresumed || session.Context().Err() != nil {
			t.Errorf("in %v; the global session: %v, context %v, want it presumed expired, not ended", zk.Session(), session.Err(), session.Context().Err())
		}
		time.Sleep(time.Hour)
		w.member("b:2181", b, false)
		w.waitState(zk, gazoo.StateLost, 3*time.Minute)
		w.waitState(zk, gazoo.StateConnected, time.Second)
		synctest.Wait()
		if got, want := outline(changes()), "suspended lost connected+new+read-only suspended lost connected+resumed"; got != want {
			t.Errorf("states %q, want %q", got, want)
		}
		if zk.SessionID() != session.ID() || zk.Server() != "b:2181" || zk.Session().Err() != nil {
			t.Errorf("in %v on %q, Err %v, want session %x again", zk.Session(), zk.Server(), zk.Session().Err(), session.ID())
		}
	})
}

// A member answers that it is read-only and finds its ensemble before it is offered a new
// session: the old one must not be forgotten over that.
func TestMemberThatRecoversWhileItIsAsked(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		a := w.member("a:2181", b, false)
		zk := w.connect("a", gazoo.WithReadOnly(), gazoo.WithSessionTimeout(10*time.Second))
		session, changes := zk.Session(), changesOf(zk)
		a.onWord = func() {
			a.mu.Lock()
			a.cutOff = false
			a.mu.Unlock()
		}
		a.set(true)
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		synctest.Wait()
		if got, want := outline(changes()), "suspended lost connected+resumed"; got != want || zk.SessionID() != session.ID() {
			t.Errorf("states %q in %v, want %q in %v", got, zk.Session(), want, session)
		}
	})
}

func TestHuntForAReadWriteServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		a := w.member("a:2181", b, true)
		w.serve("mute:2181", func(c *peer.Conn) { c.FourLetter(); c.ReadRequest() })
		zk := w.connect("a,mute,down", gazoo.WithReadOnly())
		most := 0
		for range 3600 {
			time.Sleep(time.Second)
			most = max(most, w.net.OpenConns())
		}
		synctest.Wait()
		a.mu.Lock()
		asked := a.asked
		a.mu.Unlock()
		if most != 2 {
			t.Errorf("%d connections at most, want 2: the session's and a probe", most)
		}
		// A round is a pause per server and the second that the mute one takes.
		pause := 100 * time.Millisecond
		for i := 1; i < len(asked); i++ {
			if got, want := asked[i].Sub(asked[i-1]), 3*pause+time.Second; got != want {
				t.Fatalf("round %d took %v, want %v", i, got, want)
			}
			pause = min(2*pause, time.Minute)
		}
		if n := len(asked); n < 20 || n > 40 {
			t.Errorf("asked %d times in an hour", n)
		}
		if zk.State() != gazoo.StateConnected {
			t.Errorf("state %v, want connected: reads go on", zk.State())
		}
		w.member("new:2181", b, false)
		must(t, zk.SetServers("a,mute,new"))
		time.Sleep(10 * time.Second)
		if zk.Server() != "new:2181" {
			t.Errorf("on %q, want new:2181 of the new list", zk.Server())
		}
	})
}

func TestCloseWhileReadOnly(t *testing.T) {
	for _, wait := range []time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond} {
		t.Run(fmt.Sprint(wait), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.member("a:2181", &peer.Basic{}, true)
				w.serve("mute:2181", func(c *peer.Conn) { c.FourLetter(); c.ReadRequest() })
				zk := w.connect("a,mute", gazoo.WithReadOnly())
				time.Sleep(wait)
				begin := time.Now()
				if err := zk.Close(); err != nil || time.Since(begin) > 0 {
					t.Errorf("Close: %v after %v", err, time.Since(begin))
				}
				<-zk.Done()
			})
		})
	}
}
