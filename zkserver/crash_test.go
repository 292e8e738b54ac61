package zkserver_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/crashload"
	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// fromEnv returns how often a test does something.
func fromEnv(t testing.TB, name string, n int) int {
	t.Helper()
	if s := os.Getenv(name); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// The power fails at any moment under a server with clients, again and again. Everything that was
// acknowledged, and everything that anybody has seen in a reply, an event, a header or a
// four-letter word, is there when it is back; what is there is the tree behind one of the
// transactions, by its digest; and the clients go on in their sessions.
func TestServerCrash(t *testing.T) {
	points := fromEnv(t, "GAZOO_CRASHES", 60)
	var all tally
	for seed := uint64(0); all.points < points && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			storm(t, seed, min(10, points-all.points), &all)
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
	t.Logf("crash: points=%d acked=%d snapshots=%d torn=%d", all.points, all.acked, all.snapshots, all.torn)
	if all.acked < 10*all.points || points >= 50 && (all.snapshots == 0 || all.torn == 0) {
		t.Error("the test tests too little")
	}
}

// tally counts what happened.
type tally struct{ points, acked, snapshots, torn int }

// storm is a number of crashes of one disk.
func storm(t *testing.T, seed uint64, lives int, all *tally) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	disk, network := zkdisk.NewSimDisk(), memnet.New()
	var mu sync.Mutex
	digests := map[int64]int64{}
	opts := func() []zkserver.Option {
		return []zkserver.Option{
			zkserver.WithFS(disk, dataDir), zkserver.WithSnapCount(20 + rnd.IntN(100)), zkserver.WithSnapRetain(1 + rnd.IntN(3)),
			zkserver.WithPreAllocSize([]int64{1, 512, 4096, 1 << 18}[rnd.IntN(4)]), zkserver.WithSessionTimeouts(time.Minute, time.Hour),
			zkserver.WithTap(func(txn ztree.Txn) {
				mu.Lock()
				defer mu.Unlock()
				digests[txn.Zxid] = txn.Digest
			}),
		}
	}
	serve := func() (*zkserver.Server, error) {
		srv, err := zkserver.New(opts()...)
		if err != nil {
			return nil, err
		}
		ln, err := network.Listen(memAddr)
		if err != nil {
			t.Fatal(err)
		}
		go srv.Serve(ln)
		return srv, nil
	}
	srv, err := serve()
	must(t, err)

	const workers = 4
	load := crashload.New(workers)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var clients []*gazoo.Client
	defer func() { // also when the test fails: else the bubble would complain instead
		stop()
		for _, zk := range clients {
			zk.CloseNow()
		}
		wg.Wait()
		for _, zk := range clients {
			<-zk.Done()
		}
		if srv != nil {
			srv.Close()
		}
	}()
	dial := func() *gazoo.Client {
		zk, err := gazoo.Connect(ctx, memAddr, gazoo.WithDialer(network.Dial), gazoo.WithSessionTimeout(time.Hour))
		must(t, err)
		clients = append(clients, zk)
		return zk
	}
	watcher := dial()
	stream, err := watcher.Watch(ctx, "/", gazoo.Recursive())
	must(t, err)
	load.Session(watcher.SessionID())
	var team []*crashload.Worker
	for id := range workers {
		w, err := load.Worker(ctx, dial(), id, seed)
		must(t, err)
		team = append(team, w)
	}
	disk.PowerOffAt(disk.Ops() + 1 + rnd.IntN(150))
	var sessions []*gazoo.Session
	for _, zk := range clients {
		sessions = append(sessions, zk.Session())
	}
	for _, w := range team {
		wg.Go(func() { w.Run(ctx) })
	}
	wg.Go(func() { load.Watch(ctx, stream) })
	wg.Go(func() { load.Spy(ctx, watcher) })

	for life := 0; life < lives && !t.Failed(); life++ {
		if srv != nil {
			<-srv.Done()
			if err := srv.Close(); !errors.Is(err, zkdisk.ErrPowerOff) {
				t.Fatalf("Close() = %v, want the power failure", err)
			}
			synctest.Wait() // clients have read all that was sent
		}
		all.points++
		disk.Reboot(rnd.Uint64())
		rec, err := zkdisk.Read(disk, dataDir, zkdisk.Options{Tree: ztree.Options{Digest: true}})
		if err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		for _, problem := range load.Check(rec.Tree) {
			t.Errorf("life %d: %s", life, problem)
		}
		mu.Lock()
		want := digests[rec.Tree.Zxid()]
		mu.Unlock()
		if got := rec.Tree.Digest(); got != want || rec.DigestMismatches > 0 || len(rec.Dropped) > 0 {
			t.Errorf("life %d: digest %x behind 0x%x, want %x; %d mismatches, dropped %v", life, got, rec.Tree.Zxid(), want, rec.DigestMismatches, rec.Dropped)
		}
		if rec.Snapshot != "snapshot.0" {
			all.snapshots++
		}
		all.torn += strings.Count(strings.Join(rec.Notes, " "), "taken for the end")
		disk.PowerOffAt(disk.Ops() + 1 + rnd.IntN(150))
		if srv, err = serve(); err != nil && !errors.Is(err, zkdisk.ErrPowerOff) {
			t.Fatalf("life %d: %v", life, err)
		}
	}
	all.acked += load.Acked()
	for _, s := range sessions {
		if err := context.Cause(s.Context()); err != nil {
			t.Errorf("session %x has ended: %v", s.ID(), err)
		}
	}
}
