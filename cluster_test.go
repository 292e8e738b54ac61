package gazoo_test

import (
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// cluster is what tests run against: Apache's servers, or ours.
type cluster interface {
	Hosts() string   // connect string
	Proxied() string // the same, each server through its proxy
	Len() int
	Addr(i int) string
	Proxy(i int) *faultproxy.Proxy

	// Kill ends a server, Start brings it back with its data and waits until it serves. Restart stops it in order.
	Kill(i int) error
	Start(i int) error
	Restart(i int) error
}

// apache is an ensemble as a cluster.
type apache struct{ *ensemble.Ensemble }

func (a apache) Addr(i int) string   { return a.Server(i).Addr() }
func (a apache) Kill(i int) error    { return a.Server(i).Kill() }
func (a apache) Start(i int) error   { return a.Server(i).Start() }
func (a apache) Restart(i int) error { return a.Server(i).Restart() }

// embeddedTarget is the name of the embedded server beside those of package ensemble.
const embeddedTarget = "embedded"

// forEach runs f as one subtest for each target, on a shared cluster: see [ensemble.ForEach].
func forEach(t *testing.T, f func(t *testing.T, c cluster)) {
	t.Helper()
	if ensemble.TargetEnabled(embeddedTarget) {
		t.Run(embeddedTarget, func(t *testing.T) { f(t, sharedEmbedded(t)) })
		if !slices.ContainsFunc(ensemble.Kinds(), func(k ensemble.Kind) bool { return ensemble.TargetEnabled(string(k)) }) {
			return
		}
	}
	ensemble.ForEach(t, func(t *testing.T, e *ensemble.Ensemble) { f(t, apache{e}) })
}

// embedded is one embedded server on a directory, with a proxy in front of it.
type embedded struct {
	dir   string
	addr  string
	proxy *faultproxy.Proxy
	srv   *zkserver.Server // nil while it is down
}

// shared is the server of the whole run. Tests that share it do not run in parallel.
var shared struct {
	sync.Mutex
	e *embedded
}

func sharedEmbedded(t *testing.T) *embedded {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.e == nil {
		e, err := newEmbedded()
		must(t, err)
		shared.e = e
	}
	must(t, shared.e.restore())
	return shared.e
}

// closeEmbedded ends it behind the last test.
func closeEmbedded() {
	shared.Lock()
	defer shared.Unlock()
	if shared.e == nil {
		return
	}
	shared.e.Kill(0)
	shared.e.proxy.Close()
	os.RemoveAll(shared.e.dir)
	shared.e = nil
}

func newEmbedded() (*embedded, error) {
	dir, err := os.MkdirTemp("", "gazoo-embedded-")
	if err != nil {
		return nil, err
	}
	e := &embedded{dir: dir, addr: "127.0.0.1:0"}
	if err := e.Start(0); err != nil {
		return nil, err
	}
	if e.proxy, err = faultproxy.New(e.addr); err != nil {
		return nil, err
	}
	return e, nil
}

// restore brings back what an earlier test took away.
func (e *embedded) restore() error {
	e.proxy.Clear()
	if e.srv == nil {
		return e.Start(0)
	}
	return nil
}

func (e *embedded) Hosts() string               { return e.addr }
func (e *embedded) Proxied() string             { return e.proxy.Addr() }
func (e *embedded) Len() int                    { return 1 }
func (e *embedded) Addr(int) string             { return e.addr }
func (e *embedded) Proxy(int) *faultproxy.Proxy { return e.proxy }

func (e *embedded) Kill(int) error {
	if e.srv == nil {
		return nil
	}
	err := e.srv.Close()
	e.srv = nil
	return err
}

func (e *embedded) Start(int) error {
	srv, err := zkserver.Start(zkserver.WithAddr(e.addr), zkserver.WithDir(e.dir),
		zkserver.WithTickTime(500*time.Millisecond), zkserver.WithSessionTimeouts(time.Second, time.Minute),
		zkserver.WithMaxClientConns(0), zkserver.WithExtendedTypes(), zkserver.WithFourLetterWords("*"))
	if err != nil {
		return err
	}
	e.srv, e.addr = srv, srv.Addr()
	return nil
}

func (e *embedded) Restart(int) error {
	if err := e.Kill(0); err != nil {
		return err
	}
	return e.Start(0)
}
