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
	hasStats     bool // while the znode zookeeper_stats is there
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

// limiting returns the deepest path with a quota that a path lies under, or is; "" for none.
func limiting(path string, of func(target string) quota) (string, quota) {
	if path == systemPath || strings.HasPrefix(path, systemPath+"/") {
		return "", quota{}
	}
	for p := path; p != "" && p != "/"; p, _ = split(p) {
		if q := of(p); q.hasLimits {
			return p, q
		}
	}
	return "", quota{}
}

func (t *Tree) quota(target string) quota { return t.quotas[target] }

// quotaBefore is a quota as it was before the multi under way. That is what Apache compares with,
// so operations of a multi can together go over a limit.
func (t *Tree) quotaBefore(target string) quota {
	if q, changed := t.before[target]; changed {
		return q
	}
	return t.quotas[target]
}

// setQuota changes a quota.
func (t *Tree) setQuota(target string, q quota) {
	old := t.quotas[target]
	if t.undoable() {
		if t.before == nil {
			t.before = make(map[string]quota)
		}
		if _, changed := t.before[target]; !changed {
			t.before[target] = old
		}
	}
	t.putQuota(target, q)
	if t.undoable() {
		t.later(func() { t.putQuota(target, old) })
	}
}

func (t *Tree) putQuota(target string, q quota) {
	if !q.hasLimits && !q.hasStats {
		delete(t.quotas, target)
		return
	}
	t.quotas[target] = q
}

// quotaRefuses reports whether a write would pass a hard limit.
func (t *Tree) quotaRefuses(path string, bytes, count int64) bool {
	if !t.opt.EnforceQuota {
		return false
	}
	_, q := limiting(path, t.quotaBefore)
	if !q.hasLimits || !q.hasStats {
		return false
	}
	over := func(have, more, limit int64) bool { return limit >= 0 && more > 0 && have+more > limit }
	return over(q.count, count, q.limits.countHard) || over(q.bytes, bytes, q.limits.bytesHard)
}

// quotaInserted, quotaRemoved and quotaWritten follow the changes of the tree.
func (t *Tree) quotaInserted(path string, n *node) {
	target, name, ok := quotaTarget(path)
	if !ok {
		t.account(path, 1, int64(n.size()))
		return
	}
	q := t.quotas[target]
	switch name {
	case limitsName:
		q.limits, q.hasLimits = parseLimits(n.data()), true
		t.setQuota(target, q)
	case statsName:
		q.hasStats = true
		t.setQuota(target, q)
		t.recount(target)
	}
}

func (t *Tree) quotaRemoved(path string, n *node) {
	target, name, ok := quotaTarget(path)
	if !ok {
		t.account(path, -1, -int64(n.size()))
		return
	}
	q := t.quotas[target]
	switch name {
	case limitsName:
		q.hasLimits = false
		t.setQuota(target, q)
	case statsName:
		q.hasStats = false
		t.setQuota(target, q)
	}
}

// quotaWritten also takes over the numbers that a client writes into the stats.
func (t *Tree) quotaWritten(path string, n *node, bytes int64) {
	target, name, ok := quotaTarget(path)
	if !ok {
		t.account(path, 0, bytes)
		return
	}
	q := t.quotas[target]
	switch name {
	case limitsName:
		q.limits = parseLimits(n.data())
		t.setQuota(target, q)
	case statsName:
		l := parseLimits(n.data())
		q.count, q.bytes = l.count, l.bytes
		t.setQuota(target, q)
	}
}

// recount takes the real numbers of a subtree and writes them down.
func (t *Tree) recount(target string) {
	q := t.quotas[target]
	q.count, q.bytes = 0, 0
	if n := t.find(target); n != nil {
		q.count, q.bytes = usage(n)
	}
	t.setQuota(target, q)
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
	if len(t.quotas) == 0 || count == 0 && bytes == 0 {
		return
	}
	target, q := limiting(path, t.quota)
	if !q.hasLimits || !q.hasStats {
		return
	}
	q.count += count
	q.bytes += bytes
	t.setQuota(target, q)
	t.writeStats(target, q)
}

// writeStats replaces the data of the stats znode in place: no version, no zxid, no watch.
func (t *Tree) writeStats(target string, q quota) {
	n := t.find(quotaPath + target + "/" + statsName)
	if n == nil {
		return
	}
	t.preserve(n)
	text, null, size := n.text, n.null, n.size()
	n.setText(statsName, fmt.Appendf(nil, "count=%d,bytes=%d", q.count, q.bytes))
	more := int64(n.size() - size)
	t.bytes += more
	if t.undoable() {
		t.later(func() {
			t.bytes -= more
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
		limits, stats := n.kid(limitsName), n.kid(statsName)
		if path != "" && (limits != nil || stats != nil) {
			q := quota{hasLimits: limits != nil, hasStats: stats != nil}
			if limits != nil {
				q.limits = parseLimits(limits.data())
			}
			t.setQuota(path, q)
			if limits != nil {
				t.recount(path)
			}
		}
		for kid := range n.kids().all() {
			visit(kid, path+"/"+kid.name())
		}
	}
	visit(root, "")
}
