package zktest_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/zktest"
)

// TestStartAndStopFromAnywhere: goroutines that know nothing of each other stop, start and restart
// the server and its endpoints. None waits for ever, and what is started in the end serves.
func TestStartAndStopFromAnywhere(t *testing.T) {
	for name, opts := range map[string][]zktest.Option{
		"one": {}, "endpoints": {zktest.Endpoints(3)}, "loopback": {zktest.OnLoopback(), zktest.Endpoints(2)},
	} {
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			srv, err := zktest.New(opts...)
			must(t, err)
			zk := connect(t, srv)
			create(t, zk, "/a")
			var wg sync.WaitGroup
			for i := range uint64(8) {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(i, 1))
					for range 30 {
						ep := srv.Endpoint(rnd.IntN(len(srv.Endpoints())))
						switch rnd.IntN(6) {
						case 0:
							srv.Stop()
						case 1:
							srv.Restart(zktest.KeepData)
						case 2:
							ep.Stop()
						case 3:
							ep.Start()
						case 4:
							ep.Cut()
						case 5:
							srv.Dump()
						}
					}
				})
			}
			wg.Wait()
			srv.Restart(zktest.KeepData)
			create(t, zk, "/b")
			for range 4 {
				wg.Go(func() { must(t, srv.Close()) })
			}
			wg.Wait()
			if srv.Dump() != "" {
				t.Error("a closed server still shows something")
			}
		})
	}
}
