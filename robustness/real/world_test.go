package real

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

func TestMain(m *testing.M) {
	Main([]*program.Program{beat()})
	leak.Main(m)
}

// beat writes a znode of its client's own, and notes under which session.
func beat() *program.Program {
	return &program.Program{
		Name: "beat", Clients: 4,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer zk.CloseNow()
			path := fmt.Sprintf("/%d", e.Client)
			for e.Pause(ctx, 20*time.Millisecond) {
				op, cancel := context.WithTimeout(ctx, time.Second)
				p := e.Begin("write", path, nil)
				_, err := zk.Create(op, path, nil, gazoo.OrSet())
				p.End(zk.SessionID(), err)
				cancel()
			}
			return nil
		},
	}
}

// heard is what the clients of a test note.
type heard struct {
	history.Collector
	beats chan history.Op // what has ended
}

func (h *heard) add(op history.Op) {
	h.Add(op)
	if op.End != history.Never {
		h.beats <- op
	}
}

// wait returns the first operation that matches, of those that end from here on.
func (h *heard) wait(t *testing.T, what string, match func(history.Op) bool) history.Op {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case op := <-h.beats:
			if match(op) {
				return op
			}
		case <-late:
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// Every fault of the world happens to real servers, links and processes, and ends: behind each its client writes again.
func TestFaults(t *testing.T) {
	ensemble.Require(t)
	w, err := Open(Config{Processes: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	zk, err := w.Admin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer zk.CloseNow()
	if _, err := zk.EnsurePath(t.Context(), "/faults/beat"); err != nil {
		t.Fatal(err)
	}
	h := &heard{beats: make(chan history.Op, 10000)}
	c, err := w.Launch(t.Context(), "/faults", []*program.Program{beat()}, 1, h.add)
	if err != nil {
		t.Fatal(err)
	}

	const victim, witness = 1, 0 // in different processes
	writes := func(op history.Op) bool { return op.Client == victim && op.Outcome == history.OK }
	before := h.wait(t, "the first write", writes)
	for i, kind := range []fault.Kind{
		fault.Cut, fault.CutAfter, fault.DropReply, fault.StallUp, fault.StallDown, fault.BlackHole, fault.Slow, fault.Refuse,
		fault.Expire, fault.PauseClient, fault.KillClient,
		fault.PauseServer, fault.KillServer, fault.StopServer, fault.Partition, fault.Blackout,
	} {
		s := fault.Step{At: time.Duration(i), Kind: kind, Target: victim, Bytes: 20, Delay: 50 * time.Millisecond}
		if err := w.Begin(t.Context(), s); err != nil {
			t.Fatalf("begin of %q: %v", kind, err)
		}
		for range 3 {
			h.wait(t, string(kind), func(op history.Op) bool { return op.Client == witness })
		}
		if err := w.End(t.Context(), s); err != nil {
			t.Fatalf("end of %q: %v", kind, err)
		}
		if done := w.Faults(); done[kind] != 1 || len(done) != 1 {
			t.Errorf("after %q the faults are %v, want it once", kind, done)
		}
		end := w.Clock()
		after := h.wait(t, string(kind)+" is over", func(op history.Op) bool {
			changed := kind != fault.Expire || history.Decode[int64](op.Out) != history.Decode[int64](before.Out)
			return writes(op) && op.Start > end && changed
		})
		if want := before.Run; kind == fault.KillClient && after.Run != want+1 || kind != fault.KillClient && after.Run != want {
			t.Errorf("after %q it is run %d of the client, before it %d", kind, after.Run, want)
		}
		before = after
	}
	if err := w.Heal(t.Context()); err != nil {
		t.Error(err)
	}
	sample, err := w.Sample(t.Context(), 1)
	if err != nil || sample.Heap == 0 || sample.Goroutines == 0 || sample.Sockets < 4 || sample.Files < sample.Sockets ||
		sample.Connections < 4 || sample.Znodes < 4 {
		t.Errorf("Sample = %+v, %v; want what 4 connected clients use at least", sample, err)
	}
	if errs := c.Stop(t.Context()); len(errs) > 0 {
		t.Errorf("errors of the clients: %v", errs)
	}
	lost := 0
	for _, op := range h.Ops("beat") {
		if op.Client == victim && op.Outcome == history.Maybe {
			lost++
		}
	}
	if lost == 0 {
		t.Error("no operation of the client has an unknown outcome, though an answer was dropped")
	}
}

// A program whose promises need a leader that everybody agrees on does not run where there may be two.
func TestFits(t *testing.T) {
	needy := &program.Program{Needs: program.Needs{OneLeader: true}}
	want := map[string]bool{"clients": true, "servers": true, "partitions": false, "all": false}
	for _, m := range Mixes() {
		if got := Fits(needy, m); got != want[m.Name] {
			t.Errorf("Fits(%s) = %v, want %v", m.Name, got, want[m.Name])
		}
		if !Fits(&program.Program{}, m) {
			t.Errorf("Fits(%s) of a program without needs is false", m.Name)
		}
	}
}
