package ztree

import (
	"fmt"
	"strconv"
	"strings"
)

// quota is what is counted for one path that has a znode zookeeper_limits under
// /zookeeper/quota. The numbers are kept in the data of the znode zookeeper_stats beside it,
// where clients read them.
type quota struct {
	limits       limits
	hasLimits    bool // while the znode zookeeper_limits is there
	count, bytes int64
}

// limits is the text of zookeeper_limits: -1 is no limit. The soft ones only make servers log.
type limits struct{ count, bytes, countHard, bytesHard int64 }

const (
	limitsName = "zookeeper_limits"
	statsName  = "zookeeper_stats"
)

// parseLimits reads count=N,bytes=N=;byteHardLimit=N;countHardLimit=N in all its spellings;
// what it does not understand is no limit.
func parseLimits(data []byte) limits {
	l := limits{-1, -1, -1, -1}
	for part := range strings.FieldsFuncSeq(string(data), func(r rune) bool { return r == ',' || r == ';' }) {
		key, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseInt(strings.TrimSuffix(value, "="), 10, 64)
		if err != nil {
			continue
		}
		switch key {
		case "count":
			l.count = n
		case "bytes":
			l.bytes = n
		case "countHardLimit":
			l.countHard = n
		case "byteHardLimit":
			l.bytesHard = n
		}
	}
	return l
}

// quotaTarget takes the path of a znode under /zookeeper/quota apart: the path it is about, and
// whether it is the limits or the stats.
func quotaTarget(path string) (target, name string, ok bool) {
	rest, under := strings.CutPrefix(path, quotaPath+"/")
	if !under {
		return "", "", false
	}
	i := strings.LastIndexByte(rest, '/')
	if i < 0 {
		return "", "", false
	}
	return "/" + rest[:i], rest[i+1:], true
}

// limiting returns the deepest path with a quota that a path lies under, or is.
func (t *Tree) limiting(path string) (string, *quota) {
	if len(t.quotas) == 0 || path == systemPath || strings.HasPrefix(path, systemPath+"/") {
		return "", nil
	}
	for p := path; p != "" && p != "/"; p, _ = split(p) {
		if q := t.quotas[p]; q != nil && q.hasLimits {
			return p, q
		}
	}
	return "", nil
}

// quotaRefuses reports whether a write would pass a hard limit.
func (t *Tree) quotaRefuses(path string, bytes, count int64) bool {
	if !t.opt.EnforceQuota {
		return false
	}
	_, q := t.limiting(path)
	if q == nil {
		return false
	}
	over := func(have, more, limit int64) bool { return limit >= 0 && more > 0 && have+more > limit }
	return over(q.count, count, q.limits.countHard) || over(q.bytes, bytes, q.limits.bytesHard)
}

// quotaInserted, quotaRemoved and quotaWritten follow the changes of the tree.
func (t *Tree) quotaInserted(path string, n *node) {
	if target, name, ok := quotaTarget(path); ok {
		switch name {
		case limitsName:
			t.limit(target, n.data())
		case statsName:
			t.recount(target)
		}
		return
	}
	t.account(path, 1, int64(n.size()))
}

func (t *Tree) quotaRemoved(path string, n *node) {
	if target, name, ok := quotaTarget(path); ok {
		if q := t.quotas[target]; q != nil && name == limitsName {
			q.hasLimits = false
			if t.undoable() {
				t.later(func() { q.hasLimits = true })
			}
		}
		return
	}
	t.account(path, -1, -int64(n.size()))
}

func (t *Tree) quotaWritten(path string, bytes int64) {
	if target, name, ok := quotaTarget(path); ok {
		if q := t.quotas[target]; q != nil && name == limitsName {
			old := q.limits
			q.limits = parseLimits(t.find(path).data())
			if t.undoable() {
				t.later(func() { q.limits = old })
			}
		}
		return
	}
	t.account(path, 0, bytes)
}

// limit begins to count for a path.
func (t *Tree) limit(target string, data []byte) {
	q := t.quotas[target]
	if q == nil {
		q = &quota{}
		t.quotas[target] = q
	}
	old := *q
	q.limits, q.hasLimits = parseLimits(data), true
	if t.undoable() {
		t.later(func() { *q = old })
	}
	t.recount(target)
}

// recount takes the real numbers of a subtree and writes them down.
func (t *Tree) recount(target string) {
	q := t.quotas[target]
	if q == nil {
		q = &quota{}
		t.quotas[target] = q
	}
	old := *q
	q.count, q.bytes = 0, 0
	if n := t.find(target); n != nil {
		q.count, q.bytes = usage(n)
	}
	if t.undoable() {
		t.later(func() { *q = old })
	}
	t.writeStats(target, q)
}

func usage(n *node) (count, bytes int64) {
	count, bytes = 1, int64(n.size())
	for kid := range n.kids().all() {
		c, b := usage(kid)
		count += c
		bytes += b
	}
	return count, bytes
}

func (t *Tree) account(path string, count, bytes int64) {
	target, q := t.limiting(path)
	if q == nil || count == 0 && bytes == 0 {
		return
	}
	q.count += count
	q.bytes += bytes
	if t.undoable() {
		t.later(func() {
			q.count -= count
			q.bytes -= bytes
		})
	}
	t.writeStats(target, q)
}

// writeStats replaces the data of the stats znode in place: no version, no zxid, no watch.
func (t *Tree) writeStats(target string, q *quota) {
	n := t.find(quotaPath + target + "/" + statsName)
	if n == nil {
		return
	}
	t.preserve(n)
	text, null, size := n.text, n.null, n.size()
	n.setText(statsName, fmt.Appendf(nil, "count=%d,bytes=%d", q.count, q.bytes))
	t.bytes += int64(n.size() - size)
	if t.undoable() {
		t.later(func() {
			t.bytes -= int64(n.size() - size)
			n.text, n.null = text, null
		})
	}
}

// rebuildQuotas counts everything anew, after a snapshot was loaded.
func (t *Tree) rebuildQuotas() {
	root := t.find(quotaPath)
	if root == nil {
		return
	}
	var visit func(n *node, path string)
	visit = func(n *node, path string) {
		if kid := n.kid(limitsName); kid != nil && path != "" {
			t.limit(path, kid.data())
		}
		for kid := range n.kids().all() {
			visit(kid, path+"/"+kid.name())
		}
	}
	visit(root, "")
}
