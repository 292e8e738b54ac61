// Package cluster is what tests run against, whatever it is: Apache's servers, or ours.
//
//	func TestMain(m *testing.M) { leak.Main(cluster.WithShared(m)) }
//
//	func TestX(t *testing.T) {
//		cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) { … c.Hosts() … })
//	}
package cluster

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

// Cluster is one target: servers, each with a proxy in front of it.
type Cluster interface {
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

// Apache is an ensemble as a cluster.
type Apache struct{ *ensemble.Ensemble }

func (a Apache) Addr(i int) string   { return a.Server(i).Addr() }
func (a Apache) Kill(i int) error    { return a.Server(i).Kill() }
func (a Apache) Start(i int) error   { return a.Server(i).Start() }
func (a Apache) Restart(i int) error { return a.Server(i).Restart() }

// Embedded is the name of the embedded server's target, beside those of package ensemble.
const Embedded = "embedded"

// ForEach runs f as one subtest for each target that the environment allows (see [ensemble.TargetsVariable]), on a
// cluster that the tests of the process share and that is whole again for each. Tests that share it do not run in
// parallel, and use znodes of their own: data stays.
func ForEach(t *testing.T, f func(t *testing.T, c Cluster)) {
	t.Helper()
	if ensemble.TargetEnabled(Embedded) {
		t.Run(Embedded, func(t *testing.T) { f(t, sharedEmbedded(t)) })
		if !slices.ContainsFunc(ensemble.Kinds(), func(k ensemble.Kind) bool { return ensemble.TargetEnabled(string(k)) }) {
			return
		}
	}
	ensemble.ForEach(t, func(t *testing.T, e *ensemble.Ensemble) { f(t, Apache{e}) })
}

// embedded is one embedded server on a directory, with a proxy in front of it.
type embedded struct {
	dir   string
	addr  string
	proxy *faultproxy.Proxy
	srv   *zkserver.Server // nil while it is down
}

// shared is the embedded server of the whole run.
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
		if err != nil {
			t.Fatal(err)
		}
		shared.e = e
	}
	if err := shared.e.restore(); err != nil {
		t.Fatal(err)
	}
	return shared.e
}

// WithShared wraps the M of a TestMain so that what ForEach started is closed when the tests are over.
func WithShared(m ensemble.Runner) ensemble.Runner { return closing{ensemble.WithShared(m)} }

type closing struct{ ensemble.Runner }

func (c closing) Run() int {
	defer closeEmbedded()
	return c.Runner.Run()
}

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
