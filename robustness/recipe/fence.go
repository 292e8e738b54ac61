package recipe

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Holders write their token, guarded by what they hold, to a register, and leave a sequential znode for each write: the
// whole history of the writes, those whose answers were lost included.
const (
	register = "/register"
	written  = "/written"
)

// What is noted of a guarded write, and of the register in the end.
type (
	writeIn struct {
		Token int64 `json:"t"`
		Late  bool  `json:"late,omitempty"` // behind the loss of what was held
	}
	writeOut struct {
		Number  int32 `json:"n"`
		Version int32 `json:"v"` // of the register
		Zxid    int64 `json:"z"`
	}
	registerOut struct {
		Version int32        `json:"v"`
		Writes  []fenceWrite `json:"w"` // by their numbers
	}
	fenceWrite struct {
		Number int32 `json:"n"`
		Token  int64 `json:"t"`
	}
)

func fenceSetup(ctx context.Context, zk *gazoo.Client) error {
	for _, path := range []string{register, written} {
		if _, err := zk.Create(ctx, path, nil); err != nil {
			return err
		}
	}
	return nil
}

// fence commits one write behind a guard, which is one operation.
func fence(ctx context.Context, e *program.Env, guard *gazoo.Txn, in writeIn) {
	p := e.Begin("write", register, in)
	var out writeOut
	results, err := guard.Set(register, fmt.Appendf(nil, "%016x", in.Token), gazoo.AnyVersion).
		Create(fmt.Sprintf("%s/%016x-", written, in.Token), nil, gazoo.Sequential()).Commit(ctx)
	if err == nil {
		out.Zxid, out.Version = results[1].Stat.Mzxid, results[1].Stat.Version
		_, out.Number, _ = gazoo.SequenceOf(results[2].Path)
	}
	p.End(out, err)
}

// fenceFinal notes the history of the writes.
func fenceFinal(ctx context.Context, e *program.Env, zk *gazoo.Client) error {
	names, err := children(ctx, zk, written)
	if err != nil {
		return err
	}
	var out registerOut
	for _, name := range names {
		prefix, number, ok := gazoo.SequenceOf(name)
		token, err := strconv.ParseInt(strings.TrimSuffix(prefix, "-"), 16, 64)
		if !ok || err != nil {
			return fmt.Errorf("%s is no entry of a history", name)
		}
		out.Writes = append(out.Writes, fenceWrite{number, token})
	}
	slices.SortFunc(out.Writes, func(a, b fenceWrite) int { return cmp.Compare(a.Number, b.Number) })
	_, stat, err := zk.Get(ctx, register)
	if err != nil {
		return err
	}
	out.Version = stat.Version
	e.Note("register", register, out)
	return nil
}

// stale judges the guarded writes: tokens never decrease in their history, and it has everything that was acknowledged, in
// the order of the zxids.
func stale(ops []history.Op) (bad []program.Violation) {
	complain := func(promise, format string, args ...any) {
		bad = append(bad, program.Violated(promise, format, args...))
	}
	i := slices.IndexFunc(ops, func(op history.Op) bool { return op.Kind == "register" })
	if i < 0 {
		return nil // nothing was noted in the end
	}
	reg := history.Decode[registerOut](ops[i].Out)
	highest := int64(0)
	for n, w := range reg.Writes {
		if w.Token < highest {
			complain("no stale write", "write %d of token 0x%x was accepted after one of token 0x%x", w.Number, w.Token, highest)
		}
		highest = max(highest, w.Token)
		if int(w.Number) != n {
			complain("no write lost", "write %d is missing in the history", n)
			return bad
		}
	}
	if int(reg.Version) != len(reg.Writes) {
		complain("no write lost", "the register was written %d times, its history has %d writes", reg.Version, len(reg.Writes))
	}
	type acked struct {
		*history.Op
		writeIn
		writeOut
	}
	var acks []acked
	for i := range ops {
		op := &ops[i]
		switch {
		case op.Kind != "write":
		case op.Outcome == history.OK:
			acks = append(acks, acked{op, history.Decode[writeIn](op.In), history.Decode[writeOut](op.Out)})
		}
	}
	slices.SortFunc(acks, func(a, b acked) int { return cmp.Compare(a.Number, b.Number) })
	zxid := int64(0)
	for _, w := range acks {
		switch {
		case int(w.Number) >= len(reg.Writes) || reg.Writes[w.Number].Token != w.Token:
			complain("no write lost", "the acknowledged write %d of token 0x%x is not in the history: %v", w.Number, w.Token, w.Op)
		case w.Version != w.Number+1:
			complain("no write lost", "write %d made version %d of the register: %v", w.Number, w.Version, w.Op)
		case w.Zxid <= zxid:
			complain("no write lost", "write %d has zxid 0x%x, one before it 0x%x: %v", w.Number, w.Zxid, zxid, w.Op)
		}
		zxid = max(zxid, w.Zxid)
	}
	return bad
}
