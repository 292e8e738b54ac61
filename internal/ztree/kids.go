package ztree

import (
	"hash/maphash"
	"iter"
)

// kids are the children of a znode, by name: a hash table with linear probing. A map of the
// language would cost each of them three times as much, since it stores the names again.
type kids struct {
	slots []*node // a power of two, or too few to hash
	count int
}

const (
	listed = 8 // up to so many children are a list without order
	// A table is at most seven eighths full, and doubles.
	fullNum, fullDen = 7, 8
)

var seed = maphash.MakeSeed()

func (k *kids) home(name string) int {
	return int(maphash.String(seed, name)) & (len(k.slots) - 1)
}

// get returns a child, or nil.
func (k *kids) get(name string) *node {
	if k == nil {
		return nil
	}
	if len(k.slots) <= listed {
		for _, n := range k.slots[:k.count] {
			if n.name() == name {
				return n
			}
		}
		return nil
	}
	for i := k.home(name); ; i = (i + 1) & (len(k.slots) - 1) {
		n := k.slots[i]
		if n == nil || n.name() == name {
			return n
		}
	}
}

// add enters a child that is not there.
func (k *kids) add(n *node) {
	if size := len(k.slots); size <= listed && k.count == size || k.count+1 > size*fullNum/fullDen && size > listed {
		k.resize(max(1, 2*size))
	}
	k.place(n)
	k.count++
}

func (k *kids) place(n *node) {
	if len(k.slots) <= listed {
		k.slots[k.count] = n
		return
	}
	i := k.home(n.name())
	for k.slots[i] != nil {
		i = (i + 1) & (len(k.slots) - 1)
	}
	k.slots[i] = n
}

func (k *kids) resize(size int) {
	old := k.slots
	k.slots, k.count = make([]*node, size), 0
	for _, n := range old {
		if n != nil {
			k.place(n)
			k.count++
		}
	}
}

// remove takes a child away that is there. A table that has become much too large shrinks.
func (k *kids) remove(n *node) {
	if len(k.slots) <= listed {
		for i, x := range k.slots[:k.count] {
			if x == n {
				k.count--
				k.slots[i], k.slots[k.count] = k.slots[k.count], nil
				return
			}
		}
		return
	}
	mask := len(k.slots) - 1
	i := k.home(n.name())
	for k.slots[i] != n {
		i = (i + 1) & mask
	}
	// Close the gap: whoever was pushed past it moves back.
	for j := (i + 1) & mask; k.slots[j] != nil; j = (j + 1) & mask {
		if home := k.home(k.slots[j].name()); (j-home)&mask >= (j-i)&mask {
			k.slots[i] = k.slots[j]
			i = j
		}
	}
	k.slots[i] = nil
	k.count--
	if size := len(k.slots); k.count < size/8 {
		k.resize(size / 2)
	}
}

// all yields the children in no order. They must not change meanwhile.
func (k *kids) all() iter.Seq[*node] {
	return func(yield func(*node) bool) {
		if k == nil {
			return
		}
		for _, n := range k.slots {
			if n != nil && !yield(n) {
				return
			}
		}
	}
}
