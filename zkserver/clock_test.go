package zkserver_test

import (
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// handClock is a clock that stands still until the test moves it.
type handClock struct {
	mu     sync.Mutex
	now    time.Time
	alarms map[*handAlarm]struct{}
}

type handAlarm struct {
	at time.Time
	f  func()
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) AfterFunc(d time.Duration, f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &handAlarm{c.now.Add(d), f}
	c.alarms[a] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.alarms, a)
	}
}

// set moves the clock, and reports how many alarms went off.
func (c *handClock) set(now time.Time) int {
	c.mu.Lock()
	c.now = now
	var due []func()
	for a := range c.alarms {
		if !a.at.After(now) {
			delete(c.alarms, a)
			due = append(due, a.f)
		}
	}
	c.mu.Unlock()
	for _, f := range due {
		f()
	}
	return len(due)
}

func (c *handClock) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.alarms)
}

// TestTheClockDecides runs on real TCP and real time: only the server's clock moves.
func TestTheClockDecides(t *testing.T) {
	begin := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := &handClock{now: begin, alarms: map[*handAlarm]struct{}{}}
	srv := start(t, zkserver.WithClock(clock), zkserver.WithClock(nil), zkserver.WithExtendedTypes())
	c := rawzk.Dial(t, srv.Addr()).Open(10 * time.Second)
	if want := int64(uint64(begin.UnixMilli()) << 24 >> 8); c.Session.SessionID&(1<<56-1) != want {
		t.Errorf("session 0x%x, want it to begin at the clock's time, 0x%x", c.Session.SessionID, want)
	}
	c.Want(zkproto.OK, zkproto.OpCreateTTL, zkproto.CreateTTLRequest{Path: "/ttl", ACL: open, Mode: zkproto.ModePersistentTTL, TTL: 1000})
	var got zkproto.GetDataResponse
	r := zkproto.NewReader(c.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/ttl", Watch: true}).Body)
	if got.Decode(&r); got.Stat.Ctime != begin.UnixMilli() {
		t.Errorf("ctime = %d, want the clock's %d", got.Stat.Ctime, begin.UnixMilli())
	}

	c.Want(zkproto.OK, zkproto.OpPing, nil)
	clock.set(begin.Add(9 * time.Second))
	if n := len(srv.Sessions()); n != 1 {
		t.Errorf("%d sessions before the time-out, want 1", n)
	}
	if n := clock.set(begin.Add(12 * time.Second)); n != 1 {
		t.Errorf("%d alarms went off, want that of the session", n)
	}
	c.Closed()
	if n := len(srv.Sessions()); n != 0 {
		t.Errorf("%d sessions after the time-out, want none", n)
	}

	d := rawzk.Dial(t, srv.Addr()).Open(time.Minute)
	d.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/ttl", Watch: true})
	clock.set(begin.Add(time.Minute))
	if ev := event(t, d.Next()); ev.Type != zkproto.EventDeleted {
		t.Errorf("event = %+v, want /ttl deleted", ev)
	}
	srv.Close()
	if n := clock.pending(); n != 0 {
		t.Errorf("%d alarms left behind a closed server", n)
	}
}
