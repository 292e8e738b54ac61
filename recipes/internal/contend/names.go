// Package contend is the queue behind locks and elections: contenders are sequential znodes in one directory, each waits
// for one before it, and whoever has nobody to wait for holds.
//
// Contenders of other libraries on the same path are understood whatever style this one writes; other children are none
// of its business. Order is that of the numbers, with the overflow of the counter and with equal numbers (a Curator
// reader under its own write lock takes the writer's) taken into account.
package contend

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
)

// Role says whom a contender tolerates beside it.
type Role uint8

const (
	Exclusive Role = iota // nobody
	Shared                // other shared ones
)

// Style is how a contender's name is made. The zero Style is not usable.
type Style struct {
	Name          string // for errors
	make          func(id owned.GUID, session int64, role Role) string
	exclusiveOnly bool // the library knows no shared form
	own           Reader
}

// Reader returns a reader that knows this style's names, beside those that r knows.
func (s Style) Reader(r Reader) Reader {
	r.Exclusive = append(r.Exclusive[:len(r.Exclusive):len(r.Exclusive)], s.own.Exclusive...)
	r.Shared = append(r.Shared[:len(r.Shared):len(r.Shared)], s.own.Shared...)
	return r
}

// Custom marks names by a text of its own in front of the number; shared may be empty when there are no shared ones. The
// GUID goes in front, in Curator's form.
func Custom(exclusive, shared string) Style {
	if exclusive == "" {
		return Style{}
	}
	own := Reader{Exclusive: []string{"-" + exclusive}}
	if shared != "" {
		own.Shared = []string{"-" + shared}
	}
	return Style{Name: "custom", exclusiveOnly: shared == "", own: own, make: func(id owned.GUID, _ int64, role Role) string {
		return "_c_" + id.Dashed() + "-" + pick(role, exclusive, shared)
	}}
}

// The styles of other libraries.
var (
	Kazoo = Style{Name: "kazoo", make: func(id owned.GUID, _ int64, role Role) string {
		return id.Hex() + pick(role, "__lock__", "__rlock__")
	}}
	CuratorMutex = exclusive("curator", "lock-")
	CuratorLatch = exclusive("curator latch", "latch-")
	CuratorLease = exclusive("curator lease", "lease-")
	CuratorRW    = Style{Name: "curator read/write", make: func(id owned.GUID, _ int64, role Role) string {
		return "_c_" + id.Dashed() + "-" + pick(role, "__WRIT__", "__READ__")
	}}
	// ZKRecipe's names have no room for a GUID but the session's place: the recipe finds its own znode by the session
	// id in the name, and so it is kept, with the GUID in front of it.
	ZKRecipe = Style{Name: "zk-recipe", exclusiveOnly: true, make: func(id owned.GUID, session int64, _ Role) string {
		return fmt.Sprintf("x-%s-%d-", id.Hex(), session)
	}}
)

func exclusive(name, marker string) Style {
	return Style{Name: name, exclusiveOnly: true, make: func(id owned.GUID, _ int64, _ Role) string {
		return "_c_" + id.Dashed() + "-" + marker
	}}
}

func pick(role Role, exclusive, shared string) string {
	if role == Shared {
		return shared
	}
	return exclusive
}

// Make returns a contender's name without the number.
func (s Style) Make(id owned.GUID, session int64, role Role) string { return s.make(id, session, role) }

// Has reports whether the style can name a role.
func (s Style) Has(role Role) bool {
	return s.make != nil && (role == Exclusive || !s.exclusiveOnly)
}

// NameAt makes a name that stands at the place of another contender: with its number, of this style.
func (s Style) NameAt(c Contender, id owned.GUID, session int64, role Role) string {
	return fmt.Sprintf("%s%010d", s.make(id, session, role), c.Seq)
}

// Contender is a child that takes part.
type Contender struct {
	Name string
	Seq  int32
	Role Role
}

// markers are what stands before the number in the names of all libraries: parity with Kazoo, Curator, go-zookeeper/zk,
// ZooKeeper's own recipes, zk (Ruby).
var markers = []struct {
	text string
	role Role
}{
	{"__lock__", Exclusive},
	{"__rlock__", Shared},
	{"lock-", Exclusive},
	{"latch-", Exclusive},
	{"__WRIT__", Exclusive},
	{"__READ__", Shared},
}

// whole are markers that are the whole name in front of the number.
var whole = []struct {
	text string
	role Role
}{{"n_", Exclusive}, {"ex", Exclusive}, {"sh", Shared}}

// Reader knows contenders by their names: those of all libraries, and those with markers of one's own.
type Reader struct{ Exclusive, Shared []string }

// Parse returns the contender that a name stands for; false when it stands for none.
func (r Reader) Parse(name string) (Contender, bool) {
	prefix, seq, ok := gazoo.SequenceOf(name)
	if !ok {
		return Contender{}, false
	}
	if role, ok := r.role(prefix); ok {
		return Contender{name, seq, role}, true
	}
	// A dash in front of ten digits may be the sign or the end of the prefix. Where the prefix is a known one only
	// without it, it is the sign.
	if prefix, dash := strings.CutSuffix(prefix, "-"); dash {
		role, ok := r.role(prefix)
		return Contender{name, -seq, role}, ok
	}
	return Contender{}, false
}

func (r Reader) role(prefix string) (Role, bool) {
	for _, own := range r.Shared {
		if strings.HasSuffix(prefix, own) {
			return Shared, true
		}
	}
	for _, own := range r.Exclusive {
		if strings.HasSuffix(prefix, own) {
			return Exclusive, true
		}
	}
	for _, m := range markers {
		if strings.HasSuffix(prefix, m.text) {
			return m.role, true
		}
	}
	for _, m := range whole {
		if prefix == m.text {
			return m.role, true
		}
	}
	// ZooKeeper's lock recipe: x-SESSION-; the leader latch of the zookeeper crate: latch-ID-.
	for _, start := range [...]string{"x-", "latch-"} {
		if strings.HasPrefix(prefix, start) && strings.HasSuffix(prefix, "-") && len(prefix) > len(start)+1 {
			return Exclusive, true
		}
	}
	return 0, false
}

// Read returns the contenders among the children of a directory, in their order.
func (r Reader) Read(names []string) []Contender {
	var list []Contender
	for _, name := range names {
		if c, ok := r.Parse(name); ok {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, Compare)
	return list
}

// Compare orders contenders. Numbers are compared as the counter runs: behind 2147483647 comes -2147483648. Of equal
// ones the exclusive goes first.
func Compare(a, b Contender) int {
	if d := a.Seq - b.Seq; d != 0 { // wraps around as the counter does
		return cmp.Compare(d, 0)
	}
	return cmp.Or(cmp.Compare(a.Role, b.Role), strings.Compare(a.Name, b.Name))
}
