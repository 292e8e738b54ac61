package queue

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// Style says how a queue's znodes are named and filled: whose programs it is shared with.
type Style struct {
	Name string

	prefix   func(put) (string, error) // the name in front of the number
	parse    func(name string) (entry, bool)
	framed   bool // the data is Curator's framing of one or several items
	priority bool // names have a priority
	delayed  bool // the priority is the due time, in milliseconds since 1970
	ids      bool // names have an id
	locking  bool // lock znodes have a place of their own in the format
}

// The styles. The default is Kazoo.
var (
	// Kazoo is Queue and LockingQueue of Kazoo: entry-PPP-NUMBER, with priorities from 0 to 999 (100 where none is given).
	Kazoo = Style{Name: "kazoo", prefix: kazooPrefix, parse: parseKazoo, priority: true, locking: true}
	// Simple is Curator's SimpleDistributedQueue and ZooKeeper's queue recipe: qn-NUMBER.
	Simple = Style{Name: "simple", prefix: plainPrefix("qn-"), parse: parsePlain("qn-")}
	// Curator is Curator's DistributedQueue: queue-NUMBER, and a znode can hold several items.
	Curator = Style{Name: "curator", prefix: plainPrefix(curatorItem), parse: parsePlain(curatorItem), framed: true}
	// CuratorPriority is Curator's DistributedPriorityQueue, with priorities over the whole range of 32 bits (0 where
	// none is given).
	CuratorPriority = Style{Name: "curator priority", prefix: priorityPrefix, parse: parsePriority, framed: true, priority: true}
	// CuratorDelay is Curator's DistributedDelayQueue: an item is to be had from its due time on.
	CuratorDelay = Style{Name: "curator delay", prefix: delayPrefix, parse: parseDelay, framed: true, delayed: true}
	// CuratorID is Curator's DistributedIdQueue: items have ids, by which they can be removed.
	CuratorID = Style{Name: "curator id", prefix: idPrefix, parse: parseID, framed: true, ids: true}
)

// curatorItem begins the names of all of Curator's queues but the simple one.
const curatorItem = "queue-"

// put is what is said about an item when it is put.
type put struct {
	priority    int
	hasPriority bool
	due         time.Time
	id          string
}

// PutOption says something about an item that is put. Not every style has a place for it.
type PutOption func(*put)

// Priority puts an item before those with a higher number: 0 to 999 in the style [Kazoo], and what 32 bits hold in
// [CuratorPriority].
func Priority(n int) PutOption { return func(p *put) { p.priority, p.hasPriority = n, true } }

// Due lets an item be taken from a time on, by the clocks of the consumers. It is rounded up to a millisecond. For the
// style [CuratorDelay], where an item without it is due at once.
func Due(t time.Time) PutOption { return func(p *put) { p.due = t } }

// ID gives an item an id, which need not be unique: for the style [CuratorID], which demands one. It must not contain
// '/' or '|'.
func ID(id string) PutOption { return func(p *put) { p.id = id } }

// entry is an item's znode, as its name tells.
type entry struct {
	shard  int // index of the place where it lies
	name   string
	digits int   // length of the number at its end
	order  int64 // what goes before the number: the priority, or the due time
	seq    int32
	id     string
}

// prefix returns the name without its number.
func (e entry) prefix() string { return e.name[:len(e.name)-e.digits] }

// compare orders entries as they are taken. Numbers are compared as the counter runs: behind 2147483647 comes
// -2147483648. Those of different shards have nothing to do with each other, which deals the shards out in turn.
func compare(a, b entry) int {
	return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.seq-b.seq, 0), cmp.Compare(a.shard, b.shard))
}

// newPut gathers the options of a put and makes the name's prefix.
func (s Style) newPut(opts []PutOption) (prefix string, err error) {
	var p put
	for _, opt := range opts {
		opt(&p)
	}
	switch {
	case p.hasPriority && !s.priority:
		err = &gazoo.ArgumentError{Arg: "Priority", Reason: "the style " + s.Name + " has no priorities"}
	case !p.due.IsZero() && !s.delayed:
		err = &gazoo.ArgumentError{Arg: "Due", Reason: "the style " + s.Name + " has no due times"}
	case p.id != "" && !s.ids:
		err = &gazoo.ArgumentError{Arg: "ID", Reason: "the style " + s.Name + " has no ids"}
	}
	if err != nil {
		return "", err
	}
	return s.prefix(p)
}

// number parses the number that the server appends: ten digits, or a minus sign and enough digits to make ten
// characters at least.
func number(text string) (int32, bool) {
	if len(text) < 10 || text[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return int32(n), err == nil
}

// numbered makes the entry of a name whose number begins at an index.
func numbered(name string, at int, order int64) (entry, bool) {
	seq, ok := number(name[at:])
	return entry{name: name, digits: len(name) - at, order: order, seq: seq}, ok
}

func plainPrefix(prefix string) func(put) (string, error) {
	return func(put) (string, error) { return prefix, nil }
}

func parsePlain(prefix string) func(string) (entry, bool) {
	return func(name string) (entry, bool) {
		if !strings.HasPrefix(name, prefix) {
			return entry{}, false
		}
		return numbered(name, len(prefix), 0)
	}
}

// kazooPriority is what Kazoo gives an item without a priority.
const kazooPriority = 100

func kazooPrefix(p put) (string, error) {
	if !p.hasPriority {
		p.priority = kazooPriority
	}
	if p.priority < 0 || p.priority > 999 {
		return "", &gazoo.ArgumentError{Arg: "Priority", Reason: fmt.Sprintf("%d is not between 0 and 999", p.priority)}
	}
	return fmt.Sprintf("entry-%03d-", p.priority), nil
}

func parseKazoo(name string) (entry, bool) {
	const at = len("entry-")
	if !strings.HasPrefix(name, "entry-") || len(name) < at+4 || name[at+3] != '-' {
		return entry{}, false
	}
	priority, err := strconv.ParseUint(name[at:at+3], 10, 16)
	if err != nil {
		return entry{}, false
	}
	return numbered(name, at+4, int64(priority))
}

func priorityPrefix(p put) (string, error) {
	n := int32(p.priority)
	if int(n) != p.priority {
		return "", &gazoo.ArgumentError{Arg: "Priority", Reason: fmt.Sprintf("%d does not fit into 32 bits", p.priority)}
	}
	// The first digit makes negative numbers sort before the others.
	sign := "1"
	if n < 0 {
		sign = "0"
	}
	return fmt.Sprintf("%s%s%08X", curatorItem, sign, uint32(n)), nil
}

func parsePriority(name string) (entry, bool) {
	const at = len(curatorItem)
	if !strings.HasPrefix(name, curatorItem) {
		return entry{}, false
	}
	// Curator requeues a failed item without its priority, and sorts it to the front.
	if len(name) < at+9+10 {
		return numbered(name, at, math.MinInt64)
	}
	n, err := strconv.ParseUint(name[at+1:at+9], 16, 32)
	if sign := name[at]; err != nil || sign != '0' && sign != '1' {
		return entry{}, false
	}
	return numbered(name, at+9, int64(int32(uint32(n))))
}

func delayPrefix(p put) (string, error) {
	due := p.due
	if due.IsZero() {
		due = time.Now()
	}
	ms := due.Add(time.Millisecond - time.Nanosecond).UnixMilli()
	if ms <= 0 {
		return "", &gazoo.ArgumentError{Arg: "Due", Reason: "before 1970"}
	}
	return fmt.Sprintf("%s|%08X|", curatorItem, ms), nil
}

func parseDelay(name string) (entry, bool) {
	e, ok := parseID(name)
	if !ok || e.id == "" {
		return e, ok // requeued by Curator without its due time: due at once
	}
	due, err := strconv.ParseInt(e.id, 16, 64)
	e.order, e.id = due, ""
	return e, err == nil
}

func idPrefix(p put) (string, error) {
	if err := checkID(p.id); err != nil {
		return "", err
	}
	return curatorItem + "|" + p.id + "|", nil
}

func checkID(id string) error {
	switch {
	case id == "":
		return &gazoo.ArgumentError{Arg: "ID", Reason: "missing"}
	case strings.ContainsAny(id, "/|"):
		return &gazoo.ArgumentError{Arg: "ID", Reason: fmt.Sprintf("%q contains '/' or '|'", id)}
	}
	return nil
}

// parseID parses queue-|ID|NUMBER, and queue-NUMBER as an item without an id.
func parseID(name string) (entry, bool) {
	rest, ok := strings.CutPrefix(name, curatorItem)
	if !ok {
		return entry{}, false
	}
	if !strings.HasPrefix(rest, "|") {
		return numbered(name, len(curatorItem), 0)
	}
	id, _, ok := strings.Cut(rest[1:], "|")
	if !ok {
		return entry{}, false
	}
	e, ok := numbered(name, len(curatorItem)+len(id)+2, 0)
	e.id = id
	return e, ok
}
