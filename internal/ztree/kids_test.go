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
		for step := range 12000 {
			// Waves, so that the table becomes large and small again.
			name := fmt.Sprint(rnd.IntN(10 + step%3000))
			switch n := want[name]; {
			case n == nil && rnd.IntN(6000) > step%6000:
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

// Whoever is there throughout is seen, whatever comes and goes meanwhile.
func TestKidsAreSeenWhileTheyChange(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		k := &kids{}
		stay, leave := make(map[*node]bool), []*node(nil)
		for i := range rnd.IntN(20_000) {
			n := newNode(fmt.Sprint(i), nil, 1, 1)
			k.add(n)
			if rnd.IntN(10) == 0 {
				stay[n] = true
			} else {
				leave = append(leave, n)
			}
		}
		grow, next := rnd.IntN(2) == 0, 20_000
		for n := range k.throughout() {
			delete(stay, n)
			for range 3 {
				switch {
				case grow && next < 80_000:
					k.add(newNode(fmt.Sprint(next), nil, 1, 1))
					next++
				case !grow && len(leave) > 0:
					k.remove(leave[len(leave)-1])
					leave = leave[:len(leave)-1]
				}
			}
		}
		if len(stay) > 0 {
			t.Errorf("seed %d, growing %v: %d children not seen", seed, grow, len(stay))
		}
	}
}

// A child costs its parent little: the table is what makes a million of them fit.
func TestKidsStayCompact(t *testing.T) {
	k := &kids{}
	for i := range 300_000 {
		k.add(newNode(fmt.Sprint(i), nil, 1, 1))
	}
	if slots := slotsOf(k); slots > 2*k.count+k.count/4 {
		t.Errorf("%d slots for %d children", slots, k.count)
	}
}

func slotsOf(k *kids) int {
	total := len(k.slots)
	if k.parts != nil {
		for _, part := range k.parts {
			total += slotsOf(part)
		}
	}
	return total
}
