package recipe

import "testing"

func TestCheckLocking(t *testing.T) {
	item := func(token int64) holdIn { return holdIn{Token: token} }
	rest := func(s story, ids ...string) story { return s.op(4, "rest", "", 9000, 9001, nil, ids) }
	put := story{}.op(0, "put", "a", 100, 110, nil, nil)
	took := put.hold(1, "a", 120, 200, item(10))
	done := took.op(1, "consume", "a", 210, 220, nil, nil)
	judge(t, checkLocking, []verdict{
		{"nothing", nil, ""},
		{"put, taken and consumed", rest(done), ""},
		{"put and left", rest(put, "a"), ""},
		{"taken before the put is acknowledged", rest(story{}.op(0, "put", "a", 100, 150, nil, nil).hold(1, "a", 120, 200, item(10)).op(1, "consume", "a", 210, 220, nil, nil)), ""},
		{"put in doubt, and never seen", rest(story{}.op(0, "put", "a", 100, 110, nil, nil, maybe)), ""},
		{"put in doubt, and consumed", rest(story{}.op(0, "put", "a", 100, 110, nil, nil, maybe).hold(1, "a", 120, 200, item(10)).op(1, "consume", "a", 210, 220, nil, nil)), ""},
		{"handed back, and taken again", rest(took.hold(2, "a", 230, 300, item(11)).op(2, "consume", "a", 310, 320, nil, nil)), ""},
		{"lost by one who was killed, and taken again", rest(put.hold(1, "a", 120, 200, item(10), killed).hold(2, "a", 5000, 5100, item(11)).op(2, "consume", "a", 5110, 5120, nil, nil)), ""},
		{"consumed too late, which was refused", rest(took.op(1, "consume", "a", 8000, 8001, nil, nil, refused).hold(2, "a", 5000, 5100, item(11)).op(2, "consume", "a", 5110, 5120, nil, nil)), ""},
		{"perhaps consumed, and gone", rest(took.op(1, "consume", "a", 210, 220, nil, nil, maybe)), ""},
		{"perhaps consumed, and consumed again", rest(took.op(1, "consume", "a", 210, 220, nil, nil, maybe).hold(2, "a", 5000, 5100, item(11)).op(2, "consume", "a", 5110, 5120, nil, nil)), ""},
		{"consumed by one who was killed meanwhile", rest(took.op(1, "consume", "a", 210, 0, nil, nil, killed)), ""},
		{"no end was noted", put, ""},

		{"gone", rest(put), "nothing is lost"},
		{"gone while it was worked at", rest(took), "nothing is lost"},
		{"gone though it was not consumed", rest(took.op(1, "consume", "a", 210, 220, nil, nil, refused)), "nothing is lost"},
		{"consumed twice", rest(done.hold(2, "a", 215, 0, item(11)).op(2, "consume", "a", 230, 240, nil, nil)), "nothing twice"},
		{"consumed and left", rest(done, "a"), "nothing twice"},
		{"left twice", rest(put, "a", "a"), "nothing twice"},
		{"never put", rest(put.hold(1, "b", 120, 200, item(10)), "a"), "nothing is invented"},
		{"never put, and left", rest(put, "a", "b"), "nothing is invented"},
		{"put refused, and left", rest(story{}.op(0, "put", "a", 100, 110, nil, nil, refused), "a"), "nothing is invented"},
		{"held before it was put", rest(story{}.hold(1, "a", 20, 50, item(10)).op(0, "put", "a", 100, 110, nil, nil), "a"), "nothing is invented"},
		{"held by two", rest(took.hold(2, "a", 199, 230, item(11)), "a"), "exclusion"},
		{"held again with an older lock", rest(took.hold(2, "a", 230, 300, item(9)), "a"), "tokens grow"},
		{"held when it had been consumed", rest(done.hold(2, "a", 230, 300, item(11))), "nothing behind the end"},
		{"a lock is left", rest(done).op(4, "left", jobs+"/taken", 9000, 9000, nil, []string{"x"}), "nothing is left"},
	})
}

func TestCheckPlain(t *testing.T) {
	rest := func(s story, ids ...string) story { return s.op(4, "rest", "", 9000, 9001, nil, ids) }
	take := func(s story, client, start, end int, id string, fates ...fate) story {
		return s.op(client, "take", "", start, end, nil, id, fates...)
	}
	put := story{}.op(0, "put", "a", 100, 110, nil, nil)
	judge(t, checkPlain, []verdict{
		{"put and taken", rest(take(put, 1, 120, 130, "a")), ""},
		{"taken by one that waited", rest(take(put, 1, 20, 130, "a")), ""},
		{"put and left", rest(put, "a"), ""},
		{"put in doubt, and taken", rest(take(story{}.op(0, "put", "a", 100, 110, nil, nil, maybe), 1, 120, 130, "a")), ""},
		{"perhaps taken", rest(put.op(1, "doubt", "a", 120, 120, nil, nil)), ""},
		{"perhaps taken by one, and by another for certain", rest(take(put.op(1, "doubt", "a", 120, 120, nil, nil), 2, 115, 130, "a")), ""},
		{"taken by one who was killed meanwhile", rest(take(put, 1, 120, 0, "", killed)), ""},
		{"none there", rest(take(put, 1, 20, 30, "", refused), "a"), ""},

		{"taken twice", rest(take(take(put, 1, 120, 130, "a"), 2, 140, 150, "a")), "nothing twice"},
		{"taken and left", rest(take(put, 1, 120, 130, "a"), "a"), "nothing twice"},
		{"gone", rest(put), "nothing is lost"},
		{"two gone, and one take in doubt", rest(take(put.op(0, "put", "b", 115, 118, nil, nil), 1, 120, 0, "", killed)), "nothing is lost"},
		{"never put", rest(take(put, 1, 120, 130, "b"), "a"), "nothing is invented"},
		{"taken before it was put", rest(take(put, 1, 20, 30, "a")), "nothing is invented"},
		{"put refused, and taken", rest(take(story{}.op(0, "put", "a", 100, 110, nil, nil, refused), 1, 120, 130, "a")), "nothing is invented"},
	})
}
