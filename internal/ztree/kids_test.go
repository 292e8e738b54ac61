package ztree

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// A table of children holds what a map would, through growth, removal and shrinking.
func TestKidsAreAMap(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		k, want := &kids{}, make(map[string]*node)
		for step := range 4000 {
			// Waves, so that the table becomes large and small again.
			name := fmt.Sprint(rnd.IntN(10 + step%1000))
			switch n := want[name]; {
			case n == nil && rnd.IntN(2000) > step%2000:
				n = newNode(name, []byte("data"), 1, 1)
				k.add(n)
				want[name] = n
			case n != nil:
				k.remove(n)
				delete(want, name)
			}
			if got := k.get(name); got != want[name] {
				t.Fatalf("seed %d step %d: get(%q) = %p, want %p", seed, step, name, got, want[name])
			}
			if k.count != len(want) {
				t.Fatalf("seed %d step %d: count = %d, want %d", seed, step, k.count, len(want))
			}
		}
		for name, n := range want {
			if got := k.get(name); got != n {
				t.Fatalf("seed %d: get(%q) = %p at the end, want %p", seed, name, got, n)
			}
		}
		seen := make(map[*node]bool)
		for n := range k.all() {
			if seen[n] || want[n.name()] != n {
				t.Fatalf("seed %d: all() yields %q twice, or without its being there", seed, n.name())
			}
			seen[n] = true
		}
		if len(seen) != len(want) {
			t.Fatalf("seed %d: all() yields %d, want %d", seed, len(seen), len(want))
		}
	}
}

// A child costs its parent little: the table is what makes a million of them fit.
func TestKidsStayCompact(t *testing.T) {
	k := &kids{}
	for i := range 100_000 {
		k.add(newNode(fmt.Sprint(i), nil, 1, 1))
	}
	if len(k.slots) > 2*k.count {
		t.Errorf("%d slots for %d children", len(k.slots), k.count)
	}
}
