package real

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// writes are the operations whose lost answer leaves it open whether they were done: create, delete, set, set ACL, multi,
// create2, create container and delete container, create with a TTL.
var writes = []int32{1, 2, 5, 7, 14, 15, 19, 20, 21}

// loseReply returns a filter that lets the next write of each connection through, and cuts the connection in the place of
// its answer.
func loseReply() faultproxy.Filter {
	var mu sync.Mutex
	lose := map[int]int32{} // xid of the write, by connection
	return func(dir faultproxy.Dir, conn int, frame []byte) faultproxy.Verdict {
		if len(frame) < 8 {
			return faultproxy.Forward
		}
		mu.Lock()
		defer mu.Unlock()
		xid := int32(binary.BigEndian.Uint32(frame))
		chosen, is := lose[conn]
		switch {
		case dir == faultproxy.Upstream && !is && xid > 0 && slices.Contains(writes, int32(binary.BigEndian.Uint32(frame[4:]))):
			lose[conn] = xid
		case dir == faultproxy.Downstream && is && xid == chosen:
			return faultproxy.Cut
		}
		return faultproxy.Forward
	}
}
