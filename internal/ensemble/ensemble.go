package ensemble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/child"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/internal/testcert"
)

// Ensemble is a set of ZooKeeper servers that run as child processes. All methods are safe for concurrent use, but
// what happens to one server should be one goroutine's business at a time.
type Ensemble struct {
	cfg     Config
	java    string
	jars    string
	dir     string
	temp    bool     // dir is removed by Close
	lock    *os.File // held while a temporary dir is in use
	addrs   *addresses
	spawn   *child.Spawner
	servers []*Server
	paths   []*path // the proxies between servers; empty without QuorumProxies

	mu      sync.Mutex // guards proxies
	proxies []*faultproxy.Proxy

	reapers  sync.WaitGroup // one goroutine per process
	closing  sync.Once
	closeErr error // what closing found
	isClosed atomic.Bool
}

// Start starts an ensemble and waits until all its servers serve. Close it with [Ensemble.Close].
func Start(cfg Config) (*Ensemble, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	e := &Ensemble{cfg: cfg}
	if err := e.prepare(); err != nil {
		e.Close()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.StartTimeout)
	defer cancel()
	if err := e.startAll(ctx); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// StartT is [Start] for a test that cannot go on without: it calls [Require], fails the test on errors, closes the
// ensemble with the test, and logs the end of the servers' logs if the test failed.
func StartT(tb testing.TB, cfg Config) *Ensemble {
	tb.Helper()
	Require(tb)
	e, err := Start(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			for _, s := range e.servers {
				tb.Logf("log of server %d:\n%s", s.id, s.Log())
			}
		}
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// prepare gets everything but the processes.
func (e *Ensemble) prepare() (err error) {
	if e.java, err = javaPath(); err != nil {
		return err
	}
	if e.jars, err = classpath(); err != nil {
		return err
	}
	if e.dir = e.cfg.Dir; e.dir == "" {
		if err := e.makeTempDir(); err != nil {
			return err
		}
	}
	if e.dir, err = filepath.Abs(e.dir); err != nil {
		return err
	}
	if e.addrs, err = reserve(e.cfg.Servers, e.cfg.QuorumProxies); err != nil {
		return err
	}
	for id := 1; id <= e.cfg.Servers; id++ {
		e.servers = append(e.servers, &Server{
			e:    e,
			id:   id,
			host: e.addrs.server(id),
			dir:  filepath.Join(e.dir, fmt.Sprintf("server-%d", id)),
		})
	}
	e.proxies = make([]*faultproxy.Proxy, len(e.servers))
	for _, s := range e.servers {
		if err := s.writeFiles(); err != nil {
			return err
		}
	}
	e.spawn = child.NewSpawner()
	if e.cfg.QuorumProxies {
		return e.openPaths()
	}
	return nil
}

const tempPattern = "gazoo-ensemble-"

// makeTempDir makes a temporary folder, and removes those whose processes died before they could.
func (e *Ensemble) makeTempDir() (err error) {
	stale, _ := filepath.Glob(filepath.Join(os.TempDir(), tempPattern+"*"))
	for _, dir := range stale {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue // perhaps about to be locked
		}
		if lock, err := lockDir(dir); err == nil {
			os.RemoveAll(dir)
			lock.Close()
		}
	}
	if e.dir, err = os.MkdirTemp("", tempPattern); err != nil {
		return err
	}
	e.temp = true
	e.lock, err = lockDir(e.dir)
	return err
}

// Len returns the number of servers.
func (e *Ensemble) Len() int { return len(e.servers) }

// Server returns the server with index i, from 0 to Len()-1. Its id in ZooKeeper's configuration is i+1.
func (e *Ensemble) Server(i int) *Server { return e.servers[i] }

// CA returns the authority that signed the servers' certificates, or nil without TLS.
func (e *Ensemble) CA() *testcert.CA {
	if e.cfg.TLS == nil {
		return nil
	}
	return e.cfg.TLS.CA
}

// Hosts returns the plain client ports of all servers as "addr:port,addr:port,…".
func (e *Ensemble) Hosts() string { return e.hosts((*Server).Addr) }

// TLSHosts is like [Ensemble.Hosts] for the TLS ports.
func (e *Ensemble) TLSHosts() string { return e.hosts((*Server).TLSAddr) }

// Proxied is like [Ensemble.Hosts] but leads through one [faultproxy.Proxy] per server, which are started at the first
// call. [Ensemble.Proxy] returns them.
func (e *Ensemble) Proxied() string {
	return e.hosts(func(s *Server) string { return e.Proxy(s.id - 1).Addr() })
}

func (e *Ensemble) hosts(addr func(*Server) string) string {
	addrs := make([]string, len(e.servers))
	for i, s := range e.servers {
		addrs[i] = addr(s)
	}
	return strings.Join(addrs, ",")
}

// Proxy returns the proxy in front of the plain client port of server i. It is started at the first call and lives
// until Close. It panics when the machine has no port left to listen on.
func (e *Ensemble) Proxy(i int) *faultproxy.Proxy {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proxies[i] == nil {
		p, err := faultproxy.New(e.servers[i].Addr())
		if err != nil {
			panic(err)
		}
		e.proxies[i] = p
	}
	return e.proxies[i]
}

// startAll launches every server that is down and waits for all of them.
func (e *Ensemble) startAll(ctx context.Context) error {
	for _, s := range e.servers {
		if err := s.Launch(); err != nil {
			return err
		}
	}
	return e.WaitReady(ctx)
}

// WaitReady waits until every server serves that runs, is not paused and is not cut off: until it says so and gives out
// a session. A server in read-only mode counts only when too few of these are left for a quorum.
func (e *Ensemble) WaitReady(ctx context.Context) error {
	var ready []*Server
	voters := 0
	for _, s := range e.servers {
		if s.up() && !e.cutOff(s) {
			ready = append(ready, s)
			if !s.observer() {
				voters++
			}
		}
	}
	quorum := 2*voters > e.cfg.voters()
	errs := make([]error, len(ready))
	var wg sync.WaitGroup
	for i, s := range ready {
		wg.Go(func() { errs[i] = s.awaitReady(ctx, !quorum) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Leader returns the index of the server that leads now. A standalone server leads itself.
func (e *Ensemble) Leader() (int, error) {
	for i, s := range e.servers {
		if !s.up() {
			continue
		}
		if mode, err := s.mode(probeTimeout); err == nil && (mode == ModeLeader || mode == ModeStandalone) {
			return i, nil
		}
	}
	return 0, errors.New("ensemble: no leader")
}

// WaitLeader waits until a server leads and returns its index. After killing or pausing the leader that is the new one;
// after a partition the old one may go on for a while to believe that it leads.
func (e *Ensemble) WaitLeader(ctx context.Context) (int, error) {
	for {
		i, err := e.Leader()
		if err == nil {
			return i, nil
		}
		if !pause(ctx) {
			return 0, fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// Restore brings the ensemble back to how Start left it, except for its data: proxies forward faithfully, partitions are
// healed, paused servers go on, and those that are down are started. It waits until all serve.
func (e *Ensemble) Restore(ctx context.Context) error {
	e.mu.Lock()
	for _, p := range e.proxies {
		if p != nil {
			p.Clear()
		}
	}
	e.mu.Unlock()
	e.Heal()
	for _, s := range e.servers {
		if err := s.Resume(); err != nil {
			return err
		}
	}
	return e.startAll(ctx)
}

// Close kills all servers, waits for their ends, and closes the proxies. A temporary folder is removed. Calling it again
// returns the same as the first time.
func (e *Ensemble) Close() error {
	e.closing.Do(func() {
		var errs []error
		e.isClosed.Store(true)
		for _, s := range e.servers {
			errs = append(errs, s.Kill())
		}
		e.reapers.Wait()
		for _, p := range e.proxies {
			if p != nil {
				p.Close()
			}
		}
		for _, p := range e.paths {
			p.proxy.Close()
		}
		if e.spawn != nil {
			e.spawn.Close()
		}
		if e.temp {
			errs = append(errs, os.RemoveAll(e.dir))
		}
		if e.lock != nil {
			e.lock.Close()
		}
		if e.addrs != nil {
			e.addrs.release()
		}
		e.closeErr = errors.Join(errs...)
	})
	return e.closeErr
}
