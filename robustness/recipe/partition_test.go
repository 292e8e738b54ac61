package recipe

import "testing"

func TestCheckPartition(t *testing.T) {
	var all, few story
	for i, item := range items {
		all = all.hold(i%2, item, 100+i, 1500, holdIn{}).hold((i+1)%2, item, 2000, 9000, holdIn{})
		if i > 0 {
			few = few.hold(i%2, item, 2000, 9000, holdIn{})
		}
	}
	settle := func(s story, start, end int) story {
		return s.op(0, "settle", "", start, end, nil, nil).op(1, "settle", "", start+5, end+5, nil, nil)
	}
	judge(t, checkPartition, []verdict{
		{"all", settle(all, 3000, 9000), ""},
		{"one is missing while they go on", few, ""},
		{"told to stop at different times", few.op(0, "settle", "", 3000, 4000, nil, nil).op(1, "settle", "", 3500, 4500, nil, nil), ""},
		{"one who was killed in the end", settle(all, 3000, 9000).hold(2, "a", 1600, 1700, holdIn{}, killed), ""},

		{"one item with two", settle(all, 3000, 9000).hold(2, "a", 1400, 1450, holdIn{}), "exclusion"},
		{"one item with nobody", settle(few, 3000, 9000), "all is held"},
		{"one item that nobody has any more", settle(few.hold(2, "a", 2000, 4000, holdIn{}), 3000, 9000), "all is held"},
		{"no item of the set", settle(all, 3000, 9000).hold(1, "z", 100, 200, holdIn{}), "items of the set"},
		{"left", settle(all, 3000, 9000).op(0, "left", "", 1, 1, nil, []string{"x"}), "nothing is left"},
	})
}

func TestCheckMembership(t *testing.T) {
	claim := func(token int64) holdIn { return holdIn{Token: token} }
	saw := func(s story, client int, party, group []string, own string) story {
		return s.op(client, "saw", "", 5000, 5000, nil, settledIn{Party: party, Group: group, Own: own, Want: 2})
	}
	settle := story{}.op(0, "settle", "", 1000, 9000, nil, nil).op(1, "settle", "", 1005, 9005, nil, nil)
	both := []string{"0", "1"}
	one := settle.hold(0, claimed, 100, 200, claim(10))
	alone := story{}.op(0, "settle", "", 1000, 9000, nil, nil)
	judge(t, checkMembership, []verdict{
		{"all see all", saw(saw(settle, 0, both, both, ""), 1, both, both, ""), ""},
		{"the other has gone", saw(alone, 0, []string{"0"}, []string{"0"}, ""), ""},
		{"the other has not been forgotten yet", saw(alone, 0, both, both, ""), ""},
		{"claims of one after the other", one.hold(1, claimed, 201, 300, claim(11)), ""},
		{"a claim that goes on", one.hold(0, claimed, 300, 400, claim(10)), ""},

		{"one is not in the party", saw(settle, 0, []string{"0"}, both, ""), "all see all"},
		{"one is twice in the party", saw(settle, 0, []string{"0", "0", "1"}, both, ""), "all see all"},
		{"one is not in the group", saw(settle, 0, both, []string{"1"}, ""), "all see all"},
		{"its own node is not there", saw(settle, 0, both, both, "node does not exist"), "all see all"},
		{"the dead stay", saw(alone, 0, both, []string{"0"}, ""), "all see all"},
		{"two claims", one.hold(1, claimed, 199, 300, claim(11)), "exclusion"},
		{"two claims of one znode", one.hold(1, claimed, 300, 400, claim(10)), "tokens grow"},
		{"left", one.op(0, "left", "", 1, 1, nil, []string{"x"}), "nothing is left"},
	})
}
