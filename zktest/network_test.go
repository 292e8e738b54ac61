package zktest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

// states follows a client's states.
func states(t *testing.T, zk *gazoo.Client) func(want gazoo.State) {
	t.Helper()
	sub := zk.SubscribeState()
	return func(want gazoo.State) {
		t.Helper()
		for {
			ch, err := sub.Next(soon(t))
			if err != nil {
				t.Fatalf("waiting for %v: %v", want, err)
			}
			if ch.To == want {
				return
			}
		}
	}
}

func TestCut(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		id := zk.SessionID()
		for name, cut := range map[string]func(){
			"server":     srv.Cut,
			"endpoint":   srv.Endpoint(0).Cut,
			"connection": func() { srv.Conns()[0].Cut() },
			"session":    srv.Session(id).Cut,
		} {
			back := reconnects(t, srv, zk)
			cut()
			back()
			if zk.SessionID() != id {
				t.Errorf("cut of %s: session %#x, want %#x again", name, zk.SessionID(), id)
			}
		}
	})
}

func TestCutOfOneConnection(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		a, b := connect(t, srv), connect(t, srv)
		conns := srv.Conns()
		if len(conns) != 2 || conns[0].Session() != a.SessionID() || conns[1].Session() != b.SessionID() {
			t.Fatalf("%d connections, want those of a and b", len(conns))
		}
		if ep := conns[0].Endpoint(); ep != srv.Endpoint(0) || ep.Name() != "zk1" {
			t.Errorf("Endpoint() = %v", ep.Name())
		}
		if host, _, err := net.SplitHostPort(conns[0].RemoteAddr()); err != nil || host != "127.0.0.1" {
			t.Errorf("RemoteAddr() = %q", conns[0].RemoteAddr())
		}
		if got := srv.Session(a.SessionID()).Conn(); got != conns[0] {
			t.Errorf("connection of the session = %v, want the first", got)
		}
		back := reconnects(t, srv, a)
		conns[0].Cut()
		<-conns[0].Closed()
		back()
		select {
		case <-conns[1].Closed():
			t.Error("the other connection ended too")
		default:
		}
		conns[0].Cut() // of what has ended
		conns[0].Stall(zktest.BothWays)
		conns[0].Heal()
	})
}

// TestStall holds one direction of a connection, of a session, and of all.
func TestStall(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk, other := connect(t, srv), connect(t, srv)
		create(t, zk, "/a")
		session := srv.Session(zk.SessionID())
		conn := session.Conn()
		for _, c := range []struct {
			name    string
			stall   func()
			heal    func()
			applied bool
		}{
			{"request", func() { conn.Stall(zktest.ToServer) }, conn.Heal, false},
			{"reply", func() { conn.Stall(zktest.ToClient) }, conn.Heal, true},
			{"both of a session", func() { session.Stall(zktest.BothWays) }, session.Heal, false},
		} {
			must(t, srv.Put("/a", "old"))
			c.stall()
			f := zk.Async().Set(soon(t), "/a", []byte("new"), gazoo.AnyVersion)
			reconnected(t, other) // one that is not stalled
			if c.applied {
				zktest.Eventually(t, c.name+": the request arrives", func() bool { data, _ := srv.Get("/a"); return data == "new" })
			} else if data, _ := srv.Get("/a"); data != "old" {
				t.Errorf("%s stalled, but data is %q", c.name, data)
			}
			if f.Ready() {
				t.Errorf("%s stalled, but answered", c.name)
			}
			c.heal()
			if _, err := f.Wait(soon(t)); err != nil {
				t.Errorf("%s, healed: %v", c.name, err)
			}
		}
		srv.Stall(zktest.ToClient)
		f := other.Async().Get(soon(t), "/a")
		zktest.Eventually(t, "the read is logged", func() bool { return len(srv.Log()) > 0 })
		if f.Ready() {
			t.Error("all stalled, but answered")
		}
		srv.Heal()
		if _, err := f.Wait(soon(t)); err != nil {
			t.Errorf("all healed: %v", err)
		}
	})
}

func TestDelay(t *testing.T) {
	const d = 100 * time.Millisecond
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		for name, f := range map[string]struct{ begin, end func() }{
			"server":     {func() { srv.Delay(zktest.BothWays, d/2) }, srv.Heal},
			"connection": {func() { srv.Conns()[0].Delay(zktest.ToServer, d) }, func() { srv.Conns()[0].Delay(zktest.ToServer, 0) }},
			"session":    {func() { srv.Session(zk.SessionID()).Delay(zktest.BothWays, d/2) }, srv.Session(zk.SessionID()).Heal},
		} {
			f.begin()
			begin := time.Now()
			must(t, zk.Sync(soon(t), "/"))
			if took := time.Since(begin); took < d {
				t.Errorf("%s: answered after %v, want at least %v", name, took, d)
			}
			f.end()
		}
		if srv.Conns()[0].Session() != zk.SessionID() {
			t.Error("a delay has cost the connection")
		}
	})
}

// TestBlackHole is a partition: both sides give the session up, each by its own clock.
func TestBlackHole(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv, gazoo.WithSessionTimeout(500*time.Millisecond))
		id := zk.SessionID()
		await := states(t, zk)
		srv.BlackHole()
		await(gazoo.StateLost)
		zktest.Eventually(t, "the server ends the session", func() bool { return len(srv.Sessions()) == 0 })
		srv.Heal()
		await(gazoo.StateConnected)
		if zk.SessionID() == id {
			t.Error("the session outlived a partition longer than its time-out")
		}
	})
}

// TestSessionBlackHole cuts one client off from everything, the connections that it tries
// included, and leaves the others alone.
func TestSessionBlackHole(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, append(opts, zktest.Endpoints(2))...)
		zk, other := connect(t, srv, gazoo.WithSessionTimeout(500*time.Millisecond)), connect(t, srv)
		create(t, zk, "/e", gazoo.Ephemeral())
		await := states(t, zk)
		session := srv.Session(zk.SessionID())
		session.BlackHole()
		await(gazoo.StateLost)
		if _, _, err := other.Get(soon(t), "/e"); err != nil && !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("Get by another client = %v", err)
		}
		zktest.Eventually(t, "the session ends", func() bool { return len(srv.Sessions()) == 1 })
		if data, found := srv.Get("/e"); found {
			t.Errorf("ephemeral %q outlived its session", data)
		}
		session.Heal()
		await(gazoo.StateConnected)
	})
}

func TestHalfOpen(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv, gazoo.WithSessionTimeout(time.Second))
		id := zk.SessionID()
		back := reconnects(t, srv, zk)
		srv.Session(id).HalfOpen()
		zktest.Eventually(t, "the server forgets the connection", func() bool { return srv.Sessions()[0].Endpoint == nil || zk.SessionID() != id })
		back() // by its own clock alone
	})
}

func TestRefuse(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		await := states(t, zk)
		srv.Refuse()
		must(t, zk.Sync(soon(t), "/")) // the open connection goes on
		if err := knock(t, srv); err == nil {
			t.Error("a new connection was let in")
		}
		srv.Cut()
		await(gazoo.StateSuspended)
		srv.Heal()
		await(gazoo.StateConnected)
	})
}

func TestRefuseOfASession(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv)
		await := states(t, zk)
		session := srv.Session(zk.SessionID())
		session.Refuse()
		await(gazoo.StateSuspended)
		connect(t, srv) // another one gets in
		if zk.State() != gazoo.StateSuspended || session.Conn() != nil {
			t.Errorf("state %v, want it kept out", zk.State())
		}
		session.Heal()
		await(gazoo.StateConnected)
	})
}

// knock dials and asks a question. The error says that there is no answer, or no connection.
func knock(t *testing.T, srv *zktest.Server) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	nc, err := srv.Dial(ctx, "tcp", srv.Endpoint(0).Addr())
	if err != nil {
		return err
	}
	defer nc.Close()
	deadline, _ := ctx.Deadline()
	nc.SetDeadline(deadline)
	if _, err := io.WriteString(nc, "ruok"); err != nil {
		return err
	}
	b, err := io.ReadAll(nc)
	if err == nil && string(b) != "imok" {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func TestHang(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		must(t, knock(t, srv))
		zk := connect(t, srv)
		srv.Hang()
		if err := knock(t, srv); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("asked a server that hangs: %v, want no answer at all", err)
		}
		must(t, zk.Sync(soon(t), "/"))
		srv.Heal()
		must(t, knock(t, srv))
	})
}

// TestRefusedInMemory: a dial fails as it does where nobody listens.
func TestRefusedInMemory(t *testing.T) {
	srv := zktest.Start(t)
	srv.Refuse()
	if err := knock(t, srv); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial = %v, want a refused connection", err)
	}
	srv.Heal()
	srv.Stop()
	if err := knock(t, srv); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial of a stopped server = %v, want a refused connection", err)
	}
	srv.Heal() // does not start it
	if err := knock(t, srv); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial of a stopped server = %v, want a refused connection", err)
	}
	srv.Restart(zktest.KeepData)
	must(t, knock(t, srv))
}

func TestFaultsAreInTheLog(t *testing.T) {
	srv := zktest.Start(t, zktest.Endpoints(2))
	srv.Endpoint(1).Hang()
	srv.Endpoint(1).Heal()
	var got []string
	for _, e := range srv.Log() {
		got = append(got, e.Endpoint+" "+e.Note)
	}
	if len(got) != 2 || got[0] != "zk2 hang" || got[1] != "zk2 heal" {
		t.Errorf("log %q, want the faults of zk2", got)
	}
	if d := zktest.BothWays.String(); d != "both ways" {
		t.Errorf("BothWays = %q", d)
	}
}
