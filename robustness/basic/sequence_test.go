package basic

import (
	"fmt"
	"testing"
)

func TestCheckSequence(t *testing.T) {
	node := func(number int) string { return fmt.Sprintf("n-%010d", number) }
	create := func(l *log, id string, number int, err error) *log {
		return l.op(0, "create", id, nil, sequenceOut{Name: node(number)}, err)
	}
	// final finds znodes with the data of these creates, from number 0 on.
	final := func(l *log, ids ...string) *log {
		var all []sequenceOut
		for i, id := range ids {
			all = append(all, sequenceOut{node(i), id, int64(100 + i)})
		}
		return l.op(4, "final", "", nil, all, nil)
	}
	beside := &log{}
	end := beside.begin(1, "create", "x", nil)
	create(beside, "y", 0, nil)
	end(sequenceOut{Name: node(1)}, nil)
	killed := &log{}
	killed.begin(1, "protected", "x", nil)
	disorder := (&log{}).op(4, "final", "", nil, []sequenceOut{{node(0), "x", 9}, {node(1), "y", 8}}, nil)

	judge(t, checkSequence, []judged{
		{"one behind the other", final(create(create(&log{}, "x", 0, nil), "y", 1, nil), "x", "y").ops(), nil},
		{"beside each other in another order", final(beside, "y", "x").ops(), nil},
		{"lost and done", final(create(create(&log{}, "x", 0, lost), "y", 1, nil), "x", "y").ops(), nil},
		{"lost and done later", final(create(create(&log{}, "x", 0, lost), "y", 0, nil), "y", "x").ops(), nil},
		{"lost and not done", final(create(create(&log{}, "x", 0, lost), "y", 0, nil), "y").ops(), nil},
		{"its process was killed", final(killed, "x").ops(), nil},
		{"refused", final(create(&log{}, "x", 0, unsent)).ops(), nil},

		{"the same number", create(create(&log{}, "x", 0, nil), "y", 0, nil).ops(), []string{"unique numbers", "numbers grow with time"}},
		{"a smaller number", create(create(&log{}, "x", 1, nil), "y", 0, nil).ops(), []string{"numbers grow with time"}},
		{"a lost one with a number before its time", final(create(create(&log{}, "x", 1, nil), "y", 0, lost), "y", "x").ops(), []string{"numbers grow with time"}},
		{"acknowledged and gone", final(create(&log{}, "x", 0, nil)).ops(), []string{"acknowledged is done"}},
		{"done twice", final(create(&log{}, "x", 0, lost), "x", "x").ops(), []string{"once at most"}},
		{"refused and done", final(create(&log{}, "x", 0, unsent), "x").ops(), []string{"refused is not done"}},
		{"another name", final(create(&log{}, "x", 5, nil), "x").ops(), []string{"the name returned"}},
		{"nobody's", final(&log{}, "x").ops(), []string{"somebody made it"}},
		{"numbers against zxids", create(create(disorder, "x", 0, lost), "y", 1, lost).ops(), []string{"numbers grow with zxids"}},
	})
}
