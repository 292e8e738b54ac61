package recipe

import (
	"testing"
	"time"
)

func TestCheckLock(t *testing.T) {
	lock := func(token int64) holdIn { return holdIn{Token: token} }
	write := func(s story, client, start, end int, token int64, number int32, fates ...fate) story {
		return s.op(client, "write", register, start, end, writeIn{Token: token}, writeOut{number, number + 1, 100 + int64(number)}, fates...)
	}
	reg := func(s story, tokens ...int64) story {
		out := registerOut{Version: int32(len(tokens))}
		for i, token := range tokens {
			out.Writes = append(out.Writes, fenceWrite{int32(i), token})
		}
		return s.op(4, "register", register, 9000, 9000, nil, out)
	}
	one := story{}.hold(0, "/lock", 100, 200, lock(10))
	two := one.hold(1, "/lock", 201, 300, lock(11))
	judge(t, checkLock, []verdict{
		{"nothing", nil, ""},
		{"one after the other", two, ""},
		{"killed, and then another", story{}.hold(0, "/lock", 100, 200, lock(10), killed).hold(1, "/lock", 5000, 5100, lock(11)), ""},
		{"killed before the first look", story{}.op(0, "hold", "/lock", 100, 0, lock(10), nil, killed).hold(1, "/lock", 150, 200, lock(9)), ""},
		{"dead on arrival", two.hold(2, "/lock", 250, 0, lock(9)), ""},
		{"another while it is held", one.hold(1, "/lock", 199, 300, lock(11)), "exclusion"},
		{"another while one is held that is killed later", story{}.hold(0, "/lock", 100, 200, lock(10), killed).hold(1, "/lock", 150, 300, lock(11)), "exclusion"},
		{"in another run of the same client", one.hold(0, "/lock", 150, 160, lock(11), restarted), "exclusion"},
		{"by one that is not the last before", story{}.hold(0, "/lock", 100, 500, lock(10)).hold(1, "/lock", 400, 0, lock(11)).hold(2, "/lock", 450, 460, lock(12)), "exclusion"},
		{"a token twice", one.hold(1, "/lock", 201, 300, lock(10)), "tokens grow"},
		{"a token below that of one before the last", two.hold(2, "/lock", 400, 401, lock(10)), "tokens grow"},
		{"another while the session was ended by others", story{}.hold(0, "/lock", 100, 200, holdIn{Token: 10, Session: 7}).op(0, "expiry", "", 140, 140, nil, 7).hold(1, "/lock", 150, 300, lock(11)), ""},
		{"another before the session was ended by others", story{}.hold(0, "/lock", 100, 200, holdIn{Token: 10, Session: 7}).op(0, "expiry", "", 160, 160, nil, 7).hold(1, "/lock", 150, 300, lock(11)), "exclusion"},

		{"writes in order", reg(write(write(two, 0, 110, 120, 10, 0), 1, 210, 220, 11, 1), 10, 11), ""},
		{"a write whose answer was lost", reg(write(write(two, 0, 110, 120, 10, 9, maybe), 1, 210, 220, 11, 1), 10, 11), ""},
		{"a late write that was refused", reg(write(write(two, 1, 210, 220, 11, 0), 0, 230, 240, 10, 9, refused), 11), ""},
		{"a late write that was accepted", reg(write(write(two, 1, 210, 220, 11, 0), 0, 230, 240, 10, 1), 11, 10), "no stale write"},
		{"a late write that was accepted without a word", reg(write(write(two, 1, 210, 220, 11, 0), 0, 230, 240, 10, 9, maybe), 11, 10), "no stale write"},
		{"a write that has gone", reg(write(two, 0, 110, 120, 10, 0)), "no write lost"},
		{"a write that another one has replaced", reg(write(two, 0, 110, 120, 10, 0), 11), "no write lost"},
		{"writes out of the order of their zxids", reg(write(two, 0, 110, 120, 10, 1).op(1, "write", register, 210, 220, writeIn{Token: 10}, writeOut{0, 1, 300}), 10, 10), "no write lost"},

		{"a release in time", two.op(0, "release", "", 200, 2200, nil, span{Took: 2 * time.Second, Limit: 2 * time.Second}), ""},
		{"a release of a process that was stopped meanwhile", two.op(0, "release", "", 200, 9200, nil, span{Took: 2 * time.Second, Limit: 2 * time.Second}), ""},
		{"a release that never ended", two.op(0, "release", "", 200, 0, nil, nil, killed), ""},
		{"a slow release", two.op(0, "release", "", 200, 9200, nil, span{Took: 9 * time.Second, Limit: 2 * time.Second}), "release bounded"},
		{"a slow cancel", two.op(0, "cancel", "", 200, 200, nil, span{Took: 2 * time.Second}), "cancel bounded"},
		{"left by a client", two.op(0, "left", "", 9000, 9000, nil, []string{"/lock/x"}), "nothing is left"},
	})
}
