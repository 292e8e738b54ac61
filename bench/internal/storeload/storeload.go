// Package storeload measures gazoo serve with a tree of many znodes on disk: the start, the memory, and a snapshot under
// load.
package storeload

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/bench/internal/load"
	"github.com/gazoo-zk/gazoo/internal/histogram"
	"github.com/gazoo-zk/gazoo/internal/measure/datadir"
)

// Main is the main function of the program.
func Main() {
	var spec load.Spec
	spec.AddTo(flag.CommandLine)
	bin := flag.String("gazoo", "gazoo", "the `program` whose server is measured")
	dir := flag.String("dir", os.TempDir(), "directory to work in, on a real disk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r, err := measure(ctx, *bin, *dir, spec.Names)
	if err == nil {
		err = r.Write(os.Stdout, spec.JSON)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "load-store: %v\n", err)
		os.Exit(1)
	}
}

// measure starts a server on so many znodes. An operation is a znode that it reads.
func measure(ctx context.Context, bin, dir string, znodes int) (r *load.Result, err error) {
	seed := filepath.Join(dir, fmt.Sprintf("znodes-%d", znodes))
	if _, err := os.Stat(seed); err != nil { // it is there from the round before, or all of it is made
		making := seed + ".part"
		os.RemoveAll(making)
		if err := datadir.Make(making, znodes); err != nil {
			return nil, err
		}
		if err := os.Rename(making, seed); err != nil {
			return nil, err
		}
	}
	work, err := os.MkdirTemp(dir, "store-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := os.CopyFS(work, os.DirFS(seed)); err != nil {
		return nil, err
	}

	begin := time.Now()
	srv, err := serve(bin, work)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopped := srv.stop(); err == nil {
			err = stopped
		}
	}()
	zk, err := gazoo.Connect(ctx, srv.addr, gazoo.WithFailFast())
	if err != nil {
		return nil, err
	}
	defer zk.Close()
	if data, _, err := zk.Get(ctx, datadir.Path(znodes-1)); err != nil || len(data) != datadir.Size {
		return nil, fmt.Errorf("get the last znode: %d bytes, %w", len(data), err)
	}
	took := time.Since(begin)
	r = &load.Result{
		Client: "store", Runtime: runtime.Version(), Op: "store", Mode: load.Sync, Names: znodes,
		Seconds: took.Seconds(), Ops: int64(znodes), Total: int64(znodes), Rate: float64(znodes) / took.Seconds(),
		Extra: map[string]float64{"recovery_ms": took.Seconds() * 1e3},
	}
	loaded, err := srv.memory()
	if err != nil {
		return nil, err
	}
	shot, hist, err := snapshot(ctx, srv, zk)
	if err != nil {
		return nil, err
	}
	peak, err := srv.memory()
	if err != nil {
		return nil, err
	}
	us := func(q float64) *float64 { return new(float64(hist.Quantile(q).Nanoseconds()) / 1e3) }
	r.P50, r.P99, r.P999 = us(0.5), us(0.99), us(0.999)
	r.Extra["server_mib"] = loaded / (1 << 20)
	r.Extra["znode_bytes"] = loaded / float64(znodes)
	r.Extra["snapshot_peak_mib"] = peak / (1 << 20)
	r.Extra["snapshot_ms"] = shot.took.Seconds() * 1e3
	r.Extra["snapshot_pause_ms"] = shot.pause.Seconds() * 1e3
	r.Extra["snapshot_mib"], err = size(work)
	return r, err
}

// snapshot lets the server write a snapshot: it does so when there is so much in the log, which sets fill. Meanwhile
// somebody reads, one znode after another, whose latencies are returned.
func snapshot(ctx context.Context, srv *server, zk *gazoo.Client) (saved, histogram.Snapshot, error) {
	reader, err := gazoo.Connect(ctx, srv.addr, gazoo.WithFailFast())
	if err != nil {
		return saved{}, histogram.Snapshot{}, err
	}
	defer reader.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wrote := make(chan error, 1)
	go func() { wrote <- fill(ctx, zk) }()
	var hist histogram.Histogram
	for {
		select {
		case shot := <-srv.saved:
			cancel()
			<-wrote
			return shot, hist.Snapshot(), nil
		case err := <-wrote:
			return saved{}, histogram.Snapshot{}, fmt.Errorf("set while a snapshot is written: %w", err)
		default:
		}
		at := time.Now()
		if _, _, err := reader.Get(ctx, datadir.Path(0)); err != nil {
			return saved{}, histogram.Snapshot{}, err
		}
		hist.Record(time.Since(at))
	}
}

// fill sets a znode, a few times at once, until the context ends.
func fill(ctx context.Context, zk *gazoo.Client) error {
	const inFlight = 16
	data := make([]byte, datadir.Size)
	var calls [inFlight]gazoo.Future[gazoo.Stat]
	for i := 0; ; i++ {
		at := &calls[i%inFlight]
		if i >= inFlight {
			if _, err := at.Wait(ctx); err != nil {
				return err
			}
			at.Release()
		}
		*at = zk.Async().Set(ctx, datadir.Path(0), data, gazoo.AnyVersion)
	}
}
