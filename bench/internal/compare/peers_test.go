package compare

import (
	"io"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/bench/internal/canned"
)

// TestPeers runs some loads with the programs in other languages, which have to count right. Where
// a compiler or a library is missing they are left out, unless GAZOO_REQUIRE_ZOOKEEPER=1.
func TestPeers(t *testing.T) {
	for _, program := range []string{Java, C, Kazoo} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			srv, err := canned.Start("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Close()
			r := &Runner{Dir: t.TempDir(), Rounds: 1, Duration: 50 * time.Millisecond, Warmup: 10 * time.Millisecond, Log: io.Discard}
			r.servers = map[string]*server{Canned: {addr: srv.Addr(), stop: func() error { return nil }}}
			defer r.Close()
			for _, op := range []string{"get", "multi", "watch"} {
				l := Load{Name: op, Title: op, Flags: flags(op, "-names", "20"), Subjects: []Subject{
					{Name: program, Program: program, Server: Canned, Flags: []string{"-inflight", "4"}},
				}}
				before := srv.Total()
				o, err := r.Run(t.Context(), l)
				if err != nil {
					t.Fatal(err)
				}
				if len(o.Skipped) > 0 {
					t.Logf("%s", o.Skipped[0])
					continue
				}
				got := o.Subjects[0].Rounds[0]
				if got.Ops <= 0 || got.Rate <= 0 || got.Total < got.Ops || got.CPU == nil || got.PeakRSS == nil {
					t.Errorf("%s: %+v", op, got)
				}
				// Beside the operations there are the closes of sessions, and what sets a load up.
				requests := srv.Total() - before
				if few := got.Total; requests < few || requests > 3*few+100 {
					t.Errorf("%s: the server has answered %d requests for %d operations", op, requests, few)
				}
			}
		})
	}
}
