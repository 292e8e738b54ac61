package basic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Ephemerals makes ephemerals through views that are bound to a session. One is there for as long as its session lives, as
// that session sees it, and gone when a server has said that the session is over. It never belongs to another session, and
// nothing is made in a session that is over.
func Ephemerals() *program.Program {
	return &program.Program{
		Name: "ephemerals", Setup: made("/all"), Client: ephemeralsClient, Final: ephemeralsFinal, Check: checkEphemerals,
		// A leader that has been cut off hears of no session that is not its own client's, and says that it is over, while
		// the next leader lets it live on.
		Needs: program.Needs{OneLeader: true},
	}
}

// The kinds of operations. The Key is the znode's.
const (
	ephemeralCreate = "create"
	ephemeralDelete = "delete"
	ephemeralAlive  = "alive" // a write of the session
	ephemeralOwn    = "own"   // a look through the session's view
	ephemeralLook   = "look"  // a look at anybody's
	ephemeralAfter  = "after" // a look at an own one whose session is over for certain
)

type (
	ephemeralIn struct {
		Session int64 `json:"s"`
		Over    bool  `json:"o,omitempty"` // it is known to be over when the operation begins
	}
	ephemeralOut struct {
		Found bool  `json:"f"`
		Owner int64 `json:"o,omitempty"`
	}
)

// holder is a client of the program.
type holder struct {
	*program.Env
	zk      *gazoo.Client
	session *gazoo.Session
	mine    []string // keys of those made in the session, perhaps made ones among them
	sure    []string // keys of those certainly made and not deleted
}

func ephemeralsClient(ctx context.Context, e *program.Env) error {
	zk, err := e.Open(ctx)
	if zk == nil {
		return err
	}
	defer zk.CloseNow()
	h := &holder{Env: e, zk: zk}
	for i := 0; e.Pause(ctx, 150*time.Millisecond); i++ {
		op, cancel := context.WithTimeout(ctx, call)
		h.step(op, name(e, i))
		cancel()
	}
	return nil
}

func (h *holder) step(ctx context.Context, key string) {
	if s := h.zk.Session(); s == nil {
		return // and what there was before is looked at in the next one
	} else if h.session == nil {
		h.session = s
	} else if s != h.session {
		if errors.Is(context.Cause(h.session.Context()), gazoo.ErrSessionExpired) {
			h.create(ctx, "over-"+key) // in vain
			h.after(ctx)
		}
		if s.ID() != h.session.ID() {
			h.mine, h.sure = nil, nil
		}
		h.session = s
	}
	view := h.zk.InSession(h.session)
	switch dice := h.Rand.IntN(10); {
	case dice < 3:
		h.create(ctx, key)
	case dice < 4 && len(h.sure) > 0:
		key, h.sure = h.sure[0], h.sure[1:]
		p := h.begin(ephemeralDelete, key)
		p.End(nil, view.Delete(ctx, "/all/"+key, gazoo.AnyVersion))
	case dice < 7 && len(h.sure) > 0:
		key := h.sure[h.Rand.IntN(len(h.sure))]
		p := h.begin(ephemeralOwn, key)
		stat, found, err := view.Exists(ctx, "/all/"+key)
		p.End(ephemeralOut{found, stat.EphemeralOwner}, err)
	case dice < 8:
		p := h.begin(ephemeralAlive, "")
		p.End(nil, fresh(ctx, view))
	default:
		names, err := h.zk.Children(ctx, "/all")
		if err != nil || len(names) == 0 {
			return
		}
		slices.Sort(names)
		key := names[h.Rand.IntN(len(names))]
		p := h.begin(ephemeralLook, key)
		stat, found, err := h.zk.Exists(ctx, "/all/"+key)
		p.End(ephemeralOut{found, stat.EphemeralOwner}, err)
	}
}

func (h *holder) begin(kind, key string) *history.Pending {
	return h.Begin(kind, key, ephemeralIn{h.session.ID(), h.session.Err() != nil})
}

func (h *holder) create(ctx context.Context, key string) {
	p := h.begin(ephemeralCreate, key)
	_, err := h.zk.InSession(h.session).Create(ctx, "/all/"+key, nil, gazoo.Ephemeral())
	p.End(nil, err)
	if err == nil {
		h.sure = append(h.sure, key)
	}
	if history.OutcomeOf(err) != history.Refused {
		h.mine = append(h.mine, key)
	}
}

// after looks at some of the ephemerals of a session that is over.
func (h *holder) after(ctx context.Context) {
	for _, key := range h.mine[max(0, len(h.mine)-5):] {
		p := h.begin(ephemeralAfter, key)
		var found bool
		err := fresh(ctx, h.zk)
		if err == nil {
			_, found, err = h.zk.Exists(ctx, "/all/"+key)
		}
		p.End(ephemeralOut{Found: found}, err)
	}
}

// leftovers is how long the last sessions may take to expire, on servers that have been started again.
const leftovers = time.Minute

func ephemeralsFinal(ctx context.Context, e *program.Env) error {
	zk, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	defer zk.CloseNow()
	var left []string
	p := e.Begin("final", "", nil)
	for end := time.Now().Add(leftovers); time.Now().Before(end) && program.Sleep(ctx, 200*time.Millisecond); {
		if err = fresh(ctx, zk); err == nil {
			left, err = zk.Children(ctx, "/all")
		}
		if err != nil || len(left) == 0 {
			break
		}
	}
	return p.End(left, err)
}

func checkEphemerals(ops []history.Op) (bad []program.Violation) {
	created, deletes := map[string]*history.Op{}, map[string][]*history.Op{}
	lives := map[int64]history.Instant{} // when a write that was acknowledged began, the last one of each session
	in := func(op *history.Op) ephemeralIn { return history.Decode[ephemeralIn](op.In) }
	for i := range ops {
		op := &ops[i]
		switch op.Kind {
		case ephemeralCreate:
			created[op.Key] = op
			if in(op).Over && op.Outcome != history.Refused {
				bad = append(bad, program.Violated("nothing in a session that is over", "%v", *op))
			}
		case ephemeralDelete:
			deletes[op.Key] = append(deletes[op.Key], op)
		}
		switch op.Kind {
		case ephemeralCreate, ephemeralDelete, ephemeralAlive:
			if op.Outcome == history.OK {
				lives[in(op).Session] = max(lives[in(op).Session], op.Start)
			}
		}
	}
	for i := range ops {
		op := &ops[i]
		if op.Outcome != history.OK {
			continue
		}
		if op.Kind == "final" {
			if left := history.Decode[[]string](op.Out); len(left) > 0 {
				bad = append(bad, program.Violated("gone with its session", "%v are left", left))
			}
			continue
		}
		c := created[op.Key]
		out := history.Decode[ephemeralOut](op.Out)
		switch op.Kind {
		case ephemeralOwn, ephemeralLook, ephemeralAfter:
		default:
			continue
		}
		switch {
		case c == nil:
			bad = append(bad, program.Violated("somebody made it", "%v", *op))
		case out.Found && c.Outcome == history.Refused:
			bad = append(bad, program.Violated("refused is not done", "%v of %v", *op, *c))
		case out.Found && op.Kind == ephemeralAfter:
			bad = append(bad, program.Violated("gone with its session", "%v of %v", *op, *c))
		case out.Found && out.Owner != in(c).Session:
			bad = append(bad, program.Violated("its own session's", "%v of %v", *op, *c))
		case op.Kind != ephemeralOwn:
		case out.Found && slices.ContainsFunc(deletes[op.Key], func(d *history.Op) bool { return d.Outcome == history.OK && d.End < op.Start }):
			bad = append(bad, program.Violated("deleted is gone", "%v of %v", *op, *c))
		case !out.Found && c.Outcome == history.OK && lives[in(op).Session] > op.End &&
			!slices.ContainsFunc(deletes[op.Key], func(d *history.Op) bool { return d.Start < op.End }):
			bad = append(bad, program.Violated("there with its session", "%v of %v, whose session wrote something at %v",
				*op, *c, fmt.Sprint(time.Duration(lives[in(op).Session]))))
		}
	}
	return bad
}
