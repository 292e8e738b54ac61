package basic

import "testing"

func TestCheckOutcomes(t *testing.T) {
	op := func(l *log, kind string, err error) *log { return l.op(0, kind, "x", outcomeIn{"plain"}, nil, err) }
	final := func(l *log, left ...outcomeLeft) *log { return l.op(4, "final", "", nil, left, nil) }
	made := func() *log { return op(&log{}, "create", nil) }
	killed := made()
	killed.begin(0, "set", "x", nil)
	killed.begin(0, "delete", "x", nil)
	x := func(version int32) outcomeLeft { return outcomeLeft{"x", version} }
	done, refused := []string{"acknowledged is done"}, []string{"refused is not done"}

	judge(t, checkOutcomes, []judged{
		{"made", final(made(), x(0)).ops(), nil},
		{"made, set and deleted", final(op(op(made(), "set", nil), "delete", nil)).ops(), nil},
		{"a protected one", final(made(), outcomeLeft{"_c_01234567-89ab-cdef-0123-456789abcdef-x", 0}).ops(), nil},
		{"lost and made", final(op(&log{}, "create", lost), x(0)).ops(), nil},
		{"lost and not made", final(op(&log{}, "create", lost)).ops(), nil},
		{"not sent", final(op(op(op(&log{}, "create", unsent), "set", unsent), "delete", unsent)).ops(), nil},
		{"a lost set, done", final(op(made(), "set", lost), x(1)).ops(), nil},
		{"a lost set, not done", final(op(made(), "set", lost), x(0)).ops(), nil},
		{"a lost delete, done", final(op(made(), "delete", lost)).ops(), nil},
		{"a lost delete, not done", final(op(made(), "delete", lost), x(0)).ops(), nil},
		{"refused changes", final(op(op(made(), "set", version), "delete", version), x(0)).ops(), nil},
		{"its process was killed", final(killed, x(1)).ops(), nil},

		{"made and gone", final(made()).ops(), done},
		{"made and gone by a refused delete", final(op(made(), "delete", unsent)).ops(), done},
		{"deleted and there", final(op(made(), "delete", nil), x(0)).ops(), done},
		{"set in vain", final(op(made(), "set", nil), x(0)).ops(), done},
		{"not sent, and made", final(op(&log{}, "create", unsent), x(0)).ops(), refused},
		{"not sent, and set", final(op(made(), "set", unsent), x(1)).ops(), refused},
		{"lost, and set twice", final(op(made(), "set", lost), x(2)).ops(), refused},
		{"made twice", final(made(), x(0), outcomeLeft{"_c_1-x", 0}).ops(), []string{"once at most"}},
		{"nobody's", final(&log{}, x(0)).ops(), []string{"somebody made it"}},
	})
}
