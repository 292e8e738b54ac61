package ztree

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo/zkproto"
)

var open = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}

// actor makes random requests, most of which make sense.
type actor struct {
	rnd  *rand.Rand
	tree *Tree
	now  int64
	log  []Txn
}

func newActor(seed uint64, opt Options) *actor {
	opt.Digest, opt.ExtendedTypes = true, true
	a := &actor{rnd: rand.New(rand.NewPCG(seed, 1)), tree: New(opt), now: 1_700_000_000_000}
	for id := range int64(4) {
		a.keep(a.tree.CreateSession(0x100+id, 10000, a.now))
	}
	return a
}

func (a *actor) keep(out Outcome) Outcome {
	a.log = append(a.log, out.Txn)
	return out
}

func (a *actor) path() string {
	depth := 1 + a.rnd.IntN(3)
	p := ""
	if a.rnd.IntN(8) == 0 {
		p = quotaPath
	}
	for range depth {
		p += fmt.Sprintf("/%c", 'a'+a.rnd.IntN(4))
	}
	switch a.rnd.IntN(30) {
	case 0:
		p += "/" + limitsName
	case 1:
		p += "/" + statsName
	}
	return p
}

func (a *actor) op() zkproto.MultiOp {
	op := zkproto.MultiOp{Path: a.path(), Version: -1, ACL: open}
	if a.rnd.IntN(4) == 0 {
		op.Version = int32(a.rnd.IntN(3))
	}
	if a.rnd.IntN(6) > 0 {
		op.Data = []byte(fmt.Sprintf("count=%d,bytes=%d", a.rnd.IntN(5), a.rnd.IntN(50)))
	}
	if a.rnd.IntN(5) == 0 {
		op.ACL = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "ip", ID: fmt.Sprintf("10.0.0.%d", a.rnd.IntN(5))}, open[0]}
	}
	switch a.rnd.IntN(10) {
	case 0, 1, 2, 3:
		op.Op = zkproto.OpCreate
		op.Mode = zkproto.CreateMode(a.rnd.IntN(4))
	case 4:
		op.Op, op.Mode = zkproto.OpCreateContainer, zkproto.ModeContainer
	case 5:
		op.Op, op.Mode, op.TTL = zkproto.OpCreateTTL, zkproto.ModePersistentTTL, int64(1+a.rnd.IntN(5000))
	case 6:
		op.Op = zkproto.OpDelete
	case 7, 8:
		op.Op = zkproto.OpSetData
	case 9:
		op.Op = zkproto.OpCheck
	}
	return op
}

// step makes one request.
func (a *actor) step() Outcome {
	a.now += int64(a.rnd.IntN(100))
	c := &Caller{Session: 0x100 + int64(a.rnd.IntN(4))}
	if _, alive := a.tree.Session(c.Session); !alive {
		return a.keep(a.tree.CreateSession(c.Session, 10000, a.now))
	}
	switch a.rnd.IntN(20) {
	case 0:
		return a.keep(a.tree.CloseSession(c.Session, 1, a.now))
	case 1:
		op := a.op()
		op.Op = zkproto.OpSetACL
		return a.keep(a.tree.Write(c, a.now, op))
	case 2:
		for _, p := range a.tree.Due(a.now) {
			if out, ok := a.tree.Reap(p, a.now); ok {
				return a.keep(out)
			}
		}
	case 3, 4, 5:
		ops := make([]zkproto.MultiOp, 1+a.rnd.IntN(5))
		for i := range ops {
			ops[i] = a.op()
		}
		return a.keep(a.tree.Multi(c, a.now, ops))
	}
	op := a.op()
	for op.Op == zkproto.OpCheck {
		op = a.op()
	}
	return a.keep(a.tree.Write(c, a.now, op))
}

// dump is everything a tree holds, for comparison.
func dump(t *Tree) map[string]NodeRecord {
	all := map[string]NodeRecord{}
	s := t.Snapshot()
	for r, ok := s.Next(); ok; r, ok = s.Next() {
		r.ACLKey = 0 // keys are private to a tree
		r.Data = append(slices.Clone(r.Data), fmt.Sprint(r.Data == nil, s.ACLs)[:1]...)
		all[r.Path] = r
	}
	return all
}

func sameTree(t *testing.T, what string, got, want *Tree) {
	t.Helper()
	if got.Zxid() != want.Zxid() || got.Digest() != want.Digest() || got.Len() != want.Len() || got.Bytes() != want.Bytes() {
		t.Errorf("%s: zxid %x digest %d len %d bytes %d, want %x %d %d %d", what,
			got.Zxid(), got.Digest(), got.Len(), got.Bytes(), want.Zxid(), want.Digest(), want.Len(), want.Bytes())
	}
	if !maps.Equal(got.Sessions(), want.Sessions()) {
		t.Errorf("%s: sessions %v, want %v", what, got.Sessions(), want.Sessions())
	}
	g, w := dump(got), dump(want)
	for path := range w {
		if !reflect.DeepEqual(g[path], w[path]) {
			t.Fatalf("%s: %s\n got %+v\nwant %+v", what, path, g[path], w[path])
		}
		ga, _ := got.ACLOf(path)
		wa, _ := want.ACLOf(path)
		if !slices.Equal(ga, wa) {
			t.Errorf("%s: ACL of %s = %v, want %v", what, path, ga, wa)
		}
	}
	if len(g) != len(w) {
		t.Errorf("%s: %d znodes, want %d", what, len(g), len(w))
	}
	for id := range want.Sessions() {
		if !slices.Equal(got.SessionEphemerals(id), want.SessionEphemerals(id)) {
			t.Errorf("%s: ephemerals of %x = %v, want %v", what, id, got.SessionEphemerals(id), want.SessionEphemerals(id))
		}
	}
}

// The digest that is kept change by change is that of the whole tree, counted anew.
func TestDigestFollowsEveryChange(t *testing.T) {
	for seed := range uint64(20) {
		a := newActor(seed, Options{})
		for i := range 400 {
			a.step()
			kept := a.tree.digest
			a.tree.digest = 0
			a.tree.digestAll(a.tree.root, "")
			if a.tree.digest != kept {
				t.Fatalf("seed %d, step %d, %+v: digest %d, counted anew %d", seed, i, a.log[len(a.log)-1], kept, a.tree.digest)
			}
		}
	}
}

// A transaction that fails leaves no trace but its zxid.
func TestFailedMultiLeavesNoTrace(t *testing.T) {
	failures := 0
	for seed := range uint64(20) {
		a := newActor(seed, Options{EnforceQuota: seed%2 == 0})
		for range 300 {
			a.step()
			before := dump(a.tree)
			count, bytes, digest := a.tree.count, a.tree.bytes, a.tree.digest
			ephemerals, quotas := a.tree.EphemeralCount(), fmt.Sprint(quotaNumbers(a.tree))
			ops := []zkproto.MultiOp{a.op(), a.op(), a.op(), {Op: zkproto.OpDelete, Path: "/missing/x", Version: -1}}
			out := a.keep(a.tree.Multi(&Caller{Session: 0x100}, a.now, ops))
			failures++
			if out.Results[3].Op != zkproto.OpError || len(out.Changes) != 0 {
				t.Fatalf("seed %d: %+v", seed, out)
			}
			if a.tree.count != count || a.tree.bytes != bytes || a.tree.digest != digest || a.tree.EphemeralCount() != ephemerals || fmt.Sprint(quotaNumbers(a.tree)) != quotas {
				t.Fatalf("seed %d: a failed multi changed the counts", seed)
			}
			if after := dump(a.tree); !reflect.DeepEqual(before, after) {
				t.Fatalf("seed %d: a failed multi %+v changed the tree", seed, ops)
			}
		}
	}
	if failures == 0 {
		t.Error("nothing failed")
	}
}

func quotaNumbers(t *Tree) map[string][3]int64 {
	out := map[string][3]int64{}
	for p, q := range t.quotas {
		if q.hasLimits {
			out[p] = [3]int64{q.count, q.bytes, q.limits.count}
		}
	}
	return out
}

// load builds a tree from a snapshot that is taken while more steps are made.
func load(t *testing.T, a *actor, stepsBetween int) (*Tree, int64) {
	t.Helper()
	s := a.tree.Snapshot()
	l := Load(a.tree.Options())
	for id, timeout := range s.Sessions {
		l.AddSession(id, timeout)
	}
	for key, acl := range s.ACLs {
		l.AddACL(key, acl)
	}
	for r, ok := s.Next(); ok; r, ok = s.Next() {
		if err := l.AddNode(r); err != nil {
			t.Fatal(err)
		}
		if stepsBetween > 0 && a.rnd.IntN(2) == 0 {
			stepsBetween--
			a.step()
		}
	}
	tree := l.Finish(s.Zxid)
	if tree.Digest() != s.Digest {
		t.Fatalf("snapshot of zxid %x has digest %d, the tree had %d: it is not of one moment", s.Zxid, tree.Digest(), s.Digest)
	}
	return tree, s.Zxid
}

// A snapshot taken while the tree changes is the tree of one moment, and the log replayed onto
// it gives the tree of now.
func TestSnapshotAndReplay(t *testing.T) {
	for seed := range uint64(40) {
		a := newActor(seed, Options{})
		for range 5 {
			for range 60 {
				a.step()
			}
			copied, zxid := load(t, a, 30)
			for range 40 {
				a.step()
			}
			for _, txn := range a.log {
				if txn.Zxid <= zxid {
					continue
				}
				if err := copied.Replay(txn); err != nil {
					t.Fatal(err)
				}
				if copied.Digest() != txn.Digest {
					t.Fatalf("seed %d: digest after %+v is %d, was %d", seed, txn, copied.Digest(), txn.Digest)
				}
			}
			if dropped := copied.Settle(); len(dropped) > 0 {
				t.Errorf("seed %d: ephemerals without a session: %v", seed, dropped)
			}
			sameTree(t, fmt.Sprintf("seed %d", seed), copied, a.tree)
		}
	}
}

// The same requests make the same transactions, byte for byte.
func TestTheMachineIsDeterministic(t *testing.T) {
	a, b := newActor(7, Options{}), newActor(7, Options{})
	for range 2000 {
		if x, y := a.step(), b.step(); !reflect.DeepEqual(x, y) {
			t.Fatalf("outcomes differ:\n%+v\n%+v", x, y)
		}
	}
}

// Replaying onto a tree that has some of the changes already, as a snapshot written while the
// tree changed has, ends where the tree was.
func TestReplayIsIdempotent(t *testing.T) {
	for seed := range uint64(10) {
		a := newActor(seed, Options{})
		for range 300 {
			a.step()
		}
		copied, _ := load(t, a, 0)
		want, _ := load(t, a, 0)
		tail := a.log[len(a.log)-1]
		if err := copied.Replay(tail); err != nil {
			t.Fatal(err)
		}
		if got, want := dump(copied), dump(want); len(got) != len(want) {
			t.Errorf("seed %d: %d znodes after the last transaction again, want %d", seed, len(got), len(want))
		}
	}
}
