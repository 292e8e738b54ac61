// Package basic has programs that use the client alone, and their checkers.
package basic

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// call bounds one operation: long enough for the faults of a schedule, mostly.
const call = 3 * time.Second

// barrier is a znode of each program that is written for the sake of what is read next.
const barrier = "/barrier"

// made makes a setup that creates znodes with the data "0", the barrier among them.
func made(paths ...string) func(ctx context.Context, zk *gazoo.Client) error {
	return func(ctx context.Context, zk *gazoo.Client) error {
		for _, path := range append(paths, barrier) {
			if _, err := zk.Create(ctx, path, []byte("0")); err != nil {
				return err
			}
		}
		return nil
	}
}

// fresh makes the client's next read at least as new as all that anybody was told before it. It writes: a sync would not
// do, since a leader answers one like a read, and one that has been replaced does not know.
func fresh(ctx context.Context, zk *gazoo.Client) error {
	_, err := zk.Set(ctx, barrier, nil, gazoo.AnyVersion)
	return err
}

// name returns a name that is unique among all clients of a program and their runs.
func name(e *program.Env, i int) string { return fmt.Sprintf("%d.%d.%d", e.Client, e.Run, i) }

// readAll reads the children of a znode with data and stat, a few hundred at a time, when no faults are left.
func readAll(ctx context.Context, zk *gazoo.Client, dir string, each func(name, data string, stat gazoo.Stat)) error {
	if err := fresh(ctx, zk); err != nil {
		return err
	}
	names, err := zk.Children(ctx, dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for some := range slices.Chunk(names, 200) {
		var reads []gazoo.Read
		for _, name := range some {
			reads = append(reads, gazoo.ReadData(gazoo.JoinPath(dir, name)))
		}
		results, err := zk.MultiRead(ctx, reads...)
		if err != nil {
			return err
		}
		for i, r := range results {
			if r.Err != nil {
				return r.Err
			}
			each(some[i], string(r.Data), r.Stat)
		}
	}
	return nil
}

// timely reports each pair of neighbours for which it does not hold that what ended before something else began has the
// smaller number. Of those that have ended only the one with the largest number matters.
func timely(promise string, ops []numbered) (bad []program.Violation) {
	byEnd := slices.Clone(ops)
	slices.SortFunc(byEnd, func(a, b numbered) int { return int(min(max(a.op.End-b.op.End, -1), 1)) })
	slices.SortFunc(ops, func(a, b numbered) int { return int(min(max(a.op.Start-b.op.Start, -1), 1)) })
	var newest *numbered
	for i := range ops {
		for len(byEnd) > 0 && byEnd[0].op.End < ops[i].op.Start {
			if newest == nil || byEnd[0].number > newest.number {
				newest = &byEnd[0]
			}
			byEnd = byEnd[1:]
		}
		if newest != nil && (newest.number > ops[i].number || newest.number == ops[i].number && !ops[i].orSame) {
			bad = append(bad, program.Violated(promise, "%d: %v, which began behind the end of %d: %v",
				ops[i].number, *ops[i].op, newest.number, *newest.op))
		}
	}
	return bad
}

// numbered is an operation that has a place in an order.
type numbered struct {
	op     *history.Op
	number int64
	orSame bool // it may have the number of an earlier one: it has only read it
}

// linearizable checks the steps on one key against a model.
func linearizable(model porcupine.Model, key string, steps []porcupine.Operation) []program.Violation {
	switch porcupine.CheckOperationsTimeout(model, steps, time.Minute) {
	case porcupine.Illegal:
		return []program.Violation{program.Violated("linearizable", "%d operations on %s have no order that explains them", len(steps), key)}
	case porcupine.Unknown:
		return []program.Violation{program.Violated("linearizable", "%d operations on %s could not be judged within a minute", len(steps), key)}
	}
	return nil
}
