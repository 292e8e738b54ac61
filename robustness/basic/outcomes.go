package basic

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Outcomes makes znodes that belong to their client alone, sets and deletes them, in many ways that can fail: by contexts
// that end early, in sessions that are over, with clients that are closed under way, in transactions, and by the
// operations that resolve what was lost. What is left in the end shows whether each error has told the truth.
func Outcomes() *program.Program {
	return &program.Program{Name: "outcomes", Setup: made("/all"), Client: outcomesClient, Final: outcomesFinal, Check: checkOutcomes}
}

// outcomeIn says how it was done. The Key is the znode's.
type outcomeIn struct {
	How string `json:"h"`
}

// outcomeLeft is a znode in the end. Its version says how often it was set.
type outcomeLeft struct {
	Name    string `json:"n"`
	Version int32  `json:"v"`
}

// teller is a client of the program.
type teller struct {
	*program.Env
	zk   *gazoo.Client  // nil behind its close
	old  *gazoo.Session // one that may be over by now
	made []owned
}

// owned is a znode that was certainly made, and not deleted as far as the client knows.
type owned struct{ key, path string }

// way is a way to change a znode.
type way struct {
	how string
	do  func(path string) error
}

func outcomesClient(ctx context.Context, e *program.Env) error {
	t := &teller{Env: e}
	for i := 0; e.Pause(ctx, 200*time.Millisecond); i++ {
		if t.zk == nil {
			var err error
			if t.zk, err = e.Open(ctx); t.zk == nil {
				return err
			}
		}
		t.step(ctx, name(e, i))
	}
	if t.zk != nil {
		t.zk.CloseNow()
	}
	return nil
}

func (t *teller) step(ctx context.Context, key string) {
	bound := call
	if t.Rand.IntN(4) == 0 {
		bound = time.Duration(t.Rand.Int64N(int64(5 * time.Millisecond)))
	}
	op, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	session := t.zk.Session()
	if t.Rand.IntN(2) == 0 {
		session = t.old
	}
	if t.old == nil || t.old.Err() != nil && t.Rand.IntN(4) == 0 {
		t.old = t.zk.Session()
	}
	switch dice := t.Rand.IntN(60); {
	case dice < 20:
		t.create(op, "plain", t.zk, key)
	case dice < 25 && session != nil:
		t.create(op, "session", t.zk.InSession(session), key)
	case dice < 30:
		t.create(op, "protected", t.zk, key, gazoo.Protected())
	case dice < 35:
		p := t.Begin("create", key, outcomeIn{"transaction"})
		_, err := t.zk.Txn().Create("/all/"+key, []byte(key)).Check("/all", gazoo.AnyVersion).Commit(op)
		t.created(p, key, "/all/"+key, err)
	case dice < 36:
		t.closing(ctx, key)
	case dice < 48:
		t.change("set", []way{
			{"any version", func(path string) error { _, err := t.zk.Set(op, path, []byte(key), gazoo.AnyVersion); return err }},
			{"version", func(path string) error { _, err := t.zk.Set(op, path, []byte(key), 0); return err }},
			{"idempotent", func(path string) error { _, err := t.zk.SetIdempotent(op, path, []byte(key), 0); return err }},
			{"transaction", func(path string) error {
				_, err := t.zk.Txn().Set(path, []byte(key), gazoo.AnyVersion).Commit(op)
				return err
			}},
		})
	default:
		t.change("delete", []way{
			{"any version", func(path string) error { return t.zk.Delete(op, path, gazoo.AnyVersion) }},
			{"version", func(path string) error { return t.zk.Delete(op, path, 0) }},
			{"idempotent", func(path string) error { return t.zk.DeleteIdempotent(op, path, gazoo.AnyVersion) }},
			{"if it exists", func(path string) error { return t.zk.DeleteIfExists(op, path, 0) }},
			{"session", func(path string) error { return t.zk.InSession(session).Delete(op, path, gazoo.AnyVersion) }},
		})
	}
}

func (t *teller) create(ctx context.Context, how string, zk *gazoo.Client, key string, opts ...gazoo.CreateOption) {
	p := t.Begin("create", key, outcomeIn{how})
	path, err := zk.Create(ctx, "/all/"+key, []byte(key), opts...)
	t.created(p, key, path, err)
}

func (t *teller) created(p *history.Pending, key, path string, err error) {
	if p.End(nil, err) == nil {
		t.made = append(t.made, owned{key, path})
	}
}

// closing closes the client while it makes some znodes.
func (t *teller) closing(ctx context.Context, key string) {
	ends := make([]func(), 0, 8)
	for i := range cap(ends) {
		key := key + "." + string(rune('a'+i))
		p := t.Begin("create", key, outcomeIn{"closing"})
		made := t.zk.Async().Create(ctx, "/all/"+key, []byte(key))
		ends = append(ends, func() {
			_, err := made.Wait(context.Background()) // a client that is closed leaves nothing open
			t.created(p, key, "/all/"+key, err)
		})
	}
	if t.Rand.IntN(2) == 0 {
		t.zk.Close()
	} else {
		t.zk.CloseNow()
	}
	for _, end := range ends {
		end()
	}
	t.create(ctx, "closed", t.zk, key)
	t.zk, t.old = nil, nil
}

// change sets or deletes one of the znodes in one of these ways.
func (t *teller) change(kind string, ways []way) {
	if len(t.made) == 0 {
		return
	}
	i, way := t.Rand.IntN(len(t.made)), ways[t.Rand.IntN(len(ways))]
	node := t.made[i]
	p := t.Begin(kind, node.key, outcomeIn{way.how})
	err := way.do(node.path)
	p.End(nil, err)
	if kind == "delete" && history.OutcomeOf(err) != history.Refused {
		t.made = slices.Delete(t.made, i, i+1)
	}
}

func outcomesFinal(ctx context.Context, e *program.Env) error {
	zk, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	defer zk.CloseNow()
	var left []outcomeLeft
	p := e.Begin("final", "", nil)
	err = readAll(ctx, zk, "/all", func(name, _ string, stat gazoo.Stat) {
		left = append(left, outcomeLeft{name, stat.Version})
	})
	return p.End(left, err)
}

// told is what the outcomes of all operations on a znode say about it.
type told struct {
	create    *history.Op
	sets      int // acknowledged
	maybeSets int
	deleted   *history.Op // acknowledged, or perhaps done
	left      []outcomeLeft
}

func checkOutcomes(ops []history.Op) (bad []program.Violation) {
	all := map[string]*told{}
	of := func(key string) *told {
		if all[key] == nil {
			all[key] = &told{}
		}
		return all[key]
	}
	judge := false
	for i := range ops {
		op := &ops[i]
		switch n := of(op.Key); op.Kind {
		case "create":
			n.create = op
		case "set":
			switch op.Outcome {
			case history.OK:
				n.sets++
			case history.Maybe:
				n.maybeSets++
			}
		case "delete":
			if op.Outcome != history.Refused && (n.deleted == nil || op.Outcome == history.OK) {
				n.deleted = op
			}
		case "final":
			judge = op.Outcome == history.OK
			for _, left := range history.Decode[[]outcomeLeft](op.Out) {
				key := left.Name[strings.LastIndex(left.Name, "-")+1:] // behind the GUID of a protected one
				of(key).left = append(of(key).left, left)
			}
		}
	}
	delete(all, "")
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if n := all[key]; judge {
			bad = append(bad, n.judge(key)...)
		}
	}
	return bad
}

// judge compares what was told with what is left.
func (n *told) judge(key string) []program.Violation {
	one := func(promise, format string, args ...any) []program.Violation {
		return []program.Violation{program.Violated(promise, format, args...)}
	}
	switch c, d := n.create, n.deleted; {
	case c == nil:
		return one("somebody made it", "%s", key)
	case len(n.left) > 1:
		return one("once at most", "%v of %v", n.left, *c)
	case len(n.left) == 0 && c.Outcome == history.OK && d == nil:
		return one("acknowledged is done", "nothing is left of %v", *c)
	case len(n.left) == 0:
		return nil
	case c.Outcome == history.Refused:
		return one("refused is not done", "left is %v of %v", n.left, *c)
	case d != nil && d.Outcome == history.OK:
		return one("acknowledged is done", "left is %v in spite of %v", n.left, *d)
	case int(n.left[0].Version) < n.sets:
		return one("acknowledged is done", "left is %v of %v, which was set %d times", n.left, *c, n.sets)
	case int(n.left[0].Version) > n.sets+n.maybeSets:
		return one("refused is not done", "left is %v of %v, which was set %d times, and %d perhaps", n.left, *c, n.sets, n.maybeSets)
	}
	return nil
}
