package recipes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/zkserver"
	"github.com/gazoo-zk/gazoo/zktest"
)

// patience bounds every wait; nothing here should take a second.
const patience = 30 * time.Second

// targets are the servers, in the words of [ensemble.TargetsVariable].
var targets = []string{apache, cluster.Embedded}

const apache = string(ensemble.Standalone)

// site is a server with clients of all libraries: two of each, so that a holder and a newcomer have sessions of their
// own.
type site struct {
	target  string
	hosts   string
	zk      *gazoo.Client // for looking
	gazoo   [2]*gazoo.Client
	kazoo   [2]*peer.Client
	curator [2]*peer.Client
	gozk    [2]*peer.Client
	close   func() error // stops the server, when it is this process's
}

// shared are the processes of the other libraries, and the sites: the tests of this package use the same ones.
var shared struct {
	sync.Mutex
	kazoo, curator, gozk *peer.Process
	sites                map[string]*site
	err                  error // of the start
}

// onEach runs f as a subtest on each server.
func onEach(t *testing.T, f func(t *testing.T, s *site)) {
	t.Helper()
	requirePeers(t)
	for _, target := range targets {
		if !ensemble.TargetEnabled(target) {
			continue
		}
		t.Run(target, func(t *testing.T) {
			s := sharedSite(t, target)
			t.Cleanup(func() {
				if t.Failed() {
					for _, p := range []*peer.Process{shared.kazoo, shared.curator, shared.gozk} {
						t.Logf("%s wrote: %s", p.Name, p.Stderr())
					}
				}
			})
			f(t, s)
		})
	}
}

// requirePeers skips the test without the other libraries, or fails it where they must be there.
func requirePeers(t *testing.T) {
	t.Helper()
	ensemble.Require(t)
	if err := peer.Available(); err != nil {
		if os.Getenv(ensemble.RequireVariable) == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func sharedSite(t *testing.T, target string) *site {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if s := shared.sites[target]; s != nil {
		return s
	}
	if shared.sites == nil {
		shared.sites = make(map[string]*site)
		shared.err = startPeers()
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	s := &site{target: target}
	if target == apache {
		s.hosts = ensemble.Shared(t, ensemble.Standalone).Hosts()
	} else {
		srv, err := zkserver.Start(zkserver.WithFourLetterWords("*"), zkserver.WithMaxClientConns(0))
		if err != nil {
			t.Fatal(err)
		}
		s.hosts, s.close = srv.Addr(), srv.Close
	}
	shared.sites[target] = s
	if shared.err = s.connect(); shared.err != nil {
		t.Fatal(shared.err)
	}
	return s
}

// startPeers starts the processes beside each other.
func startPeers() error {
	var errs [3]error
	var wg sync.WaitGroup
	wg.Go(func() { shared.kazoo, errs[0] = peer.Kazoo() })
	wg.Go(func() { shared.curator, errs[1] = peer.Curator() })
	wg.Go(func() { shared.gozk, errs[2] = peer.GoZK() })
	wg.Wait()
	return errors.Join(errs[:]...)
}

func (s *site) connect() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, 9)
	ours := func(i int, to **gazoo.Client) {
		wg.Go(func() { *to, errs[i] = gazoo.Connect(ctx, s.hosts, gazoo.WithSessionTimeout(10*time.Second)) })
	}
	theirs := func(i int, p *peer.Process, to **peer.Client) {
		wg.Go(func() { *to, errs[i] = p.Connect(ctx, s.hosts) })
	}
	ours(0, &s.zk)
	for i := range 2 {
		ours(1+i, &s.gazoo[i])
		theirs(3+i, shared.kazoo, &s.kazoo[i])
		theirs(5+i, shared.curator, &s.curator[i])
		theirs(7+i, shared.gozk, &s.gozk[i])
	}
	wg.Wait()
	return errors.Join(errs...)
}

// closeSites ends all that is shared, before the servers go.
func closeSites() error {
	shared.Lock()
	defer shared.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var errs []error
	for _, s := range shared.sites {
		for _, zk := range append(s.gazoo[:], s.zk) {
			if zk != nil {
				errs = append(errs, zk.Close())
			}
		}
		for _, c := range [][2]*peer.Client{s.kazoo, s.curator, s.gozk} {
			for _, c := range c {
				if c != nil {
					errs = append(errs, c.Close(ctx))
				}
			}
		}
	}
	for _, p := range []*peer.Process{shared.kazoo, shared.curator, shared.gozk} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	for _, s := range shared.sites {
		if s.close != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

var paths atomic.Int64

// newPath returns a path that no other test uses.
func newPath() string { return fmt.Sprintf("/interop-%d-%d", time.Now().UnixNano(), paths.Add(1)) }

// object is a peer's object in a test, which fails with the operation.
type object struct {
	t testing.TB
	o *peer.Object
}

// makes makes an object of a peer.
func makes(t testing.TB, c *peer.Client, kind, path string, args peer.Args) object {
	t.Helper()
	o, err := c.Make(within(t), kind, path, args)
	if err != nil {
		t.Fatal(err)
	}
	return object{t, o}
}

// do runs an operation and decodes its value into what to points to, unless that is nil.
func (o object) do(to any, op string, args peer.Args) {
	o.t.Helper()
	o.must(o.o.Start(op, args), to)
}

// must waits for an operation that was started.
func (o object) must(call *peer.Call, to any) {
	o.t.Helper()
	if err := call.Wait(within(o.t), to); err != nil {
		o.t.Fatal(err)
	}
}

// within returns a context that ends when nobody would wait longer.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// timeout is the argument of operations that wait.
var timeout = peer.Args{"timeout_ms": patience.Milliseconds()}

// watching reports whether a session has a watch at, below or beside a path. One at a znode of its own does not count: that is how
// a holder learns that it was deleted.
func (s *site) watching(t testing.TB, session int64, path string) bool {
	t.Helper()
	text, err := ensemble.FourLetter(s.hosts, "wchp")
	if err != nil {
		t.Fatal(err)
	}
	at := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		id, indented := strings.CutPrefix(line, "\t0x")
		if !indented {
			at = line
			continue
		}
		if !strings.HasPrefix(at, path) { // Kazoo's semaphore has its lock beside the path
			continue
		}
		if id, err := strconv.ParseUint(id, 16, 64); err != nil || int64(id) != session {
			continue
		}
		stat, found, err := s.zk.Exists(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if !found || stat.EphemeralOwner != session {
			return true
		}
	}
	return false
}

// waiting waits until a session has a watch at or below a path, or until done is closed, and reports whether it is
// the watch.
func (s *site) waiting(t testing.TB, session int64, path string, done <-chan struct{}) bool {
	t.Helper()
	waiting := false
	zktest.Eventually(t, fmt.Sprintf("session %#x waits below %s, or does not", session, path), func() bool {
		select {
		case <-done:
			return true
		default:
			waiting = s.watching(t, session, path)
			return waiting
		}
	})
	return waiting
}

// blocked waits until something that was begun has set a watch anywhere, or is done, and reports whether it is the watch.
// It is for those that watch the children of a znode, which no server lists: the number of all watches grows then. So
// nothing else may set one meanwhile. before is that number before it was begun.
func (s *site) blocked(t testing.TB, before int, done <-chan struct{}) bool {
	t.Helper()
	blocked := false
	zktest.Eventually(t, "there is another watch, or an answer", func() bool {
		select {
		case <-done:
			return true
		default:
			blocked = s.watches(t) > before
			return blocked
		}
	})
	return blocked
}

// watches returns how many there are on the server.
func (s *site) watches(t testing.TB) int {
	t.Helper()
	text, err := ensemble.FourLetter(s.hosts, "mntr")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(line, "zk_watch_count\t"); ok {
			count, err := strconv.Atoi(strings.TrimSpace(n))
			if err != nil {
				t.Fatal(err)
			}
			return count
		}
	}
	t.Fatalf("no zk_watch_count in %q", text)
	return 0
}

// mustWait fails when a call has an answer instead of waiting below the path.
func (s *site) mustWait(t testing.TB, session int64, path string, call *peer.Call) {
	t.Helper()
	if !s.waiting(t, session, path, call.Done()) {
		t.Fatalf("%s did not wait: %v", call, call.Wait(within(t), nil))
	}
}

// children returns the names of a znode's children.
func (s *site) children(t testing.TB, path string) []string {
	t.Helper()
	names, err := s.zk.Children(t.Context(), path)
	if err != nil && !errors.Is(err, gazoo.ErrNoNode) {
		t.Fatalf("Children(%s): %v", path, err)
	}
	return names
}

// empties waits until a znode has no children: some delete theirs in the background.
func (s *site) empties(t testing.TB, path string) {
	t.Helper()
	s.waitChildren(t, path, 0)
}

// waitChildren waits until a znode has n children.
func (s *site) waitChildren(t testing.TB, path string, n int) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprintf("%s has %d children", path, n), func() bool { return len(s.children(t, path)) == n })
}
