package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// ledger is a Basic that answers creates, each after a pause, and writes down what it served.
type ledger struct {
	peer.Basic
	pause time.Duration
	mu    sync.Mutex
	lines []string
}

func newLedger(pause time.Duration) *ledger {
	l := &ledger{pause: pause}
	l.Answer = func(c *peer.Conn, req peer.Request) bool {
		line := req.Header.Op.String()
		var create zkproto.CreateRequest
		if req.Header.Op == zkproto.OpCreate && req.Decode(&create) == nil {
			time.Sleep(l.pause)
			line = create.Path
		}
		l.mu.Lock()
		l.lines = append(l.lines, line)
		l.mu.Unlock()
		if create.Path == "" {
			return false
		}
		c.Reply(req.Header.Xid, l.NextZxid(), zkproto.OK, zkproto.CreateResponse{Path: create.Path})
		return true
	}
	return l
}

func (l *ledger) served() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// createMany begins n creates.
func createMany(t *testing.T, zk *gazoo.Client, n int) []gazoo.Future[gazoo.Created] {
	t.Helper()
	var all []gazoo.Future[gazoo.Created]
	for i := range n {
		all = append(all, zk.Async().Create(t.Context(), fmt.Sprintf("/n%03d", i), nil, gazoo.Ephemeral()))
	}
	return all
}

func TestCloseDrainsWhatWasSubmitted(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := newLedger(10 * time.Millisecond)
		w.serve("a:2181", l.Handle)
		zk := w.connect("a", gazoo.WithWindow(30, 1<<20))
		id := zk.SessionID()
		var creates []gazoo.Future[gazoo.Created]
		done := make(chan struct{})
		go func() {
			creates = createMany(t, zk, 100) // most of them wait for room in the window
			close(done)
		}()
		<-done
		must(t, zk.Close())
		for i, f := range creates {
			if created, err := f.Wait(t.Context()); err != nil || created.Path != fmt.Sprintf("/n%03d", i) {
				t.Errorf("create %d = %q, %v, want it served before the close", i, created.Path, err)
			}
		}
		served := l.served()
		if len(served) != 101 || served[100] != "closeSession" || served[0] != "/n000" || served[99] != "/n099" {
			t.Errorf("served %q, want 100 creates in order, then closeSession", served)
		}
		if l.Alive(id) {
			t.Error("the session is alive after Close")
		}
		<-zk.Done()
	})
}

func TestCloseIsBoundedWhenTheServerStalls(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := newLedger(0)
		w.serve("a:2181", l.Handle)
		zk := w.connect("a", gazoo.WithCloseTimeout(3*time.Second))
		session := zk.Session()
		w.net.Conns()[0].Stall(memnet.Both)
		creates := createMany(t, zk, 3)
		begin := time.Now()
		err := zk.Close()
		if d := time.Since(begin); d != 3*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v after %v, want the time-out of 3s", err, d)
		}
		for _, f := range creates {
			if _, err := f.Wait(t.Context()); !errors.Is(err, gazoo.ErrClosed) || !gazoo.MaybeApplied(err) {
				t.Errorf("create: %v, want ErrClosed, may have been applied", err)
			}
		}
		<-zk.Done()
		if !errors.Is(session.Err(), gazoo.ErrClosed) || zk.Session() != nil {
			t.Errorf("session ended with %v, Session() = %v, want ErrClosed and none", session.Err(), zk.Session())
		}
	})
}

func TestCloseWaitsForTheSessionsEndInBounds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{Answer: func(_ *peer.Conn, req peer.Request) bool { return req.Header.Op == zkproto.OpCloseSession }}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(time.Minute))
		begin := time.Now()
		err := zk.CloseContext(deadline(t, 2*time.Second))
		if d := time.Since(begin); d != 2*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("CloseContext: %v after %v, want the deadline: the session was not confirmed closed", err, d)
		}
		<-zk.Done()
	})
}

func TestCloseNow(t *testing.T) {
	for _, stalled := range []bool{false, true} {
		t.Run(fmt.Sprintf("stalled=%v", stalled), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				l := newLedger(10 * time.Second)
				if !stalled {
					l.Answer = func(_ *peer.Conn, req peer.Request) bool {
						return req.Header.Op == zkproto.OpCreate || req.Header.Op == zkproto.OpAuth
					}
				}
				w.serve("a:2181", l.Handle)
				zk := w.connect("a")
				id := zk.SessionID()
				if stalled {
					w.net.Conns()[0].Stall(memnet.Both)
				}
				creates := createMany(t, zk, 100)
				failed := make(chan time.Time, 1)
				go func() {
					if err := zk.AddAuth(context.Background(), "digest", []byte("u:p")); !errors.Is(err, gazoo.ErrClosed) {
						t.Errorf("AddAuth: %v, want ErrClosed", err)
					}
					failed <- time.Now()
				}()
				synctest.Wait()
				begin := time.Now()
				closing := make(chan error, 1)
				go func() { closing <- zk.CloseNow() }()
				for _, f := range creates {
					if _, err := f.Wait(t.Context()); !errors.Is(err, gazoo.ErrClosed) || !gazoo.MaybeApplied(err) {
						t.Fatalf("create: %v, want ErrClosed, may have been applied", err)
					}
				}
				if at := <-failed; !at.Equal(begin) || time.Since(begin) > 0 {
					t.Errorf("calls in flight failed after %v, want at once", max(at.Sub(begin), time.Since(begin)))
				}
				err := <-closing
				if d := time.Since(begin); err != nil || stalled && d != time.Second || !stalled && d > 0 {
					t.Errorf("CloseNow: %v after %v", err, d)
				}
				if l.Alive(id) != stalled {
					t.Errorf("session alive: %v, want it closed unless the server is stalled", l.Alive(id))
				}
				<-zk.Done()
			})
		})
	}
}

func TestCloseNowCutsADrainingCloseShort(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.serve("a:2181", newLedger(0).Handle)
		zk := w.connect("a", gazoo.WithCloseTimeout(time.Minute), gazoo.WithSessionTimeout(time.Hour))
		w.net.Conns()[0].Stall(memnet.Both)
		createMany(t, zk, 10)
		draining := make(chan time.Duration, 1)
		begin := time.Now()
		go func() {
			zk.Close()
			draining <- time.Since(begin)
		}()
		time.Sleep(2 * time.Second)
		must(t, zk.CloseNow())
		if d := time.Since(begin); d != 3*time.Second {
			t.Errorf("CloseNow took until %v, want one second", d)
		}
		if d := <-draining; d != 3*time.Second {
			t.Errorf("the Close cut short returned after %v, want 3s", d)
		}
	})
}

func TestCloseMayBeCalledAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		l := newLedger(time.Millisecond)
		w.serve("a:2181", l.Handle)
		zk := w.connect("a")
		createMany(t, zk, 100)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { must(t, zk.Close()) })
			wg.Go(func() { must(t, zk.CloseContext(t.Context())) })
		}
		wg.Wait()
		must(t, zk.Close())
		must(t, zk.CloseNow())
		if served := l.served(); len(served) != 101 {
			t.Errorf("served %q, want one closeSession", served)
		}
	})
}

// Callbacks of every kind may close the client that calls them.
func TestCloseFromInsideACallback(t *testing.T) {
	for name, arrange := range map[string]func(t *testing.T, zk *gazoo.Client, close func()) (fire func()){
		"state listener": func(t *testing.T, zk *gazoo.Client, close func()) func() {
			zk.AddListener(func(gazoo.StateChange) bool { close(); return true })
			return nil
		},
		"future": func(t *testing.T, zk *gazoo.Client, close func()) func() {
			return func() { zk.Async().Exists(t.Context(), "/").Then(func(gazoo.Presence, error) { close() }) }
		},
		"watch": func(t *testing.T, zk *gazoo.Client, close func()) func() {
			_, _, watch, err := zk.GetW(t.Context(), "/w")
			must(t, err)
			watch.Then(func(gazoo.Event, error) { close() })
			return nil
		},
		"data watch": func(t *testing.T, zk *gazoo.Client, close func()) func() {
			return func() {
				zk.WatchDataFunc(t.Context(), "/w", func(gazoo.DataSnapshot) bool { close(); return true })
			}
		},
	} {
		for _, now := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, now=%v", name, now), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					b := &peer.Basic{}
					srv := w.serve("a:2181", b.Handle)
					zk := w.connect("a")
					closed := make(chan error, 1)
					fire := arrange(t, zk, func() {
						if now {
							closed <- zk.CloseNow()
						} else {
							closed <- zk.Close()
						}
					})
					if fire != nil {
						fire()
					} else {
						b.Conn(zk.SessionID()).Event(zkproto.EventDataChanged, "/w", -1)
						synctest.Wait()
						srv.CloseConns()
					}
					begin := time.Now()
					if err := <-closed; err != nil || time.Since(begin) > 0 {
						t.Errorf("Close: %v after %v", err, time.Since(begin))
					}
					<-zk.Done()
					if zk.KeeperState() != gazoo.KeeperClosed {
						t.Errorf("keeper state %v, want closed", zk.KeeperState())
					}
				})
			})
		}
	}
}

func TestCallsWhileTheClientCloses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{Data: []byte("x")}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithWindow(100, 1<<20))
		var wg sync.WaitGroup
		var good, refused atomic.Int32
		for range 1000 {
			wg.Go(func() {
				for {
					_, _, err := zk.Get(context.Background(), "/")
					switch {
					case err == nil:
						good.Add(1)
						time.Sleep(time.Millisecond)
						continue
					case errors.Is(err, gazoo.ErrClosed):
						refused.Add(1)
					default:
						t.Errorf("Get: %v, want an answer or ErrClosed", err)
					}
					return
				}
			})
		}
		time.Sleep(5 * time.Millisecond)
		begin := time.Now()
		must(t, zk.Close())
		wg.Wait()
		if d := time.Since(begin); d > time.Second || good.Load() < 1000 || refused.Load() != 1000 {
			t.Errorf("all returned after %v, %d answers, %d refused, want 1000 refused within 1s", d, good.Load(), refused.Load())
		}
	})
}

func TestCloseWhileConnecting(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, arrange := range map[string]func(w *world) gazoo.Option{
		"refused": func(*world) gazoo.Option { return gazoo.WithReadOnly() },
		"resolving": func(*world) gazoo.Option {
			return gazoo.WithResolver(func(ctx context.Context, _ string) ([]netip.Addr, error) { return nil, hang(ctx) })
		},
		"dialling": func(w *world) gazoo.Option {
			w.net.SetDialHook(func(ctx context.Context, _ string) error { return hang(ctx) })
			return gazoo.WithReadOnly()
		},
		"hung handshake": func(w *world) gazoo.Option {
			w.serve("a:2181", func(c *peer.Conn) { c.ReadConnect(); c.ReadRequest() })
			return gazoo.WithReadOnly()
		},
		"hung credentials": func(w *world) gazoo.Option {
			b := &peer.Basic{Answer: func(_ *peer.Conn, req peer.Request) bool { return true }}
			w.serve("a:2181", b.Handle)
			return gazoo.WithAuth("digest", []byte("u:p"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				zk := w.client("a", arrange(w))
				waiting := make(chan error, 1)
				go func() {
					_, _, err := zk.Get(context.Background(), "/")
					waiting <- err
				}()
				time.Sleep(2500 * time.Millisecond)
				begin := time.Now()
				if err := zk.Close(); err != nil || time.Since(begin) > 0 {
					t.Errorf("Close: %v after %v, want it at once", err, time.Since(begin))
				}
				if err := <-waiting; !errors.Is(err, gazoo.ErrClosed) || !gazoo.WasNotSent(err) {
					t.Errorf("a waiting call: %v, want ErrClosed, not sent", err)
				}
				<-zk.Done()
			})
		})
	}
}

// A dialler that does not look at its context holds a goroutine: Close does not wait for ever,
// and Done tells when it has gone.
func TestDoneCoversADiallerThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		begin := time.Now()
		zk, err := gazoo.New("a", gazoo.WithDialer(func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(time.Minute)
			return nil, errors.New("too late")
		}))
		must(t, err)
		time.Sleep(time.Second)
		if err := zk.CloseContext(deadline(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("CloseContext: %v, want the deadline", err)
		}
		if d := time.Since(begin); d > 2100*time.Millisecond {
			t.Errorf("CloseContext returned at %v, want 2s and a moment", d)
		}
		<-zk.Done()
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("Done closed at %v, want 1m, when the dialler returned", d)
		}
	})
}

func TestClosedClientRefusesEverything(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.serve("a:2181", (&peer.Basic{}).Handle)
		zk := w.connect("a")
		view, err := zk.Chroot("/view")
		must(t, err)
		must(t, view.Close()) // any view closes them all
		ctx := t.Context()
		for name, call := range map[string]func() error{
			"Get":            func() error { _, _, err := zk.Get(ctx, "/"); return err },
			"Create":         func() error { _, err := zk.Create(ctx, "/a", nil, gazoo.Protected()); return err },
			"AddAuth":        func() error { return zk.AddAuth(ctx, "digest", []byte("u:p")) },
			"Txn":            func() error { _, err := zk.Txn().Delete("/a", 1).Commit(ctx); return err },
			"GetW":           func() error { _, _, _, err := zk.GetW(ctx, "/a"); return err },
			"Async":          func() error { _, err := zk.Async().Exists(ctx, "/").Wait(ctx); return err },
			"FourLetterWord": func() error { _, err := zk.FourLetterWord(ctx, "ruok"); return err },
			"ServerVersion":  func() error { _, err := zk.ServerVersion(ctx); return err },
			"Retry":          func() error { return zk.Retry(ctx, func(ctx context.Context) error { return zk.Sync(ctx, "/") }) },
		} {
			if err := call(); !errors.Is(err, gazoo.ErrClosed) || !gazoo.WasNotSent(err) {
				t.Errorf("%s: %v, want ErrClosed, not sent", name, err)
			}
		}
		if cause := context.Cause(zk.Context()); !errors.Is(cause, gazoo.ErrClosed) {
			t.Errorf("the client's context ended with %v, want ErrClosed", cause)
		}
	})
}

// counted is a connection that tells when it is closed.
type counted struct {
	net.Conn
	once  sync.Once
	close func()
}

func (c *counted) Close() error {
	c.once.Do(c.close)
	return c.Conn.Close()
}

func TestOneConnectionAtATime(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{Data: []byte("x")}
		srv := w.serve("a:2181", b.Handle)
		w.serve("b:2181", b.Handle)
		var open, most atomic.Int32
		zk := w.connect("a,b", gazoo.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := w.net.Dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			if n := open.Add(1); n > most.Load() {
				most.Store(n)
			}
			return &counted{Conn: nc, close: func() { open.Add(-1) }}, nil
		}))
		ctx, stop := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				for ctx.Err() == nil {
					zk.Get(ctx, "/")
					time.Sleep(5 * time.Millisecond)
				}
			})
		}
		for range 20 {
			srv.Close()
			time.Sleep(100 * time.Millisecond)
			srv = w.serve("a:2181", b.Handle)
			time.Sleep(100 * time.Millisecond)
			for _, c := range w.net.Conns() {
				c.Cut()
			}
		}
		if most.Load() != 1 {
			t.Errorf("%d connections at a time, want never more than 1", most.Load())
		}
		stop()
		callers.Wait()
		must(t, zk.Close())
		if open.Load() != 0 {
			t.Errorf("%d connections open after Close", open.Load())
		}
	})
}
