package ztree

import (
	"hash/maphash"
	"iter"
	"slices"
)

// kids are the children of a znode, by name: a hash table with linear probing, which splits into
// several when it has become large, so that no write ever waits for a large table to grow. A map
// of the language would cost each child three times as much, since it stores the names again.
type kids struct {
	slots []*node      // a power of two; up to the size listed a list without order
	parts *[ways]*kids // instead of slots, by the next bits of the hash
	count int          // of the parts too
	level uint8        // how often the hash was split to get here
}

const (
	listed   = 8
	largest  = 1024 // slots
	ways     = 16
	wayBits  = 4
	deepest  = 12  // levels: there are no more bits
	together = 256 // parts with so few children in all become one table again
)

var seed = maphash.MakeSeed()

func hashOf(name string) uint64 { return maphash.String(seed, name) }

// part returns where in parts a hash belongs.
func (k *kids) part(hash uint64) int {
	return int(hash>>(64-wayBits-wayBits*k.level)) & (ways - 1)
}

func (k *kids) home(hash uint64) int { return int(hash) & (len(k.slots) - 1) }

// get returns a child, or nil.
func (k *kids) get(name string) *node {
	if k == nil {
		return nil
	}
	if k.parts == nil && len(k.slots) <= listed {
		for _, n := range k.slots[:k.count] {
			if n.name() == name {
				return n
			}
		}
		return nil
	}
	hash := hashOf(name)
	for k.parts != nil {
		k = k.parts[k.part(hash)]
	}
	if len(k.slots) <= listed {
		return k.get(name)
	}
	for i := k.home(hash); ; i = (i + 1) & (len(k.slots) - 1) {
		n := k.slots[i]
		if n == nil || n.name() == name {
			return n
		}
	}
}

// add enters a child that is not there.
func (k *kids) add(n *node) { k.addHash(n, hashOf(n.name())) }

func (k *kids) addHash(n *node, hash uint64) {
	size := len(k.slots)
	switch {
	case k.parts != nil:
	case size <= listed && k.count < size, size > listed && k.count < size/8*7:
	case size < largest || k.level == deepest:
		k.rebuild(max(1, 2*size))
	default:
		k.split()
	}
	k.count++
	if k.parts != nil {
		k.parts[k.part(hash)].addHash(n, hash)
		return
	}
	k.place(n, hash, k.count-1)
}

// place puts a child into a slot: the one given in a list.
func (k *kids) place(n *node, hash uint64, at int) {
	if len(k.slots) > listed {
		for at = k.home(hash); k.slots[at] != nil; {
			at = (at + 1) & (len(k.slots) - 1)
		}
	}
	k.slots[at] = n
}

// rebuild moves all children, those of the parts too, to a table of another size.
func (k *kids) rebuild(size int) {
	all := slices.Collect(k.all())
	k.slots, k.parts = make([]*node, size), nil
	for i, n := range all {
		k.place(n, hashOf(n.name()), i)
	}
}

// split makes parts of a table.
func (k *kids) split() {
	old := k.slots
	k.slots, k.parts = nil, new([ways]*kids)
	for i := range k.parts {
		k.parts[i] = &kids{level: k.level + 1}
	}
	for _, n := range old {
		if n != nil {
			hash := hashOf(n.name())
			k.parts[k.part(hash)].addHash(n, hash)
		}
	}
}

// remove takes a child away that is there. A table that has become much too large shrinks.
func (k *kids) remove(n *node) { k.removeHash(n, hashOf(n.name())) }

func (k *kids) removeHash(n *node, hash uint64) {
	k.count--
	size := len(k.slots)
	switch {
	case k.parts != nil:
		k.parts[k.part(hash)].removeHash(n, hash)
		if k.count <= together {
			k.rebuild(2 * together)
		}
		return
	case size <= listed:
		i := slices.Index(k.slots, n)
		k.slots[i], k.slots[k.count] = k.slots[k.count], nil
		return
	}
	mask := size - 1
	i := k.home(hash)
	for k.slots[i] != n {
		i = (i + 1) & mask
	}
	// Close the gap: whoever was pushed past it moves back.
	for j := (i + 1) & mask; k.slots[j] != nil; j = (j + 1) & mask {
		if home := k.home(hashOf(k.slots[j].name())); (j-home)&mask >= (j-i)&mask {
			k.slots[i] = k.slots[j]
			i = j
		}
	}
	k.slots[i] = nil
	if k.count < size/8 {
		k.rebuild(size / 2)
	}
}

// all yields the children in no order. They must not change meanwhile.
func (k *kids) all() iter.Seq[*node] {
	return func(yield func(*node) bool) { k.each(yield, false) }
}

// throughout yields the children that were there at the beginning and still are, others perhaps,
// and some perhaps twice, while they change.
func (k *kids) throughout() iter.Seq[*node] {
	return func(yield func(*node) bool) { k.each(yield, true) }
}

func (k *kids) each(yield func(*node) bool, changing bool) bool {
	if k == nil {
		return true
	}
	if k.parts != nil {
		// When the parts become one table meanwhile, they stay here as they were.
		for _, part := range k.parts {
			if !part.each(yield, changing) {
				return false
			}
		}
		return true
	}
	slots := k.slots
	if changing {
		slots = slices.Clone(slots)
	}
	for _, n := range slots {
		if n != nil && !yield(n) {
			return false
		}
	}
	return true
}
