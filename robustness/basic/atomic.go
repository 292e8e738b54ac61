package basic

import (
	"context"
	"errors"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Atomic writes several znodes with one value in a transaction, which also makes a znode of its own, and fails on purpose
// now and then. Nobody ever sees a part of one: neither who reads all in one request, nor who reads one behind the other,
// nor the last look. Refused ones leave nothing, acknowledged ones everything.
func Atomic() *program.Program {
	return &program.Program{
		Name: "atomic", Setup: made(append(atoms, "/done", "/guard")...), Client: atomicClient, Final: atomicFinal, Check: checkAtomic,
	}
}

// atoms are written in this order, and read in it. Who has read one of them behind a transaction therefore reads the
// next ones behind it too.
var atoms = []string{"/a", "/b", "/c", "/d"}

// What transactions and reads note.
type (
	// atomicIn is the condition of a transaction on the version of the first znode; -1 is none.
	atomicIn struct {
		Version int32 `json:"n"`
	}
	atom struct {
		Value   string `json:"v,omitempty"` // of a read: the Key of the transaction
		Version int32  `json:"n"`
		Zxid    int64  `json:"z"`
	}
	atomicEnd struct {
		Atoms []atom           `json:"a"`
		Done  map[string]int64 `json:"d"` // zxids of the transactions whose own znode is there
	}
)

func atomicClient(ctx context.Context, e *program.Env) error {
	zk, err := e.Open(ctx)
	if zk == nil {
		return err
	}
	defer zk.CloseNow()
	var version int32
	for i := 0; e.Pause(ctx, 200*time.Millisecond); i++ {
		op, cancel := context.WithTimeout(ctx, call)
		var seen []atom
		var err error
		switch e.Rand.IntN(4) {
		case 0:
			p := e.Begin("read at once", "", nil)
			seen, err = readAtOnce(op, zk)
			p.End(seen, err)
		case 1:
			p := e.Begin("read in turn", "", nil)
			seen, err = readInTurn(op, zk)
			p.End(seen, err)
		default:
			seen, err = writeAtoms(op, e, zk, name(e, i), version)
		}
		if err == nil {
			version = seen[0].Version
		}
		cancel()
	}
	return nil
}

func writeAtoms(ctx context.Context, e *program.Env, zk *gazoo.Client, id string, version int32) ([]atom, error) {
	in := atomicIn{Version: gazoo.AnyVersion}
	txn := zk.Txn()
	if e.Rand.IntN(2) == 0 {
		in.Version = version
		txn.Check(atoms[0], version)
	}
	own, bad := e.Rand.IntN(len(atoms)+1), e.Rand.IntN(20)
	for i := range len(atoms) + 1 {
		if i == own {
			txn.Create("/done/"+id, nil)
		}
		if i == bad {
			txn.Check("/guard", 1) // it has version 0 for ever
		}
		if i < len(atoms) {
			txn.Set(atoms[i], []byte(id), gazoo.AnyVersion)
		}
	}
	p := e.Begin("write", id, in)
	results, err := txn.Commit(ctx)
	var wrote []atom
	for _, r := range results {
		if r.HasStat {
			wrote = append(wrote, atom{Version: r.Stat.Version, Zxid: r.Stat.Mzxid})
		}
	}
	return wrote, p.End(wrote, err)
}

func readAtOnce(ctx context.Context, zk *gazoo.Client) (seen []atom, err error) {
	var reads []gazoo.Read
	for _, path := range atoms {
		reads = append(reads, gazoo.ReadData(path))
	}
	results, err := zk.MultiRead(ctx, reads...)
	for _, r := range results {
		err = errors.Join(err, r.Err)
		seen = append(seen, seenAtom(r.Data, r.Stat))
	}
	return seen, err
}

func readInTurn(ctx context.Context, zk *gazoo.Client) (seen []atom, err error) {
	for _, path := range atoms {
		data, stat, err := zk.Get(ctx, path)
		if err != nil {
			return nil, err
		}
		seen = append(seen, seenAtom(data, stat))
	}
	return seen, nil
}

// seenAtom leaves out the zxid of the state that no transaction has written: each znode was made by a create of its own.
func seenAtom(data []byte, stat gazoo.Stat) atom {
	if stat.Version == 0 {
		return atom{Value: string(data)}
	}
	return atom{string(data), stat.Version, stat.Mzxid}
}

func atomicFinal(ctx context.Context, e *program.Env) error {
	zk, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	defer zk.CloseNow()
	end := atomicEnd{Done: map[string]int64{}}
	p := e.Begin("final", "", nil)
	err = readAll(ctx, zk, "/done", func(name, _ string, stat gazoo.Stat) { end.Done[name] = stat.Czxid })
	if err == nil {
		end.Atoms, err = readAtOnce(ctx, zk)
	}
	return p.End(end, err)
}

func checkAtomic(ops []history.Op) (bad []program.Violation) {
	const whole = "all or nothing"
	writes := map[string]*history.Op{}
	var acknowledged []numbered
	for i := range ops {
		op := &ops[i]
		if op.Kind != "write" {
			continue
		}
		writes[op.Key] = op
		if op.Outcome != history.OK {
			continue
		}
		wrote := history.Decode[[]atom](op.Out)
		for _, a := range wrote {
			if a != wrote[0] {
				bad = append(bad, program.Violated(whole, "%v", *op))
				break
			}
		}
		if condition := history.Decode[atomicIn](op.In).Version; condition != gazoo.AnyVersion && wrote[0].Version != condition+1 {
			bad = append(bad, program.Violated("conditions hold", "%v", *op))
		}
		acknowledged = append(acknowledged, numbered{op: op, number: wrote[0].Zxid})
	}
	bad = append(bad, timely("in the order of time", acknowledged)...)

	// Of each value only one version and zxid can be seen.
	of := map[string]atom{"0": {Value: "0"}}
	look := func(op *history.Op, a atom) {
		known, seen := of[a.Value]
		of[a.Value] = a
		w := writes[a.Value]
		switch {
		case seen && known != a:
			bad = append(bad, program.Violated(whole, "%+v and %+v of one transaction: %v", known, a, *op))
		case a.Value == "0":
		case w == nil:
			bad = append(bad, program.Violated("somebody wrote it", "%+v: %v", a, *op))
		case w.Outcome == history.Refused:
			bad = append(bad, program.Violated("refused is not done", "%+v: %v of %v", a, *op, *w))
		case w.Outcome == history.OK && history.Decode[[]atom](w.Out)[0] != atom{Version: a.Version, Zxid: a.Zxid}:
			bad = append(bad, program.Violated("what was returned", "%+v: %v of %v", a, *op, *w))
		case op.End < w.Start:
			bad = append(bad, program.Violated("in the order of time", "%v, before %v", *op, *w))
		}
	}
	for i := range ops {
		op := &ops[i]
		if op.Outcome != history.OK {
			continue
		}
		var seen []atom
		switch op.Kind {
		case "read at once", "read in turn":
			seen = history.Decode[[]atom](op.Out)
		case "final":
			end := history.Decode[atomicEnd](op.Out)
			seen = end.Atoms
			bad = append(bad, atomsLeft(end, writes)...)
		}
		for i, a := range seen {
			look(op, a)
			if i > 0 && (a.Zxid < seen[i-1].Zxid || op.Kind != "read in turn" && a != seen[i-1]) {
				bad = append(bad, program.Violated(whole, "%v", *op))
				break
			}
		}
	}
	return bad
}

// atomsLeft judges what is left: as many versions as there are transactions, and the last one everywhere.
func atomsLeft(end atomicEnd, writes map[string]*history.Op) (bad []program.Violation) {
	last := atom{Value: "0"}
	for id, zxid := range end.Done {
		if zxid > last.Zxid {
			last = atom{Value: id, Zxid: zxid}
		}
		if w := writes[id]; w == nil || w.Outcome == history.Refused {
			bad = append(bad, program.Violated("refused is not done", "its own znode is there: %s %v", id, w))
		}
	}
	last.Version = int32(len(end.Done))
	if len(end.Atoms) == 0 || end.Atoms[0] != last {
		bad = append(bad, program.Violated("all or nothing", "the last of %d transactions is %+v, and left is %+v", len(end.Done), last, end.Atoms))
	}
	for id, w := range writes {
		if _, found := end.Done[id]; !found && w.Outcome == history.OK {
			bad = append(bad, program.Violated("acknowledged is done", "its own znode is missing: %v", *w))
		}
	}
	return bad
}
