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
	opt := options{alone: "property", super: true}
	for _, k := range with {
		get(t, k, opt) // outside of what is repeated
	}
	begin, done := cases.Load(), 0
	rapid.Check(t, func(t *rapid.T) {
		// Everywhere the same, so that paths can be compared.
		root := fmt.Sprintf("/case%d", cases.Add(1))
		// A list of lists is longer on the average than a list, and still shrinks to one step.
		program := slices.Concat(rapid.SliceOfN(rapid.SliceOfN(steps, 1, 20), 1, 20).Draw(t, "program")...)
		reference := modelSide{newModel(root)}
		var sides []side
		for _, k := range with {
			s := get(t, k, opt)
			t.Cleanup(func() { sweep(t, s, root) })
			sides = append(sides, newRealSide(t, s, root))
		}
		for i, st := range program {
			want := reference.do(st)
			for _, s := range sides {
				if got := s.do(st); got != want {
					t.Logf("step %d, %v\n%s: %s\nmodel: %s", i, st, s.name(), got, want)
					t.Fatalf("%s and the model differ", s.name()) // one text, or shrinking takes it for another failure
				}
			}
			done++
		}
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
