package basic

import "testing"

func TestCheckEphemerals(t *testing.T) {
	// Every operation is of session 1 on the znode x.
	op := func(l *log, kind string, out any, err error) *log {
		return l.op(0, kind, "x", ephemeralIn{Session: 1}, out, err)
	}
	made := func() *log { return op(&log{}, ephemeralCreate, nil, nil) }
	there, missing, others := ephemeralOut{true, 1}, ephemeralOut{}, ephemeralOut{true, 2}
	alive := func(l *log) *log { return op(l, ephemeralAlive, nil, nil) }
	over := func(err error) *log { return (&log{}).op(0, ephemeralCreate, "x", ephemeralIn{1, true}, nil, err) }
	final := func(l *log, left ...string) *log { return l.op(4, "final", "", nil, left, nil) }
	killed := &log{}
	killed.begin(0, ephemeralCreate, "x", ephemeralIn{Session: 1})
	gone, mine := []string{"gone with its session"}, []string{"its own session's"}

	judge(t, checkEphemerals, []judged{
		{"there", alive(op(op(made(), ephemeralOwn, there, nil), ephemeralLook, there, nil)).ops(), nil},
		{"deleted", alive(op(op(made(), ephemeralDelete, nil, nil), ephemeralOwn, missing, nil)).ops(), nil},
		{"perhaps deleted", alive(op(op(made(), ephemeralDelete, nil, lost), ephemeralOwn, missing, nil)).ops(), nil},
		{"gone, and nothing heard of the session since", op(alive(made()), ephemeralOwn, missing, nil).ops(), nil},
		{"gone behind the end", final(op(made(), ephemeralAfter, missing, nil)).ops(), nil},
		{"others do not see it yet", alive(op(made(), ephemeralLook, missing, nil)).ops(), nil},
		{"lost and made", op(op(&log{}, ephemeralCreate, nil, lost), ephemeralLook, there, nil).ops(), nil},
		{"its process was killed", op(killed, ephemeralLook, there, nil).ops(), nil},
		{"refused behind the end", over(unsent).ops(), nil},

		{"gone while the session lives", alive(op(made(), ephemeralOwn, missing, nil)).ops(), []string{"there with its session"}},
		{"another session's", op(made(), ephemeralLook, others, nil).ops(), mine},
		{"a lost one in another session", op(op(&log{}, ephemeralCreate, nil, lost), ephemeralLook, others, nil).ops(), mine},
		{"no ephemeral", op(made(), ephemeralOwn, ephemeralOut{Found: true}, nil).ops(), mine},
		{"there behind the end", op(made(), ephemeralAfter, there, nil).ops(), gone},
		{"left for ever", final(made(), "x").ops(), gone},
		{"made in a session that is over", over(nil).ops(), []string{"nothing in a session that is over"}},
		{"sent in a session that is over", over(lost).ops(), []string{"nothing in a session that is over"}},
		{"refused and made", op(op(&log{}, ephemeralCreate, nil, unsent), ephemeralLook, there, nil).ops(), []string{"refused is not done"}},
		{"back behind its delete", op(op(made(), ephemeralDelete, nil, nil), ephemeralOwn, there, nil).ops(), []string{"deleted is gone"}},
		{"nobody's", op(&log{}, ephemeralLook, there, nil).ops(), []string{"somebody made it"}},
	})
}
