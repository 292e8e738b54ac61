package model

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
	"github.com/gazoo-zk/gazoo/recipes/lock"
)

// ErrMigrationMismatch is matched by an error that says that what was applied is not the beginning of what is to be
// applied: a migration was changed, moved or taken out after it had been applied, which a [*MigrationError] names, or
// there is something else among the records. Nothing is applied then.
var ErrMigrationMismatch = errors.New("migrations differ from those that were applied")

// MigrationError says which migration is wrong.
type MigrationError struct {
	Set   string
	Index int    // of the migration in the set, from 0
	Name  string // of the migration; empty when the set has none at that index
	Err   error  // [ErrMigrationMismatch] with what differs, or why it was not applied
}

// Error names the set and the migration.
func (e *MigrationError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("migrations %s: migration %d: %v", e.Set, e.Index, e.Err)
	}
	return fmt.Sprintf("migrations %s: migration %d (%s): %v", e.Set, e.Index, e.Name, e.Err)
}

// Unwrap returns the cause.
func (e *MigrationError) Unwrap() error { return e.Err }

// Migration is a step from one layout of znodes to the next. It must never change once it was applied anywhere: add
// another one instead.
type Migration struct {
	Name string // for people, not kept in ZooKeeper
	Ops  []Op   // applied in this order, all or none
}

// MigrationSet is a list of migrations that is only ever added to, at its end.
type MigrationSet struct {
	ID         string // a name that a znode can have
	Migrations []Migration
}

// Migrator applies sets of migrations, each migration once, whoever runs them and how often. Safe for concurrent use. It
// needs no close.
//
// What was applied is recorded below META/ID, in znodes meta- and a number that hold the hash of each migration. A lock at
// LOCK/ID admits one program at a time. Both are those of Curator's MigrationManager, and so is the hash.
type Migrator struct {
	zk         *gazoo.Client
	lock, meta string
}

// NewMigrator makes a migrator. Nothing is sent.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func NewMigrator(zk *gazoo.Client, lockPath, metaPath string) (*Migrator, error) {
	var problems []error
	if zk == nil {
		problems = append(problems, &gazoo.ArgumentError{Arg: "client", Reason: "is nil"})
	}
	if err := gazoo.ValidatePath(lockPath); err != nil {
		problems = append(problems, fmt.Errorf("lock path: %w", err))
	}
	if err := gazoo.ValidatePath(metaPath); err != nil {
		problems = append(problems, fmt.Errorf("metadata path: %w", err))
	}
	if lockPath == metaPath {
		problems = append(problems, &gazoo.ArgumentError{Arg: "metadata path", Reason: "is that of the lock"})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("new migrator: %w", err)
	}
	return &Migrator{zk: zk, lock: lockPath, meta: metaPath}, nil
}

// Record is what ZooKeeper knows of a migration that was applied.
type Record struct {
	Path string
	Hash []byte
	Stat gazoo.Stat // Ctime is when it was applied
}

// Applied returns what was applied of a set, in order; nothing when there was never anything.
//
// Errors: [gazoo.ErrBadArguments], and those of the server.
func (m *Migrator) Applied(ctx context.Context, id string) ([]Record, error) {
	if err := checkName(id); err != nil {
		return nil, fmt.Errorf("migrations %q: %w", id, err)
	}
	records, err := m.records(ctx, m.zk, id)
	return slices.DeleteFunc(records, func(r Record) bool { return !isRecord(r) }), err
}

// Apply waits for the lock, holds what was applied against the beginning of the set, and applies the rest: each
// migration in one transaction, which also records it and is only taken while the lock is held. It returns how many
// migrations it has applied itself.
//
// A lost answer is resolved: the transaction is sent again, and the record tells whether the first one was applied. A lock
// that is lost is taken anew, and everything is read again.
//
// Errors: [ErrMigrationMismatch]; a [*MigrationError] that unwraps to a [*gazoo.TxnError] when a migration cannot be
// applied, with those before it applied; [gazoo.ErrBadArguments], every problem at once; the context's. When
// [gazoo.MaybeApplied] holds for it, one more migration may have been applied; another Apply finds out.
func (m *Migrator) Apply(ctx context.Context, set MigrationSet) (applied int, err error) {
	if err := set.check(); err != nil {
		return 0, err
	}
	mu, err := lock.NewSemaphore(m.zk, gazoo.JoinPath(m.lock, set.ID), 1, lock.WithStyle(lock.Curator))
	if err != nil {
		return 0, fmt.Errorf("migrations %s: %w", set.ID, err)
	}
	run := &migration{m: m, set: set}
	for tries := 0; ; tries++ {
		err := run.locked(ctx, mu)
		if err != nil && ctx.Err() == nil && (retry.Again(err) || errors.Is(err, lock.ErrLost)) {
			if err = retry.Pause(ctx, tries); err == nil {
				continue
			}
		}
		if err != nil && run.lost != nil {
			err = errors.Join(run.lost, err)
		}
		return run.applied, err
	}
}

// check finds what would be refused before it was sent, so that nothing is applied in front of it.
func (set MigrationSet) check() error {
	var problems []error
	if err := checkName(set.ID); err != nil {
		problems = append(problems, fmt.Errorf("migrations %q: %w", set.ID, err))
	}
	for i, step := range set.Migrations {
		var bad []error
		for _, op := range step.Ops {
			bad = append(bad, op.check())
		}
		if err := errors.Join(bad...); err != nil {
			problems = append(problems, &MigrationError{Set: set.ID, Index: i, Name: step.Name, Err: err})
		}
	}
	return errors.Join(problems...)
}

// migration is one Apply.
type migration struct {
	m       *Migrator
	set     MigrationSet
	applied int
	lost    error // of a transaction that may have been applied, as migration number doubt
	doubt   int
}

// locked applies what is missing under the lock.
func (r *migration) locked(ctx context.Context, mu *lock.Semaphore) error {
	held, err := mu.Acquire(ctx)
	if err != nil {
		return r.wrap(err)
	}
	defer held.Release(ctx)
	for {
		next, number, err := r.verify(ctx)
		if err != nil || next == len(r.set.Migrations) {
			return err
		}
		again, err := r.step(ctx, held, next, number)
		if err != nil && !again {
			return err
		}
	}
}

func (r *migration) wrap(err error) error { return fmt.Errorf("migrations %s: %w", r.set.ID, err) }

// verify reads what was applied, and returns the index of the next migration and the number of its record.
func (r *migration) verify(ctx context.Context) (next int, number int64, err error) {
	records, err := r.m.records(ctx, r.m.zk, r.set.ID)
	if err != nil {
		return 0, 0, r.wrap(err)
	}
	for i, record := range records {
		bad := func(format string, a ...any) error {
			e := &MigrationError{Set: r.set.ID, Index: i, Err: fmt.Errorf("%w: "+format, append([]any{ErrMigrationMismatch}, a...)...)}
			if i < len(r.set.Migrations) {
				e.Name = r.set.Migrations[i].Name
			}
			return e
		}
		n, ok := numberOf(record.Path)
		if !ok {
			return 0, 0, r.wrap(fmt.Errorf("%w: %s is no record of a migration", ErrMigrationMismatch, record.Path))
		}
		if i >= len(r.set.Migrations) {
			return 0, 0, bad("%d were applied, and the set has %d", len(records), len(r.set.Migrations))
		}
		if hash := r.set.Migrations[i].Hash(); !bytes.Equal(hash, record.Hash) {
			return 0, 0, bad("%s has hash %x, this one %x", record.Path, record.Hash, hash)
		}
		number = n + 1
	}
	if r.lost != nil && len(records) > r.doubt {
		r.applied++ // nobody else could have, under the lock that the transaction checked
	}
	r.lost = nil
	return len(records), number, nil
}

// The first operations of a step's transaction are the check of the lock, and the record.
const preamble = 2

// step applies one migration. again says that its outcome is to be read.
func (r *migration) step(ctx context.Context, held *lock.Held, i int, number int64) (again bool, err error) {
	one := r.set.Migrations[i]
	dir := gazoo.JoinPath(r.m.meta, r.set.ID)
	fail := func(err error) error { return &MigrationError{Set: r.set.ID, Index: i, Name: one.Name, Err: err} }
	for tries := 0; ; tries++ {
		txn := held.Txn().Create(gazoo.JoinPath(dir, fmt.Sprintf("%s%010d", recordPrefix, number)), one.Hash())
		for _, op := range one.Ops {
			op.addTo(txn)
		}
		_, err := txn.Commit(ctx)
		failed, refused := errors.AsType[*gazoo.TxnError](err)
		switch {
		case err == nil:
			r.applied++
			r.lost = nil
			return false, nil
		case gazoo.MaybeApplied(err):
			r.lost, r.doubt = err, i
		case held.Lost(err):
			return false, r.wrap(fmt.Errorf("%w: %w", lock.ErrLost, err))
		case refused && failed.Index == preamble-1 && failed.Code == gazoo.ErrNodeExists:
			return true, err // the lost one was applied
		case refused && failed.Index == preamble-1 && failed.Code == gazoo.ErrNoNode:
			if _, err = r.m.zk.EnsurePath(ctx, dir); err == nil {
				continue
			}
		case refused:
			r.lost = nil // the record was not there, so nothing was applied
			return false, fail(without(failed))
		}
		if lost := held.Err(); lost != nil {
			return false, r.wrap(errors.Join(lost, err))
		}
		if ctx.Err() != nil || !retry.Again(err) {
			return false, fail(err)
		}
		if err := retry.Pause(ctx, tries); err != nil {
			return false, fail(err)
		}
	}
}

// without takes the preamble out of an error, so that it speaks of the migration's own operations.
func without(e *gazoo.TxnError) *gazoo.TxnError {
	if e.Index < preamble {
		return e
	}
	own := *e
	own.Index -= preamble
	own.Codes, own.Paths = own.Codes[preamble:], own.Paths[preamble:]
	return &own
}

const recordPrefix = "meta-"

// numberOf returns the number of a record's name.
func numberOf(path string) (int64, bool) {
	digits, ok := strings.CutPrefix(gazoo.BaseName(path), recordPrefix)
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, ok && err == nil && n >= 0
}

func isRecord(r Record) bool {
	_, ok := numberOf(r.Path)
	return ok
}

// records reads all that is below META/ID, in order.
func (m *Migrator) records(ctx context.Context, zk *gazoo.Client, id string) ([]Record, error) {
	for tries := 0; ; tries++ {
		records, err := m.readRecords(ctx, zk, gazoo.JoinPath(m.meta, id))
		if err == nil || ctx.Err() != nil || !retry.Again(err) && !errors.Is(err, gazoo.ErrNoNode) {
			return records, err
		}
		if err := retry.Pause(ctx, tries); err != nil {
			return nil, err
		}
	}
}

func (m *Migrator) readRecords(ctx context.Context, zk *gazoo.Client, dir string) ([]Record, error) {
	if err := zk.Sync(ctx, dir); err != nil {
		return nil, err
	}
	names, err := zk.Children(ctx, dir)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	records := make([]Record, 0, len(names))
	for _, name := range names {
		r := Record{Path: gazoo.JoinPath(dir, name)}
		if r.Hash, r.Stat, err = zk.Get(ctx, r.Path); err != nil {
			return nil, err // one that has gone meanwhile: all is read again
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b Record) int {
		na, _ := numberOf(a.Path)
		nb, _ := numberOf(b.Path)
		return cmp.Or(cmp.Compare(na, nb), strings.Compare(a.Path, b.Path))
	})
	return records, nil
}
