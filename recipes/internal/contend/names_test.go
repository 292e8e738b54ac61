package contend

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
)

// Every style's names are read back with their number, over the whole range of the counter.
func TestNamesAreReadBack(t *testing.T) {
	custom := Custom("mutex-", "read-")
	for _, s := range []Style{Kazoo, CuratorMutex, CuratorLatch, CuratorRW, ZKRecipe, custom} {
		for _, role := range []Role{Exclusive, Shared} {
			if !s.Has(role) {
				continue
			}
			for _, seq := range []int32{
				0, 7, 999999999, 1000000000, math.MaxInt32 - 1, math.MaxInt32, math.MinInt32, math.MinInt32 + 1,
				-2147483647, -1000000001, -1000000000, -999999999, -100000000, -99999999, -1,
			} {
				name := fmt.Sprintf("%s%010d", s.make(owned.NewGUID(), 72057594037927936, role), seq)
				c, ok := s.Reader(Reader{}).Parse(name)
				if want := (Contender{name, seq, role}); !ok || c != want {
					t.Errorf("style %s: Parse(%s) = %+v, %v, want %+v", s.Name, name, c, ok, want)
				}
			}
		}
	}
}

// The order is that of the counter, over its overflow; of equal numbers the exclusive contender is first.
func TestOrder(t *testing.T) {
	id := owned.NewGUID()
	var want []string
	for _, seq := range []int32{math.MaxInt32 - 1, math.MaxInt32, math.MinInt32, math.MinInt32 + 1} {
		want = append(want, fmt.Sprintf("%s%010d", CuratorMutex.make(id, 0, Exclusive), seq))
	}
	want = append(want, "_c_x-__WRIT__-2147483000", "_c_x-__READ__-2147483000")
	for range 20 {
		names := slices.Clone(want)
		names = append(names, "foreign", "zz-0000000000")
		for i := range names {
			j := (i*7 + 3) % len(names)
			names[i], names[j] = names[j], names[i]
		}
		var got []string
		for _, c := range (Reader{}).Read(names) {
			got = append(got, c.Name)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("order %v, want %v", got, want)
		}
	}
}

// Whom a contender waits for: exclusive ones for the one before, shared ones for the nearest exclusive one before.
func TestBlocker(t *testing.T) {
	e, s := Exclusive, Shared
	for _, tt := range []struct {
		roles []Role
		want  []int // -1 holds
	}{
		{[]Role{e, e, e}, []int{-1, 0, 1}},
		{[]Role{s, s, e, s, s}, []int{-1, -1, 1, 2, 2}},
		{[]Role{e, s, e}, []int{-1, 0, 1}},
	} {
		var list []Contender
		for i, r := range tt.roles {
			list = append(list, Contender{Seq: int32(i), Role: r})
		}
		for i, want := range tt.want {
			got := -1
			if c, blocked := Blocker(list, i); blocked {
				got = int(c.Seq)
			}
			if got != want {
				t.Errorf("%v: number %d waits for %d, want %d", tt.roles, i, got, want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("_c_8f9a1b2c-0d1e-4f20-a1b2-c3d4e5f60718-lock-0000000001")
	f.Add("0123abcd__lock__-2147483648")
	f.Add("x--1-0000000001")
	f.Fuzz(func(t *testing.T, name string) {
		c, ok := (Reader{Exclusive: []string{"mine"}}).Parse(name)
		if ok && c.Name != name {
			t.Errorf("Parse(%q) = %+v", name, c)
		}
		if _, _, numbered := gazoo.SequenceOf(name); ok && !numbered {
			t.Errorf("Parse(%q) = %+v without a number", name, c)
		}
	})
}
