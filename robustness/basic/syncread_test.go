package basic

import (
	"testing"

	"github.com/gazoo-zk/gazoo/robustness/history"
)

func TestCheckSync(t *testing.T) {
	write := func(l *log, version int32, err error) *log {
		return l.op(0, "write", "/a", nil, syncOut{Version: version}, err)
	}
	read := func(l *log, role string, version int32) *log {
		return l.op(1, "read", "/a", nil, syncOut{version, role}, nil)
	}
	beside := func(version int32) []history.Op {
		l := &log{}
		end := l.begin(1, "read", "/a", nil)
		write(l, 1, nil)
		end(syncOut{version, "follower"}, nil)
		return l.ops()
	}
	stale := []string{"as new as what was acknowledged"}
	judge(t, checkSync, []judged{
		{"new", read(write(&log{}, 1, nil), "follower", 1).ops(), nil},
		{"newer", read(write(&log{}, 1, nil), "follower", 2).ops(), nil},
		{"beside the write, before it", beside(0), nil},
		{"beside the write, behind it", beside(1), nil},
		{"a lost write", read(write(&log{}, 0, lost), "follower", 0).ops(), nil},
		{"another read was newer", read(read(&log{}, "follower", 1), "follower", 0).ops(), nil},
		{"a leader's", read(write(&log{}, 1, nil), "leader", 0).ops(), nil},
		{"nobody knows whose", read(write(&log{}, 1, nil), "", 0).ops(), nil},
		{"another znode", (&log{}).op(0, "write", "/b", nil, syncOut{Version: 1}, nil).op(1, "read", "/a", nil, syncOut{0, "follower"}, nil).ops(), nil},

		{"stale", read(write(&log{}, 1, nil), "follower", 0).ops(), stale},
		{"stale on the only server", read(write(&log{}, 1, nil), "standalone", 0).ops(), stale},
		{"an older write", read(write(write(&log{}, 1, nil), 2, nil), "follower", 1).ops(), stale},
		{"two writes of one version", write(write(&log{}, 1, nil), 1, nil).ops(), stale},
	})
}
