package recipe

import (
	"testing"
	"time"
)

func TestCheckRW(t *testing.T) {
	reader := func(token int64) holdIn { return holdIn{Token: token, Shared: true} }
	writer := func(token int64) holdIn { return holdIn{Token: token} }
	readers := story{}.hold(0, "/lock", 100, 200, reader(10)).hold(1, "/lock", 110, 300, reader(9))
	became := story{}.hold(0, "/lock", 100, 200, writer(10)).hold(0, "/lock", 210, 300, holdIn{Token: 12, Shared: true, Was: 10})
	judge(t, checkRW, []verdict{
		{"readers together", readers, ""},
		{"a writer behind them", readers.hold(2, "/lock", 301, 400, writer(11)), ""},
		{"a reader behind a writer", story{}.hold(0, "/lock", 100, 200, writer(10)).hold(1, "/lock", 201, 300, reader(11)), ""},
		{"a writer becomes a reader", became.hold(1, "/lock", 301, 400, writer(13)), ""},
		{"readers beside one that was a writer", became.hold(1, "/lock", 220, 400, reader(11)), ""},

		{"a writer beside a reader", readers.hold(2, "/lock", 250, 400, writer(11)), "exclusion"},
		{"a reader beside a writer", story{}.hold(0, "/lock", 100, 200, writer(10)).hold(1, "/lock", 150, 160, reader(11)), "exclusion"},
		{"two writers", story{}.hold(0, "/lock", 100, 200, writer(10)).hold(1, "/lock", 150, 160, writer(11)), "exclusion"},
		{"a reader's token below the writer's before it", story{}.hold(0, "/lock", 100, 200, writer(10)).hold(1, "/lock", 201, 300, reader(9)), "tokens grow"},
		{"a writer's token below a reader's before it", readers.hold(2, "/lock", 301, 400, writer(10)), "tokens grow"},
		{"a writer between", story{}.hold(0, "/lock", 100, 200, writer(10)).hold(1, "/lock", 202, 205, writer(11)).hold(0, "/lock", 210, 300, holdIn{Token: 12, Shared: true, Was: 10}), "no writer between"},
	})
}

func TestCheckSemaphore(t *testing.T) {
	n := func(n int) holdIn { return holdIn{N: n, Shared: true} }
	full := story{}.hold(0, "/permits", 100, 300, n(1)).hold(1, "/permits", 110, 200, n(2))
	judge(t, checkSemaphore, []verdict{
		{"as many as there are", full, ""},
		{"another behind", full.hold(2, "/permits", 201, 400, n(2)), ""},
		{"killed", story{}.hold(0, "/permits", 100, 300, n(2), killed).hold(1, "/permits", 5000, 5100, n(2)), ""},
		{"dead on arrival", full.hold(2, "/permits", 150, 0, n(2)), ""},

		{"one too many", full.hold(2, "/permits", 199, 400, n(1)), "no more than there are"},
		{"two too many", full.hold(2, "/permits", 250, 400, n(3)), "no more than there are"},
		{"slow release", full.op(0, "release", "", 1, 1, nil, span{Took: 9 * time.Second}), "release bounded"},
		{"left", full.op(5, "left", "/permits", 1, 1, nil, []string{"x"}), "nothing is left"},
	})
}

func TestCheckElection(t *testing.T) {
	leader := func(token int64) holdIn { return holdIn{Token: token} }
	one := story{}.hold(0, seat, 100, 200, leader(10))
	judge(t, checkElection, []verdict{
		{"one after the other", one.hold(1, seat, 200, 300, leader(11)), ""},
		{"two", one.hold(1, seat, 150, 300, leader(11)), "exclusion"},
		{"an older token", one.hold(1, seat, 250, 300, leader(9)), "tokens grow"},
		{"a stale write", one.op(5, "register", register, 900, 900, nil, registerOut{2, []fenceWrite{{0, 11}, {1, 10}}}), "no stale write"},
		{"left", one.op(0, "left", "", 1, 1, nil, []string{"x"}), "nothing is left"},
	})
}
