package gazoo

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// feature is an operation younger than ZooKeeper 3.4, of which a server may know nothing. A
// server that does not know an operation answers -6 and closes the connection, so the first
// use on a server of unknown ability is sent alone (sender.flush).
type feature uint16

const (
	featureCreate2       feature = 1 << iota // 3.5.0
	featureContainer                         // 3.5.1
	featureTTL                               // 3.5.3
	featureRemoveWatches                     // 3.5.0
	featureReconfig                          // 3.5.0
	featureMultiRead                         // 3.6.0
	featureEphemerals                        // 3.6.0
	featureChildrenCount                     // 3.6.0
	featureAddWatch                          // 3.6.0, setWatches2 with it
	featureWhoAmI                            // 3.7.0
	featureSetWatches                        // every ZooKeeper, but not early ClickHouse Keepers
)

// featureOf returns what a server must know for an operation, 0 for what every one knows.
func featureOf(op zkproto.OpCode) feature {
	switch op {
	case zkproto.OpCreate2:
		return featureCreate2
	case zkproto.OpCreateContainer:
		return featureContainer
	case zkproto.OpCreateTTL:
		return featureTTL
	case zkproto.OpRemoveWatches:
		return featureRemoveWatches
	case zkproto.OpReconfig:
		return featureReconfig
	case zkproto.OpMultiRead:
		return featureMultiRead
	case zkproto.OpGetEphemerals:
		return featureEphemerals
	case zkproto.OpGetAllChildrenNumber:
		return featureChildrenCount
	case zkproto.OpAddWatch:
		return featureAddWatch
	case zkproto.OpWhoAmI:
		return featureWhoAmI
	}
	return 0
}

type knowledge uint8

const (
	featureUnknown knowledge = iota
	featureYes
	featureNo
)

// featureSet is what is known of one server. Written by readers of its connections.
type featureSet struct {
	yes, no atomic.Uint32
	refused atomic.Int64 // when a no was learnt last, in Unix seconds
}

// refusalHolds is how long a server is believed to lack an operation: it may be upgraded, and
// asking again costs one connection.
const refusalHolds = time.Hour

func (f *featureSet) knows(need feature) knowledge {
	switch {
	case need == 0 || f.yes.Load()&uint32(need) != 0:
		return featureYes
	case f.no.Load()&uint32(need) != 0:
		return featureNo
	}
	return featureUnknown
}

func (f *featureSet) learn(need feature, known bool) {
	yes, no := &f.yes, &f.no
	if !known {
		f.refused.Store(time.Now().Unix())
		yes, no = no, yes // another version may have come up behind the same address
	}
	yes.Or(uint32(need))
	no.And(^uint32(need))
}

// featureBook remembers servers by address; what they lacked is forgotten in time, at a connect.
type featureBook struct {
	mu   sync.Mutex
	sets map[string]*featureSet
}

func (b *featureBook) of(addr string) *featureSet {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.sets[addr]
	if f == nil {
		if b.sets == nil {
			b.sets = make(map[string]*featureSet)
		}
		f = new(featureSet)
		b.sets[addr] = f
	}
	if time.Since(time.Unix(f.refused.Load(), 0)) > refusalHolds {
		f.no.Store(0)
	}
	return f
}

// unsupported matches both ErrUnimplemented, as if the server had been asked, and ErrNotSupported.
func unsupported(op string) error {
	return fmt.Errorf("%w: %w (%s)", ErrUnimplemented, ErrNotSupported, op)
}

// unimplemented tells whether a reply says that the server does not know the operation at all:
// such replies carry zxid -1 and end the connection. Others with the same code (TTL znodes
// without extended types) are ordinary refusals.
func unimplemented(h zkproto.ReplyHeader) bool {
	return h.Err == zkproto.ErrUnimplemented && h.Zxid == -1
}
