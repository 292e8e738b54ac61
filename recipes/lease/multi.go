package lease

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// Multi is a number of leases for the same purpose, of which a holder gets one: so many holders at a time. Safe for
// concurrent use; it needs no close.
type Multi struct {
	path   string
	leases []*Lease
}

// NewMulti makes count leases below a path. Nothing is sent. See [New] for the rest.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func NewMulti(zk *gazoo.Client, path string, count int, duration time.Duration, opts ...Option) (*Multi, error) {
	cfg, err := configure(zk, path, duration, time.Second, opts)
	if count < 1 {
		err = errors.Join(err, &gazoo.ArgumentError{Arg: "count", Reason: "less than one"})
	}
	if err != nil {
		return nil, err
	}
	m := &Multi{path: path}
	for n := range count {
		l, err := newLease(zk, gazoo.JoinPath(path, strconv.Itoa(n)), duration, cfg)
		if err != nil {
			return nil, err
		}
		m.leases = append(m.leases, l)
	}
	return m, nil
}

// Path returns the path above the leases.
func (m *Multi) Path() string { return m.path }

// Obtain gets the first lease that is free, or renews the one that the holder has. (Kazoo's takes the first free one
// even so, and then has two.)
//
// Errors: [*TakenError] of the last lease when all are taken; those of [Lease.Obtain].
func (m *Multi) Obtain(ctx context.Context) (*Grant, error) {
	for _, l := range m.leases {
		record, found, err := l.Current(ctx)
		if err != nil && !errors.Is(err, ErrTaken) {
			return nil, err
		}
		if found && record.Holder == l.cfg.holder && l.cfg.now().Before(record.End) {
			grant, err := l.Obtain(ctx)
			if !errors.Is(err, ErrTaken) {
				return grant, err
			}
		}
	}
	var taken error
	for _, l := range m.leases {
		grant, err := l.Obtain(ctx)
		if !errors.Is(err, ErrTaken) {
			return grant, err
		}
		taken = err
	}
	return nil, fmt.Errorf("all of %d: %w", len(m.leases), taken)
}

// Release gives up every lease that the holder has.
func (m *Multi) Release(ctx context.Context) error {
	for _, l := range m.leases {
		record, found, err := l.Current(ctx)
		if err == nil && found && record.Holder == l.cfg.holder {
			err = l.Release(ctx)
		}
		if err != nil && !errors.Is(err, ErrTaken) {
			return err
		}
	}
	return nil
}

// Current returns the records of the leases that are not over, by the holder's clock.
func (m *Multi) Current(ctx context.Context) ([]Record, error) {
	var records []Record
	for _, l := range m.leases {
		record, found, err := l.Current(ctx)
		if err != nil && !errors.Is(err, ErrTaken) {
			return nil, err
		}
		if found && l.cfg.now().Before(record.End) {
			records = append(records, record)
		}
	}
	return records, nil
}
