package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// kind is a kind of operation.
type kind int

const (
	opGet kind = iota
	opSet
	opExists
	opChildren
	opCreate
	opMulti
	opSync
	opWatch
	opRemove     // comes with create
	kinds    int = iota
)

var kindNames = [kinds]string{"get", "set", "exists", "children", "create", "multi", "sync", "watch", "delete"}

func (k kind) String() string { return kindNames[k] }

// mix says which operations are done, and how often in relation to each other. It is a flag.
type mix []share

type share struct {
	kind   kind
	weight int
}

// String returns the mix as Set takes it.
func (m *mix) String() string {
	var parts []string
	for _, s := range *m {
		parts = append(parts, fmt.Sprintf("%v=%d", s.kind, s.weight))
	}
	return strings.Join(parts, ",")
}

// Type names the value in the help.
func (m *mix) Type() string { return "NAME=WEIGHT,…" }

// Set parses "get=80,set=20". A name alone has the weight 1.
func (m *mix) Set(text string) error {
	var all mix
	for part := range strings.SplitSeq(text, ",") {
		name, number, given := strings.Cut(part, "=")
		k := kind(slices.Index(kindNames[:opRemove], name))
		if k < 0 {
			return fmt.Errorf("no operation %q; there are %s", name, strings.Join(kindNames[:opRemove], ", "))
		}
		if slices.ContainsFunc(all, func(s share) bool { return s.kind == k }) {
			return fmt.Errorf("%s is there twice", name)
		}
		s := share{k, 1}
		if given {
			var err error
			if s.weight, err = strconv.Atoi(number); err != nil || s.weight < 1 || s.weight > 1_000_000 {
				return fmt.Errorf("the weight of %s is %q and not a number from 1 to 1000000", name, number)
			}
		}
		all = append(all, s)
	}
	*m = all
	return nil
}

// pick returns the kind for a number below sum.
func (m mix) pick(n int) kind {
	for _, s := range m {
		if n -= s.weight; n < 0 {
			return s.kind
		}
	}
	panic("bench: the number is above the sum of the weights")
}

func (m mix) sum() (n int) {
	for _, s := range m {
		n += s.weight
	}
	return n
}

func (m mix) has(k kind) bool {
	return slices.ContainsFunc(m, func(s share) bool { return s.kind == k })
}
