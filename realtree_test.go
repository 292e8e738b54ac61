package gazoo_test

import (
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zkserver"
	"github.com/gazoo-zk/gazoo/zktest"
)

// realTree is the embedded server with what tests want from another client. Tests that need a
// server to misbehave have a fakeTree, or a peer.
type realTree struct {
	*zktest.Server
	t *testing.T
}

// embed starts an embedded server at zk1:2181 of a network of its own, see dialer.
func (w *world) embed(opts ...zkserver.Option) *realTree {
	w.t.Helper()
	return &realTree{zktest.Start(w.t, zktest.WithServer(opts...)), w.t}
}

// dialer leads a client to the server.
func (r *realTree) dialer() gazoo.Option { return gazoo.WithDialer(r.Dial) }

func (r *realTree) mustCreate(paths ...string) {
	r.t.Helper()
	for _, p := range paths {
		if _, found := r.Get(p); found {
			r.t.Fatalf("create %s: it is there", p)
		}
		must(r.t, r.Put(p, ""))
	}
}

func (r *realTree) mustSet(path, data string) {
	r.t.Helper()
	must(r.t, r.Put(path, data))
}

func (r *realTree) mustDelete(path string) {
	r.t.Helper()
	must(r.t, r.Remove(path))
}
