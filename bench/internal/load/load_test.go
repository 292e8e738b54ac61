package load_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/bench/internal/canned"
	"github.com/gazoo-zk/gazoo/bench/internal/gazooload"
	"github.com/gazoo-zk/gazoo/bench/internal/gozkload"
	"github.com/gazoo-zk/gazoo/bench/internal/load"
	"github.com/gazoo-zk/gazoo/bench/internal/rawload"
	"github.com/gazoo-zk/gazoo/bench/internal/seed"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

func TestMain(m *testing.M) {
	leak.Main(m)
}

// TestLoads runs every load with every client in Go for a moment. No operation may fail, and the server has to have
// answered as many requests as the report says.
func TestLoads(t *testing.T) {
	tests := []struct {
		op, mode string
		counted  zkproto.OpCode // what each operation is at the server; 0 is none
		per      int64          // operations for one of them
	}{
		{load.Get, load.Sync, zkproto.OpGetData, 1},
		{load.Get, load.Into, zkproto.OpGetData, 1},
		{load.Get, load.Pipelined, zkproto.OpGetData, 1},
		{load.Get, load.PipelinedInto, zkproto.OpGetData, 1},
		{load.Set, load.Sync, zkproto.OpSetData, 1},
		{load.Set, load.Pipelined, zkproto.OpSetData, 1},
		{load.Exists, load.Sync, zkproto.OpExists, 1},
		{load.Exists, load.Pipelined, zkproto.OpExists, 1},
		{load.Create, load.Sync, zkproto.OpCreate, 1},
		{load.Create, load.Pipelined, zkproto.OpCreate, 1},
		{load.Children, load.Sync, 0, 1},
		{load.Children, load.Pipelined, 0, 1},
		{load.Multi, load.Sync, zkproto.OpMulti, 1},
		{load.Multi, load.Pipelined, zkproto.OpMulti, 1},
		{load.Watch, load.Sync, zkproto.OpGetData, 1},
		{load.Connect, load.Sync, zkproto.OpCloseSession, 1},
		{load.Reconnect, load.Sync, zkproto.OpSetData, 1},
	}
	for _, c := range []load.Client{gazooload.Client, gozkload.Client, rawload.Client} {
		for _, tt := range tests {
			if c.Name == gozkload.Client.Name && tt.op == load.Reconnect {
				continue // it has a data race there, in sendSetWatches, which -race would report
			}
			t.Run(fmt.Sprintf("%s/%s/%s", c.Name, tt.op, tt.mode), func(t *testing.T) {
				srv, err := canned.Start("127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer srv.Close()
				r, err := load.Run(t.Context(), c, load.Spec{
					Hosts: srv.Addr(), Op: tt.op, Mode: tt.mode, Size: 100, Names: 50, InFlight: 7, Goroutines: 3, Conns: 2,
					Duration: 20 * time.Millisecond, Warmup: 10 * time.Millisecond, Sample: 1,
				})
				if errors.Is(err, load.ErrCannot) && c.Name != gazooload.Client.Name {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if r.Ops <= 0 || r.Ops > r.Total || r.Rate <= 0 {
					t.Errorf("%d operations of %d in all, %f/s", r.Ops, r.Total, r.Rate)
				}
				if tt.counted != 0 {
					if got := srv.Count(tt.counted); got != r.Total {
						t.Errorf("the server has answered %d requests, and the report says %d", got, r.Total)
					}
				}
				if r.CPU == nil || r.Allocs == nil || r.PeakRSS == nil {
					t.Errorf("a figure is missing: CPU %v, allocations %v, memory %v", r.CPU, r.Allocs, r.PeakRSS)
				}
				if c.Name != rawload.Client.Name && (r.P50 == nil || *r.P50 <= 0 || *r.P999 < *r.P99 || *r.P99 < *r.P50) {
					t.Errorf("percentiles %v, %v, %v", r.P50, r.P99, r.P999)
				}
			})
		}
	}
}

// TestOnATree runs the loads on a server that does what it is asked, where the znodes have to be made first.
func TestOnATree(t *testing.T) {
	srv, err := zkserver.Start(zkserver.WithAddr("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	for _, c := range []load.Client{gazooload.Client, gozkload.Client, rawload.Client} {
		for _, op := range []string{load.Get, load.Set, load.Exists, load.Create, load.Children, load.Multi, load.Connect, load.Fanout, load.Sessions} {
			t.Run(c.Name+"/"+op, func(t *testing.T) {
				s := load.Spec{
					Hosts: srv.Addr(), Op: op, Mode: load.Sync, Size: 100, Names: 20, InFlight: 2, Goroutines: 2, Conns: 1,
					Unique: true, Duration: 10 * time.Millisecond, Warmup: 5 * time.Millisecond,
				}
				if err := seed.Plant(t.Context(), srv.Addr(), s); err != nil {
					t.Fatal(err)
				}
				r, err := load.Run(t.Context(), c, s)
				switch {
				case (op == load.Fanout || op == load.Sessions) && c.Name != rawload.Client.Name:
					if !errors.Is(err, load.ErrCannot) {
						t.Errorf("Run: %v, want %v", err, load.ErrCannot)
					}
				case err != nil:
					t.Fatal(err)
				case (op == load.Fanout || op == load.Sessions) && r.Ops%20 != 0:
					t.Errorf("%d events, want 20 for each change", r.Ops)
				}
			})
		}
	}
}

// TestErrorsEndARun shows that an operation that fails is not passed over.
func TestErrorsEndARun(t *testing.T) {
	srv, err := canned.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	broken := errors.New("broken")
	c := load.Client{Name: "broken", Open: func(_ context.Context, s *load.Spec) (*load.Job, error) {
		return &load.Job{Workers: []func(*load.Meter) error{func(m *load.Meter) error { return broken }}}, nil
	}}
	_, err = load.Run(t.Context(), c, load.Spec{
		Op: load.Get, Mode: load.Sync, InFlight: 1, Goroutines: 1, Conns: 1, Duration: time.Minute,
	})
	if !errors.Is(err, broken) {
		t.Errorf("Run: %v, want %v", err, broken)
	}
}

// TestWindow shows that what happened in the warm-up does not count.
func TestWindow(t *testing.T) {
	c := load.Client{Name: "steady", Open: func(_ context.Context, s *load.Spec) (*load.Job, error) {
		return &load.Job{Workers: []func(*load.Meter) error{func(m *load.Meter) error {
			m.Count(1_000_000)
			for m.Running() {
				since := m.Begin()
				time.Sleep(time.Millisecond)
				m.End(since)
			}
			return nil
		}}}, nil
	}}
	r, err := load.Run(t.Context(), c, load.Spec{
		Op: load.Get, Mode: load.Sync, InFlight: 1, Goroutines: 1, Conns: 1, Sample: 1,
		Duration: 50 * time.Millisecond, Warmup: 20 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Ops > 60 || r.Total < 1_000_000 {
		t.Errorf("%d operations within the window, %d in all; want at most 60, and more than a million", r.Ops, r.Total)
	}
	if *r.P50 < 1000 {
		t.Errorf("a sleep of a millisecond took %v us", *r.P50)
	}
}
