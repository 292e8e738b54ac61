package zkserver

import "github.com/gazoo-zk/gazoo/internal/ztree"

// digestLog keeps digests of the tree at earlier zxids, as Apache does for comparisons of servers.
type digestLog struct {
	all  []digestEntry // a ring once it is full
	next int
}

type digestEntry struct{ zxid, digest int64 }

const (
	digestEvery  = 128 // zxids
	digestKept   = 1024
	digestFormat = 2 // how digests are computed
)

func (l *digestLog) note(txn *ztree.Txn) {
	if txn.Zxid%digestEvery != 0 {
		return
	}
	entry := digestEntry{txn.Zxid, txn.Digest}
	if len(l.all) < digestKept {
		l.all = append(l.all, entry)
		return
	}
	l.all[l.next] = entry
	l.next = (l.next + 1) % digestKept
}

// entries returns them, oldest first.
func (l *digestLog) entries() []digestEntry {
	return append(append([]digestEntry(nil), l.all[l.next:]...), l.all[:l.next]...)
}

func (l *digestLog) fields() [][]field {
	var all [][]field
	for _, d := range l.entries() {
		all = append(all, []field{{"zxid", d.zxid}, {"digest", d.digest}, {"digest_version", digestFormat}})
	}
	return all
}
