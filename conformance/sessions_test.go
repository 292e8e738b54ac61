package conformance

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Sessions: how they end and what ends with them.

var (
	sessionFacts = facts(ephemeralsEndTogether, ownWatchesFireBeforeTheEnd, requestsBehindTheEndAreDropped,
		resumeClosesTheOldConnection, resumeNegotiatesAgain, closedSessionStaysClosed, disconnectLeavesTheSession,
		ephemeralsOfOthersStay)
	slowSessionFacts = facts(expiryTime, expirySendsNothing, expiredSessionStaysExpired, requestsKeepASession,
		authKeepsNoSession, silentConnectionIsClosed)
)

func ephemeralsEndTogether(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(other)
	want := []string{}
	for i := range 5 {
		path := fmt.Sprintf("%s/%d", d, i)
		made(c, createAs(path, zkproto.ModeEphemeral))
		other.Want(zkproto.OK, zkproto.OpGetData, watch(path))
		want = append(want, deleted(path))
	}
	addWatch(other, d, persistent)
	zxid := c.Want(zkproto.OK, zkproto.OpCloseSession, nil).Zxid
	// Each fires the child watches of the parent, in whatever order they go.
	got := eventsOf(t, other.Exchange(zkproto.OpPing, nil))
	for range 5 {
		want = append(want, children(d))
	}
	slices.Sort(got)
	slices.Sort(want)
	same(t, got, want)
	if stat := statOf(other, d); stat.Pzxid != zxid || stat.NumChildren != 0 {
		t.Errorf("parent %+v, want that all went in %d", stat, zxid)
	}
}

func ownWatchesFireBeforeTheEnd(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(other)
	made(c, createAs(d+"/e", zkproto.ModeEphemeral))
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d+"/e"))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	causes(c, zkproto.OpCloseSession, nil, deleted(d+"/e"), children(d))
	c.Closed()
}

func requestsBehindTheEndAreDropped(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(other)
	b := rawzk.Request(1, zkproto.OpCreate, create(d+"/before"))
	b = append(b, rawzk.Request(2, zkproto.OpCloseSession, nil)...)
	b = append(b, rawzk.Request(3, zkproto.OpExists, read(d))...)
	b = append(b, rawzk.Request(4, zkproto.OpCreate, create(d+"/behind"))...)
	b = append(b, rawzk.Request(5, zkproto.OpPing, nil)...)
	c.Write(b)
	for _, xid := range []int32{1, 2} {
		if p := c.Next(); p.Xid != xid || p.Err != zkproto.OK {
			t.Errorf("got %+v, want the reply to %d", p.ReplyHeader, xid)
		}
	}
	// Apache may still send that they came too late, if it was not done with the end of the connection.
	for s.kind == apache {
		p, err := c.TryNext()
		if err != nil {
			break
		}
		if p.Err != zkproto.ErrSessionExpired {
			t.Errorf("request behind the end of its session is answered %+v", p.ReplyHeader)
		}
	}
	c.Closed()
	statOf(other, d+"/before")
	missing(other, d+"/behind")
}

func resumeClosesTheOldConnection(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, createAs(d+"/e", zkproto.ModeEphemeral))
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d+"/e"))
	again := s.resume(t, c.Session)
	c.Closed() // without a word
	if got := statOf(again, d+"/e").EphemeralOwner; got != c.Session.SessionID {
		t.Errorf("owner %#x, want that the session went on", got)
	}
	if again.Session.SessionID != c.Session.SessionID || string(again.Session.Password) != string(c.Session.Password) {
		t.Errorf("resume answered %+v, want the same session as %+v", again.Session, c.Session)
	}
}

func resumeNegotiatesAgain(t *testing.T, s *server) {
	c := s.open(t)
	for _, x := range []struct{ ask, want int32 }{{7000, 7000}, {1, int32(minTimeout.Milliseconds())}, {1<<31 - 1, int32(maxTimeout.Milliseconds())}} {
		req := rawzk.Resume(c.Session)
		req.TimeoutMS = x.ask
		again := s.dial(t)
		if got := again.Handshake(req); got.TimeoutMS != x.want {
			t.Errorf("resume with a time-out of %d ms: %d, want %d", x.ask, got.TimeoutMS, x.want)
		}
		endSession(t, again)
	}
}

func closedSessionStaysClosed(t *testing.T, s *server) {
	c := s.open(t)
	c.Want(zkproto.OK, zkproto.OpCloseSession, nil)
	c.Closed()
	for range 2 {
		refused(t, s, rawzk.Resume(c.Session))
	}
}

func disconnectLeavesTheSession(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(other)
	made(c, createAs(d+"/e", zkproto.ModeEphemeral))
	c.Net.Close()
	again := s.resume(t, c.Session)
	statOf(again, d+"/e")
	again.Want(zkproto.OK, zkproto.OpCloseSession, nil)
	missing(other, d+"/e")
}

func ephemeralsOfOthersStay(t *testing.T, s *server) {
	a, b := s.open(t), s.open(t)
	d := dir(a)
	made(a, createAs(d+"/a", zkproto.ModeEphemeral))
	made(b, createAs(d+"/b", zkproto.ModeEphemeral))
	made(b, create(d+"/p"))
	b.Want(zkproto.OK, zkproto.OpCloseSession, nil)
	if got := childrenOf(a, d); !slices.Equal(got, []string{"a", "p"}) {
		t.Errorf("children %q, want a and p", got)
	}
}

// untilClosed waits for the end of a connection that is sent nothing more, and returns when that was.
func untilClosed(c *rawzk.Conn) time.Time {
	c.TB.Helper()
	if p, err := c.TryNext(); err == nil {
		c.TB.Fatalf("got frame %+v, want the end of the connection", p.ReplyHeader)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		c.TB.Fatalf("the connection did not end")
	}
	return time.Now()
}

func expiryTime(t *testing.T, s *server) {
	const timeout = 2 * time.Second
	// A busy machine only makes it later, so one time out of a few is enough to see that it is not later by itself.
	var took time.Duration
	for range 5 {
		c := s.openFor(t, timeout)
		before := time.Now()
		c.Want(zkproto.OK, zkproto.OpPing, nil)
		after := time.Now()
		end := untilClosed(c)
		if end.Sub(after) < timeout-50*time.Millisecond {
			t.Fatalf("session of %v ended %v behind its last request", timeout, end.Sub(after))
		}
		refusedOnceExpired(t, s, c.Session)
		if took = end.Sub(before); took <= timeout+tick+300*time.Millisecond {
			return
		}
	}
	t.Errorf("session of %v ended %v behind its last request, want at most a tick of %v more", timeout, took, tick)
}

func expirySendsNothing(t *testing.T, s *server) {
	c, other := s.openFor(t, minTimeout), s.open(t)
	d := dir(other)
	made(c, createAs(d+"/e", zkproto.ModeEphemeral))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d+"/e"))
	other.Want(zkproto.OK, zkproto.OpGetData, watch(d+"/e"))
	// Its own watch may fire on the way; nothing else comes.
	for {
		p, err := c.TryNext()
		if err != nil {
			if !errors.Is(err, io.EOF) && errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection did not end: %v", err)
			}
			break
		}
		if _, ok := p.Event(); !ok {
			t.Errorf("got %+v at the end of the session", p.ReplyHeader)
		}
	}
	events(other, deleted(d+"/e"))
	missing(other, d+"/e")
}

func expiredSessionStaysExpired(t *testing.T, s *server) {
	c, other := s.openFor(t, minTimeout), s.open(t)
	d := dir(other)
	made(c, createAs(d+"/e", zkproto.ModeEphemeral))
	c.Net.Close()
	gone(other, d+"/e")
	refusedOnceExpired(t, s, c.Session)
}

// lives sends requests for a good while longer than a session would last without them.
func lives(t *testing.T, c *rawzk.Conn, op zkproto.OpCode, body rawzk.Body) error {
	t.Helper()
	step := time.NewTicker(minTimeout / 4)
	defer step.Stop()
	for begin := time.Now(); time.Since(begin) < 3*minTimeout; {
		<-step.C
		if _, err := c.Net.Write(rawzk.Request(1, op, body)); err != nil {
			return err
		}
		if _, err := c.TryNext(); err != nil {
			return err
		}
	}
	return nil
}

func requestsKeepASession(t *testing.T, s *server) {
	for _, x := range []struct {
		op   zkproto.OpCode
		body rawzk.Body
	}{{zkproto.OpPing, nil}, {zkproto.OpGetData, read("/missing")}, {zkproto.OpSync, rawzk.Bytes{}}} {
		if err := lives(t, s.openFor(t, minTimeout), x.op, x.body); err != nil {
			t.Errorf("session with a %v every quarter of its time-out ended: %v", x.op, err)
		}
	}
}

func authKeepsNoSession(t *testing.T, s *server) {
	if err := lives(t, s.openFor(t, minTimeout), zkproto.OpAuth, auth("digest", "bob:pw")); err == nil {
		t.Error("a session of which nothing but credentials come went on")
	}
}

func silentConnectionIsClosed(t *testing.T, s *server) {
	c := s.dial(t)
	half := s.dial(t)
	half.Write([]byte{0, 0, 0}) // which is no more than silence
	begin := time.Now()
	for _, c := range []*rawzk.Conn{c, half} {
		const busy = 15 * time.Second // what a busy machine may add
		if d := untilClosed(c).Sub(begin); d < 9*time.Second || d > 20*time.Second+busy {
			t.Errorf("a connection without a handshake was closed after %v, want 10 to 20 s", d)
		}
	}
}
