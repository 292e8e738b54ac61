package zkserver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
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

// knowledge is what clients know of a server: what it acknowledged, and what any of them has seen.
type knowledge struct {
	mu       sync.Mutex
	acked    int             // writes
	zxid     int64           // newest that anything told
	counters map[string]int  // largest value that was acknowledged or read
	sent     map[string]int  // largest value that may be there
	created  map[string]bool // acknowledged, or told by an event
	deleting map[string]bool // may be deleted
	deleted  map[string]bool // acknowledged, or told by an event
}

func newKnowledge() *knowledge {
	return &knowledge{
		counters: map[string]int{}, sent: map[string]int{},
		created: map[string]bool{}, deleting: map[string]bool{}, deleted: map[string]bool{},
	}
}

func (k *knowledge) learn(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

func (k *knowledge) saw(zxid int64) { k.learn(func() { k.zxid = max(k.zxid, zxid) }) }

// check compares it with what is there after a crash.
func (k *knowledge) check(t *testing.T, tree *ztree.Tree) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	super := &ztree.Caller{IDs: []ztree.ID{{Scheme: "super"}}}
	value := func(path string) int {
		data, _, _ := tree.Get(super, path)
		n, _ := strconv.Atoi(string(data))
		return n
	}
	there := func(path string) bool {
		_, _, code := tree.Get(super, path)
		return code == 0
	}
	if tree.Zxid() < k.zxid {
		t.Errorf("recovered up to zxid 0x%x, but 0x%x was seen", tree.Zxid(), k.zxid)
	}
	for path, n := range k.counters {
		if got := value(path); got < n || got > k.sent[path] {
			t.Errorf("%s is %d, but %d was seen, and %d sent", path, got, n, k.sent[path])
		}
		if other, pair := strings.CutSuffix(path, "-a"); pair && value(path) != value(other+"-b") {
			t.Errorf("half a transaction: %s is %d, %s is %d", path, value(path), other+"-b", value(other+"-b"))
		}
	}
	for path := range k.created {
		if !there(path) && !k.deleting[path] {
			t.Errorf("%s is gone, which was seen", path)
		}
	}
	for path := range k.deleted {
		if there(path) {
			t.Errorf("%s is back, which was seen deleted", path)
		}
	}
}

// worker is a client that writes and reads at random.
type worker struct {
	*knowledge
	id, workers int
	zk          *gazoo.Client
	rnd         *rand.Rand
	n           int             // writes so far, which number them
	own         []string        // znodes that it made
	ephemerals  map[string]bool // those that belong to its session
}

// run works until ctx ends. What fails was perhaps done.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.step(ctx); err != nil {
			time.Sleep(10 * time.Millisecond)
		}
		w.saw(w.zk.LastZxid())
	}
}

func (w *worker) step(ctx context.Context) error {
	w.n++
	counter, pair := fmt.Sprintf("/counter%d", w.id), fmt.Sprintf("/pair%d", w.id)
	data := []byte(strconv.Itoa(w.n))
	count := func(into map[string]int, paths ...string) {
		w.learn(func() {
			for _, p := range paths {
				into[p] = max(into[p], w.n)
			}
		})
	}
	done := func(err error, paths ...string) error {
		if err == nil {
			count(w.counters, paths...)
			w.learn(func() { w.acked++ })
		}
		return err
	}
	switch w.rnd.IntN(8) {
	case 0, 1:
		count(w.sent, counter)
		_, err := w.zk.Set(ctx, counter, data, gazoo.AnyVersion)
		return done(err, counter)
	case 2:
		count(w.sent, pair+"-a", pair+"-b")
		path := fmt.Sprintf("/multi%d-%d", w.id, w.n)
		txn := w.zk.Txn().Set(pair+"-a", data, gazoo.AnyVersion).Create(path, data).Set(pair+"-b", data, gazoo.AnyVersion)
		_, err := txn.Commit(ctx)
		if err == nil {
			w.learn(func() { w.created[path] = true })
		}
		return done(err, pair+"-a", pair+"-b")
	case 3: // one that fails in its middle
		_, err := w.zk.Txn().Set(pair+"-a", nil, gazoo.AnyVersion).Check("/none", 0).Commit(ctx)
		if errors.Is(err, gazoo.ErrNoNode) {
			return nil
		}
		return fmt.Errorf("a transaction that cannot be done: %w", err)
	case 4, 5:
		path := fmt.Sprintf("/node%d-%d", w.id, w.n)
		var opts []gazoo.CreateOption
		if w.rnd.IntN(2) == 0 {
			opts = append(opts, gazoo.Ephemeral())
		}
		_, err := w.zk.Create(ctx, path, make([]byte, w.rnd.IntN(2000)), opts...)
		if err == nil {
			w.learn(func() { w.created[path] = true })
			w.own = append(w.own, path)
			w.ephemerals[path] = len(opts) > 0
		}
		return done(err)
	case 6:
		if len(w.own) == 0 {
			return nil
		}
		path := w.own[0]
		w.own = w.own[1:]
		delete(w.ephemerals, path)
		w.learn(func() { w.deleting[path] = true })
		err := w.zk.Delete(ctx, path, gazoo.AnyVersion)
		if err == nil {
			w.learn(func() { w.deleted[path] = true })
		}
		return done(err)
	}
	path := fmt.Sprintf("/counter%d", w.rnd.IntN(w.workers))
	read, _, err := w.zk.Get(ctx, path)
	if err == nil {
		n, _ := strconv.Atoi(string(read))
		w.learn(func() { w.counters[path] = max(w.counters[path], n) })
	}
	return err
}

// watch notes what events tell.
func (k *knowledge) watch(ctx context.Context, s *gazoo.Stream) {
	for {
		ev, err := s.Next(ctx)
		if err != nil {
			return
		}
		k.learn(func() {
			switch {
			case ev.Path == "/":
			case ev.Type == gazoo.EventCreated:
				k.created[ev.Path] = true
			case ev.Type == gazoo.EventDeleted:
				k.deleted[ev.Path] = true
			}
		})
	}
}

// spy reads the newest zxid from a four-letter word, again and again.
func (k *knowledge) spy(ctx context.Context, zk *gazoo.Client) {
	for ctx.Err() == nil {
		time.Sleep(time.Millisecond) // else virtual time would stand still
		text, err := zk.FourLetterWord(ctx, "srvr")
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(text, "Zxid: ")
		word, _, _ := strings.Cut(rest, "\n")
		if zxid, err := strconv.ParseInt(word, 0, 64); err == nil {
			k.saw(zxid)
		}
	}
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
	k := newKnowledge()
	ctx, stop := context.WithCancel(t.Context())
	dial := func() *gazoo.Client {
		zk, err := gazoo.Connect(ctx, memAddr, gazoo.WithDialer(network.Dial), gazoo.WithSessionTimeout(time.Hour))
		must(t, err)
		return zk
	}
	watcher := dial()
	stream, err := watcher.Watch(ctx, "/", gazoo.Recursive())
	must(t, err)
	var team []*worker
	var wg sync.WaitGroup
	for id := range workers {
		w := &worker{
			knowledge: k, id: id, workers: workers, zk: dial(), ephemerals: map[string]bool{},
			rnd: rand.New(rand.NewPCG(seed, uint64(id))),
		}
		for _, path := range []string{"/counter%d", "/pair%d-a", "/pair%d-b"} {
			_, err := w.zk.Create(ctx, fmt.Sprintf(path, id), []byte("0"))
			must(t, err)
		}
		team = append(team, w)
	}
	disk.PowerOffAt(disk.Ops() + 1 + rnd.IntN(150))
	sessions := map[*gazoo.Client]int64{watcher: watcher.SessionID()}
	for _, w := range team {
		sessions[w.zk] = w.zk.SessionID()
		wg.Go(func() { w.run(ctx) })
	}
	wg.Go(func() { k.watch(ctx, stream) })
	wg.Go(func() { k.spy(ctx, watcher) })

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
		k.check(t, rec.Tree)
		mu.Lock()
		want := digests[rec.Tree.Zxid()]
		mu.Unlock()
		if got := rec.Tree.Digest(); got != want || rec.DigestMismatches > 0 || len(rec.Dropped) > 0 {
			t.Errorf("life %d: digest %x behind 0x%x, want %x; %d mismatches, dropped %v", life, got, rec.Tree.Zxid(), want, rec.DigestMismatches, rec.Dropped)
		}
		for zk, id := range sessions {
			if _, alive := rec.Tree.Session(id); !alive || zk.SessionID() != id {
				t.Errorf("life %d: session %x is not there", life, id)
			}
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
	all.acked += k.acked
	stop()
	for zk := range sessions {
		zk.CloseNow()
	}
	wg.Wait()
	for zk := range sessions {
		<-zk.Done()
	}
	if srv != nil {
		srv.Close()
	}
}
