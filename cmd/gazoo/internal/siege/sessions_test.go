//go:build linux

package siege

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// In MiB of RAM.
const (
	idleBound     = 25
	sessionsBound = 400
	sessions      = 10_000
)

func TestIdleServerIsSmall(t *testing.T) {
	p := serve(t)
	mustCall(t, mustOpen(t, p.addr), zkproto.OpExists, zkproto.PathWatchRequest{Path: "/"})
	now, _ := p.memory()
	fmt.Printf("sessions: idle_mb=%d\n", now)
	if now >= idleBound {
		t.Errorf("an idle server has %d MiB, want below %d", now, idleBound)
	}
}

func TestTenThousandSessions(t *testing.T) {
	p := serve(t)
	conns := make([]*client, sessions)
	t.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				c.nc.Close()
			}
		}
	})
	// each does something for all sessions, on a few goroutines.
	each := func(what string, f func(i int) error) {
		t.Helper()
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for g := range errs {
			wg.Go(func() {
				for i := g; i < sessions && errs[g] == nil; i += len(errs) {
					errs[g] = f(i)
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("%s: %v (ten thousand connections need as many open files, of the server and of this test)", what, err)
		}
	}
	each("open", func(i int) (err error) {
		conns[i], err = open(p.addr, time.Minute)
		return err
	})
	idle, _ := p.memory()
	// Every session has done something and watches something, as real ones do.
	each("watch", func(i int) error {
		c := conns[i]
		c.nc.SetDeadline(time.Now().Add(time.Minute))
		if err := c.call(zkproto.OpGetChildren, zkproto.PathWatchRequest{Path: "/zookeeper", Watch: true}); err != nil {
			return err
		}
		return c.call(zkproto.OpPing, nil)
	})
	now, peak := p.memory()
	fmt.Printf("sessions: sessions=%d opened_mb=%d rss_mb=%d peak_mb=%d\n", sessions, idle, now, peak)
	if peak >= sessionsBound {
		t.Errorf("%d sessions take %d MiB, want below %d", sessions, peak, sessionsBound)
	}
}
