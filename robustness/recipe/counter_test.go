package recipe

import "testing"

func TestCheckCounter(t *testing.T) {
	add := func(s story, client, start, end int, pre, by int64, fates ...fate) story {
		return s.op(client, "add", "", start, end, addIn{by}, addOut{pre, pre + by}, fates...)
	}
	read := func(s story, kind string, client, start, end int, v int64) story {
		return s.op(client, kind, "", start, end, nil, v)
	}
	sum := func(s story, v int64) story { return s.op(4, "sum", "", 9000, 9000, nil, v) }
	one := add(story{}, 0, 100, 110, 0, 5)
	two := add(one, 1, 120, 130, 5, 2)
	judge(t, checkCounter, []verdict{
		{"nothing", sum(story{}, 0), ""},
		{"one on top of the other", sum(two, 7), ""},
		{"at the same time", sum(add(add(story{}, 0, 100, 200, 2, 5), 1, 100, 200, 0, 2), 7), ""},
		{"in doubt, and not applied", sum(add(two, 0, 140, 150, 0, 9, maybe), 7), ""},
		{"in doubt, and applied", sum(add(two, 0, 140, 150, 0, 9, maybe), 16), ""},
		{"in doubt, and applied later between others", sum(add(add(one, 1, 50, 60, 0, 9, maybe), 2, 200, 210, 14, 1), 15), ""},
		{"killed", sum(add(two, 0, 140, 0, 0, 9, killed), 16), ""},
		{"an old read", read(two, "get", 2, 140, 150, 5), ""},
		{"a fresh read", read(two, "fresh", 2, 140, 150, 7), ""},
		{"a read in between", read(two, "fresh", 2, 115, 150, 5), ""},

		{"less than acknowledged", sum(two, 5), "sum"},
		{"more than was added", sum(add(two, 0, 140, 150, 0, 9, maybe), 17), "sum"},
		{"applied though refused", sum(add(two, 0, 140, 150, 0, 9, refused), 16), "sum"},
		{"the end before the last change", sum(add(add(one, 1, 50, 60, 0, 9, maybe), 2, 200, 210, 14, 1), 14), "sum"},
		{"both on top of the same", add(one, 1, 120, 130, 3, 2), "one on top of the other"},
		{"twice the same", add(one, 1, 105, 108, 0, 5), "one on top of the other"},
		{"not what was added", story{}.op(0, "add", "", 1, 2, addIn{5}, addOut{0, 10}), "one on top of the other"},
		{"the later one below", add(one, 1, 90, 95, 5, 2), "in real time"},
		{"a value that never was", read(two, "get", 2, 140, 150, 6), "sum"},
		{"more than there was", read(two, "get", 2, 140, 150, 8), "sum"},
		{"a read of what comes later", read(two, "get", 2, 112, 115, 7), "sum"},
		{"an old read that should be fresh", read(two, "fresh", 2, 140, 150, 5), "fresh"},
		{"back in time", read(read(two, "get", 2, 140, 150, 7), "get", 2, 160, 170, 5), "no client goes back"},
		{"back behind its own change", read(two, "get", 1, 160, 170, 5), "no client goes back"},
	})
}

func TestCheckLease(t *testing.T) {
	lease := func(token int64) holdIn { return holdIn{Token: token} }
	one := story{}.hold(0, "/lease", 100, 2000, lease(10))
	judge(t, checkLease, []verdict{
		{"one after the other", one.hold(1, "/lease", 2100, 3000, lease(11)), ""},
		{"renewed", one.hold(0, "/lease", 2001, 3000, lease(11)), ""},
		{"by the next run of a client that was killed", story{}.hold(0, "/lease", 100, 200, lease(10), killed).hold(0, "/lease", 3100, 3200, lease(11), restarted), ""},
		{"two at the same time", one.hold(1, "/lease", 1999, 3000, lease(11)), "exclusion"},
		{"the same token", one.hold(1, "/lease", 2100, 3000, lease(10)), "tokens grow"},
		{"nobody gets it in the end", one.op(4, "stuck", "", 9000, 9000, nil, "taken"), "it ends by the clock"},
	})
}

func TestCheckBarrier(t *testing.T) {
	up := story{}.op(0, "create", "", 100, 110, nil, true)
	do := func(s story, what string, client, start, end int, fates ...fate) story {
		return s.op(client, what, "", start, end, nil, nil, fates...)
	}
	judge(t, checkBarrier, []verdict{
		{"passed before", do(up, "wait", 1, 50, 60), ""},
		{"passed while it was put up", do(up, "wait", 1, 105, 120), ""},
		{"passed behind the removal", do(do(up, "remove", 0, 200, 210), "wait", 1, 150, 220), ""},
		{"passed during the removal", do(do(up, "remove", 0, 200, 300), "wait", 1, 150, 220), ""},
		{"passed by a removal in doubt", do(do(up, "remove", 0, 200, 210, maybe), "wait", 1, 500, 520), ""},
		{"not passed", do(up, "wait", 1, 150, 220, refused), ""},
		{"a create in doubt", do(story{}.op(0, "create", "", 100, 110, nil, true, maybe), "wait", 1, 150, 220), ""},
		{"the last wait", do(do(up, "remove", 1, 200, 210), "last wait", 1, 211, 220), ""},

		{"passed while it was up", do(up, "wait", 1, 150, 220), "nobody passes"},
		{"passed before the removal", do(do(up, "remove", 0, 221, 230), "wait", 1, 150, 220), "nobody passes"},
		{"passed by an old removal", do(do(up, "remove", 0, 50, 60), "wait", 1, 150, 220), "nobody passes"},
		{"passed by a removal that was refused", do(do(up, "remove", 0, 160, 170, refused), "wait", 1, 150, 220), "nobody passes"},
		{"never woken", do(do(up, "remove", 1, 200, 210), "last wait", 1, 211, 9000, refused), "nobody sleeps on"},
	})
}

func TestCheckDouble(t *testing.T) {
	enter := func(s story, client, start, end int, fates ...fate) story {
		return s.op(client, "enter", "", start, end, 1e9, nil, fates...)
	}
	leave := func(s story, client, start, end int, fates ...fate) story {
		return s.op(client, "leave", "", start, end, 1e9, nil, fates...)
	}
	inside := holdIn{Shared: true}
	full := enter(enter(enter(story{}, 0, 100, 130), 1, 110, 130), 2, 120, 130)
	gone := leave(leave(leave(full, 0, 200, 230), 1, 210, 230), 2, 220, 230)
	judge(t, checkDouble, []verdict{
		{"enough", gone, ""},
		{"one who did not get in counts", enter(enter(enter(story{}, 0, 100, 130), 1, 110, 130), 2, 120, 125, refused), ""},
		{"one who was killed counts", enter(enter(enter(story{}, 0, 100, 130), 1, 110, 130), 2, 120, 0, killed), ""},
		{"one more while they are inside", enter(full, 3, 190, 195), ""},
		{"the next round", enter(enter(enter(gone, 0, 300, 330), 1, 310, 330), 3, 320, 330), ""},
		{"all inside", full.hold(0, "/round", 131, 199, inside).hold(1, "/round", 131, 209, inside), ""},

		{"alone", enter(story{}, 0, 100, 130), "nobody is alone"},
		{"two", enter(enter(story{}, 0, 100, 130), 1, 110, 130), "nobody is alone"},
		{"before the last came", enter(enter(enter(story{}, 0, 100, 119), 1, 110, 130), 2, 120, 130), "nobody is alone"},
		{"alone behind the first round", enter(gone, 3, 300, 330), "nobody is alone"},
		{"left while one is inside", leave(full.hold(1, "/round", 131, 500, inside), 0, 200, 230), "all have left"},
	})
}
