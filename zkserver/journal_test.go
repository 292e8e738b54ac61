package zkserver_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// disk is a journal whose flushes the test finishes.
type disk struct {
	mu      sync.Mutex
	txns    []ztree.Txn
	flushes int
	done    func(error) // of the flush under way
	closed  bool
}

func (d *disk) Append(txn ztree.Txn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.txns = append(d.txns, txn)
}

func (d *disk) Flush(done func(error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done != nil {
		panic("two flushes at once")
	}
	d.flushes++
	d.done = done
}

func (d *disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}

// finish ends the flush under way.
func (d *disk) finish(t *testing.T, err error) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	done := d.done
	d.done = nil
	d.mu.Unlock()
	if done == nil {
		t.Fatal("no flush under way")
	}
	done(err)
	synctest.Wait()
}

// finishAll ends flushes until there are none.
func (d *disk) finishAll(t *testing.T) {
	t.Helper()
	for synctest.Wait(); d.busy(); synctest.Wait() {
		d.finish(t, nil)
	}
}

func (d *disk) busy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done != nil
}

// silent fails the test when a connection has got something.
func silent(r *rawzk.Conn) {
	r.TB.Helper()
	r.Net.SetReadDeadline(time.Now().Add(time.Millisecond))
	if p, err := r.TryNext(); err == nil {
		r.TB.Errorf("got %+v before it was durable", p.ReplyHeader)
	}
	r.Net.SetReadDeadline(time.Now().Add(time.Hour))
}

// opened makes a session while the disk answers.
func (v *world) opened(d *disk) *rawzk.Conn {
	v.t.Helper()
	c := v.dial()
	c.Write(rawzk.Frame(zkproto.ConnectRequest{TimeoutMS: 40000, HasReadOnly: true}))
	d.finish(v.t, nil)
	b, err := c.NextBytes()
	if err != nil {
		v.t.Fatal(err)
	}
	r := zkproto.NewReader(b)
	c.Session.Decode(&r)
	return c
}

func TestNothingIsVisibleBeforeItIsDurable(t *testing.T) {
	d := &disk{}
	virtual(t, func(t *testing.T, v *world) {
		a, b := v.opened(d), v.opened(d)
		b.Want(zkproto.ErrNoNode, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/a", Watch: true})

		a.Send(zkproto.OpCreate, create("/a"))
		silent(a)
		silent(b)                   // the event
		b.Send(zkproto.OpPing, nil) // carries the new zxid
		b.Send(zkproto.OpSync, zkproto.PathRequest{})
		new := v.dial()
		new.Write(rawzk.Frame(rawzk.Resume(a.Session))) // so does this, in effect: the client may look
		silent(new)
		word := v.dial()
		word.Write([]byte("srvr"))
		silent(word)
		silent(b)
		if d.flushes != 3 {
			t.Errorf("%d flushes, want one for each of two sessions and the create", d.flushes)
		}

		d.finish(t, nil)
		if ev := event(t, b.Next()); ev.Type != zkproto.EventCreated {
			t.Errorf("event = %+v", ev)
		}
		for range 2 {
			if p := b.Next(); p.Zxid != 3 || p.Err != zkproto.OK {
				t.Errorf("reply = %+v", p.ReplyHeader)
			}
		}
		if text, err := io.ReadAll(word.Net); err != nil || !strings.Contains(string(text), "Zxid: 0x3\n") {
			t.Errorf("srvr = %q, %v", text, err)
		}
		if _, err := new.NextBytes(); err != nil {
			t.Errorf("connect response: %v", err)
		}
	}, zkserver.WithJournal(d))
	if !d.closed {
		t.Error("journal left open")
	}
}

func TestRequestsShareAFlush(t *testing.T) {
	d := &disk{}
	virtual(t, func(t *testing.T, v *world) {
		a, b := v.opened(d), v.opened(d)
		a.Send(zkproto.OpCreate, create("/a"))
		synctest.Wait()
		before := d.flushes
		for range 20 {
			a.Send(zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Version: -1})
			b.Send(zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Version: -1})
			synctest.Wait()
		}
		d.finish(t, nil) // of the create: its reply may go, the others wait
		if p := a.Next(); p.Zxid != 3 {
			t.Errorf("first reply = %+v", p.ReplyHeader)
		}
		silent(a)
		d.finishAll(t)
		for range 20 {
			if a.Next().Err != zkproto.OK || b.Next().Err != zkproto.OK {
				t.Error("a write failed")
			}
		}
		if n := d.flushes - before; n != 1 {
			t.Errorf("40 writes took %d flushes, want 1", n)
		}
		if n := len(d.txns); n != 2+1+40 {
			t.Errorf("%d transactions logged, want 43", n)
		}
		for i, txn := range d.txns {
			if txn.Zxid != int64(i+1) {
				t.Errorf("transaction %d has zxid %d", i, txn.Zxid)
			}
		}
	}, zkserver.WithJournal(d))
}

func TestFailedFlushEndsTheService(t *testing.T) {
	d := &disk{}
	virtual(t, func(t *testing.T, v *world) {
		a, b := v.opened(d), v.opened(d)
		b.Want(zkproto.ErrNoNode, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/a", Watch: true})
		a.Send(zkproto.OpCreate, create("/a"))
		d.finish(t, errors.New("disk is on fire"))
		a.Closed() // neither reply nor event
		b.Closed()
		logged := len(d.txns)
		c := v.dial()
		c.Write(rawzk.Frame(rawzk.Resume(a.Session)))
		c.Closed()
		for word, want := range map[string]string{"srvr": "This ZooKeeper instance is not currently serving requests\n", "ruok": "imok", "isro": "null"} {
			w := v.dial()
			w.Write([]byte(word))
			if text, err := io.ReadAll(w.Net); err != nil || string(text) != want {
				t.Errorf("%s = %q, %v, want %q", word, text, err, want)
			}
		}
		time.Sleep(2 * time.Minute) // sessions would have expired
		if len(d.txns) != logged || d.busy() {
			t.Error("the journal was used after its failure")
		}
	}, zkserver.WithJournal(d), zkserver.WithFourLetterWords("*"))
}

func TestAdminShowsNothingBeforeItIsDurable(t *testing.T) {
	d := &disk{}
	virtual(t, func(t *testing.T, v *world) {
		ask := func() chan string {
			answer := make(chan string, 1)
			go func() {
				w := httptest.NewRecorder()
				v.srv.AdminHandler().ServeHTTP(w, httptest.NewRequest("GET", "/commands/srvr", nil))
				answer <- w.Body.String()
			}()
			synctest.Wait()
			return answer
		}
		c := v.opened(d)
		if got := <-ask(); !strings.Contains(got, `"last_processed_zxid" : 1,`) {
			t.Errorf("srvr = %s", got)
		}
		c.Send(zkproto.OpCreate, create("/a"))
		synctest.Wait() // it is in the tree
		early := ask()
		if len(early) > 0 {
			t.Fatalf("srvr before the flush = %s", <-early)
		}
		c.Send(zkproto.OpCreate, create("/b"))
		synctest.Wait()
		late := ask()
		d.finish(t, nil)
		if got := <-early; !strings.Contains(got, `"last_processed_zxid" : 2,`) {
			t.Errorf("srvr = %s", got)
		}
		if len(late) > 0 {
			t.Fatalf("srvr before the second flush = %s", <-late)
		}
		d.finish(t, errors.New("disk full"))
		const refusal = `"error" : "This ZooKeeper instance is not currently serving requests"`
		for _, answer := range []chan string{late, ask()} {
			if got := <-answer; !strings.Contains(got, refusal) || strings.Contains(got, "zxid") {
				t.Errorf("srvr after a failed flush = %s", got)
			}
		}
	}, zkserver.WithJournal(d))
}
