package zktest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

// TestAdvance: when Advance returns, all that was due has happened, in its order.
func TestAdvance(t *testing.T) {
	for _, opts := range [][]zktest.Option{{zktest.OnLoopback()}, {}, {zktest.Endpoints(2)}} {
		clock := zktest.NewClock()
		begin := clock.Now()
		srv := zktest.Start(t, append(opts, zktest.WithClock(clock))...)
		zk := connect(t, srv, gazoo.WithSessionTimeout(10*time.Second))
		create(t, zk, "/e", gazoo.Ephemeral())
		create(t, zk, "/ttl", gazoo.TTL(time.Minute))
		_, stat, err := zk.Get(soon(t), "/e")
		must(t, err)
		if stat.Ctime != begin.UnixMilli() {
			t.Errorf("ctime %v, want the clock's %v", stat.Ctime, begin)
		}
		session := zk.Session()
		clock.Advance(9 * time.Second)
		if len(srv.Sessions()) != 1 {
			t.Error("the session ended too early")
		}
		srv.Session(session.ID()).BlackHole() // it could begin another one at any time
		clock.Advance(5 * time.Second)
		if got := srv.Dump(); got != "/ttl \"v\" ttl=1m0s\n" || len(srv.Sessions()) != 0 {
			t.Errorf("tree %q with %d sessions, want the session ended", got, len(srv.Sessions()))
		}
		if got, want := clock.Now(), begin.Add(14*time.Second); !got.Equal(want) {
			t.Errorf("Now() = %v, want %v", got, want)
		}
		clock.Advance(time.Hour)
		if got := srv.Dump(); got != "" {
			t.Errorf("tree %q an hour later, want the TTL over", got)
		}
		srv.Heal()
	}
}

// TestClockMovesLagAndExpiry: also what the test has asked for.
func TestClockMovesLagAndExpiry(t *testing.T) {
	clock := zktest.NewClock()
	srv := zktest.Start(t, zktest.WithClock(clock), zktest.Endpoints(2))
	ep := srv.Endpoint(1)
	ep.Lag(time.Hour)
	must(t, srv.Put("/a", ""))
	clock.Advance(59 * time.Minute)
	if got := ep.Dump(); got != "" {
		t.Errorf("tree %q, want it to lag", got)
	}
	clock.Advance(time.Minute)
	if got := ep.Dump(); got != "/a\n" {
		t.Errorf("tree %q an hour later, want what was written", got)
	}
	zk := connectTo(t, srv, 0, gazoo.WithSessionTimeout(time.Minute))
	session := zk.Session()
	srv.Session(session.ID()).ExpireAfter(10 * time.Second)
	clock.Advance(9 * time.Second)
	if session.Err() != nil {
		t.Errorf("session ended early: %v", session.Err())
	}
	clock.Advance(time.Second)
	<-session.Context().Done()
}

// TestClocksAreShared: two servers in step.
func TestClocksAreShared(t *testing.T) {
	clock := zktest.NewClock()
	var order []string
	a := zktest.Start(t, zktest.WithClock(clock))
	b := zktest.Start(t, zktest.WithClock(clock))
	must(t, a.Put("/a", ""))
	stop := clock.AfterFunc(2*time.Second, func() { order = append(order, "stopped") })
	clock.AfterFunc(3*time.Second, func() {
		must(t, b.Put("/b", ""))
		order = append(order, "three at "+clock.Now().Format("05"))
		clock.AfterFunc(time.Second, func() { order = append(order, "four") })
		clock.AfterFunc(-1, func() { order = append(order, "at once") })
	})
	clock.AfterFunc(time.Second, func() { order = append(order, "one") })
	stop()
	clock.Advance(4 * time.Second)
	if len(order) != 4 || order[0] != "one" || order[1] != "three at 03" || order[2] != "at once" || order[3] != "four" {
		t.Errorf("order %q, want one, three, at once, four", order)
	}
	if b.Dump() != "/b\n" {
		t.Errorf("tree %q", b.Dump())
	}
	a.Close()
	clock.Advance(time.Minute)

	order = nil
	for i := range 10 { // due at once: in the order in which they were set
		clock.AfterFunc(time.Second, func() { order = append(order, fmt.Sprint(i)) })
	}
	clock.Advance(time.Second)
	if got := fmt.Sprint(order); got != "[0 1 2 3 4 5 6 7 8 9]" {
		t.Errorf("order %v of what is due at once", got)
	}
}

// TestAdvanceStopsAtEveryAlarm: also at those that the server sets on the way.
func TestAdvanceStopsAtEveryAlarm(t *testing.T) {
	clock := zktest.NewClock()
	srv := zktest.Start(t, zktest.WithClock(clock))
	zk := connect(t, srv)
	for i := range 5 { // the server deletes them one by one, with a pause between
		create(t, zk, fmt.Sprintf("/ttl%d", i), gazoo.TTL(15*time.Second))
	}
	left := -1
	clock.AfterFunc(25*time.Second, func() { left = srv.Count() })
	clock.Advance(time.Minute)
	if left != 0 {
		t.Errorf("%d znodes left 25s after they were made, want 0: they are looked for every 10s", left)
	}
}
