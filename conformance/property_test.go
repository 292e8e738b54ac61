package conformance

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// cases numbers the cases, so that each has a znode of its own.
var cases atomic.Int64

// TestSameAsModelAndApache makes random steps of three clients, on Apache's server, on ours and on the model, and
// compares what the clients see after each. More of it: -rapid.checks=5000.
func TestSameAsModelAndApache(t *testing.T) {
	ensemble.Require(t)
	compare(t, apache, ours)
}

// TestSameAsModel leaves Apache out, which is faster.
func TestSameAsModel(t *testing.T) { compare(t, ours) }

func compare(t *testing.T, with ...kind) {
	repeat(t, with, func(t *rapid.T, program [][]step, reference modelSide, sides []*realSide) (done int) {
		for i, st := range slices.Concat(program...) {
			want := reference.do(st).String()
			for _, s := range sides {
				if got := s.do(st).String(); got != want {
					t.Logf("step %d, %v\n%s: %s\nmodel: %s", i, st, s.s.kind, got, want)
					t.Fatalf("%s and the model differ", s.s.kind) // one text, or shrinking takes it for another failure
				}
			}
			done++
		}
		return done
	})
}

// TestPipelinedSameAsModelAndApache sends the requests of a burst before it reads a reply. What each client is sent must
// be what the model says of the requests one by one, in the same order.
func TestPipelinedSameAsModelAndApache(t *testing.T) {
	ensemble.Require(t)
	comparePipelined(t, apache, ours)
}

// TestPipelinedSameAsModel leaves Apache out, which is faster.
func TestPipelinedSameAsModel(t *testing.T) { comparePipelined(t, ours) }

func comparePipelined(t *testing.T, with ...kind) {
	repeat(t, with, func(t *rapid.T, program [][]step, reference modelSide, sides []*realSide) (done int) {
		for i, burst := range program {
			client := burst[0].client
			var sent []step
			want := transcript{}
			for _, st := range burst {
				st.client = client
				if !pipelines(st) {
					continue
				}
				zxid := reference.m.zxid
				a := reference.do(st)
				if st.op == zkproto.OpMulti && a.code == zkproto.ErrMarshallingError {
					// Behind it Apache answers from what it had prepared and does not do.
					reference.m.zxid = zxid
					continue
				}
				sent = append(sent, st)
				want.add(client, a)
			}
			for _, s := range sides {
				if got := s.pipeline(client, sent); got.String() != want.String() {
					t.Logf("burst %d of client %d\n%s:\n%v\nmodel:\n%v", i, client, s.s.kind, got, want)
					t.Fatalf("%s and the model differ", s.s.kind)
				}
			}
			done += len(sent)
		}
		return done
	})
}

// pipelines reports whether a step is a request that others may be sent behind, before it is answered.
func pipelines(st step) bool {
	if st.action != request {
		return false
	}
	switch st.op {
	case zkproto.OpSetACL: // Apache checks what comes behind it against the old ACL until it is applied
		return false
	case zkproto.OpCreateContainer: // which Apache takes for ephemeral in such a mode, until it is applied as a container
		return st.m.Mode != zkproto.ModeEphemeral && st.m.Mode != zkproto.ModeEphemeralSequential
	case zkproto.OpSetWatches, zkproto.OpSetWatches2: // the newest zxid must be known
		return st.back < 0
	}
	return true
}

// repeat runs f on random programs. It returns how many steps it compared.
func repeat(t *testing.T, with []kind, f func(*rapid.T, [][]step, modelSide, []*realSide) int) {
	opt := options{alone: "property", super: true}
	for _, k := range with {
		get(t, k, opt) // outside of what is repeated
	}
	begin, done := cases.Load(), 0
	rapid.Check(t, func(t *rapid.T) {
		// Everywhere the same, so that paths can be compared.
		root := fmt.Sprintf("/case%d", cases.Add(1))
		// A list of lists is longer on the average than a list, and still shrinks to one step.
		program := rapid.SliceOfN(rapid.SliceOfN(steps, 1, 20), 1, 20).Draw(t, "program")
		var sides []*realSide
		for _, k := range with {
			s := get(t, k, opt)
			t.Cleanup(func() { sweep(t, s, root) })
			sides = append(sides, newRealSide(t, s, root))
		}
		done += f(t, program, modelSide{newModel(root)}, sides)
	})
	t.Logf("property: with=%v cases=%d steps=%d", with, cases.Load()-begin, done)
}

// sweep deletes what a case made. It must come behind the ends of the sessions of the case.
func sweep(t rawzk.TB, s *server, root string) {
	c := s.open(t)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", superPassword))
	var remove func(path string)
	remove = func(path string) {
		p := c.Call(zkproto.OpGetChildren, read(path))
		if p.Err != zkproto.OK { // an ephemeral that went meanwhile
			return
		}
		for _, name := range as[zkproto.ChildrenResponse](t, p).Children {
			remove(path + "/" + name)
		}
		c.Call(zkproto.OpDelete, del(path))
	}
	remove(root)
}
