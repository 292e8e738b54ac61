package ztree

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// DigestVersion is the version of the digest algorithm that Apache 3.6 and later write.
const DigestVersion = 2

// nodeDigest is Apache's digest of one znode: a CRC-32 over path, data and stat. The root's
// path is "", and znodes below /zookeeper count nothing.
func nodeDigest(n *node, path string) uint64 {
	if strings.HasPrefix(path, systemPath+"/") {
		return 0
	}
	m := n.rest()
	var b [60]byte
	binary.BigEndian.PutUint64(b[0:], uint64(n.czxid))
	binary.BigEndian.PutUint64(b[8:], uint64(m.mzxid))
	binary.BigEndian.PutUint64(b[16:], uint64(m.pzxid))
	binary.BigEndian.PutUint64(b[24:], uint64(n.ctime))
	binary.BigEndian.PutUint64(b[32:], uint64(m.mtime))
	binary.BigEndian.PutUint32(b[40:], uint32(m.version))
	binary.BigEndian.PutUint32(b[44:], uint32(m.creates))
	binary.BigEndian.PutUint32(b[48:], uint32(m.aversion))
	binary.BigEndian.PutUint64(b[52:], uint64(m.owner))
	if path == "/" {
		path = ""
	}
	sum := crc32.ChecksumIEEE([]byte(path))
	sum = crc32.Update(sum, crc32.IEEETable, n.data())
	sum = crc32.Update(sum, crc32.IEEETable, b[:])
	return uint64(sum)
}

// The digest of the tree is the wrapping sum of its znodes' digests, so a change takes the
// old one out and puts the new one in.
func (t *Tree) undigest(n *node, path string) {
	if t.opt.Digest {
		t.digest -= nodeDigest(n, path)
	}
}

func (t *Tree) redigest(n *node, path string) {
	if t.opt.Digest {
		t.digest += nodeDigest(n, path)
	}
}

// digestAll adds a subtree.
func (t *Tree) digestAll(n *node, path string) {
	if !t.opt.Digest {
		return
	}
	t.digest += nodeDigest(n, path)
	for kid := range n.kids().all() {
		t.digestAll(kid, path+"/"+kid.name())
	}
}
