package basic

import "testing"

func TestCheckRegister(t *testing.T) {
	write := func(l *log, value string, condition, version int32) *log {
		return l.op(0, "write", "/a", registerIn{value, condition}, registerOut{Version: version}, nil)
	}
	read := func(l *log, value string, version int32) *log {
		return l.op(1, "read", "/a", nil, registerOut{value, version}, nil)
	}
	try := func(l *log, value string, condition int32, err error) *log {
		return l.op(2, "write", "/a", registerIn{value, condition}, nil, err)
	}
	killed := &log{}
	killed.begin(3, "write", "/a", registerIn{"k", -1})
	overlap := &log{}
	end := overlap.begin(0, "write", "/a", registerIn{"x", -1})
	read(read(overlap, "x", 1), "x", 1)
	end(registerOut{Version: 1}, nil)

	no := []string{"linearizable"}
	judge(t, checkRegister, []judged{
		{"written and read", read(write(&log{}, "x", 0, 1), "x", 1).ops(), nil},
		{"read while it is written", overlap.ops(), nil},
		{"lost and done", read(try(&log{}, "x", -1, lost), "x", 1).ops(), nil},
		{"lost and not done", read(try(&log{}, "x", -1, lost), "0", 0).ops(), nil},
		{"lost and done later", read(read(try(&log{}, "x", -1, lost), "0", 0), "x", 1).ops(), nil},
		{"lost, and in vain", read(try(&log{}, "x", 7, lost), "0", 0).ops(), nil},
		{"its process was killed", read(read(killed, "0", 0), "k", 1).ops(), nil},
		{"another version", try(&log{}, "x", 3, version).ops(), nil},
		{"a lost read", (&log{}).op(0, "read", "/a", nil, nil, lost).ops(), nil},

		{"stale", read(write(&log{}, "x", -1, 1), "0", 0).ops(), no},
		{"back again", read(read(try(&log{}, "x", -1, lost), "x", 1), "0", 0).ops(), no},
		{"lost update", write(write(&log{}, "x", 0, 1), "y", 0, 1).ops(), no},
		{"refused and done", read(try(&log{}, "x", -1, unsent), "x", 1).ops(), no},
		{"done twice", read(try(&log{}, "x", -1, lost), "x", 2).ops(), no},
		{"refused in spite of its version", try(&log{}, "x", 0, version).ops(), no},
	})
}

func TestCheckNodes(t *testing.T) {
	create := func(l *log, value string, err error) *log {
		return l.op(0, "create", "/a", nodeIn{Value: value}, nodeOut{Found: true}, err)
	}
	del := func(l *log, condition int32, err error) *log {
		return l.op(1, "delete", "/a", nodeIn{Version: condition}, nil, err)
	}
	set := func(l *log, value string, condition, version int32, err error) *log {
		return l.op(2, "set", "/a", nodeIn{value, condition}, nodeOut{Found: true, Version: version}, err)
	}
	get := func(l *log, found bool, value string, version int32) *log {
		return l.op(3, "get", "/a", nil, nodeOut{found, value, version}, nil)
	}
	look := func(l *log, found bool, version int32) *log {
		return l.op(3, "exists", "/a", nil, nodeOut{Found: found, Version: version}, nil)
	}
	killed := &log{}
	killed.begin(3, "create", "/a", nodeIn{Value: "k"})

	no := []string{"linearizable"}
	judge(t, checkNodes, []judged{
		{"a life", get(del(set(create(get(&log{}, false, "", 0), "x", nil), "y", 0, 1, nil), 1, nil), false, "", 0).ops(), nil},
		{"another life begins with version 0", look(create(del(set(create(&log{}, "x", nil), "y", -1, 1, nil), -1, nil), "z", nil), true, 0).ops(), nil},
		{"exists already", create(create(&log{}, "x", nil), "y", exists).ops(), nil},
		{"does not exist", set(del(&log{}, -1, missing), "x", 3, 0, missing).ops(), nil},
		{"another version", del(set(create(&log{}, "x", nil), "y", 2, 0, version), 2, version).ops(), nil},
		{"a lost create", create(create(&log{}, "x", lost), "y", exists).ops(), nil},
		{"a lost create, in vain", create(create(&log{}, "x", lost), "y", nil).ops(), nil},
		{"a lost delete, done later", look(look(del(create(&log{}, "x", nil), -1, lost), true, 0), false, 0).ops(), nil},
		{"its process was killed", get(create(killed, "x", exists), true, "k", 0).ops(), nil},

		{"made twice", create(create(&log{}, "x", nil), "y", nil).ops(), no},
		{"deleted twice", del(del(create(&log{}, "x", nil), -1, nil), -1, nil).ops(), no},
		{"refused although it was missing", create(&log{}, "x", exists).ops(), no},
		{"refused although it was there", del(create(&log{}, "x", nil), -1, missing).ops(), no},
		{"deleted in spite of its version", del(create(&log{}, "x", nil), 1, nil).ops(), no},
		{"refused in spite of its version", del(create(&log{}, "x", nil), 0, version).ops(), no},
		{"a delete that comes back", look(del(create(&log{}, "x", nil), 0, nil), true, 0).ops(), no},
		{"refused and done", get(create(&log{}, "x", unsent), true, "x", 0).ops(), no},
		{"another's data", get(create(&log{}, "x", nil), true, "y", 0).ops(), no},
		{"a set that skips a version", set(create(&log{}, "x", nil), "y", -1, 2, nil).ops(), no},
	})
}
