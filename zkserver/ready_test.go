package zkserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// How long it takes from the call that starts a server to the first create of a client: in memory,
// with a new directory, and what a sync takes on the same disk. .ci/prove says what is promised.
func TestReady(t *testing.T) {
	rounds := fromEnv(t, "GAZOO_READY", 5)
	ready := func(opts ...zkserver.Option) time.Duration {
		begin := time.Now()
		srv, err := zkserver.Start(opts...)
		must(t, err)
		defer srv.Close()
		zk, err := gazoo.Connect(t.Context(), srv.Addr())
		must(t, err)
		defer func() { zk.CloseNow(); <-zk.Done() }()
		_, err = zk.Create(t.Context(), "/a", nil)
		must(t, err)
		return time.Since(begin)
	}
	top := t.TempDir()
	if dir := os.Getenv("GAZOO_READY_DIR"); dir != "" { // on the disk that is to be measured
		var err error
		top, err = os.MkdirTemp(dir, "ready")
		must(t, err)
		defer os.RemoveAll(top)
	}
	f, err := os.Create(filepath.Join(top, "sync"))
	must(t, err)
	defer f.Close()
	var memory, onDisk, sync []time.Duration
	for i := range rounds { // in turns, so that what else the machine does is the same for all
		memory = append(memory, ready())
		onDisk = append(onDisk, ready(zkserver.WithDir(filepath.Join(top, fmt.Sprint(i)))))
		_, err := f.Write(make([]byte, 100))
		must(t, err)
		begin := time.Now()
		must(t, f.Sync())
		sync = append(sync, time.Since(begin))
	}
	median := func(all []time.Duration) int64 {
		slices.Sort(all)
		return all[len(all)/2].Microseconds()
	}
	t.Logf("ready: rounds=%d memory_us=%d dir_us=%d fsync_us=%d", rounds, median(memory), median(onDisk), median(sync))
}
